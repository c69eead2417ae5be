"""
The port `Publisher` on aiokafka's idempotent producer.

Knows nothing of what a message means. What is known of aiokafka 0.14 has shaped it:

- A batch handed over whole costs a quarter of the CPU that sending its records one by one does (measured).
- An idempotent producer tries without end. So `publish` stops waiting at some time, and before anything else
  is sent the next `publish` waits for what is still under way: messages never overtake each other. Asked for
  the same messages again it only waits on: a broker that takes longer than a caller waits is fast enough.
- A batch that failed leaves a hole in the numbering of its partition, and the broker refuses all that follow.
  So after a failure the producer is replaced by a new one, and the caller sends again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)
from aiokafka.producer.message_accumulator import BatchBuilder

from service.adapters.kafka_errors import (
    BRIEF_S,
    FAREWELL_S,
    TOO_LARGE,
    Patience,
    check_tasks,
    partitions_of,
    patience_to_start,
    port_error,
    translated,
)
from service.adapters.topic_rules import ALTER
from service.processing.ports import ErrorKind, TooLarge, Unavailable, Unusable
from service.processing.values import Message, TopicPartition

_MICROS_PER_MILLI = 1_000

_BATCH_HEAD = 61
"""Bytes that stand before the first record of a batch, in Kafka's message format 2."""

# What a new producer, with a new identity, is not troubled by.
_HEALED = (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)


@dataclass(frozen=True, slots=True)
class KafkaPublisherSettings:
    """How to write; times in seconds, sizes in bytes."""

    bootstrap_servers: Sequence[str]
    max_request_size: int = 1_048_576 + 65_536
    """The largest message: the input's `max.message.bytes` and what a dead letter adds."""
    max_batch_size: int = 512 * 1024
    """The most messages of one partition that travel together; a larger one travels alone."""
    compression: str | None = None
    """None, `gzip`, `snappy`, `lz4` or `zstd`."""
    request_timeout: float = 10.0
    ack_timeout: float = 10.0
    """How long `publish` waits for all acknowledgements."""
    security: Mapping[str, Any] = field(default_factory=dict)
    """Passed on to the client: `security_protocol`, `ssl_context`, `sasl_mechanism`, …"""


