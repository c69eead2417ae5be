"""Tasks of Kafka's client that end by themselves: the client says little of it, so the adapters look."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient

from service.adapters.kafka import KafkaLog, KafkaLogSettings
from service.adapters.kafka_publisher import KafkaPublisher, KafkaPublisherSettings
from service.processing.ports import PortError, Unavailable
from service.processing.values import Message, TopicPartition
from tests.contract.brokers import SESSION, TURNS, Member
from tests.services import Kafka

pytestmark = pytest.mark.allow_error_logs


async def _fail(*_: object, **__: object) -> None:
    raise RuntimeError("a bug of the client")


def _fail_at_once(*_: object) -> None:
    raise RuntimeError("a bug of the client")


def break_fetching(consumer: AIOKafkaConsumer) -> None:
    """Let what asks the brokers for records fail, of which `getmany` never tells."""
    fetcher: Any = consumer._fetcher
    fetcher._get_actions_per_node = _fail_at_once


def break_group(consumer: AIOKafkaConsumer) -> None:
    """Let what keeps the membership fail."""
    coordinator: Any = consumer._coordinator
    coordinator._maybe_do_autocommit = _fail
    coordinator._coordinator_dead_fut.set_result(None)


def cancel_group(consumer: AIOKafkaConsumer) -> None:
    """Let it end without an error."""
    coordinator: Any = consumer._coordinator
    coordinator._coordination_task.cancel()


def break_metadata(client: Any) -> None:
    """Let what learns of moved leaders fail: whoever waits for it waits for ever."""
    client._metadata_update = _fail
    client.force_metadata_update()


async def sweep(client: AIOKafkaClient, *parts: object) -> None:
    """Close what a broken client leaves open."""
    tasks = {
        task for part in (client, *parts) for task in vars(part).values() if isinstance(task, asyncio.Task)
    }
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for connection in client._conns.values():
        connection.close()


async def publish_again_and_again(publisher: KafkaPublisher, message: Message) -> None:
    """Publish until it fails."""
    for _ in range(TURNS):
        await publisher.publish([message])


@pytest.mark.parametrize(
    ("breaks", "words"),
    [
        (break_fetching, "its task for fetching ended (RuntimeError('a bug of the client'))"),
        (break_group, "its task for the group ended (RuntimeError('a bug of the client'))"),
        (cancel_group, "its task for the group ended (None)"),
        (
            lambda consumer: break_metadata(consumer._client),
            "its task for metadata ended (RuntimeError('a bug of the client'))",
        ),
    ],
)
async def test_a_consumer_that_broke_is_told(
    kafka: Kafka, breaks: Callable[[AIOKafkaConsumer], None], words: str
) -> None:
    """The fetch that follows raises what ends the worker, with the cause in one line."""
    topic = await kafka.create_topic()
    log = KafkaLog(
        KafkaLogSettings([kafka.bootstrap_servers], kafka.unique("group"), [topic], session_timeout=SESSION)
    )
    member = Member(log)
    await log.start(member.on_assigned, member.on_revoked)
    await member.until_assigned(TopicPartition(topic, 0))
    consumer = log._running

    breaks(consumer)

    with pytest.raises(PortError, match="the consumer of Kafka's client goes on no more") as told:
        await member.read(1)
    assert words in str(told.value)
    await log.stop()
    await sweep(consumer._client, consumer._fetcher, consumer._coordinator)


async def test_a_producer_that_broke_is_told(kafka: Kafka) -> None:
    """A producer that learns of no leader any more would wait for acknowledgements for ever."""
    topic = await kafka.create_topic()
    publisher = KafkaPublisher(KafkaPublisherSettings([kafka.bootstrap_servers]))
    await publisher.start()
    await publisher.publish([Message(topic, 0, b"a", b"1")])

    producer = publisher._producer
    assert isinstance(producer, AIOKafkaProducer)
    break_metadata(producer.client)

    with pytest.raises(PortError, match="its task for metadata ended"):
        await publish_again_and_again(publisher, Message(topic, 0, b"a", b"2"))
    await publisher.stop()
    await sweep(producer.client, producer._sender)


async def test_a_producer_that_breaks_under_a_send_is_told(kafka: Kafka) -> None:
    """What is under way is never acknowledged then: to wait on for it would be to wait for ever."""
    known, unknown = await kafka.create_topic(), await kafka.create_topic()
    publisher = KafkaPublisher(KafkaPublisherSettings([kafka.bootstrap_servers], ack_timeout=0.2))
    await publisher.start()
    await publisher.publish([Message(known, 0, b"a", b"1")])
    producer = publisher._producer
    assert isinstance(producer, AIOKafkaProducer)
    client: Any = producer.client
    breaking = asyncio.Event()

    async def fail_when_told(*_: object, **__: object) -> None:
        await breaking.wait()
        raise RuntimeError("a bug of the client")

    client._metadata_update = fail_when_told
    with pytest.raises(Unavailable):
        await publisher.publish([Message(unknown, 0, b"a", b"2")])
    breaking.set()
    await asyncio.wait((client._sync_task,))

    with pytest.raises(PortError, match="its task for metadata ended") as told:
        await publisher.publish([Message(unknown, 0, b"a", b"2")])
    assert not isinstance(told.value, Unavailable)
    await publisher.stop()
    await sweep(client, producer._sender)
