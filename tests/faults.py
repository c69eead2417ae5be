"""Ports that fail on demand: at the n-th call to a part outside, before, half-way or after it acted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from service.adapters.memory import Callback, MemoryLog, MemoryPublisher
from service.adapters.memory_view import MemoryViewStore
from service.processing.values import (
    Checkpoint,
    ClosedHistory,
    Commit,
    Epochs,
    Message,
    Record,
    SaveOutcome,
    Seen,
    Standing,
    StoredEvse,
    TopicPartition,
    ViewWrite,
)

Result = TypeVar("Result")


Strike = Callable[[], Awaitable[None]]


class Crash(Exception):
    """The process died here."""


class When(StrEnum):
    """Where in a call the fault strikes."""

    BEFORE = "before"
    HALF_WAY = "half_way"
    """After half of what was to be written; as BEFORE where nothing is."""
    AFTER = "after"


class Faults:
    """Counts the calls to all parts, and strikes at one of them."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._at: int | None = None
        self._name: str | None = None
        self._when = When.BEFORE
        self._strike: Strike | None = None

    def arm(self, at: int, when: When, strike: Exception | Strike) -> None:
        """Strike at the call number `at` from now (0 is the next), once: raise, or do something."""
        self._at, self._name = len(self.calls) + at, None
        self._when, self._strike = when, _as_strike(strike)

    def arm_next(self, name: str, when: When, strike: Exception | Strike) -> None:
        """Strike at the next call of this name, such as `store.save`, once."""
        self._at, self._name = None, name
        self._when, self._strike = when, _as_strike(strike)

    def disarm(self) -> None:
        """Let all calls be."""
        self._strike = None

    async def call(
        self,
        name: str,
        whole: Callable[[], Awaitable[Result]],
        half: Callable[[], Awaitable[object]] | None = None,
    ) -> Result:
        """Make a call, unless it is the one to fail."""
        number = len(self.calls)
        self.calls.append(name)
        strike = self._strike
        if strike is None or (number != self._at and name != self._name):
            return await whole()
        self._strike = None
        if self._when is When.AFTER:
            result = await whole()
            await strike()
            return result
        if self._when is When.HALF_WAY and half is not None:
            await half()
        await strike()
        return await whole()


def _as_strike(strike: Exception | Strike) -> Strike:
    if not isinstance(strike, Exception):
        return strike
    error = strike

    async def fail() -> None:
        raise error

    return fail


class FaultyStore:
    """A view that fails on demand."""

    def __init__(self, inner: MemoryViewStore, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults

    async def start(self) -> None:
        await self._faults.call("store.start", self._inner.start)

    async def stop(self) -> None:
        await self._inner.stop()

    async def load(self, uids: Sequence[str]) -> dict[str, StoredEvse]:
        return await self._faults.call("store.load", lambda: self._inner.load(uids))

    async def save(self, writes: Sequence[ViewWrite]) -> list[SaveOutcome]:
        return await self._faults.call(
            "store.save",
            lambda: self._inner.save(writes),
            lambda: self._inner.save(writes[: len(writes) // 2]),
        )

    async def begin(self) -> None:
        await self._faults.call("store.begin", self._inner.begin)

    async def look(self, uids: Sequence[str]) -> dict[str, Seen]:
        return await self._faults.call("store.look", lambda: self._inner.look(uids))

    async def members(self, partition: int) -> list[str]:
        return await self._faults.call("store.members", lambda: self._inner.members(partition))

    async def delist(self, partition: int, uids: Sequence[str]) -> None:
        await self._faults.call("store.delist", lambda: self._inner.delist(partition, uids))

    async def standings(self, uids: Sequence[str]) -> dict[str, Standing]:
        return await self._faults.call("store.standings", lambda: self._inner.standings(uids))

    async def stage(self, token: str, histories: Sequence[ClosedHistory]) -> None:
        await self._faults.call("store.stage", lambda: self._inner.stage(token, histories))

    async def staged(self, token: str, uids: Sequence[str]) -> dict[str, ClosedHistory]:
        return await self._faults.call("store.staged", lambda: self._inner.staged(token, uids))

    async def load_epochs(self) -> Epochs:
        return await self._inner.load_epochs()

    async def save_epochs(self, epochs: Epochs) -> None:
        await self._faults.call("store.save_epochs", lambda: self._inner.save_epochs(epochs))

    async def load_checkpoint(self, partition: TopicPartition) -> Checkpoint | None:
        return await self._faults.call(
            "store.load_checkpoint", lambda: self._inner.load_checkpoint(partition)
        )

    async def save_checkpoints(self, checkpoints: Mapping[TopicPartition, Checkpoint]) -> None:
        await self._faults.call("store.save_checkpoints", lambda: self._inner.save_checkpoints(checkpoints))

    async def ping(self) -> None:
        await self._inner.ping()

    async def inspect(self) -> None:
        await self._inner.inspect()


class FaultyPublisher:
    """A publisher that fails on demand."""

    def __init__(self, inner: MemoryPublisher, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults

    async def start(self) -> None:
        await self._faults.call("publisher.start", self._inner.start)

    async def stop(self) -> None:
        await self._inner.stop()

    async def publish(self, messages: Sequence[Message]) -> None:
        await self._faults.call(
            "publisher.publish",
            lambda: self._inner.publish(messages),
            lambda: self._inner.publish(messages[: len(messages) // 2]),
        )


class FaultyLog:
    """A log whose commits and questions fail on demand."""

    def __init__(self, inner: MemoryLog, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults

    async def start(self, on_assigned: Callback, on_revoked: Callback) -> None:
        await self._faults.call("log.start", lambda: self._inner.start(on_assigned, on_revoked))

    async def stop(self) -> None:
        await self._inner.stop()

    async def fetch(self, timeout_s: float, max_records: int) -> list[Record]:
        return await self._inner.fetch(timeout_s, max_records)

    def assignment(self) -> frozenset[TopicPartition]:
        return self._inner.assignment()

    async def commit(self, commits: Mapping[TopicPartition, Commit]) -> None:
        await self._faults.call("log.commit", lambda: self._inner.commit(commits))

    async def committed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Commit | None]:
        return await self._inner.committed(partitions)

    async def begin_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._inner.begin_offsets(partitions)

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._inner.end_offsets(partitions)

    async def topic_ids(self, topics: Sequence[str]) -> dict[str, str]:
        return await self._inner.topic_ids(topics)

    def unknown_topics(self) -> list[str]:
        return self._inner.unknown_topics()

    def position(self, partition: TopicPartition) -> int | None:
        return self._inner.position(partition)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._inner.seek(partition, offset)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self._inner.pause(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._inner.resume(partitions)
