"""Fills topics as fast as the client can: whole batches, each with the records' own times."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiokafka import AIOKafkaProducer

from tests.benchmarks.jobs import PARTITIONS, Entry

_BATCH_BYTES = 512 * 1024
_UNDER_WAY = 64


async def fill(bootstrap_servers: str, topic: str, entries: Iterable[Entry]) -> dict[int, int]:
    """Write entries, in order within a partition; give the number of records in each partition."""
    counts = dict.fromkeys(range(PARTITIONS), 0)
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers, max_batch_size=_BATCH_BYTES, enable_idempotence=True
    ) as producer:
        batches = {partition: producer.create_batch() for partition in counts}
        waiting: list[asyncio.Future[object]] = []
        for entry in entries:
            where = entry.partition
            counts[where] += 1
            milliseconds = entry.timestamp // 1000
            batch = batches[where]
            if batch.append(timestamp=milliseconds, key=entry.key, value=entry.value) is None:
                waiting.append(await producer.send_batch(batch, topic, partition=where))
                batch = batches[where] = producer.create_batch()
                batch.append(timestamp=milliseconds, key=entry.key, value=entry.value)
            if len(waiting) > _UNDER_WAY:
                await asyncio.gather(*waiting)
                waiting = []
        waiting += [
            await producer.send_batch(batch, topic, partition=where)
            for where, batch in batches.items()
            if batch.record_count()
        ]
        await asyncio.gather(*waiting)
    return counts
