"""Topics from the outside: filled as a producer does, read as a consumer does, and how far the group came."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import NodeNotReadyError

from service.adapters.kafka_reader import KafkaReader, KafkaReaderSettings
from service.processing.values import Headers, Record
from tests.builders import Json
from tests.services import Kafka

_AGAIN_S = 0.1

LARGEST = 8 << 20
"""Bytes of the largest record that the producer here sends."""


@dataclass(frozen=True)
class Sent:
    """A record to be sent; without a timestamp (in milliseconds) it gets that of its sending."""

    key: bytes | None
    value: bytes | None
    partition: int = 0
    headers: Headers = ()
    timestamp_ms: int | None = None


def of_event(event: Json, partition: int = 0) -> Sent:
    """Make the record of an event: its key is the uid."""
    return Sent(str(event["evse_uid"]).encode(), orjson.dumps(event), partition)


async def write(kafka: Kafka, topic: str, records: Iterable[Sent]) -> None:
    """Send records, in order within a partition, and wait until all are there."""
    async with AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers,
        enable_idempotence=True,
        max_request_size=LARGEST,
        linger_ms=5,
    ) as producer:
        under_way = [
            await producer.send(
                topic,
                one.value,
                key=one.key,
                partition=one.partition,
                timestamp_ms=one.timestamp_ms,
                headers=list(one.headers),
            )
            for one in records
        ]
        await asyncio.gather(*under_way)


async def read(kafka: Kafka, topic: str) -> list[Record]:
    """Give all records of a topic, in order within a partition."""
    reader = KafkaReader(KafkaReaderSettings([kafka.bootstrap_servers]))
    await reader.start()
    try:
        return [record async for record in reader.records(topic)]
    finally:
        await reader.stop()


async def committed(kafka: Kafka, group: str) -> dict[int, int]:
    """Give the committed next offset of each partition of which a group that reads one topic read any."""
    while True:
        async with kafka.admin() as admin:
            try:
                offsets = await admin.list_consumer_group_offsets(group)
            except NodeNotReadyError:
                # A broker that stood still for long does not count itself among the brokers for a moment.
                await asyncio.sleep(_AGAIN_S)
                continue
        return {place.partition: said.offset for place, said in offsets.items() if said.offset}


def ends_of(records: Sequence[Sent]) -> dict[int, int]:
    """Give the next offset of each partition of a topic that holds these records."""
    ends: dict[int, int] = {}
    for one in records:
        ends[one.partition] = ends.get(one.partition, 0) + 1
    return ends


def newest_snapshots(records: Iterable[Record]) -> dict[str, Json]:
    """Keep of each EVSE what a consumer is to keep: the highest revision, of equal ones the later."""
    newest: dict[str, Json] = {}
    for record in records:
        assert record.key is not None
        uid = record.key.decode()
        if record.value is None:
            newest.pop(uid, None)
            continue
        snapshot: Json = orjson.loads(record.value)
        if uid not in newest or snapshot["revision"] >= newest[uid]["revision"]:
            newest[uid] = snapshot
    return newest
