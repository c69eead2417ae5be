"""Brokers for the contract tests, in memory and real ones, behind what a test needs of either."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from service.adapters.kafka import KafkaLog, KafkaLogSettings
from service.adapters.kafka_publisher import KafkaPublisher, KafkaPublisherSettings
from service.adapters.memory import MemoryBroker, MemoryLog, MemoryPublisher
from service.processing.ports import Log, Publisher
from service.processing.values import Record, TopicPartition
from tests.services import Kafka

LARGEST = 200_000
"""Bytes of the largest message that the publishers under test take."""

# Seconds, the least that every broker allows; members hear of a rebalance within a fifth of it.
SESSION = 6.0
# Turns of a second at most: far more than any rebalance takes, so that a hang ends with a sentence.
TURNS = 60


class Broker(Protocol):
    """Makes topics, logs and publishers."""

    async def topic(self, partitions: int = 1) -> str: ...

    async def recreate(self, topic: str) -> None: ...

    def log(self, topics: Sequence[str], group: str) -> Log: ...

    def publisher(self) -> Publisher: ...


class InMemory:
    """The broker of `service.adapters.memory`."""

    def __init__(self) -> None:
        self._broker = MemoryBroker()

    async def topic(self, partitions: int = 1) -> str:
        name = f"topic-{uuid.uuid4().hex[:8]}"
        self._broker.create_topic(name, partitions)
        return name

    async def recreate(self, topic: str) -> None:
        self._broker.recreate(topic)

    def log(self, topics: Sequence[str], group: str) -> Log:
        return MemoryLog(self._broker, topics, group)

    def publisher(self) -> Publisher:
        return MemoryPublisher(self._broker, LARGEST)


class InKafka:
    """A real Kafka."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._servers = [kafka.bootstrap_servers]

    async def topic(self, partitions: int = 1) -> str:
        return await self._kafka.create_topic(partitions=partitions)

    async def recreate(self, topic: str) -> None:
        await self._kafka.delete_topic(topic)
        await self._kafka.create_topic(topic)

    def log(self, topics: Sequence[str], group: str) -> Log:
        return KafkaLog(
            KafkaLogSettings(self._servers, group, topics, session_timeout=SESSION, call_timeout=3.0)
        )

    def publisher(self) -> Publisher:
        return KafkaPublisher(
            KafkaPublisherSettings(
                self._servers, max_request_size=LARGEST, max_batch_size=20_000, request_timeout=3.0
            )
        )


@dataclass
class Member:
    """One member of a group, with what it was told."""

    log: Log
    assigned: list[frozenset[TopicPartition]] = field(default_factory=list)
    revoked: list[frozenset[TopicPartition]] = field(default_factory=list)

    async def on_assigned(self, partitions: frozenset[TopicPartition]) -> None:
        self.assigned.append(partitions)

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        self.revoked.append(partitions)

    async def read(self, count: int) -> list[Record]:
        """Fetch until `count` records have come."""
        records: list[Record] = []
        for _ in range(TURNS):
            records += await self.log.fetch(1.0, 1_000)
            if len(records) >= count:
                return records
        raise AssertionError(f"{count} records were expected, {len(records)} came")

    async def until_assigned(self, *partitions: TopicPartition) -> None:
        """Fetch until exactly these partitions are assigned."""
        for _ in range(TURNS * 10):
            if self.assigned and self.log.assignment() == frozenset(partitions):
                return
            assert await self.log.fetch(0.1, 1) == []
        raise AssertionError(f"assigned are {self.log.assignment()}")


Kind = TypeVar("Kind", bound=Member)


class World:
    """A broker and everything a test starts on it, stopped when the test is over."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.group = f"group-{uuid.uuid4().hex[:8]}"
        self._started = AsyncExitStack()

    async def publisher(self) -> Publisher:
        """Start a publisher."""
        publisher = self.broker.publisher()
        await publisher.start()
        self._started.push_async_callback(publisher.stop)
        return publisher

    def log(self, *topics: str) -> Log:
        """Build a log that is a member of the test's group, once it is started."""
        return self.broker.log(topics, self.group)

    async def member(self, *topics: str) -> Member:
        """Start a member of the test's group that reads these topics."""
        return await self.start(Member(self.log(*topics)))

    async def start(self, member: Kind) -> Kind:
        """Let a member join."""
        self._started.push_async_callback(member.log.stop)
        await member.log.start(member.on_assigned, member.on_revoked)
        return member

    async def close(self) -> None:
        await self._started.aclose()
