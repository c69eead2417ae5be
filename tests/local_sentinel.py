"""A primary and a replica that three Sentinels watch, as processes, and its troubles."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from tests.local_redis import RedisProcess, Tls
from tests.processes import LocalProcess, free_port, start_on_free_ports, wait_until

NAME = "main"
SENTINEL_PASSWORD = "watch"  # noqa: S105 - of processes that live for a test
ASKER = "asker"
"""Who may ask a Sentinel for the primary, and nothing else."""
_SENTINELS = 3
_QUORUM = 2
_USER, _PASSWORD = "worker", "secret"
"""Who works with the servers, and watches them. The replica follows as another user, who can be shut out."""


class WatchedServer(RedisProcess):
    """A primary or a replica; with TLS, where the others reach it at `place`, the tests may come without."""

    def __init__(self, binary: Path, tls: Tls | None, *options: str) -> None:
        self.tls_port = free_port() if tls else 0
        more = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"]
        more += ["--user", _USER, "on", f">{_PASSWORD}", "~*", "&*", "+@all"]
        more += (
            ["--tls-port", str(self.tls_port), *tls.options("tls-replication", before="--")] if tls else []
        )
        super().__init__(binary, *more, *options)
        self.place = self.tls_port or self.port
        self.client: Any = redis.Redis(port=self.port, username=_USER, password=_PASSWORD)

    def follows(self, primary: WatchedServer) -> bool:
        """Tell whether this is a replica that has all that was written."""
        info, leader = self.client.info("replication"), primary.client.info("replication")
        return bool(
            info["role"] == "slave"
            and leader["role"] == "master"
            and info["master_port"] == primary.place
            and info["master_link_status"] == "up"
            and info["slave_repl_offset"] >= leader["master_repl_offset"]
        )

    def close(self) -> None:
        """End the process."""
        if hasattr(self, "client"):
            self.client.close()
        super().close()


class SentinelProcess(LocalProcess):
    """One Sentinel."""

    def __init__(self, binary: Path, tls: Tls | None, primary: int) -> None:
        super().__init__("sentinel")
        self.port = free_port()
        settings = self.folder / "sentinel.conf"
        words = iter(tls.options("tls-replication") if tls else [])
        listen = f"port 0\ntls-port {self.port}" if tls else f"port {self.port}"
        listen += "".join(f"\n{name} {value}" for name, value in zip(words, words, strict=True))
        settings.write_text(
            f"{listen}\nbind 127.0.0.1\ndir {self.folder}\n"
            f"user {ASKER} on >{SENTINEL_PASSWORD} -@all +@connection +sentinel|get-master-addr-by-name\n"
            f"requirepass {SENTINEL_PASSWORD}\nsentinel sentinel-pass {SENTINEL_PASSWORD}\n"
            f"sentinel monitor {NAME} 127.0.0.1 {primary} {_QUORUM}\n"
            f"sentinel auth-user {NAME} {_USER}\nsentinel auth-pass {NAME} {_PASSWORD}\n"
            f"sentinel down-after-milliseconds {NAME} 1000\nsentinel failover-timeout {NAME} 3000\n"
        )
        shown: dict[str, Any] = {}
        if tls:
            shown = {"ssl": True, "ssl_ca_certs": str(tls.authority), "ssl_certfile": str(tls.own.both)}
        self.client: Any = redis.Redis(host="127.0.0.1", port=self.port, password=SENTINEL_PASSWORD, **shown)
        self.start([str(binary), str(settings), "--sentinel"], self._answers)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False

    def says(self) -> dict[str, Any]:
        """Give what it thinks of the primary."""
        found: dict[str, Any] = self.client.sentinel_master(NAME, return_responses=True)
        return found

    def close(self) -> None:
        """End the process."""
        self.client.close()
        super().close()


class LocalSentinels:
    """The servers and who watches them; `primary` and `replica` are what they are now."""

    def __init__(self, binary: Path, tls: Tls | None = None) -> None:
        self._scheme = "rediss+sentinel" if tls else "redis+sentinel"
        self.primary = start_on_free_ports(lambda: WatchedServer(binary, tls))
        following = ("--replicaof", "127.0.0.1", str(self.primary.place))
        self.replica = start_on_free_ports(lambda: WatchedServer(binary, tls, *following))
        self.sentinels = [
            start_on_free_ports(lambda: SentinelProcess(binary, tls, self.primary.place))
            for _ in range(_SENTINELS)
        ]
        self.until_up()

    @property
    def url(self) -> str:
        """The address in the form of `REDIS_URL`."""
        places = ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels)
        return f"{self._scheme}://{_USER}:{_PASSWORD}@{places}/{NAME}/0"

    @staticmethod
    def until(done: Callable[[], bool]) -> None:
        """Wait for what processes do among themselves."""
        wait_until(done, lambda: None)

    def until_up(self) -> None:
        """Wait until the replica follows, and all Sentinels know that and each other."""
        self.until(lambda: self.replica.follows(self.primary) and all(map(self._knows_all, self.sentinels)))

    def _knows_all(self, sentinel: SentinelProcess) -> bool:
        said = sentinel.says()
        replicas = sentinel.client.sentinel_slaves(NAME)
        return bool(
            said["port"] == self.primary.place
            and said["flags"] == "master"
            and said["num-other-sentinels"] == _SENTINELS - 1
            and [each["flags"] for each in replicas] == ["slave"]
        )

    def catch_up(self) -> None:
        """Wait until the replica has all that was written."""
        self.until(lambda: self.replica.follows(self.primary))

    def lag(self) -> None:
        """Let the replica hear no more of the primary."""
        self.primary.client.execute_command("ACL", "SETUSER", "default", "off")
        self.primary.client.execute_command("CLIENT", "KILL", "TYPE", "replica")
        self.until(lambda: self.primary.client.info("replication")["connected_slaves"] == 0)

    def fail_over(self, how: signal.Signals = signal.SIGKILL) -> WatchedServer:
        """Kill or stop the primary, wait until the replica has taken over, and give the old one."""
        old = self.primary
        old.signal(how)
        self.until(lambda: all(each.says()["port"] == self.replica.place for each in self.sentinels))
        self.until(lambda: self.replica.client.info("replication")["role"] == "master")
        self.primary, self.replica = self.replica, old
        return old

    def close(self) -> None:
        """End all of them."""
        for each in (*self.sentinels, self.replica, self.primary):
            each.close()


@contextmanager
def local_sentinels(binary: Path, tls: Tls | None = None) -> Iterator[LocalSentinels]:
    """Hold a set for a while."""
    watched = LocalSentinels(binary, tls)
    try:
        yield watched
    finally:
        watched.close()
