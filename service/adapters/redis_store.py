"""
What the view in Redis does alike on one server and in a cluster.

What hangs on which key is written in `schemas.view`; what is done with it in `load.lua`, `view.lua`,
`checkpoint.lua` and `index.lua`.
Knows nothing of what a state or a document means, nor of how a call finds its server.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from schemas.view import Keys
from service.adapters.redis_calls import Call, call
from service.adapters.redis_connection import RedisSettings
from service.adapters.view_words import seen_from, standing_from
from service.processing.ports import Behind, Hole
from service.processing.values import (
    Checkpoint,
    ClosedHistory,
    Epochs,
    SaveOutcome,
    Seen,
    Standing,
    StoredEvse,
    TopicPartition,
    ViewWrite,
)

# What `view.lua` says of each EVSE, in one word for all: a byte each.
_LISTS_FOLLOW, _BEHIND = b"3"[0], b"4"
_OUTCOMES = dict(
    zip(b"0123", (SaveOutcome.STALE, SaveOutcome.ALREADY, SaveOutcome.SAVED, SaveOutcome.SAVED), strict=True)
)
_TRAIL_LOST = -1
_STAGED_KEPT_S = 86_400
_ID, _BEGINS, _PARTITIONS = "id:", "begins:", "partitions:"
"""Stand before a topic whose id or begins are told, among the epochs, or alone; no topic has a colon."""


def hole() -> Hole:
    """Say that one EVSE has gone back, and nothing else."""
    return Hole("Redis holds an EVSE older than it acknowledged, or has lost it, and all else as it was left")


def behind() -> Behind:
    """Say that writes are gone."""
    return Behind("Redis has gone back: writes that it acknowledged are gone (failover, older dump or flush)")


def is_behind(reply: Any) -> bool:
    """Read from a script's reply that the trail is older than it was, or an EVSE than the writer knew it."""
    return reply == _TRAIL_LOST or (isinstance(reply, bytes) and _BEHIND in reply)


