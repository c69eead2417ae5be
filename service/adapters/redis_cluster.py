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
from service.adapters.redis_nodes import Nodes
from service.adapters.redis_store import RedisStore, behind, is_behind
from service.adapters.redis_topology import slot_of
from service.adapters.redis_trails import Trails
from service.adapters.view_words import (
    CHECKPOINT_FIELDS,
    MOST_EVSES_A_CALL,
    calls,
    checkpoint_from,
    index_arguments,
    load_keys,
    pieces,
    save_arguments,
    stored_from,
)
from service.processing.ports import Checkpoint, StoredEvse, TopicPartition, Unavailable, ViewWrite

_NO_TRAIL = ("", "")
_ATTEMPTS = 5
_PAUSE_S = 0.05
_COPY_FIELDS = [*CHECKPOINT_FIELDS, "tags"]


class RedisClusterViewStore(RedisStore):
    """
    The port `ViewStore` in a cluster.

    Each checkpoint is kept once where every worker finds it, and in a copy beside each node's trail: what a
    node forgets it forgets with its copy, so the one that is least far holds for the view. A copy names all
    tags under which there are others.
    """

    def __init__(self, settings: RedisSettings) -> None:
        super().__init__(settings)
        self._trails = Trails(self._keys)
        self._nodes = Nodes(settings, view_scripts.ALL, self._trails.follow)
        self._writing = asyncio.Lock()
        # What this store knows of checkpoints, and the tags under which there are copies.
        self._known: dict[TopicPartition, tuple[Checkpoint, tuple[str, ...]]] = {}
        # Where something stands of checkpoints that do not hold any more.
        self._void: dict[TopicPartition, list[str]] = {}

    async def start(self) -> None:
        await self._nodes.learn()
        for node in self._nodes.topology.primaries:
            await refuse_eviction(self._nodes.client(node), allow=self._settings.allow_eviction)
        await self.begin()

    async def stop(self) -> None:
        await self._nodes.close()

    async def begin(self) -> None:
        self._indexed.clear()
        self._members.clear()
        async with self._writing:
            await self._nodes.learn()
            self._known.clear()
            self._void.clear()
            self._trails.begin(self._nodes.topology)
            await self._leave({})

    async def load(self, uids: Sequence[str]) -> dict[str, StoredEvse]:
        groups = [
            some
            for group in _by_slot(self._keys, dict.fromkeys(uids)).values()
            for some in pieces(group, MOST_EVSES_A_CALL)
        ]
        made = [script_call(view_scripts.LOAD, load_keys(self._keys, some), ()) for some in groups]
        # What a node has lost since the last step it has lost with a trail that is looked at now, after the
        # states were read. So no state is saved that goes on from what is not the last one.
        answers = await self._nodes.each(made, self._trails.look)
        found = {
            uid: stored_from(reply)
            for some, replies in zip(groups, answers.replies, strict=True)
            for uid, reply in zip(some, replies, strict=True)
            if reply
        }
        return {uid: found[uid] for uid in dict.fromkeys(uids) if uid in found}

    async def load_checkpoint(self, partition: TopicPartition) -> Checkpoint | None:
        async with self._writing:
            await self._refuse_if_behind()
            found = await self._least(partition)
            self._known.pop(partition, None)
            if found is not None:
                self._known[partition] = found
        await self.ping()
        return None if found is None else found[0]

    async def save_checkpoints(self, checkpoints: Mapping[TopicPartition, Checkpoint]) -> None:
        async with self._writing:
            await self._refuse_if_behind()
            if not checkpoints:
                await self._nodes.learn()
            await self._leave(checkpoints)

    async def _ask(self, calls: Sequence[Call]) -> list[Any]:
        return (await self._nodes.each(calls)).replies

    async def _keep(self, calls: Sequence[Call]) -> None:
        async with self._writing:
            await self._sealed(calls)

    async def _add(self, calls: Sequence[Call]) -> None:
        await self._keep(calls)

    def _portions(self, writes: Sequence[ViewWrite]) -> Iterator[Sequence[ViewWrite]]:
        if writes:
            yield writes

    async def _save(self, writes: Sequence[ViewWrite]) -> list[int]:
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
        outcomes = dict(zip(order, (one for reply in replies for one in reply), strict=True))
        return [outcomes[i] for i in range(len(writes))]

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
            tags = self._trails.tags
            old = {place: known for place, (known, where) in self._known.items() if where != tags}
            due = {**old, **checkpoints}
            await self._forget(checkpoints)
            is_left = await self._nodes.end(partial(self._trails.step, checkpoints=due))
            await self._refuse_if_behind()
            if is_left and tags == self._trails.tags:
                await self._leave_main(due)
                self._known |= {place: (checkpoint, tags) for place, checkpoint in due.items()}
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

    async def _least(self, place: TopicPartition) -> tuple[Checkpoint, tuple[str, ...]] | None:
        """
        Give the least far of a checkpoint's copies, and their tags; let the others go back to it.

        None where a copy is missing, or where a node has none: it may have lost anything.
        """
        main = self._keys.checkpoint(place.topic, place.partition)
        [[listed]] = await self._sealed([call("hmget", main, ["tags"])])
        tags = tuple(tag for tag in (listed or b"").decode().split(",") if tag)
        keys = [main, *self._copies(place, tags)]
        # Read and then stepped: where what was read is lost later, so is the step.
        copies = dict(
            zip(keys, await self._sealed([call("hmget", key, _COPY_FIELDS) for key in keys]), strict=True)
        )
        read = {key: checkpoint_from(fields[:-1]) for key, fields in copies.items()}
        await self._nodes.learn()
        topology = self._nodes.topology
        proven = {topology.owner_of(key) for key in keys[1:]}
        if any(one is None for one in read.values()) or not proven.issuperset(topology.primaries):
            self._void[place] = keys
            return None
        self._void.pop(place, None)
        found = {key: one for key, one in read.items() if one is not None}
        least = min(found, key=lambda key: _reach(found[key]))
        fields = {
            name: value for name, value in zip(_COPY_FIELDS, copies[least], strict=True) if value is not None
        }
        further = [key for key in found if _reach(found[key]) > _reach(found[least])]
        await self._sealed([call("hset", key, mapping=fields) for key in further])
        return found[least], tags

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
            for place, (_, tags) in self._known.items():
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


def _reach(checkpoint: Checkpoint) -> tuple[int, int]:
    return checkpoint.epoch, checkpoint.next_offset


def _on_their_way() -> Unavailable:
    return Unavailable("Redis Cluster moves slots of the view, and they have not arrived yet")
