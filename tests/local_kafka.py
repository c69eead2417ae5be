"""Apache Kafka as a local process: jars by Maven into a cache, one node that is broker and controller."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from tests.processes import LocalProcess, StartFailed, free_port, start_on_free_ports

POM = Path(__file__).parent / "kafka" / "pom.xml"
# Seconds: 45 MB of jars, on a slow line.
DOWNLOAD_TIMEOUT = 600
# Base64 of 16 bytes. Each broker has a log of its own, so all may have one id.
CLUSTER_ID = "ZXZzZS1zdGF0dXMtdGVzdA"

# The files of a formatted log, by the node's id: they name nothing that another log may not have, too, and
# the tool that writes them takes a second.
_FORMATTED: dict[str, dict[str, bytes]] = {}

# What matters to one node, and to tests. Old tapes give their records old times, so retention is off; a
# killed broker is let in again once its session is over, so that is short; the cleaner of compacted topics
# would else take 128 MB of a small heap.
NODE_SETTINGS: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "broker.heartbeat.interval.ms": "300",
    "broker.session.timeout.ms": "3000",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "log.cleaner.dedupe.buffer.size": "4194304",
    "log.retention.ms": "-1",
    "message.max.bytes": "33554432",
    "offsets.topic.num.partitions": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
}


class JarsMissing(Exception):
    """Neither the cache nor Maven has Kafka; the message says what was tried."""


def kafka_version() -> str:
    """Return the version that pom.xml names."""
    found = re.search(r"<artifactId>kafka_[\d.]+</artifactId>\s*<version>([^<]+)<", POM.read_text())
    if found is None:
        raise JarsMissing(f"{POM.name} names no version of Kafka")
    return found[1]


def cache_folder() -> Path:
    """Return where jars are kept between runs: `EVSE_STATUS_TEST_CACHE`, or a folder of the user's cache."""
    if own := os.environ.get("EVSE_STATUS_TEST_CACHE"):
        return Path(own)
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "evse-status"


def jars() -> Path:
    """Return the folder of Kafka's jars, filled first where it is missing, by one run at a time."""
    cache = cache_folder()
    libraries = cache / f"kafka-{kafka_version()}"
    if libraries.is_dir():
        return libraries
    maven = shutil.which("mvn")
    if maven is None:
        raise JarsMissing(f"no jars in {libraries} and no mvn to fetch them")
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{libraries.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not libraries.is_dir():
            _fetch(maven, libraries)
    return libraries


def _fetch(maven: str, libraries: Path) -> None:
    """Have Maven copy the jars beside the place they go to, then move them there in one step."""
    with tempfile.TemporaryDirectory(dir=libraries.parent) as folder:
        command = [
            maven,
            "-q",
            "-B",
            "-f",
            str(POM),
            "dependency:copy-dependencies",
            f"-DoutputDirectory={folder}/jars",
        ]
        try:
            subprocess.run(  # noqa: S603 - the command is built here, from no outside input
                command,
                check=True,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                timeout=DOWNLOAD_TIMEOUT,
            )
        except subprocess.CalledProcessError as failure:
            raise JarsMissing(
                f"mvn could not fetch Kafka: {failure.stdout[-500:]}{failure.stderr[-500:]}"
            ) from failure
        except subprocess.TimeoutExpired as failure:
            raise JarsMissing(f"mvn took more than {DOWNLOAD_TIMEOUT} s to fetch Kafka") from failure
        Path(folder, "jars").rename(libraries)


def serves_groups(host: str, port: int) -> bool:
    """
    Say whether a broker knows the coordinator of a group.

    It accepts connections long before, and makes the topic of offsets only when first asked: a member that
    came earlier would log errors and wait.
    """
    group = b"evse-status-probe"
    # FindCoordinator, version 0, without a client id
    request = struct.pack(">hhihh", 10, 0, 1, -1, len(group)) + group
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            response = connection.recv(10)  # size, correlation, error
    except OSError:
        return False
    return len(response) == 10 and response[8:] == b"\0\0"


class KafkaProcess(LocalProcess):
    """
    One node of Kafka in KRaft mode, with an empty log.

    Beside its own port it listens on one `door` for each of `behind`: whoever comes in by a door is told that
    the broker is at that port, where something stands that leads back to the door.
    """

    def __init__(self, java: str, libraries: Path, behind: Sequence[int] = ()) -> None:
        super().__init__("kafka")
        self.port = free_port()
        self.doors = tuple(free_port() for _ in behind)
        self._behind = tuple(behind)
        self._java = [
            java,
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            f"{libraries}/*",
        ]
        self._java += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        self._properties = self.folder / "server.properties"
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in self._settings().items()))
        self._format()
        self.run()

    @property
    def bootstrap_servers(self) -> str:
        """The address in the form of `KAFKA_BOOTSTRAP_SERVERS`."""
        return f"127.0.0.1:{self.port}"

    def run(self) -> None:
        """Start the broker on its port; called again after a kill it goes on with the log it has."""
        self.begin()
        self.until_serving()

    def begin(self) -> None:
        """Start the broker without waiting."""
        self.launch([*self._java, "kafka.Kafka", str(self._properties)])

    def until_serving(self) -> None:
        """Wait until the broker serves groups."""
        self.wait_for(partial(serves_groups, "127.0.0.1", self.port))

    def _settings(self) -> dict[str, str]:
        controller = free_port()
        listeners = {"PLAINTEXT": self.port} | {f"DOOR{n}": port for n, port in enumerate(self.doors)}
        advertised = {"PLAINTEXT": self.port} | {f"DOOR{n}": port for n, port in enumerate(self._behind)}
        every = {**listeners, "CONTROLLER": controller}
        return {
            **NODE_SETTINGS,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in every),
            "listeners": _addresses(every),
            "advertised.listeners": _addresses(advertised),
            "log.dirs": str(self.folder / "data"),
        }

    def _format(self) -> None:
        """Give the log folder its cluster id, without which Kafka does not start."""
        settings = self._settings()
        node, data = settings["node.id"], Path(settings["log.dirs"])
        if node in _FORMATTED:
            data.mkdir()
            for name, content in _FORMATTED[node].items():
                (data / name).write_bytes(content)
            return
        self._format_with()
        _FORMATTED[node] = {each.name: each.read_bytes() for each in data.iterdir() if each.is_file()}

    def _format_with(self, *more: str) -> None:
        command = [*self._java, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID]
        command += ["-c", str(self._properties), *more]
        done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)  # noqa: S603 - built here
        if done.returncode != 0:
            self.close()
            raise StartFailed(f"Kafka's storage could not be formatted: {done.stdout}{done.stderr}")


def _addresses(listeners: Mapping[str, int]) -> str:
    return ",".join(f"{name}://127.0.0.1:{port}" for name, port in listeners.items())


def java_and_jars() -> tuple[str, Path]:
    """Give what a broker runs with; raise JarsMissing where it cannot be had."""
    java = shutil.which("java")
    if java is None:
        raise JarsMissing("no java to run Kafka with")
    return java, jars()


def start_kafka(behind: Sequence[int] = ()) -> KafkaProcess:
    """Start a broker, with doors if asked for; raise JarsMissing where Java or the jars cannot be had."""
    java, libraries = java_and_jars()
    return start_on_free_ports(lambda: KafkaProcess(java, libraries, behind))
