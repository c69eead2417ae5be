"""`simulate` on a real Kafka: a fleet comes into its topic, where Java's clients would put it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

from aiokafka import AIOKafkaConsumer
from aiokafka.partitioner import DefaultPartitioner

from tests.acceptance.processes import command, environment
from tests.services import Kafka

_PARTITIONS = 3


async def test_a_simulated_fleet_speaks_until_it_is_stopped(kafka: Kafka) -> None:
    """Its inventory first, then what its chargers say; SIGTERM ends it with 0."""
    topic = await kafka.create_topic(partitions=_PARTITIONS)
    settings = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "INPUT_TOPICS": topic}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from service.cli import main; main()", "simulate", "--evses", "12"),
        env=environment(settings),
        stderr=asyncio.subprocess.PIPE,
    )
    kinds: dict[str, set[str]] = {}
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest"
    )
    async with consumer, asyncio.timeout(60):
        while len(kinds) < 12 or not any("connector.status" in said for said in kinds.values()):
            record = await consumer.getone()
            event = json.loads(record.value or b"")
            assert record.key == event["evse_uid"].encode()
            assert record.partition == _partition_of(record.key)
            kinds.setdefault(event["evse_uid"], set()).add(event["type"])
    process.send_signal(signal.SIGTERM)
    _, said = await process.communicate()

    assert process.returncode == 0
    assert all("evse.upserted" in said for said in kinds.values())
    assert f"12 simulated EVSEs speak in {topic} (3 partitions)" in said.decode()


def _partition_of(key: bytes) -> int:
    every = list(range(_PARTITIONS))
    place: int = DefaultPartitioner()(key, every, every)
    return place


async def test_a_missing_topic_is_named(kafka: Kafka) -> None:
    """It is the operator's to create, with the partitions that the fleet will need for good."""
    topic = kafka.unique("nowhere")
    settings = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "INPUT_TOPICS": topic}

    done = await command("simulate", settings=settings)

    assert done.code == 1
    assert f"evse-status: the topic {topic} does not exist: create it, then simulate" in done.err
