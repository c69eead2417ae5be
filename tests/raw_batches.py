"""Batches of records as bytes, also such as no client of ours would write."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from tests.services import Kafka

BAD_NAME = b"\xff\xfename"
"""The name of a header that is no UTF-8."""
_STAND_IN = "stands"

CODECS: Mapping[int, Callable[[bytes], bytes]] = {
    0: bytes,
    1: gzip_encode,
    2: snappy_encode,
    3: lz4_encode,
    4: zstd_encode,
}
"""What compresses a batch, by Kafka's number for it."""

# Where what stands in the head of a batch, in bytes.
_LENGTH_AT, _LENGTH_ENDS, _CHECKSUM_AT, _ATTRIBUTES_AT, _HEAD_ENDS = 8, 12, 17, 21, 61


@dataclass(frozen=True)
class Raw:
    """A record to be; `bad_header`: it has a header whose name is no UTF-8."""

    value: bytes
    bad_header: bool = False


def batch_of(records: Sequence[Raw], first_offset: int = 0, codec: int = 0) -> bytes:
    """Build a batch as a broker keeps it."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    for number, one in enumerate(records):
        headers: list[tuple[str, bytes | None]] = [("good", b"y"), ("empty", None)]
        if one.bad_header:
            headers.append((_STAND_IN, b"x"))
        builder.append(number, 1_767_571_200_000 + number, b"key", one.value, headers)
    built = bytes(builder.build())
    body = CODECS[codec](built[_HEAD_ENDS:].replace(_STAND_IN.encode(), BAD_NAME))
    batch = bytearray(built[:_HEAD_ENDS] + body)
    struct.pack_into(">q", batch, 0, first_offset)
    struct.pack_into(">i", batch, _LENGTH_AT, len(batch) - _LENGTH_ENDS)
    struct.pack_into(">h", batch, _ATTRIBUTES_AT, codec)
    struct.pack_into(">I", batch, _CHECKSUM_AT, calc_crc32c(bytes(batch[_ATTRIBUTES_AT:])))
    return bytes(batch)


async def write_batch(kafka: Kafka, topic: str, batch: bytes) -> None:
    """Have the broker append a batch to the first partition."""
    client = AIOKafkaClient(bootstrap_servers=kafka.bootstrap_servers)
    await client.bootstrap()
    try:
        await client.set_topics([topic])
        leader = client.cluster.leader_for_partition(TopicPartition(topic, 0))
        request = ProduceRequest(None, -1, 5_000, [(topic, [(0, batch)])])
        response = await client.send(leader, request)
        ((_, ((_, error, *_rest),)),) = response.topics
        assert error == 0
    finally:
        await client.close()
