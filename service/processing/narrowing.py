"""
A log of which some partitions are left alone, while view and ledger are still laid out for the others.

What is left alone is owned all the same: nobody else may read it meanwhile. This module knows no vendor.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

from service.processing.ports import Log
from service.processing.values import Commit, Record, TopicPartition

Callback = Callable[[frozenset[TopicPartition]], Awaitable[None]]


class NarrowedLog:
    """The port `Log`, with the first so many partitions of each topic alone."""

    def __init__(self, log: Log, partitions: int) -> None:
        self._log = log
        self._partitions = partitions

    async def start(self, on_assigned: Callback, on_revoked: Callback) -> None:
        async def assigned(partitions: frozenset[TopicPartition]) -> None:
            kept = self._kept(partitions)
            self._log.pause(partitions - kept)
            await on_assigned(kept)

        async def revoked(partitions: frozenset[TopicPartition]) -> None:
            await on_revoked(self._kept(partitions))

        await self._log.start(assigned, revoked)

    async def stop(self) -> None:
        await self._log.stop()

    async def fetch(self, timeout_s: float, max_records: int) -> list[Record]:
        # What had been on its way before the pause may come.
        records = await self._log.fetch(timeout_s, max_records)
        return [record for record in records if record.partition < self._partitions]

    def assignment(self) -> frozenset[TopicPartition]:
        return self._kept(self._log.assignment())

    async def commit(self, commits: Mapping[TopicPartition, Commit]) -> None:
        await self._log.commit(commits)

    async def committed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Commit | None]:
        return await self._log.committed(partitions)

    async def begin_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._log.begin_offsets(partitions)

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._log.end_offsets(partitions)

    def unknown_topics(self) -> list[str]:
        return self._log.unknown_topics()

    async def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        return await self._log.topic_ids(tuple(topics))

    def position(self, partition: TopicPartition) -> int | None:
        return self._log.position(partition)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._log.seek(partition, offset)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self._log.pause(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._log.resume(partitions)

    def _kept(self, partitions: Iterable[TopicPartition]) -> frozenset[TopicPartition]:
        return frozenset(one for one in partitions if one.partition < self._partitions)
