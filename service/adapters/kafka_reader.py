"""
Reads topics from the outside, for commands and to restore: without a group, from a place to where it ended.

Knows nothing of what a record means, and commits nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin import AIOKafkaAdminClient

from service.adapters.kafka_decoding import decode_tolerantly
from service.adapters.kafka_errors import Patience, patience_to_start, translated
from service.adapters.kafka_records import record_from
from service.processing.ports import ErrorKind, Unavailable, Unusable
from service.processing.values import Record

_POLL_MS = 500
_MAX_RECORDS = 1_000


@dataclass(frozen=True, slots=True)
class KafkaReaderSettings:
    """Where to read; times in seconds."""

    bootstrap_servers: Sequence[str]
    call_timeout: float = 15.0
    """How long an answer may take before the broker counts as unavailable."""
    security: Mapping[str, Any] = field(default_factory=dict)
    """Passed on to the client: `security_protocol`, `ssl_context`, `sasl_mechanism`, …"""


class KafkaReader:
    """Looks at topics from `start` until `stop`, leaving no trace."""

    def __init__(self, settings: KafkaReaderSettings) -> None:
        self._settings = settings
        self._patience = Patience("Kafka", settings.call_timeout)
        self._consumer: AIOKafkaConsumer | None = None
        self._admin: AIOKafkaAdminClient | None = None

    async def start(self) -> None:
        """Connect; raise `Unavailable` or `Unusable`."""
        common = {
            "bootstrap_servers": list(self._settings.bootstrap_servers),
            "client_id": "evse-status",
            "request_timeout_ms": round(self._settings.call_timeout * 1_000),
            **self._settings.security,
        }
        decode_tolerantly()
        # Built here and not before: the clients bind themselves to the running loop.
        with translated():
            self._consumer = AIOKafkaConsumer(
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                **common,
            )
            self._admin = AIOKafkaAdminClient(**common)
        starting = patience_to_start(self._settings.bootstrap_servers, self._settings.call_timeout)
        await starting.answer(self._consumer.start())
        await starting.answer(self._admin.start())

    async def stop(self) -> None:
        """Disconnect."""
        if self._consumer is not None:
            await self._patience.farewell(self._consumer.stop())
        if self._admin is not None:
            await self._patience.farewell(self._admin.close())

    async def topics(self) -> dict[str, int]:
        """Give the partition count of every topic this user may see."""
        if self._admin is None:
            raise RuntimeError("this reader was not started")
        # Asking for all topics creates none, which asking for one by name may do.
        described = await self._patience.answer(self._admin.describe_topics())
        return {topic["topic"]: len(topic["partitions"]) for topic in described}

    async def records(self, topic: str, newest: int | None = None) -> AsyncIterator[Record]:
        """
        Give the records that the topic holds now, in order within a partition.

        `newest`: at most so many of each partition, the last ones. Raises `Unusable` without such a topic.
        """
        count = (await self.topics()).get(topic, 0)
        if not count:
            raise Unusable(f"there is no topic {topic}; check TOPIC_PREFIX, or create it")
        partitions = [KafkaPartition(topic, number) for number in range(count)]
        ends = await self._patience.answer(self._running.end_offsets(partitions))
        begins = await self._patience.answer(self._running.beginning_offsets(partitions))
        starts = {
            one: begins[one] if newest is None else max(begins[one], ends[one] - newest) for one in partitions
        }
        async for piece in pieces(self._running, self._patience, starts, ends):
            for record in piece:
                yield record

    @property
    def _running(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise RuntimeError("this reader was not started")
        return self._consumer


async def pieces(
    consumer: AIOKafkaConsumer,
    patience: Patience,
    starts: Mapping[KafkaPartition, int],
    ends: Mapping[KafkaPartition, int],
) -> AsyncIterator[list[Record]]:
    """
    Give what partitions hold from `starts` on and before `ends`, in order within each, in pieces.

    Raises `Unavailable` where one ends before that meanwhile: its topic was deleted and created again, or its
    leader lags. Nothing would ever come up to there.
    """
    waiting = {one for one in starts if starts[one] < ends[one]}
    if not waiting:
        return
    consumer.assign(sorted(waiting))
    for one in waiting:
        consumer.seek(one, starts[one])
    while waiting:
        fetched = await patience.answer(consumer.getmany(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS))
        yield [
            record_from(record)
            for partition, records in fetched.items()
            for record in records
            if record.offset < ends[partition]
        ]
        # Control records move the position although no record comes out, so records cannot be counted.
        waiting = {one for one in waiting if await patience.answer(consumer.position(one)) < ends[one]}
        if waiting and not fetched:
            now = await patience.answer(consumer.end_offsets(sorted(waiting)))
            short = [one for one in sorted(waiting) if now[one] < ends[one]]
            if short:
                said = f"Kafka: topic {short[0].topic} ends before where it ended"
                raise Unavailable(said, ErrorKind.UNREADY)
