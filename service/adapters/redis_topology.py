"""Which node of a Redis Cluster has which slot: a value, read from what a node says of its cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

SLOTS = REDIS_CLUSTER_HASH_SLOTS

_UNKNOWN_HOSTS = (None, b"", b"?")


@dataclass(frozen=True, slots=True)
class Node:
    """A server of the cluster; `name` is what the cluster calls it, whatever its address."""

    name: str
    host: str
    port: int


@dataclass(frozen=True)
class Topology:
    """The node of each slot, None where there is none; the replicas; the primary of each, by their names."""

    owners: Sequence[Node | None] = (None,) * SLOTS
    replicas: Sequence[Node] = ()
    primary_of: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, slots: Iterable[Sequence[Any]], asked: str) -> Topology:
        """Read the reply of `CLUSTER SLOTS`; a node of unknown address is where it was `asked`."""
        owners: list[Node | None] = [None] * SLOTS
        replicas: dict[Node, str] = {}
        for first, last, primary, *others in slots:
            owner = _node(primary, asked)
            owners[first : last + 1] = [owner] * (last + 1 - first)
            replicas |= {_node(other, asked): owner.name for other in others}
        return cls(owners, tuple(replicas), {node.name: primary for node, primary in replicas.items()})

    @cached_property
    def primaries(self) -> tuple[Node, ...]:
        """The nodes that have slots, in an order of their own."""
        return tuple(sorted({each for each in self.owners if each is not None}, key=lambda each: each.name))

    def owner_of(self, key: str) -> Node | None:
        """Give the node that has a key."""
        return self.owners[slot_of(key)]

    def at(self, host: str, port: int) -> Node:
        """Give the node at an address, one without a name where none is known there."""
        known = (each for each in self.primaries if (each.host, each.port) == (host, port))
        return next(known, Node("", host, port))


def slot_of(key: str) -> int:
    """Give the slot that a key lies in."""
    return key_slot(key.encode())


def _node(words: Sequence[Any], asked: str) -> Node:
    host, port, name = words[:3]
    return _known(name.decode(), asked if host in _UNKNOWN_HOSTS else host.decode(), int(port))


@lru_cache(maxsize=1024)
def _known(name: str, host: str, port: int) -> Node:
    """Give the same object for the same node, so that two topologies are compared at once."""
    return Node(name, host, port)
