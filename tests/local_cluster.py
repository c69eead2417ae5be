"""A cluster of Redis or Valkey processes: three primaries, each with a replica if asked, and its troubles."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from tests.local_redis import RedisProcess, Tls
from tests.processes import free_port, start_on_free_ports, wait_until

SLOTS = 16384
_PRIMARIES = 3
_AHEAD = 3
"""Clusters that come up while others are in use: most are for less than a second."""
_USER, _PASSWORD = "worker", "secret"
"""Who works with the cluster. Replicas follow as another user, who can be shut out."""


class ClusterNode(RedisProcess):
    """
    One server of a cluster; its id outlives its restarts, its data does not.

    With TLS the others and the worker reach it at `place`, and the tests without.
    """

    def __init__(self, binary: Path, tls: Tls | None = None) -> None:
        self._tls, tls_port = tls, free_port()
        options = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
        options += ["--cluster-node-timeout", "1000", "--cluster-replica-no-failover", "yes"]
        options += ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"]
        options += ["--user", _USER, "on", f">{_PASSWORD}", "~*", "&*", "+@all"]
        if tls:
            options += ["--tls-port", str(tls_port), *tls.options("tls-cluster", before="--")]
        super().__init__(binary, *options)
        self.bus_port = int(options[3])
        self.place = tls_port if tls else self.port
        self.client: Any = redis.Redis(port=self.port, username=_USER, password=_PASSWORD)
        self.id: str = self.tell("MYID").decode()

    @property
    def url(self) -> str:
        """The address, with the user who works."""
        scheme = "rediss" if self._tls else "redis"
        return f"{scheme}://{_USER}:{_PASSWORD}@127.0.0.1:{self.place}/0"

    def tell(self, *words: object) -> Any:
        """Send a command of the cluster."""
        return self.client.execute_command("CLUSTER", *words)

    def info(self) -> dict[str, str]:
        """Give what the node thinks of its cluster."""
        lines = self.tell("INFO").decode().split()
        return dict(line.split(":", 1) for line in lines)

    def close(self) -> None:
        """End the process."""
        if hasattr(self, "client"):
            self.client.close()
        super().close()


class LocalCluster:
    """
    The nodes; `primaries` are those that have slots now, `replicas` who follows each of them.

    Nobody takes over by itself. Built it has begun to come up, `until_up` waits for the rest.
    """

    def __init__(self, binary: Path, *, with_replicas: bool = False, tls: Tls | None = None) -> None:
        self._binary, self._tls = binary, tls
        self._nodes: list[ClusterNode] = []
        self.primaries = [self._start() for _ in range(_PRIMARIES)]
        self.replicas = [self._start() for _ in range(_PRIMARIES * with_replicas)]
        for number, node in enumerate(self.primaries):
            first, after = (SLOTS * i // _PRIMARIES for i in (number, number + 1))
            node.tell("ADDSLOTSRANGE", first, after - 1)
        for number, node in enumerate(self._nodes):
            node.tell("SET-CONFIG-EPOCH", number + 1)
            for earlier in self._nodes[:number]:
                # Each the other: what they hear by gossip comes much later.
                earlier.tell("MEET", "127.0.0.1", node.place, node.bus_port)

    def until_up(self) -> None:
        """Wait until all nodes know each other and serve."""
        self.until(lambda: all(self._knows_all(node) for node in self._nodes))
        for replica, primary in zip(self.replicas, self.primaries, strict=False):
            replica.tell("REPLICATE", primary.id)
        self.until(lambda: all(self._is_up(node) for node in self._nodes))
        self.until(lambda: all(self._follows(replica) for replica in self.replicas))

    def _start(self) -> ClusterNode:
        node = start_on_free_ports(lambda: ClusterNode(self._binary, self._tls))
        self._nodes.append(node)
        return node

    @property
    def url(self) -> str:
        """The address of some node."""
        return self.primaries[0].url

    @staticmethod
    def until(done: Callable[[], bool]) -> None:
        """Wait for what processes do among themselves."""
        wait_until(done, lambda: None)

    def _knows_all(self, node: ClusterNode) -> bool:
        lines = node.tell("NODES").decode().splitlines()
        return len(lines) == len(self._nodes) and not any("handshake" in line for line in lines)

    @staticmethod
    def _is_up(node: ClusterNode) -> bool:
        info = node.info()
        return info["cluster_state"] == "ok" and int(info["cluster_slots_ok"]) == SLOTS

    @staticmethod
    def _follows(replica: ClusterNode) -> bool:
        info = replica.client.info("replication")
        return bool(info["role"] == "slave" and info["master_link_status"] == "up")

    def wipe(self) -> None:
        """Delete all keys."""
        for node in self.primaries:
            node.client.flushall()

    def owner_of(self, slot: int) -> ClusterNode:
        """Give the primary that says it has a slot: what others say of it comes a little later."""
        for node in self.primaries:
            for first, last, (_, port, *_), *_ in node.tell("SLOTS"):
                if first <= slot <= last and port == node.port:
                    return node
        raise LookupError(f"nobody has slot {slot}")

    def begin_move(self, slot: int, source: ClusterNode, target: ClusterNode) -> None:
        """Set a slot on its way; its keys stay where they are."""
        target.tell("SETSLOT", slot, "IMPORTING", source.id)
        source.tell("SETSLOT", slot, "MIGRATING", target.id)

    def move_keys(self, slot: int, source: ClusterNode, target: ClusterNode, most: int = 1 << 20) -> None:
        """Let some keys of a slot follow it."""
        keys = source.tell("GETKEYSINSLOT", slot, most)
        if keys:
            words = ["127.0.0.1", target.port, "", 0, 5000, "AUTH2", _USER, _PASSWORD, "KEYS", *keys]
            source.client.execute_command("MIGRATE", *words)

    def end_move(self, slot: int, source: ClusterNode, target: ClusterNode) -> None:
        """Give a slot that has moved to its new owner, and wait until all agree how new its claim is."""
        others = [node for node in self.primaries if node not in (source, target)]
        for node in (target, source, *others):
            node.tell("SETSLOT", slot, "NODE", target.id)
        self.until(self._agree)

    def _agree(self) -> bool:
        """Tell whether all nodes take each node's claims to be as new."""
        told = {
            frozenset(
                (words[0], words[6]) for words in map(str.split, node.tell("NODES").decode().splitlines())
            )
            for node in self._nodes
        }
        return len(told) == 1

    def move(self, slot: int, target: ClusterNode) -> None:
        """Move a slot with its keys, as an operator's tool does."""
        source = self.owner_of(slot)
        if source is not target:
            self.begin_move(slot, source, target)
            self.move_keys(slot, source, target)
            self.end_move(slot, source, target)

    def add_primary(self) -> ClusterNode:
        """Let a new, empty node join."""
        node = self._start()
        self._nodes[0].tell("MEET", "127.0.0.1", node.port, node.bus_port)
        self.until(lambda: all(self._knows_all(each) for each in self._nodes) and self._is_up(node))
        self.primaries.append(node)
        return node

    def lag(self, primary: ClusterNode) -> None:
        """Let the replica of a primary hear no more of it."""
        primary.client.execute_command("ACL", "SETUSER", "default", "off")
        primary.client.execute_command("CLIENT", "KILL", "TYPE", "replica")
        self.until(lambda: primary.client.info("replication")["connected_slaves"] == 0)

    def catch_up(self, primary: ClusterNode) -> None:
        """Wait until the replica of a primary has all that was written."""
        replica = self.replicas[self.primaries.index(primary)]
        self.until(
            lambda: (
                replica.client.info("replication")["slave_repl_offset"]
                >= primary.client.info("replication")["master_repl_offset"]
            )
        )

    def fail_over(self, primary: ClusterNode) -> ClusterNode:
        """Kill a primary and let its replica take over, with what it has."""
        place = self.primaries.index(primary)
        replica = self.replicas.pop(place)
        primary.signal(signal.SIGKILL)
        primary.wait()
        replica.tell("FAILOVER", "TAKEOVER")
        self.primaries[place] = replica
        self._nodes.remove(primary)
        primary.close()
        self.until(lambda: all(self._is_up(node) for node in self._nodes) and self._agree())
        return replica

    def restart(self, node: ClusterNode, dump: bytes = b"") -> None:
        """Kill a node and start it again, empty or with an older dump."""
        node.signal(signal.SIGKILL)
        node.wait()
        node.dump.unlink(missing_ok=True)
        if dump:
            node.dump.write_bytes(dump)
        node.run()
        self.until(lambda: all(self._is_up(each) for each in self._nodes))

    @staticmethod
    def dump_of(node: ClusterNode) -> bytes:
        """Give the data of a node as it is now."""
        node.client.save()
        data = node.dump.read_bytes()
        node.dump.unlink()
        return data

    def close(self) -> None:
        """End all nodes."""
        for node in self._nodes:
            node.close()


