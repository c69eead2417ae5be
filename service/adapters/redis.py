"""
The view on one Redis or Valkey: states loaded in one round trip, writes guarded by the position in the log.

A script writes and leaves the trail at once, so what the server forgets it forgets with the trail.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.exceptions import NoScriptError

from schemas.view import Keys
from service.adapters import view_scripts
from service.adapters.redis_calls import Call, script_text_call
from service.adapters.redis_connection import RedisSettings, connect, refuse_eviction, translated
from service.adapters.redis_store import RedisStore, behind, hole, is_behind
from service.adapters.view_scripts import Script
from service.adapters.view_words import (
    CHECKPOINT_FIELDS,
    MOST_EVSES_A_CALL,
    Argument,
    calls,
    checkpoint_from,
    checkpoint_values,
    index_arguments,
    load_keys,
    save_arguments,
    stored_from,
)
from service.processing.cutting import pieces
from service.processing.values import Checkpoint, StoredEvse, TopicPartition, ViewWrite

_TRAIL_KEPT_S = 30 * 86_400


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


class RedisViewStore(RedisStore):
    """The port `ViewStore` on one server, or on a primary with replicas."""

    def __init__(self, settings: RedisSettings) -> None:
        super().__init__(settings)
        # redis-py answers bytes or str, as the client was built; here it is bytes.
        self._client: Any = connect(settings)
        self._trail = _Trail(self._keys)

    async def start(self) -> None:
        await self.inspect()
        with translated():
            for script in view_scripts.ALL:
                await self._client.script_load(script.text)
        await self.begin()
        await self.ping()

    async def inspect(self) -> None:
        await refuse_eviction(self._client, allow=self._settings.allow_eviction)

    async def stop(self) -> None:
        await self._client.aclose()

    async def begin(self) -> None:
        self._indexed.clear()
        self._members.clear()
        async with self._trail.step() as (_, number):
            with translated():
                await self._client.set(self._trail.key, number, ex=_TRAIL_KEPT_S)

    async def _load(self, uids: Sequence[str]) -> dict[str, StoredEvse]:
        found: dict[str, StoredEvse] = {}
        for some in pieces(dict.fromkeys(uids), MOST_EVSES_A_CALL):
            replies = await self._run(view_scripts.LOAD, load_keys(self._keys, some), ())
            found |= {uid: stored_from(reply) for uid, reply in zip(some, replies, strict=True) if reply}
        return found

    async def load_checkpoint(self, partition: TopicPartition) -> Checkpoint | None:
        key = self._keys.checkpoint(partition.topic, partition.partition)
        with translated():
            found = await self._client.hmget(key, list(CHECKPOINT_FIELDS))
        # A write of ours after what was read: where that is lost later, so is this, and it is noticed.
        await self.ping()
        return checkpoint_from(found)

    async def save_checkpoints(self, checkpoints: Mapping[TopicPartition, Checkpoint]) -> None:
        keys = [self._keys.checkpoint(one.topic, one.partition) for one in checkpoints]
        values = [value for one in checkpoints.values() for value in checkpoint_values(one)]
        await self._step(view_scripts.CHECKPOINT, keys, values)

    async def _ask(self, calls: Sequence[Call]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for each in calls:
            each.ask(pipeline)
        with translated():
            replies: list[Any] = await pipeline.execute()
        return replies

    async def _keep(self, calls: Sequence[Call]) -> None:
        async with self._trail.step() as numbers:
            # On one connection, so that the server cannot go back between what is written and the trail.
            step = script_text_call(view_scripts.CHECKPOINT, [self._trail.key], numbers)
            replies = await self._ask([*calls, step])
            if is_behind(replies[-1]):
                raise behind()

    def _portions(self, writes: Sequence[ViewWrite]) -> Iterator[Sequence[ViewWrite]]:
        return calls(writes)

    async def _save(self, writes: Sequence[ViewWrite]) -> bytes:
        names, values = save_arguments(self._keys, writes)
        replies: bytes = await self._step(view_scripts.SAVE, names, values)
        return replies

    async def _follow(self, writes: Sequence[ViewWrite]) -> None:
        names, values = index_arguments(self._keys, writes)
        await self._step(view_scripts.INDEX, names, values)

    async def _step(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run a script that leaves the trail with what it writes; raise `Behind` where writes are gone."""
        async with self._trail.step() as numbers:
            reply = await self._run(script, [self._trail.key, *keys], [*numbers, *arguments])
            if is_behind(reply):
                raise hole() if isinstance(reply, bytes) else behind()
        return reply

    async def _run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run a script by its name; a server that forgot it gets the text, which makes it known again."""
        with translated():
            try:
                return await self._client.evalsha(script.sha, len(keys), *keys, *arguments)
            except NoScriptError:
                return await self._client.eval(script.text, len(keys), *keys, *arguments)
