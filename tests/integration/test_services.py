"""The services that all other integration tests stand on are real ones."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from redis.asyncio import Redis

from tests.services import Kafka

BIG = 5_000_000


async def test_kafka_gives_back_what_it_was_sent(kafka: Kafka) -> None:
    """A record comes back from the partition it was sent to, with key and value, after the one before it."""
    topic = await kafka.create_topic(partitions=3)
    async with AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers, enable_idempotence=True
    ) as producer:
        for value in (b"first", b"second"):
            await producer.send_and_wait(topic, value, key=b"charger-1", partition=2)
    async with AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest"
    ) as consumer:
        consumer.assign([TopicPartition(topic, 2)])
        records = [await consumer.getone(), await consumer.getone()]
    assert [(r.partition, r.offset, r.key, r.value) for r in records] == [
        (2, 0, b"charger-1", b"first"),
        (2, 1, b"charger-1", b"second"),
    ]


async def test_a_group_member_reads_on_where_the_last_committed(kafka: Kafka) -> None:
    """Committed offsets outlive the member: the coordinator works."""
    topic, group = await kafka.create_topic(), kafka.unique("group")
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
        for value in (b"first", b"second"):
            await producer.send_and_wait(topic, value)
    seen = []
    for _ in range(2):
        async with AIOKafkaConsumer(
            topic,
            bootstrap_servers=kafka.bootstrap_servers,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        ) as consumer:
            record = await consumer.getone()
            seen.append(record.value)
            await consumer.commit({TopicPartition(topic, 0): record.offset + 1})
    assert seen == [b"first", b"second"]


@pytest.mark.parametrize("codec", ["gzip", "lz4", "snappy", "zstd"])
async def test_a_large_compressed_record_passes(kafka: Kafka, codec: str) -> None:
    """Every codec a producer may use is installed, and 5 MB fit where the topic allows them."""
    topic = await kafka.create_topic(config={"max.message.bytes": "16777216"})
    value = bytes(BIG)
    async with AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers, compression_type=codec, max_request_size=2 * BIG
    ) as producer:
        await producer.send_and_wait(topic, value)
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest"
    ) as consumer:
        assert (await consumer.getone()).value == value


async def test_a_topic_is_created_with_its_settings(kafka: Kafka) -> None:
    """What a test asks of a topic is what the broker says of it."""
    topic = await kafka.create_topic(partitions=2, config={"cleanup.policy": "compact"})
    async with kafka.admin() as admin:
        (described,) = await admin.describe_topics([topic])
        asked = ConfigResource(ConfigResourceType.TOPIC, topic, configs={"cleanup.policy": None})
        answers: list[Any] = await admin.describe_configs([asked])  # its fields are not annotated
    ((_, _, _, _, ((name, value, *_),)),) = answers[0].resources
    assert (len(described["partitions"]), name, value) == (2, "cleanup.policy", "compact")


async def test_redis_and_valkey_keep_a_value(redis_url: str) -> None:
    """Each test starts with an empty server, which keeps what it is given."""
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        assert await client.dbsize() == 0
        await client.set("evse:{charger-1}", "AVAILABLE")
        assert await client.get("evse:{charger-1}") == "AVAILABLE"


async def test_the_servers_are_the_two_kinds_they_should_be(redis7_url: str, valkey_url: str) -> None:
    """The variants are not the same server twice: one is Redis 7, the other Valkey, and neither evicts."""
    async with Redis.from_url(redis7_url) as one, Redis.from_url(valkey_url) as other:
        first, second = await one.info(), await other.info()
        assert (first["redis_version"].split(".")[0], first.get("server_name")) == ("7", None)
        assert second["server_name"] == "valkey"
        assert {first["maxmemory_policy"], second["maxmemory_policy"]} == {"noeviction"}