class Clusters:
    """
    Clusters one after the other, each for one who does it harm; `without` replicas so many, `with_` so many.

    No primary serves in its first two seconds, however idle. So the next of a kind come up beforehand.
    """

    def __init__(self, binary: Path, without: int, with_: int) -> None:
        self._binary = binary
        self._wanted = {False: without, True: with_}
        self._begun: dict[bool, deque[LocalCluster]] = {False: deque(), True: deque()}

    @contextmanager
    def one(self, *, with_replicas: bool = False) -> Iterator[LocalCluster]:
        """Hold the next cluster for a while."""
        self._begin(with_replicas, 1)
        cluster = self._begun[with_replicas].popleft()
        self._wanted[with_replicas] -= 1
        try:
            cluster.until_up()
            self._begin(with_replicas, min(_AHEAD, self._wanted[with_replicas]))
            yield cluster
        finally:
            cluster.close()

    def _begin(self, with_replicas: bool, ahead: int) -> None:
        begun = self._begun[with_replicas]
        while len(begun) < ahead:
            begun.append(LocalCluster(self._binary, with_replicas=with_replicas))

    def close(self) -> None:
        """End those that nobody took."""
        for begun in self._begun.values():
            while begun:
                begun.pop().close()


@contextmanager
def local_cluster(
    binary: Path, *, with_replicas: bool = False, tls: Tls | None = None
) -> Iterator[LocalCluster]:
    """Hold a cluster for a while."""
    cluster = LocalCluster(binary, with_replicas=with_replicas, tls=tls)
    try:
        cluster.until_up()
        yield cluster
    finally:
        cluster.close()