class RedisStore(ABC):
    """The port `ViewStore`, less what a server and a cluster do each in its own way."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._keys = Keys(settings.prefix)
        # EVSEs whose lists this store has brought up to date since it loaded them: whoever saved them before
        # may have ended, or lost the reply, before the lists followed.
        self._indexed: set[str] = set()
        self._members: set[tuple[int, str]] = set()

    @abstractmethod
    async def _load(self, uids: Sequence[str]) -> dict[str, StoredEvse]: ...

    @abstractmethod
    async def _ask(self, calls: Sequence[Call]) -> list[Any]:
        """Make the calls, in one round trip where that can be, and give their replies."""

    @abstractmethod
    async def _keep(self, calls: Sequence[Call]) -> None:
        """Make calls that write, so that their loss is noticed; raise `Behind` if one is."""

    @abstractmethod
    def _portions(self, writes: Sequence[ViewWrite]) -> Iterable[Sequence[ViewWrite]]:
        """Cut writes, in order, into what `_save` takes at once."""

    @abstractmethod
    async def _save(self, writes: Sequence[ViewWrite]) -> bytes:
        """Give what `view.lua` says of each write; raise `Behind`."""

    @abstractmethod
    async def _follow(self, writes: Sequence[ViewWrite]) -> None:
        """Let the lists follow; raise `Behind`."""

    @abstractmethod
    async def save_checkpoints(self, checkpoints: Mapping[TopicPartition, Checkpoint]) -> None: ...

    async def ping(self) -> None:
        """Write a key: a replica, a full server and one that lost its disk answer PING, but refuse this."""
        await self.save_checkpoints({})

    async def load(self, uids: Sequence[str]) -> dict[str, StoredEvse]:
        self._indexed.difference_update(uids)
        return await self._load(uids)

    async def look(self, uids: Sequence[str]) -> dict[str, Seen]:
        replies = await self._ask(
            [call("hmget", self._keys.private(uid), ["position", "vitals"]) for uid in uids]
        )
        found = zip(uids, map(seen_from, replies), strict=True)
        return {uid: seen for uid, seen in found if seen is not None}

    async def members(self, partition: int) -> list[str]:
        [found] = await self._ask([call("smembers", self._keys.members(partition))])
        return sorted(uid.decode() for uid in found)

    async def standings(self, uids: Sequence[str]) -> dict[str, Standing]:
        if not uids:
            return {}
        [replies] = await self._ask([call("hmget", self._keys.states, list(uids))])
        return {
            uid: standing_from(reply) for uid, reply in zip(uids, replies, strict=True) if reply is not None
        }

    async def save(self, writes: Sequence[ViewWrite]) -> list[SaveOutcome]:
        await self._enlist(writes)
        outcomes: list[SaveOutcome] = []
        for some in self._portions(writes):
            replies = await self._save(some)
            outcomes += [_OUTCOMES[reply] for reply in replies]
            await self._index(
                [
                    write
                    for write, reply in zip(some, replies, strict=True)
                    if reply == _LISTS_FOLLOW
                    or _OUTCOMES[reply] is SaveOutcome.ALREADY
                    or (_OUTCOMES[reply] is SaveOutcome.SAVED and write.uid not in self._indexed)
                ]
            )
        return outcomes

    async def stage(self, token: str, histories: Sequence[ClosedHistory]) -> None:
        calls: list[Call] = []
        for each in histories:
            days = self._keys.staged_days(each.uid, token)
            outages = self._keys.staged_outages(each.uid, token)
            if each.closed_days:
                calls.append(call("hset", days, mapping=dict(each.closed_days)))
                calls.append(call("expire", days, _STAGED_KEPT_S))
            if each.closed_outages:
                calls.append(call("zadd", outages, {outage: end for end, outage in each.closed_outages}))
                calls.append(call("expire", outages, _STAGED_KEPT_S))
        if calls:
            await self._keep(calls)

    async def staged(self, token: str, uids: Sequence[str]) -> dict[str, ClosedHistory]:
        calls: list[Call] = []
        for uid in uids:
            calls.append(call("hgetall", self._keys.staged_days(uid, token)))
            calls.append(call("zrange", self._keys.staged_outages(uid, token), 0, -1, withscores=True))
        replies = iter(await self._ask(calls))
        # After what was read: where some of it was lost before, so was what this finds missing.
        await self.ping()
        return {
            uid: ClosedHistory(
                uid,
                {name.decode(): day for name, day in days.items()},
                [(int(end), outage) for outage, end in outages],
            )
            for uid, days, outages in zip(uids, replies, replies, strict=True)
        }

    async def load_epochs(self) -> Epochs:
        [found] = await self._ask([call("hgetall", self._keys.epochs)])
        return _epochs_from({name.decode(): word.decode() for name, word in found.items()})

    async def save_epochs(self, epochs: Epochs) -> None:
        stored = await self.load_epochs()
        if stored.generation > epochs.generation:
            return
        calls: list[Call] = []
        if stored.generation < epochs.generation:
            begins = {topic: epochs.begins.get(topic, ()) for topic in {*stored.begins, *epochs.begins}}
            said = {_BEGINS + topic: ",".join(map(str, offsets)) for topic, offsets in begins.items()}
            mapping = {"": epochs.generation, **epochs.since, **_told_once(epochs), **said}
            calls.append(call("hset", self._keys.epochs, mapping=mapping))
            if epochs.ids and (left := sorted(stored.ids.keys() - epochs.ids.keys())):
                calls.append(call("hdel", self._keys.epochs, *(_ID + topic for topic in left)))
        else:
            told = _told_once(epochs)
            calls += [call("hsetnx", self._keys.epochs, name, each) for name, each in told.items()]
        if calls:
            await self._ask(calls)

    async def delist(self, partition: int, uids: Sequence[str]) -> None:
        if uids:
            await self._ask([call("srem", self._keys.members(partition), *uids)])
            self._members -= {(partition, uid) for uid in uids}

    async def _enlist(self, writes: Sequence[ViewWrite]) -> None:
        """Name the EVSEs in their partition's list, before there is anything of them to be forgotten."""
        new = {(write.partition, write.uid) for write in writes} - self._members
        if not new:
            return
        here: dict[int, list[str]] = {}
        for number, uid in sorted(new):
            here.setdefault(number, []).append(uid)
        await self._keep([call("sadd", self._keys.members(number), *uids) for number, uids in here.items()])
        self._members |= new

    async def _index(self, writes: Sequence[ViewWrite]) -> None:
        """Let the lists follow; a failure forgets who was done, so that the next save tries again."""
        if not writes:
            return
        uids = {write.uid for write in writes}
        self._indexed -= uids
        await self._follow(writes)
        self._indexed |= uids


def _told_once(epochs: Epochs) -> dict[str, str]:
    """Give what is added to the epochs of a generation where it is not known yet."""
    told = {f"{_ID}{topic}": each for topic, each in epochs.ids.items()}
    return told | ({_PARTITIONS: str(epochs.partitions)} if epochs.partitions else {})


def _epochs_from(words: dict[str, str]) -> Epochs:
    """Read the hash of the epochs."""
    ids = {name.removeprefix(_ID): words.pop(name) for name in list(words) if name.startswith(_ID)}
    begins = {name.removeprefix(_BEGINS): words.pop(name) for name in list(words) if name.startswith(_BEGINS)}
    partitions = int(words.pop(_PARTITIONS, 0))
    since = {name: int(number) for name, number in words.items()}
    return Epochs(
        since.pop("", 0),
        since,
        ids,
        partitions,
        {topic: tuple(map(int, offsets.split(","))) for topic, offsets in begins.items() if offsets},
    )