class KafkaPublisher:
    """The output topics, each message acknowledged by all replicas in sync."""

    def __init__(self, settings: KafkaPublisherSettings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._asked_for: tuple[Message, ...] = ()
        self._patience = Patience("Kafka", settings.ack_timeout)
        self._starting = patience_to_start(settings.bootstrap_servers, settings.request_timeout)

    async def start(self) -> None:
        await self._running()

    async def stop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            # What is under way was waited for before, and closing would wait for it once more.
            await self._patience.farewell(producer.stop(), BRIEF_S if self._under_way else FAREWELL_S)
        for unsent in self._under_way:
            unsent.cancel()
        self._under_way = set()

    async def publish(self, messages: Sequence[Message]) -> None:
        waited_for = self._asked_for if self._under_way else None
        await self._settle()
        if waited_for == tuple(messages):
            return
        producer = await self._running()
        packed = self._packed(producer, messages)
        self._asked_for = tuple(messages)
        self._under_way = {
            asyncio.ensure_future(_send(producer, place, batches, self._asked_for))
            for place, batches in packed.items()
        }
        await self._settle()

    async def _settle(self) -> None:
        """Wait for what is under way; raise, and replace the producer, if any of it failed."""
        if not self._under_way:
            return
        done, pending = await asyncio.wait(self._under_way, timeout=self._settings.ack_timeout)
        if pending:
            _check(self._producer)  # what broke under them acknowledges nothing any more
            raise Unavailable(
                f"Kafka has not acknowledged within {self._settings.ack_timeout:g} s: "
                f"{len(pending)} of {len(self._under_way)} partitions",
                ErrorKind.TIMED_OUT,
            )
        self._under_way = set()
        failures = [failure for one in done if (failure := one.exception()) is not None]
        if failures:
            await self.stop()
            raise _worst(failures)

    async def _running(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = _producer(self._settings)
            try:
                await self._starting.answer(producer.start())
            except BaseException:
                await self._patience.farewell(producer.stop())
                raise
            self._producer = producer
        _check(self._producer)
        return self._producer

    def _packed(
        self, producer: AIOKafkaProducer, messages: Sequence[Message]
    ) -> dict[TopicPartition, list[BatchBuilder]]:
        """Pack the messages of each partition, in order, in few batches; raise `TooLarge` if one is."""
        batches: dict[tuple[str, int], list[BatchBuilder]] = {}
        for message in messages:
            place = (message.topic, message.partition)
            filling = batches.get(place)
            if filling is None:
                filling = batches[place] = [producer.create_batch()]
            size = _append(filling[-1], message)
            if size is None:
                filling.append(producer.create_batch())
                size = _append(filling[-1], message)
            if size is None or size > self._settings.max_request_size:
                raise TooLarge(
                    f"a message of {size} bytes for {message.topic}, key {message.key!r}: "
                    f"{self._settings.max_request_size} are allowed"
                )
        return {TopicPartition(*place): filled for place, filled in batches.items()}


def _check(producer: Any) -> None:
    """Raise `PortError` if a task that the producer lives by has ended."""
    tasks = {"sending": producer._sender.sender_task, "metadata": producer.client._sync_task}  # noqa: SLF001
    check_tasks("producer", tasks)


async def _send(
    producer: AIOKafkaProducer,
    place: TopicPartition,
    batches: Sequence[BatchBuilder],
    messages: Sequence[Message],
) -> None:
    """
    Write the batches of one partition, in order; return when all are acknowledged.

    `messages`: what was packed, for this partition and others.
    """
    known = await partitions_of(producer.client, place.topic)
    if place.partition not in known:
        raise Unusable(
            f"topic {place.topic} has {len(known)} partitions and no number {place.partition}: "
            "give it as many as the input topics have"
        )
    acknowledgements = []
    for batch in batches:
        # A closed batch does not linger: all that can come with it is in it.
        batch.close()
        acknowledgements.append(await producer.send_batch(batch, place.topic, partition=place.partition))
    try:
        await asyncio.gather(*acknowledgements)
    except TOO_LARGE as error:
        raise _too_large(error, place, batches, messages) from error


def _too_large(
    error: KafkaError, place: TopicPartition, batches: Sequence[BatchBuilder], messages: Sequence[Message]
) -> TooLarge:
    """Name the topic, the largest message of a partition, and what has to be set."""
    size, key = max(
        (_bytes(each), each.key or b"")
        for each in messages
        if (each.topic, each.partition) == (place.topic, place.partition)
    )
    # The broker does not say which: its limit is on messages that travel together, or on a large one alone.
    needed = max(batch.size() for batch in batches)
    return TooLarge(
        f"topic {place.topic} does not take what is written at once to partition {place.partition} "
        f"({type(error).__name__}), up to {needed} bytes; its largest message, key {key!r}, has {size}: "
        f"{ALTER} {place.topic} --add-config max.message.bytes={needed}, or more"
    )


def _bytes(message: Message) -> int:
    headers = sum(len(name) + len(value) for name, value in message.headers)
    return len(message.key or b"") + len(message.value or b"") + headers


def _append(batch: BatchBuilder, message: Message) -> int | None:
    """Put a message into a batch, and give its size in bytes, alone in a batch; None where that is full."""
    at = None if message.timestamp is None else message.timestamp // _MICROS_PER_MILLI
    added = batch.append(timestamp=at, key=message.key, value=message.value, headers=list(message.headers))
    return None if added is None else _BATCH_HEAD + added.size


def _worst(failures: Sequence[BaseException]) -> BaseException:
    """Choose what to tell the caller: a bug first, then what waiting does not heal."""
    told = [_told(one) if isinstance(one, KafkaError) else one for one in failures]
    lasting = [one for one in told if not isinstance(one, Unavailable)]
    return (lasting or told)[0]


def _told(failure: KafkaError) -> Exception:
    if isinstance(failure, _HEALED):
        return Unavailable(
            f"Kafka no longer knew this producer ({failure}); it was replaced, send again", ErrorKind.UNREADY
        )
    return port_error(failure)


def _producer(settings: KafkaPublisherSettings) -> AIOKafkaProducer:
    with translated():
        return AIOKafkaProducer(
            bootstrap_servers=list(settings.bootstrap_servers),
            client_id="evse-status",
            acks="all",
            enable_idempotence=True,
            compression_type=settings.compression,
            max_batch_size=settings.max_batch_size,
            max_request_size=settings.max_request_size,
            request_timeout_ms=round(settings.request_timeout * 1_000),
            **settings.security,
        )
