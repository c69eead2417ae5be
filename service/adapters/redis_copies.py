"""
What the copies of a checkpoint in a Redis Cluster say: how far each node is, and which slots it had then.

A node that goes back goes back with its copy. What it has got since then, with a slot that moved to it, it
has lost altogether, which a copy tells that does not name the slot. Where the copy itself has moved away, its
node is as it was if its process is. Talks to no server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from service.adapters.redis_topology import Node, Topology
from service.adapters.view_words import CHECKPOINT_FIELDS, checkpoint_from
from service.processing.values import Checkpoint

COPY_FIELDS = [*CHECKPOINT_FIELDS, "tags", "slots"]
_OF_EACH = len(COPY_FIELDS) - 1
"""Fields that are the same in all copies, when all are as far."""


@dataclass(frozen=True, slots=True)
class Copies:
    """
    A checkpoint as it stands in each of its copies, by key; the first is where workers look first.

    Each value holds what stands under `COPY_FIELDS`.
    """

    fields: Mapping[str, Sequence[bytes | None]]

    @property
    def checkpoints(self) -> dict[str, Checkpoint | None]:
        """The checkpoint in each copy, None where there is none."""
        return {key: checkpoint_from(fields[: len(CHECKPOINT_FIELDS)]) for key, fields in self.fields.items()}

    def least(self) -> tuple[str, Checkpoint] | None:
        """Give the copy that is least far, and its key; None where one is missing."""
        found = [(key, one) for key, one in self.checkpoints.items() if one is not None]
        if len(found) < len(self.fields):
            return None
        return min(found, key=lambda each: reach(each[1]))

    def further_than(self, least: Checkpoint) -> list[str]:
        """Give the keys of the copies that are further."""
        return [key for key, one in self.checkpoints.items() if one is not None and reach(one) > reach(least)]

    def plain(self, key: str) -> dict[str, bytes]:
        """Give what one copy says of the checkpoint, and not of its node."""
        named = zip(COPY_FIELDS[:_OF_EACH], self.fields[key], strict=False)
        return {name: value for name, value in named if value is not None}

    def doubtful(self, topology: Topology) -> set[int]:
        """Give the slots whose node does not say, beside its copy, that it had them then."""
        told: dict[str, set[int]] = {}
        for key, fields in self.fields.items():
            owner = topology.owner_of(key)
            name, _, slots = read_slots(fields[_OF_EACH])
            if owner is not None and owner.name == name:
                told.setdefault(name, set()).update(slots)
        return {
            slot
            for slot, owner in enumerate(topology.owners)
            if owner is not None and slot not in told.get(owner.name, ())
        }

    def bereft(self, topology: Topology) -> dict[str, str]:
        """Give the nodes that have slots, and whose copy is with another now, with their processes then."""
        here = {node.name for node in topology.primaries}
        found = {}
        for key, fields in self.fields.items():
            owner = topology.owner_of(key)
            name, run, _ = read_slots(fields[_OF_EACH])
            if name in here and owner is not None and owner.name != name:
                found[name] = run
        return found


def reach(checkpoint: Checkpoint) -> tuple[int, int]:
    """Say how far a checkpoint is, to be compared."""
    return checkpoint.epoch, checkpoint.next_offset


def slots_word(node: Node, topology: Topology, runs: Mapping[str, str]) -> str:
    """Write a node's name, its process and its slots as they are kept: `name/process:0-5460,5462-5462`."""
    slots = [slot for slot, owner in enumerate(topology.owners) if owner and owner.name == node.name]
    begins = [slot for before, slot in pairwise([-2, *slots]) if slot != before + 1]
    ends = [slot for slot, after in pairwise([*slots, 1 << 20]) if after != slot + 1]
    return f"{node.name}/{runs.get(node.name, '')}:" + ",".join(
        f"{a}-{b}" for a, b in zip(begins, ends, strict=True)
    )


def read_slots(word: Any) -> tuple[str, str, set[int]]:
    """Read what `slots_word` wrote: name, process and slots; nothing of nobody where nothing stands."""
    node, _, ranges = (word or b"").decode().partition(":")
    slots: set[int] = set()
    for each in filter(None, ranges.split(",")):
        first, _, last = each.partition("-")
        slots.update(range(int(first), int(last) + 1))
    name, _, run = node.partition("/")
    return name, run, slots


def gained(old: Topology, new: Topology) -> set[int]:
    """Give the slots that have another owner than they had."""
    return {
        slot for slot, (was, now) in enumerate(zip(old.owners, new.owners, strict=True)) if was is not now
    }
