"""
The view in a Redis or Valkey Cluster: one script a slot, many in one pipeline to each node.

A save and the trail of its node lie in different slots, so no script writes both. Instead a step of the trail
ends every pipeline that writes, and a look at it every pipeline that loads; see `redis_trails`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from schemas.view import CHECKPOINTS, Keys
from service.adapters import view_scripts
from service.adapters.redis_calls import Call, call, script_call
from service.adapters.redis_connection import RedisSettings, brief, refuse_eviction
from service.adapters.redis_copies import COPY_FIELDS, Copies, gained, slots_word
from service.adapters.redis_nodes import Nodes
from service.adapters.redis_store import RedisStore, behind, is_behind
from service.adapters.redis_topology import Node, Topology, slot_of
from service.adapters.redis_trails import Trails
from service.adapters.view_words import (
    MOST_EVSES_A_CALL,
    calls,
    index_arguments,
    load_keys,
    save_arguments,
    stored_from,
)
from service.processing.cutting import pieces
from service.processing.ports import ErrorKind, Unavailable
from service.processing.values import Checkpoint, StoredEvse, TopicPartition, ViewWrite

_NO_TRAIL = ("", "")
_ATTEMPTS = 5
_PAUSE_S = 0.05

_Mark = tuple[tuple[str, ...], int]


class RedisClusterViewStore(RedisStore):
    """
    The port `ViewStore` in a cluster.

    Each checkpoint is kept once where every worker finds it, and in a copy beside each node's trail: what a
    node forgets it forgets with its copy, so the one that is least far holds for the view. A copy names all
    tags under which there are others, and the slots that its node had whole; see `redis_copies`.
    """

    def __init__(self, settings: RedisSettings) -> None:
        super().__init__(settings)
        self._trails = Trails(self._keys)
        self._nodes = Nodes(settings, view_scripts.ALL, self._trails.follow)
        self._writing = asyncio.Lock()
        # The topology in which all EVSEs that this store answers for were there, and how often that changed.
        self._verified, self._version = Topology(), 0
        # What this store knows of checkpoints, and the tags and version that their copies have.
        self._known: dict[TopicPartition, tuple[Checkpoint, _Mark]] = {}
        # Where something stands of checkpoints that do not hold any more.
        self._void: dict[TopicPartition, list[str]] = {}

    async def start(self) -> None:
        await self._nodes.learn()
        await self.inspect()
        await self.begin()

    async def inspect(self) -> None:
        for node in self._nodes.topology.primaries:
            await refuse_eviction(self._nodes.client(node), allow=self._settings.allow_eviction)

    async def stop(self) -> None:
        await self._nodes.close()

    async def begin(self) -> None:
        self._indexed.clear()
        self._members.clear()
        async with self._writing:
            await self._nodes.learn()
            self._known.clear()
            self._void.clear()
            runs = await self._nodes.runs()
            self._trails.begin(self._nodes.topology, runs)
            self._verify(self._nodes.topology)
            await self._leave({})

    async def _load(self, uids: Sequence[str]) -> dict[str, StoredEvse]:
        for _ in range(_ATTEMPTS):
            found, unproven = await self._read(uids)
            if not unproven:
                return {uid: found[uid] for uid in dict.fromkeys(uids) if uid in found}
            # Looks at what moved; where somebody who is missing should be there it raises.
            await self.ping()
        raise _on_their_way()

    async def _read(self, uids: Sequence[str]) -> tuple[dict[str, StoredEvse], list[str]]:
        """
        Read EVSEs; give them, and those not found of which nobody knows whether they should be.

        What a node has lost since the last step it has lost with a trail that is looked at after the states
        were read. So no state is saved that goes on from what is not the last one. But what had come to a
        node a moment ago, before it was lost, no trail tells of, and the EVSE would be begun anew.
        """
        groups = [
            some
            for group in _by_slot(self._keys, dict.fromkeys(uids)).values()
            for some in pieces(group, MOST_EVSES_A_CALL)
        ]
        made = [script_call(view_scripts.LOAD, load_keys(self._keys, some), ()) for some in groups]
        answers = await self._nodes.each(made, self._trails.look)
        moved = gained(self._verified, self._nodes.topology)
        found: dict[str, StoredEvse] = {}
        unproven: list[str] = []
        for call_made, some, replies, is_sealed in zip(
            made, groups, answers.replies, answers.sealed, strict=True
        ):
            found |= {uid: stored_from(reply) for uid, reply in zip(some, replies, strict=True) if reply}
            if not is_sealed or slot_of(call_made.key) in moved:
                unproven += [uid for uid in some if uid not in found]
        return found, unproven

    async def load_checkpoint(self, partition: TopicPartition) -> Checkpoint | None:
        async with self._writing:
            await self._refuse_if_behind()
            self._known.pop(partition, None)
            found = await self._least(partition)
            if found is not None:
                self._known[partition] = found, ((), 0)
        await self.ping()
        return found

    async def save_checkpoints(self, checkpoints: Mapping[TopicPartition, Checkpoint]) -> None:
        async with self._writing:
            await self._refuse_if_behind()
            if checkpoints:
                await self._leave(checkpoints)
                return
            await self._look_at_what_moved()
            # Before the step: a process that is not the one that is stepped is told from it later.
            runs = await self._nodes.runs()
            await self._leave({})
            self._trails.runs = runs

    async def _ask(self, calls: Sequence[Call]) -> list[Any]:
        return (await self._nodes.each(calls)).replies

    async def _keep(self, calls: Sequence[Call]) -> None:
        async with self._writing:
            await self._sealed(calls)

    def _portions(self, writes: Sequence[ViewWrite]) -> Iterator[Sequence[ViewWrite]]:
        if writes:
            yield writes

    async def _save(self, writes: Sequence[ViewWrite]) -> bytes:
        slots: dict[int, list[int]] = {}
        for i, write in enumerate(writes):
            slots.setdefault(slot_of(self._keys.document(write.uid)), []).append(i)
        order: list[int] = []
        made: list[Call] = []
        for numbers in slots.values():
            order += numbers
            for some in calls([writes[i] for i in numbers]):
                names, values = save_arguments(self._keys, some)
                made.append(script_call(view_scripts.SAVE, names, [*_NO_TRAIL, *values]))
        async with self._writing:
            replies = await self._sealed(made)
        if any(map(is_behind, replies)):
            raise behind()
        outcomes = dict(zip(order, b"".join(replies), strict=True))
        return bytes([outcomes[i] for i in range(len(writes))])

    async def _follow(self, writes: Sequence[ViewWrite]) -> None:
        names, values = index_arguments(self._keys, writes)
        await self._keep([script_call(view_scripts.INDEX, names, [*_NO_TRAIL, *values])])

    async def _sealed(self, calls: Sequence[Call]) -> list[Any]:
        """
        Make the calls so that each has a step of its node's trail after it, and give their first replies.

        Where slots are on their way calls are made again: writing twice does no harm. Raises `Behind`.
        """
        await self._refuse_if_behind()
        replies: dict[int, Any] = {}
        left = list(range(len(calls)))
        for _ in range(_ATTEMPTS):
            answers = await self._nodes.each([calls[i] for i in left], self._trails.step)
            for i, reply in zip(left, answers.replies, strict=True):
                replies.setdefault(i, reply)
            await self._refuse_if_behind()
            left = [i for i, sealed in zip(left, answers.sealed, strict=True) if not sealed]
            if not left:
                return [replies[i] for i in range(len(calls))]
            await self._look_again()
        raise _on_their_way()

    async def _leave(self, checkpoints: Mapping[TopicPartition, Checkpoint]) -> None:
        """Step the trails of all nodes, with copies of these checkpoints and of those that lack some."""
        for _ in range(_ATTEMPTS):
            mark = self._trails.tags, self._version
            old = {place: known for place, (known, has) in self._known.items() if has != mark}
            due = {**old, **checkpoints}
            is_news = any(place not in self._known or place in old for place in due)
            slots = _say_nothing
            if is_news:
                slots = partial(slots_word, topology=self._verified, runs=self._trails.runs)
            await self._forget(checkpoints)
            is_left = await self._nodes.end(partial(self._trails.step, checkpoints=due, slots=slots))
            await self._refuse_if_behind()
            if is_left and mark == (self._trails.tags, self._version):
                await self._leave_main(due)
                self._known |= {place: (checkpoint, mark) for place, checkpoint in due.items()}
                return
            await self._look_again()
        raise _on_their_way()

    async def _leave_main(self, checkpoints: Mapping[TopicPartition, Checkpoint]) -> None:
        """Write checkpoints where workers look first: last, so that the copies they name are there."""
        if not checkpoints:
            return
        made, told = self._trails.step_main(checkpoints)
        [reply] = await self._ask([made])
        told(reply)
        await self._refuse_if_behind()

    async def _look_at_what_moved(self) -> None:
        """
        Look for the EVSEs in slots that moved: who took them may have lost them before it stepped a trail.

        An EVSE that is not there at all has been lost; what had come whole is safe from then on.
        """
        await self._nodes.learn()
        topology = self._nodes.topology
        moved = gained(self._verified, topology)
        if not moved:
            return
        if not await self._nodes.end(self._trails.step):
            return
        for number in {place.partition for place in self._known}:
            if await self._lacks(number, moved):
                self._trails.is_lost = True
        await self._refuse_if_behind()
        self._verify(topology)

    def _verify(self, topology: Topology) -> None:
        self._verified, self._version = topology, self._version + 1

    async def _lacks(self, number: int, slots: set[int]) -> bool:
        """Tell whether an EVSE of a partition is not where it should be, of those in some slots."""
        keys = [self._keys.private(uid) for uid in await self.members(number)]
        looks = [call("exists", key) for key in keys if slot_of(key) in slots]
        return not all(await self._ask(looks))

    async def _least(self, place: TopicPartition) -> Checkpoint | None:
        """
        Give the least far of a checkpoint's copies, and let the others go back to it.

        None where a copy is missing, or an EVSE in a slot that no copy knows its node to have.
        """
        main = self._keys.checkpoint(place.topic, place.partition)
        [[listed]] = await self._sealed([call("hmget", main, ["tags"])])
        tags = tuple(tag for tag in (listed or b"").decode().split(",") if tag)
        keys = [main, *self._copies(place, tags)]
        # Read and then stepped: where what was read is lost later, so is the step.
        replies = await self._sealed([call("hmget", key, COPY_FIELDS) for key in keys])
        copies = Copies(dict(zip(keys, replies, strict=True)))
        least = copies.least()
        await self._nodes.learn()
        if least is None or await self._is_doubtful(place.partition, copies):
            self._void[place] = keys
            return None
        self._void.pop(place, None)
        key, checkpoint = least
        fields = copies.plain(key)
        await self._sealed([call("hset", each, mapping=fields) for each in copies.further_than(checkpoint)])
        return checkpoint

    async def _is_doubtful(self, number: int, copies: Copies) -> bool:
        """Tell whether a node may have lost what no copy tells of."""
        topology = self._nodes.topology
        bereft = copies.bereft(topology)
        if bereft:
            runs = await self._nodes.runs()
            if any(runs.get(name) != run for name, run in bereft.items()):
                return True
        return await self._lacks(number, copies.doubtful(topology))

    def _copies(self, place: TopicPartition, tags: Iterable[str]) -> list[str]:
        return [self._keys.checkpoint(place.topic, place.partition, tag) for tag in tags]

    async def _forget(self, places: Iterable[TopicPartition]) -> None:
        """Delete what does not hold any more, as the guard of a checkpoint would keep what is further."""
        gone = [place for place in places if place in self._void]
        await self._ask([call("delete", key) for place in gone for key in self._void[place]])
        for place in gone:
            del self._void[place]

    async def _refuse_if_behind(self) -> None:
        if self._trails.is_unproven:
            # What was lost may be older than any checkpoint: only the ledger has it.
            for place, (_, (tags, _)) in self._known.items():
                self._void[place] = self._copies(place, (CHECKPOINTS, *tags))
            await self._forget(self._known)
            self._trails.is_unproven = False
        if self._trails.is_lost:
            raise behind()

    async def _look_again(self) -> None:
        await asyncio.sleep(_PAUSE_S)
        await self._nodes.learn()


class RedisClusterProbe:
    """Asks each node over a connection of its own, once and briefly, whether it takes writes."""

    def __init__(self, settings: RedisSettings, timeout_s: float = 2.0) -> None:
        self._keys = Keys(settings.prefix)
        self._trails = Trails(self._keys)
        self._nodes = Nodes(brief(settings, timeout_s), changed=self._trails.follow)

    async def ask(self) -> None:
        """Come back if every node took a write; raise `Unavailable` or `Unusable` if not."""
        await self._nodes.learn()
        await self._nodes.each(
            [call("set", self._keys.ping(tag), b"", px=60_000) for tag in self._trails.tags]
        )

    async def stop(self) -> None:
        """Disconnect."""
        await self._nodes.close()


def _by_slot(keys: Keys, uids: Iterable[str]) -> dict[int, list[str]]:
    """Group EVSEs by the slot that all of their keys lie in."""
    slots: dict[int, list[str]] = {}
    for uid in uids:
        slots.setdefault(slot_of(keys.document(uid)), []).append(uid)
    return slots


def _say_nothing(_node: Node) -> str:
    return ""


def _on_their_way() -> Unavailable:
    return Unavailable(
        "Redis Cluster moves slots of the view, and they have not arrived yet", ErrorKind.UNREADY
    )
