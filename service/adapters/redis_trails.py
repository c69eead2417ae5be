"""
The trails of one store on the nodes of a Redis Cluster: by them it notices what a node has forgotten.

Each node has one trail, under a hash tag that lies in one of its slots: a number that grows with every step.
Whatever was written to a node before a step, over the same connection, cannot be forgotten without the step,
since replication and dumps keep the order of writes. Talks to no server.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from redis.exceptions import AskError, TryAgainError

from schemas.view import CHECKPOINTS, Keys
from service.adapters import view_scripts
from service.adapters.redis_calls import call, script_call
from service.adapters.redis_nodes import RUN, End, run_of
from service.adapters.redis_topology import Node, Topology, slot_of
from service.adapters.view_words import checkpoint_values
from service.processing.values import Checkpoint, TopicPartition

_LOST, _STEPPED = -1, 1
_TAGS = 4096
_MOST_TAGS = 1 << 18


@dataclass(slots=True)
class Trail:
    """
    The trail of one node, as far as it is known.

    `acknowledged`: the last number that the node is known to have had, -1 for none. A call that got no answer
    may have been done or not: any number since is good. `run`: where this follows on a trail that went with
    its slot, the process that has to be the node's still; any other may have lost what the other trail knew.
    """

    tag: str
    node: str
    acknowledged: int = -1
    run: str | None = None

    @property
    def slot(self) -> int:
        """The slot it lies in."""
        return slot_of(f"{{{self.tag}}}")


class Trails:
    """
    The trails of one store, one for each node, and one more beside the checkpoints that all workers find.

    `is_lost`: a node has forgotten writes, or may have without a trace (`is_unproven`).
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._writer = uuid.uuid4().hex
        self._newest = 0
        self._barred: set[int] = set()
        self._topology = Topology()
        self.runs: Mapping[str, str] = {}
        self.begin(self._topology, {})

    def begin(self, topology: Topology, runs: Mapping[str, str]) -> None:
        """
        Forget what was known of the nodes: whatever they hold is what they should.

        `runs` names the process of each node, as does the attribute: as they were before the last steps.
        """
        self.is_lost = self.is_unproven = False
        self.runs = runs
        self._main = Trail(CHECKPOINTS, "")
        self._of: dict[str, Trail] = {}
        self._barred.clear()
        self._topology = topology
        self._choose()

    def follow(self, old: Topology, new: Topology) -> None:
        """Give each node that has slots a trail in one of them, its own where it still has it."""
        if self._is_broken(old, new):
            self.is_lost = self.is_unproven = True
        self._barred = {slot for slot in self._barred if old.owners[slot] is new.owners[slot]}
        self._topology = new
        self._choose()

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of all nodes' trails."""
        return tuple(sorted(trail.tag for trail in self._of.values()))

    def step(
        self,
        node: Node,
        checkpoints: Mapping[TopicPartition, Checkpoint] | None = None,
        slots: Callable[[Node], str] = lambda _node: "",
    ) -> End | None:
        """
        Give the call that leaves the next number at a node, and beside it a copy of these checkpoints.

        `slots` gives what the copies are to say of the node; see `redis_copies`.
        """
        trail = self._of.get(node.name)
        if trail is None or trail.run is not None:
            return None if trail is None else self._ask_for_run(trail)
        return self._step(trail, checkpoints or {}, slots(node))

    def step_main(self, checkpoints: Mapping[TopicPartition, Checkpoint]) -> End:
        """Give the call that writes checkpoints where every worker looks for them first."""
        return self._step(self._main, checkpoints, "")

    def look(self, node: Node) -> End | None:
        """Give the call that reads a node's trail, after something else was read there."""
        trail = self._of.get(node.name)
        if trail is None or trail.run is not None:
            return None if trail is None else self._ask_for_run(trail)
        return call("get", self._key(trail)), partial(self._seen, trail, trail.acknowledged)

    def _step(self, trail: Trail, checkpoints: Mapping[TopicPartition, Checkpoint], slots: str) -> End:
        self._newest += 1
        number = self._newest
        keys = [self._keys.checkpoint(one.topic, one.partition, trail.tag) for one in checkpoints]
        tags = ",".join(self.tags)
        values = [value for one in checkpoints.values() for value in checkpoint_values(one, tags, slots)]
        made = script_call(
            view_scripts.CHECKPOINT, [self._key(trail), *keys], [trail.acknowledged, number, *values]
        )
        return made, partial(self._stepped, trail, number)

    def _stepped(self, trail: Trail, number: int, reply: Any) -> bool:
        if reply == _LOST:
            self.is_lost = True
        elif reply == _STEPPED:
            trail.acknowledged = max(trail.acknowledged, number)
        else:
            self._bar(trail, reply)
        return bool(reply == _STEPPED)

    def _seen(self, trail: Trail, acknowledged: int, reply: Any) -> bool:
        if isinstance(reply, Exception):
            self._bar(trail, reply)
            return False
        if int(reply or _LOST) < acknowledged:
            self.is_lost = True
        return not self.is_lost

    def _ask_for_run(self, trail: Trail) -> End:
        return RUN, partial(self._told_run, trail)

    def _told_run(self, trail: Trail, reply: Any) -> bool:
        """Learn whether a node still is the process that it was; whoever needs a step asks again."""
        if isinstance(reply, Mapping):
            if run_of(reply) != trail.run:
                self.is_lost = self.is_unproven = True
            trail.run = None
        return False

    def _bar(self, trail: Trail, reply: Any) -> None:
        """Leave a slot that is on its way to another node: what is written there says nothing of this one."""
        if isinstance(reply, AskError | TryAgainError) and trail is not self._main:
            self._barred.add(trail.slot)
            self._choose()

    def _key(self, trail: Trail) -> str:
        return self._keys.trail(self._writer, trail.tag)

    def _choose(self) -> None:
        chosen = ((node, self._trail_for(node)) for node in self._topology.primaries)
        self._of = {node.name: trail for node, trail in chosen if trail is not None}

    def _trail_for(self, node: Node) -> Trail | None:
        """Give a node its own trail, or the one that it came with if it is new; else another."""
        for trail in self._of.values():
            is_here = self._owner(trail.slot) == node.name and trail.slot not in self._barred
            if is_here and (trail.node == node.name or node.name not in self._of):
                trail.node = node.name
                return trail
        tag = self._new_tag(node)
        if tag is None:
            return None
        return Trail(tag, node.name, run=self.runs.get(node.name, "") if node.name in self._of else None)

    def _new_tag(self, node: Node) -> str | None:
        """
        Find a tag that lies with a node, in a slot as high as can be: who moves slots away begins below.

        Every store finds the same one. None where all of its slots are on their way.
        """
        free = {
            slot
            for slot, owner in enumerate(self._topology.owners)
            if owner is not None and owner.name == node.name and slot not in self._barred
        }
        slot = max((slot for slot in _tags() if slot in free), default=None)
        if slot is not None:
            return _tags()[slot]
        return next((tag for tag in map(str, range(_TAGS, _MOST_TAGS)) if slot_of(tag) in free), None)

    def _owner(self, slot: int) -> str:
        owner = self._topology.owners[slot]
        return "" if owner is None else owner.name

    def _is_broken(self, old: Topology, new: Topology) -> bool:
        """
        Tell whether a replica took over without the trail of the node that it replaces.

        That takes a slot that moves and a failover between two looks. What the replica lacks nobody knows.
        """
        moved = {
            (was.name, now.name)
            for was, now in zip(old.owners, new.owners, strict=True)
            if was is not now and was is not None and now is not None and was.name != now.name
        }
        return any(self._is_unproven(was, now, old, new) for was, now in moved)

    def _is_unproven(self, was: str, now: str, old: Topology, new: Topology) -> bool:
        known = {node.name for node in old.primaries} | set(old.primary_of)
        is_heir = now not in known and was not in {node.name for node in new.primaries}
        if old.primary_of.get(now) != was and not is_heir:
            return False
        trail = self._of.get(was)
        owner = None if trail is None else new.owners[trail.slot]
        return owner is None or owner.name != now


@cache
def _tags() -> Mapping[int, str]:
    """Give the first tag found in each of some thousand slots."""
    found: dict[int, str] = {}
    for number in range(_TAGS):
        found.setdefault(slot_of(str(number)), str(number))
    return found
