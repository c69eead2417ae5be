"""What a rebuild takes for another log, while workers go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

from service.adapters.memory_view import MemoryViewStore
from service.inspection import Inspection, Kept
from service.processing.values import Checkpoint, Commit, Record, TopicPartition

PLACE = TopicPartition("evse.events", 0)


class BusyGroup:
    """A partition that grows, and is processed to its end, with every question that is asked."""

    def __init__(self) -> None:
        self.end = 0

    def _goes_on(self) -> int:
        self.end += 10
        return self.end

    async def members(self) -> int:
        return 1

    async def partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        return [PLACE for _ in topics]

    async def begins(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    async def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self._goes_on())

    async def committed(self) -> dict[TopicPartition, Commit]:
        return {PLACE: Commit(self._goes_on(), 0)}

    async def topic_ids(self, topics: Sequence[str]) -> dict[str, str]:
        return dict.fromkeys(topics, "id")

    async def has_records(self, _: TopicPartition, start: int, end: int) -> bool:
        return end > start


class NoRecords:
    """A compacted topic that holds nothing."""

    async def read(self, partition: int) -> AsyncIterator[Sequence[Record]]:
        for _ in range(partition):
            yield ()


def test_a_log_that_is_processed_meanwhile_is_not_another_one() -> None:
    """Its end is asked last: a checkpoint or a commit that is read before it lies below it."""
    store = MemoryViewStore()
    inspection = Inspection(
        store,
        BusyGroup(),
        Kept("evse.ledger", NoRecords()),
        Kept("evse.snapshots", NoRecords()),
        ("evse.events",),
    )

    async def looks() -> None:
        await store.start()
        await store.save_checkpoints({PLACE: Checkpoint(5, 0)})
        for _ in range(3):
            assert (await inspection.findings()).new_logs == frozenset()

    asyncio.run(looks())
