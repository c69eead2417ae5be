"""Two workers under one INSTANCE_ID, as two machines that were set up alike."""

from __future__ import annotations

import asyncio

import pytest

from tests.acceptance.processes import until_committed, worker
from tests.builders import status_reported
from tests.services import Kafka
from tests.topics import of_event, write

pytestmark = pytest.mark.slow


async def test_of_two_workers_with_one_instance_id_the_older_ends_with_the_remedy(
    kafka: Kafka, redis7_url: str
) -> None:
    """It says what has to differ and where the other one is, and the other one goes on undisturbed."""
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "REDIS_URL": redis7_url,
        "TOPIC_PREFIX": kafka.unique("evse") + ".",
        "GROUP_ID": kafka.unique("group"),
        "INSTANCE_ID": "depot",
        "HTTP_PORT": "0",
        "SESSION_TIMEOUT": "6s",
    }
    topic = await kafka.create_topic(settings["TOPIC_PREFIX"] + "events")
    async with worker(settings=settings) as older:
        await older.logs("partitions_assigned")
        async with worker(settings=settings) as younger:
            await younger.logs("partitions_assigned")
            async with asyncio.timeout(30):
                code = await older.end()
            await write(kafka, topic, [of_event(status_reported("AVAILABLE", "12:00"))])
            await until_committed(younger, kafka, settings["GROUP_ID"], {0: 1})
            assert await younger.stop() == 0

    last = older.lines[-1]
    assert (code, last["level"], last["action"]) == (1, "critical", "worker_failed")
    assert "INSTANCE_ID must differ between workers" in last["message"]
    assert "127.0.0.1" in last["message"]
    said = [line for line in younger.lines if line["level"] in {"error", "critical"}]
    assert said == []
