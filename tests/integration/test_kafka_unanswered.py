"""Kafka's silence at the start: a group that does not settle, and servers that are not there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from service.adapters.kafka import KafkaLog, KafkaLogSettings
from service.adapters.kafka_admin import KafkaTopicsSettings, check_topics
from service.adapters.kafka_publisher import KafkaPublisher, KafkaPublisherSettings
from service.adapters.kafka_reader import KafkaReader, KafkaReaderSettings
from service.processing.values import Message, TopicPartition
from tests.contract.brokers import SESSION, Member
from tests.proxy import Proxy, listening
from tests.services import Kafka

pytestmark = pytest.mark.allow_error_logs

TIMEOUT = 1.5
"""Seconds that a request to the server that never answers takes."""


class Lingering(Member):
    """A member that gives nothing up before it is released: the group waits for it."""

    def __init__(self, log: KafkaLog) -> None:
        super().__init__(log)
        self.released = asyncio.Event()

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        await self.released.wait()
        await super().on_revoked(partitions)


async def test_a_group_that_does_not_settle_is_not_waited_for(kafka: Kafka) -> None:
    """Who joins comes back at once, and learns of its assignment when the others let go."""
    topic, group = await kafka.create_topic(partitions=2), kafka.unique("group")
    settings = KafkaLogSettings([kafka.bootstrap_servers], group, [topic], session_timeout=SESSION)
    first, second = Lingering(KafkaLog(settings)), Member(KafkaLog(settings))
    await first.log.start(first.on_assigned, first.on_revoked)
    await first.until_assigned(TopicPartition(topic, 0), TopicPartition(topic, 1))

    async with asyncio.timeout(SESSION / 2):
        await second.log.start(second.on_assigned, second.on_revoked)
    assert await second.log.fetch(0.1, 10) == []
    first.released.set()

    while not (len(first.log.assignment()) == len(second.log.assignment()) == 1):
        await first.log.fetch(0.1, 10)
        await second.log.fetch(0.1, 10)
    await second.log.stop()
    await first.log.stop()


@pytest.fixture
async def servers(kafka: Kafka) -> AsyncIterator[list[str]]:
    """Give two servers to begin with: one that takes connections and never answers, and the real one."""
    host, _, port = kafka.bootstrap_servers.partition(":")
    hung = Proxy(host, int(port))
    hung.freeze()
    async with listening(hung) as silent:
        yield [f"127.0.0.1:{silent}", kafka.bootstrap_servers]


async def test_everything_starts_though_the_first_server_hangs(kafka: Kafka, servers: list[str]) -> None:
    """A server that is gone costs its timeout, not the start: the next one is asked."""
    topic = await kafka.create_topic()
    report = await check_topics(KafkaTopicsSettings(servers, [topic], (), 0, call_timeout=TIMEOUT))
    publisher = KafkaPublisher(KafkaPublisherSettings(servers, request_timeout=TIMEOUT, ack_timeout=TIMEOUT))
    member = Member(
        KafkaLog(
            KafkaLogSettings(
                servers, kafka.unique("group"), [topic], session_timeout=SESSION, call_timeout=TIMEOUT
            )
        )
    )
    reader = KafkaReader(KafkaReaderSettings(servers, call_timeout=TIMEOUT))

    await publisher.start()
    await publisher.publish([Message(topic, 0, b"a", b"1")])
    await member.log.start(member.on_assigned, member.on_revoked)
    read = await member.read(1)
    await reader.start()
    seen = [one async for one in reader.records(topic)]

    assert report.partitions == 1
    assert [one.value for one in read] == [one.value for one in seen] == [b"1"]
    await reader.stop()
    await member.log.stop()
    await publisher.stop()
