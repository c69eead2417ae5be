"""The topics are checked, and the worker's own made, on a real Kafka."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import NewPartitions

from service.adapters.kafka_admin import KafkaTopicsSettings, TopicsReport, check_topics, touch_topics
from service.adapters.kafka_errors import Patience
from service.adapters.kafka_ledger import KafkaLedger
from service.adapters.kafka_reader import pieces
from service.adapters.topic_rules import LEDGER_BYTES, Cleanup, OutputTopic
from service.app import kafka_publisher, reader_settings, topics_settings
from service.processing.ports import Unavailable, Unusable
from service.processing.values import Message
from service.settings import Settings
from tests.contract.brokers import TURNS
from tests.processes import free_port
from tests.services import Kafka
from tests.topics import Sent, write

LATENESS = timedelta(hours=48) // timedelta(microseconds=1)
EVENTS = {"max.message.bytes": "2000000", "retention.ms": "-1"}

# The client logs at ERROR what the broker's nodes tell each other late, such as a topic made just now.
pytestmark = pytest.mark.allow_error_logs


def topics_of(kafka: Kafka, prefix: str) -> KafkaTopicsSettings:
    """Name the topics of one installation."""
    return KafkaTopicsSettings(
        bootstrap_servers=[kafka.bootstrap_servers],
        inputs=[f"{prefix}.events"],
        outputs=[
            OutputTopic(f"{prefix}.snapshots", Cleanup.COMPACT),
            OutputTopic(f"{prefix}.transitions", Cleanup.DELETE),
            OutputTopic(f"{prefix}.dead-letters", Cleanup.DELETE, carries_input=True),
        ],
        allowed_lateness_us=LATENESS,
        call_timeout=5.0,
    )


async def seen(settings: KafkaTopicsSettings) -> TopicsReport:
    """Check until the broker sees all that its controller has made, which it tells nobody."""
    report = await check_topics(settings)
    for _ in range(TURNS):
        if not report.problems:
            break
        report = await check_topics(settings)
    return report


async def test_missing_topics_are_made_as_they_have_to_be(kafka: Kafka) -> None:
    """The worker's own topics get the input's partition count and pass the check that follows."""
    settings = topics_of(kafka, kafka.unique("fleet"))
    await kafka.create_topic(settings.inputs[0], partitions=3, config=EVENTS)

    made = await check_topics(settings)
    checked = await seen(replace(settings, create=False))

    assert made.created == tuple(output.name for output in settings.outputs)
    assert (made.partitions, made.max_message_bytes) == (3, 2_000_000)
    assert made.problems == made.warnings == ()
    assert checked.created == checked.problems == checked.warnings == ()
    made.require()


async def test_two_workers_may_make_the_topics_at_once(kafka: Kafka) -> None:
    """Whoever comes second finds them there, which is no problem."""
    settings = topics_of(kafka, kafka.unique("fleet"))
    await kafka.create_topic(settings.inputs[0], config=EVENTS)

    reports = await asyncio.gather(*(check_topics(settings) for _ in range(3)))

    assert [report.problems for report in reports] == [()] * 3


async def test_outputs_get_as_many_partitions_as_the_input_where_that_is_asked_for(kafka: Kafka) -> None:
    """Else, and where it is not allowed, the command is named; those that have more stay a problem."""
    settings = topics_of(kafka, kafka.unique("fleet"))
    snapshots, transitions, dead_letters = (output.name for output in settings.outputs)
    await kafka.create_topic(settings.inputs[0], partitions=2, config=EVENTS)
    await seen(settings)
    await kafka.create_topic(other := kafka.unique("more"), partitions=5)
    async with kafka.admin() as admin:
        await admin.create_partitions({settings.inputs[0]: NewPartitions(total_count=4)})

    asked = await check_topics(settings)
    forbidden = await check_topics(replace(settings, create=False), extend=True)
    more = replace(settings, outputs=[OutputTopic(other, Cleanup.DELETE)])
    refused = await check_topics(more, extend=True)
    extended = await check_topics(settings, extend=True)

    assert len(asked.problems) == 3
    assert all("evse-status rebuild --repartition" in problem for problem in asked.problems)
    assert [
        f"--alter --topic {name} --partitions 4" in "; ".join(forbidden.problems)
        for name in (snapshots, transitions, dead_letters)
    ] == [True] * 3
    assert f"{other} has 5 partitions" in refused.problems[0]
    assert (extended.problems, extended.partitions) == ((), 4)
    assert (await seen(settings)).problems == ()


async def test_nothing_is_made_where_that_is_not_allowed(kafka: Kafka) -> None:
    """Each missing topic is named with what it has to be like."""
    settings = replace(topics_of(kafka, kafka.unique("fleet")), create=False)
    await kafka.create_topic(settings.inputs[0], partitions=2, config=EVENTS)

    report = await check_topics(settings)

    assert len(report.problems) == 3
    assert (
        f"there is no topic {settings.outputs[0].name}: create it (cleanup.policy=compact, 2 partitions)"
        in (report.problems[0])
    )
    with pytest.raises(Unusable, match="dead-letters"):
        report.require()


async def test_a_missing_input_is_named_and_never_made(kafka: Kafka) -> None:
    """How many partitions it needs, only its owner knows."""
    settings = topics_of(kafka, kafka.unique("fleet"))

    report = await check_topics(settings)

    (problem,) = report.problems
    assert settings.inputs[0] in problem
    assert report.created == ()
    assert len((await check_topics(settings)).problems) == 1


async def test_everything_wrong_is_said_at_once(kafka: Kafka) -> None:
    """Wrong counts, policies, retention and sizes, each with its remedy."""
    settings = topics_of(kafka, kafka.unique("fleet"))
    snapshots, transitions, dead_letters = (output.name for output in settings.outputs)
    await kafka.create_topic(settings.inputs[0], partitions=2, config={**EVENTS, "retention.ms": "3600000"})
    await kafka.create_topic(snapshots, partitions=2, config={"cleanup.policy": "delete"})
    await kafka.create_topic(transitions, partitions=1)
    await kafka.create_topic(dead_letters, partitions=2, config={"max.message.bytes": "1000000"})

    report = await check_topics(settings)

    assert len(report.problems) == 3
    text = "; ".join(report.problems)
    assert f"{snapshots} --add-config cleanup.policy=compact" in text
    assert f"{transitions} has 1 partitions" in text
    assert "retention.ms=432000000" in text
    (warning,) = report.warnings
    assert "max.message.bytes=2065536" in warning


async def test_asking_is_enough_where_the_broker_makes_topics_itself(kafka: Kafka) -> None:
    """`touch_topics` needs no administration: it finds the counts, and names what is missing."""
    settings = replace(topics_of(kafka, kafka.unique("fleet")), call_timeout=2.0)
    for name in (settings.inputs[0], *(output.name for output in settings.outputs)):
        await kafka.create_topic(name, partitions=2)
    other = await kafka.create_topic(partitions=1)

    assert (await touch_topics(settings)).partitions == 2
    report = await touch_topics(replace(settings, outputs=[OutputTopic(other, Cleanup.COMPACT)]))
    assert other in report.problems[0]


async def test_no_broker_is_unavailable() -> None:
    """A broker that is not up yet is worth waiting for."""
    nobody = topics_of(Kafka(f"127.0.0.1:{free_port()}"), "fleet")

    for ask in (check_topics, touch_topics):
        with pytest.raises(Unavailable):
            await ask(nobody)


async def test_the_largest_state_of_an_evse_goes_through_the_ledger(kafka: Kafka) -> None:
    """A worker whose bases do not fit would stop at the end of each day."""
    prefix = kafka.unique("fleet") + "."
    settings = Settings(kafka_bootstrap_servers=(kafka.bootstrap_servers,), topic_prefix=prefix)
    await kafka.create_topic(prefix + "events", partitions=1, config={"retention.ms": "-1"})
    (await seen(topics_settings(settings))).require()
    base = b"x" * (LEDGER_BYTES - 1_000)

    publisher = kafka_publisher(settings)
    await publisher.start()
    try:
        await publisher.publish([Message(settings.ledger_topic, 0, b"base", base)])
    finally:
        await publisher.stop()

    ledger = KafkaLedger(reader_settings(settings), settings.ledger_topic)
    read = [len(record.value or b"") async for piece in ledger.read(0) for record in piece]
    assert read == [len(base)]


async def test_a_topic_made_anew_while_it_is_read_is_no_endless_wait(kafka: Kafka) -> None:
    """Nothing in the new one ever comes up to where the old one ended: a worker would restore for good."""
    topic = kafka.unique("ledger")
    await kafka.create_topic(topic, partitions=1)
    await write(kafka, topic, [Sent(b"key", b"value", 0)])
    async with AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest", enable_auto_commit=False
    ) as consumer:
        place = TopicPartition(topic, 0)
        starts, ends = await consumer.beginning_offsets([place]), await consumer.end_offsets([place])
        await kafka.delete_topic(topic)
        await kafka.create_topic(topic, partitions=1)

        with pytest.raises(Unavailable):
            async for _ in pieces(consumer, Patience("Kafka", 5.0), starts, ends):
                pass
