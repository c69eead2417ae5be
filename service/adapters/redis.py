"""
The view in Redis or Valkey: states loaded in one round trip, writes guarded by the position in the log.

What hangs on which key is written in `schemas.view`; what is done with it in `load.lua`, `view.lua`,
`checkpoint.lua` and `index.lua`.
Knows nothing of what a state or a document means.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from redis.exceptions import NoScriptError

from schemas.view import Keys
from schemas.vocabulary import Status
from service.adapters.redis_connection import RedisSettings, connect, refuse_eviction, translated
from service.adapters.view_limits import on_the_map
from service.adapters.view_words import (
    CHECKPOINT_FIELDS,
    MOST_EVSES_A_CALL,
    Argument,
    calls,
    checkpoint_from,
    checkpoint_values,
    load_keys,
    pieces,
    save_arguments,
    seen_from,
    stored_from,
)
from service.processing.ports import (
    Behind,
    Checkpoint,
    ClosedHistory,
    Epochs,
    SaveOutcome,
    Seen,
    StoredEvse,
    TopicPartition,
    ViewWrite,
)

_OUTCOMES = (SaveOutcome.STALE, SaveOutcome.ALREADY, SaveOutcome.SAVED, SaveOutcome.SAVED)
_LISTS_FOLLOW, _BEHIND = 3, 4
_ONLINE = ("true", "false", "null")
_STAGED_KEPT_S = 86_400
_TRAIL_KEPT_S = 30 * 86_400


@dataclass(frozen=True, slots=True)
class _Script:
    """A Lua script and the name that the server gives it."""

    text: str
    sha: str

    @classmethod
    def read(cls, name: str) -> _Script:
        text = files("service.adapters").joinpath(name).read_text(encoding="utf-8")
        # The server names scripts by SHA-1; it secures nothing.
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class _Trail:
    """
    The numbered writes of one store: the server holds the number of the last one that it remembers.

    Replication and dumps keep the order of writes, so a server that has forgotten any has forgotten the last.
    A call that got no answer may have been done or not: any number since the last answer is good.
    """

    def __init__(self, keys: Keys) -> None:
        self.key = keys.trail(uuid.uuid4().hex)
        self._acknowledged = 0
        self._newest = 0
        self._one_at_a_time = asyncio.Lock()

    @asynccontextmanager
    async def step(self) -> AsyncIterator[tuple[int, int]]:
        """Give the last number that was acknowledged and that of a new write, which is unless this raises."""
        async with self._one_at_a_time:
            self._newest += 1
            number = self._newest
            yield self._acknowledged, number
            self._acknowledged = number


class RedisViewStore:
    """The port `ViewStore` on one server, or on a primary with replicas."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._keys = Keys(settings.prefix)
        # redis-py answers bytes or str, as the client was built; here it is bytes.
        self._client: Any = connect(settings)
        self._load_script = _Script.read("load.lua")
        self._save_script = _Script.read("view.lua")
        self._checkpoint_script = _Script.read("checkpoint.lua")
        self._index_script = _Script.read("index.lua")
        self._trail = _Trail(self._keys)
        # EVSEs whose lists this process has brought up to date; a crash before it may have left them behind.
        self._indexed: set[str] = set()
        self._members: set[tuple[int, str]] = set()

    async def start(self) -> None:
        await refuse_eviction(self._client, allow=self._settings.allow_eviction)
        scripts = (self._load_script, self._save_script, self._checkpoint_script, self._index_script)
        with translated():
            for script in scripts:
                await self._client.script_load(script.text)
        await self.begin()
        await self.ping()

    async def stop(self) -> None:
        await self._client.aclose()

    async def begin(self) -> None:
        self._indexed.clear()
        self._members.clear()
        async with self._trail.step() as (_, number):
            with translated():
                await self._client.set(self._trail.key, number, ex=_TRAIL_KEPT_S)

    async def ping(self) -> None:
        """Write a key: a replica, a full server and one that lost its disk answer PING, but refuse this."""
        await self.save_checkpoints({})

    async def load(self, uids: Sequence[str]) -> dict[str, StoredEvse]:
        found: dict[str, StoredEvse] = {}
        for some in pieces(dict.fromkeys(uids), MOST_EVSES_A_CALL):
            replies = await self._run(self._load_script, load_keys(self._keys, some), ())
            found |= {uid: stored_from(reply) for uid, reply in zip(some, replies, strict=True) if reply}
        return found

    async def look(self, uids: Sequence[str]) -> dict[str, Seen]:
        pipeline = self._client.pipeline(transaction=False)
        for uid in uids:
            pipeline.hmget(self._keys.private(uid), ["position", "vitals"])
        with translated():
            replies = await pipeline.execute()
        found = zip(uids, map(seen_from, replies), strict=True)
        return {uid: seen for uid, seen in found if seen is not None}

    async def members(self, partition: int) -> list[str]:
        with translated():
            found: set[bytes] = await self._client.smembers(self._keys.members(partition))
        return sorted(uid.decode() for uid in found)

    async def save(self, writes: Sequence[ViewWrite]) -> list[SaveOutcome]:
        await self._enlist(writes)
        outcomes: list[SaveOutcome] = []
        for some in calls(writes):
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
        pipeline = self._client.pipeline(transaction=False)
        for each in histories:
            days = self._keys.staged_days(each.uid, token)
            outages = self._keys.staged_outages(each.uid, token)
            if each.closed_days:
                pipeline.hset(days, mapping=dict(each.closed_days))
                pipeline.expire(days, _STAGED_KEPT_S)
            if each.closed_outages:
                pipeline.zadd(outages, {outage: end for end, outage in each.closed_outages})
                pipeline.expire(outages, _STAGED_KEPT_S)
        with translated():
            await pipeline.execute()

    async def staged(self, token: str, uids: Sequence[str]) -> dict[str, ClosedHistory]:
        pipeline = self._client.pipeline(transaction=False)
        for uid in uids:
            pipeline.hgetall(self._keys.staged_days(uid, token))
            pipeline.zrange(self._keys.staged_outages(uid, token), 0, -1, withscores=True)
        with translated():
            replies = iter(await pipeline.execute())
        return {
            uid: ClosedHistory(
                uid,
                {name.decode(): day for name, day in days.items()},
                [(int(end), outage) for outage, end in outages],
            )
            for uid, days, outages in zip(uids, replies, replies, strict=True)
        }

    async def load_checkpoint(self, partition: TopicPartition) -> Checkpoint | None:
        key = self._keys.checkpoint(partition.topic, partition.partition)
        with translated():
            found = await self._client.hmget(key, list(CHECKPOINT_FIELDS))
        # A write of ours after what was read: where that is lost later, so is this, and it is noticed.
        await self.ping()
        return checkpoint_from(found)

    async def save_checkpoints(self, checkpoints: Mapping[TopicPartition, Checkpoint]) -> None:
        keys = [self._trail.key]
        keys += [self._keys.checkpoint(one.topic, one.partition) for one in checkpoints]
        values = [value for one in checkpoints.values() for value in checkpoint_values(one)]
        async with self._trail.step() as numbers:
            if not await self._run(self._checkpoint_script, keys, [*numbers, *values]):
                raise _behind()

    async def load_epochs(self) -> Epochs:
        with translated():
            found = await self._client.hgetall(self._keys.epochs)
        numbers = {name.decode(): int(number) for name, number in found.items()}
        return Epochs(numbers.pop("", 0), numbers)

    async def save_epochs(self, epochs: Epochs) -> None:
        stored = await self.load_epochs()
        if stored.generation < epochs.generation:
            fields = {"": epochs.generation, **epochs.since}
            with translated():
                await self._client.hset(self._keys.epochs, mapping=fields)

    async def _save(self, writes: Sequence[ViewWrite]) -> list[int]:
        names, values = save_arguments(self._keys, writes)
        async with self._trail.step() as numbers:
            replies = await self._run(self._save_script, [self._trail.key, *names], [*numbers, *values])
            if not isinstance(replies, list) or _BEHIND in replies:
                raise _behind()
        return replies

    async def _enlist(self, writes: Sequence[ViewWrite]) -> None:
        """Name the EVSEs in their partition's list, before there is anything of them to be forgotten."""
        new = {(write.partition, write.uid) for write in writes} - self._members
        if not new:
            return
        pipeline = self._client.pipeline(transaction=False)
        for partition, uid in sorted(new):
            pipeline.sadd(self._keys.members(partition), uid)
        with translated():
            await pipeline.execute()
        self._members |= new

    async def _index(self, writes: Sequence[ViewWrite]) -> None:
        """Let the lists follow; a failure forgets who was done, so that the next save tries again."""
        if not writes:
            return
        words = [*Status, *(f"online:{online}" for online in _ONLINE)]
        keys = [self._trail.key, self._keys.all, self._keys.place, self._keys.states]
        keys += [self._keys.status(status) for status in Status]
        keys += [self._keys.online(online) for online in _ONLINE]
        arguments: list[Argument] = [len(words), *words]
        for write in writes:
            place = on_the_map(write.coordinates) or ("", "")
            arguments += [
                write.uid,
                write.status,
                write.online,
                write.last_updated_ms,
                int(write.removed),
                *place,
            ]
        uids = {write.uid for write in writes}
        self._indexed -= uids
        async with self._trail.step() as numbers:
            if await self._run(self._index_script, keys, [*numbers, *arguments]) < 0:
                raise _behind()
        self._indexed |= uids

    async def _run(self, script: _Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run a script by its name; a server that forgot it gets the text, which makes it known again."""
        with translated():
            try:
                return await self._client.evalsha(script.sha, len(keys), *keys, *arguments)
            except NoScriptError:
                return await self._client.eval(script.text, len(keys), *keys, *arguments)


def _behind() -> Behind:
    return Behind("Redis has gone back: writes that it acknowledged are gone (failover, older dump or flush)")
