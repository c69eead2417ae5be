"""Stores of the view for the contract tests, and a way to look at what they hold that is the same for all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import pytest
from redis.asyncio import Redis, RedisCluster

from schemas.view import Keys
from schemas.vocabulary import Status
from service.adapters.memory_view import MemoryViewStore
from service.adapters.redis import RedisViewStore
from service.adapters.redis_cluster import RedisClusterViewStore
from service.adapters.redis_connection import RedisSettings
from service.processing.ports import ViewStore
from service.processing.values import Position, ViewWrite

PREFIX = "evse"

REDIS_SERVERS = [
    pytest.param(name, marks=pytest.mark.services)
    for name in ("redis7", "valkey", "redis7_cluster", "valkey_cluster")
]
"""The servers that a view may lie on; each has a fixture with `_url` behind its name."""


def redis_store(settings: RedisSettings) -> RedisViewStore | RedisClusterViewStore:
    """Build the store for a server or a cluster."""
    return RedisClusterViewStore(settings) if settings.cluster else RedisViewStore(settings)


@dataclass(frozen=True)
class Kept:
    """What the view shows of one EVSE."""

    document: dict[str, bytes] = field(default_factory=dict)
    days: dict[str, bytes] = field(default_factory=dict)
    outages: list[tuple[int, bytes]] = field(default_factory=list)
    exclusions: dict[str, bytes] = field(default_factory=dict)
    gaps: list[tuple[int, bytes]] = field(default_factory=list)
    verdicts: list[tuple[int, bytes]] = field(default_factory=list)


@dataclass(frozen=True)
class Listed:
    """What the lists show of one EVSE."""

    last_updated_ms: int | None
    statuses: set[str]
    onlines: set[str]
    has_place: bool


class Look(Protocol):
    """How a test looks into a store."""

    async def kept(self, uid: str) -> Kept: ...

    async def listed(self, uid: str) -> Listed: ...

    async def wipe(self) -> None: ...

    async def lose_history(self, uid: str, key: str) -> None: ...

    async def lose_staged(self, uid: str, token: str) -> None: ...


@dataclass(frozen=True)
class Subject:
    """A started store and the look into it."""

    store: ViewStore
    look: Look

    async def kept(self, uid: str) -> Kept:
        return await self.look.kept(uid)

    async def listed(self, uid: str) -> Listed:
        return await self.look.listed(uid)

    async def wipe(self) -> None:
        """Let the server forget everything, as one that restarts without its disk."""
        await self.look.wipe()

    async def lose_history(self, uid: str, key: str) -> None:
        """Delete one of the keys of an EVSE, by its last word, as somebody may by hand."""
        await self.look.lose_history(uid, key)

    async def lose_staged(self, uid: str, token: str) -> None:
        """Delete what was staged of an EVSE, as a node of a cluster does that comes back empty."""
        await self.look.lose_staged(uid, token)


class MemoryLook:
    """Looks into the store in memory."""

    def __init__(self, store: MemoryViewStore) -> None:
        self._store = store

    async def kept(self, uid: str) -> Kept:
        evse = self._store.evses.get(uid)
        if evse is None:
            return Kept()
        return Kept(
            dict(evse.document),
            dict(evse.days),
            sorted(evse.outages),
            dict(evse.exclusions),
            sorted(evse.gaps),
            sorted(evse.verdicts),
        )

    async def listed(self, uid: str) -> Listed:
        lists = self._store.lists
        return Listed(
            lists.all.get(uid),
            {lists.status[uid]} if uid in lists.status else set(),
            {lists.online[uid]} if uid in lists.online else set(),
            uid in lists.place,
        )

    async def wipe(self) -> None:
        self._store.server.go_back()

    async def lose_history(self, uid: str, key: str) -> None:
        getattr(self._store.evses[uid], key).clear()

    async def lose_staged(self, uid: str, token: str) -> None:
        del self._store.server.view.staged[uid, token]


class RedisLook:
    """Looks into Redis as a dashboard would, by the keys of `schemas.view` alone."""

    def __init__(self, client: Redis | RedisCluster) -> None:
        # redis-py answers with bytes or str, as it was built; here it is bytes.
        self._client: Any = client
        self._keys = Keys(PREFIX)

    async def kept(self, uid: str) -> Kept:
        keys, client = self._keys, self._client
        return Kept(
            _decoded(await client.hgetall(keys.document(uid))),
            _decoded(await client.hgetall(keys.days(uid))),
            [(int(at), one) for one, at in await client.zrange(keys.outages(uid), 0, -1, withscores=True)],
            _decoded(await client.hgetall(keys.exclusions(uid))),
            [(int(at), one) for one, at in await client.zrange(keys.gaps(uid), 0, -1, withscores=True)],
            [(int(at), one) for one, at in await client.zrange(keys.verdicts(uid), 0, -1, withscores=True)],
        )

    async def listed(self, uid: str) -> Listed:
        keys, client = self._keys, self._client
        score = await client.zscore(keys.all, uid)
        return Listed(
            None if score is None else int(score),
            {word for word in Status if await client.sismember(keys.status(word), uid)},
            {word for word in ("true", "false", "null") if await client.sismember(keys.online(word), uid)},
            (await client.geopos(keys.place, uid))[0] is not None,
        )

    async def wipe(self) -> None:
        await self._client.flushdb()

    async def lose_history(self, uid: str, key: str) -> None:
        await self._client.delete(f"{self._keys.document(uid)}:{key}")

    async def lose_staged(self, uid: str, token: str) -> None:
        for key in (self._keys.staged_days(uid, token), self._keys.staged_outages(uid, token)):
            await self._client.delete(key)


def _decoded(mapping: dict[bytes, bytes]) -> dict[str, bytes]:
    return {name.decode(): value for name, value in mapping.items()}


def position(*offsets: int, epoch: int = 0, as_of_us: int = 1_767_571_200_000_000) -> Position:
    """Build a position in as many topics as there are offsets."""
    return Position(epoch, offsets, as_of_us)


def write(
    uid: str = "charger-1", at: Position | None = None, word: str = "a", **changes: object
) -> ViewWrite:
    """Build a write whose state, pending outputs and document all say `word`: a mixture would show."""
    fields: dict[str, object] = {
        "uid": uid,
        "partition": 0,
        "vitals": f"vitals {word}".encode(),
        "position": at or position(7),
        "state": f"state {word}".encode(),
        "pending": f"pending {word}".encode(),
        "document": {"snapshot": f"snapshot {word}".encode(), "status": b"AVAILABLE", "removed_at": b""},
        "status": "AVAILABLE",
        "online": "true",
        "last_updated_ms": 1_000,
    }
    return ViewWrite(**{**fields, **changes})  # type: ignore[arg-type]
