"""`run --workers`: several processes of one group under one parent, as their user runs them."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families

from tests.acceptance.processes import Running, unshared, worker
from tests.builders import Json, status_reported
from tests.processes import free_port
from tests.services import Kafka
from tests.topics import committed, newest_snapshots, of_event, read, write

pytestmark = pytest.mark.slow

TWO = ("--workers", "2")
PARTITIONS = 2
UIDS = tuple(f"e{number}" for number in range(8))


@pytest.fixture
def settings(kafka: Kafka, redis7_url: str) -> dict[str, str]:
    """Give settings that no other test shares."""
    # By its name one who comes back is known at once.
    return unshared(kafka, redis7_url, INSTANCE_ID="here")


async def report(kafka: Kafka, topic: str, status: str, at: str) -> None:
    """Report a status of each EVSE, half of them in either partition."""
    events: Sequence[Json] = [status_reported(status, at, uid=uid) for uid in UIDS]
    await write(kafka, topic, [of_event(each, number % PARTITIONS) for number, each in enumerate(events)])


async def until_shared(running: Running) -> None:
    """Read what is said until each worker has a partition; the first one had both for a moment."""
    owned: dict[int, int] = {}
    while owned != {1: 1, 2: 1}:
        line = await running.logs("partitions_assigned")
        owned[line["worker"]] = len(line["partitions"])


async def until_committed(running: Running, kafka: Kafka, group: str, each: int) -> None:
    """Read what is said until both partitions are committed up to this offset."""
    while await committed(kafka, group) != dict.fromkeys(range(PARTITIONS), each):
        await running.logs("committed")


async def test_two_workers_share_the_work_and_one_that_is_killed_comes_back(
    kafka: Kafka, settings: dict[str, str]
) -> None:
    """One port tells of both; SIGTERM ends both in order, and the command with 0."""
    topic = await kafka.create_topic(settings["TOPIC_PREFIX"] + "events", partitions=PARTITIONS)

    async with worker(*TWO, settings=settings) as running:
        pid = (await running.logs("process_started", worker=2))["pid"]
        await until_shared(running)
        await report(kafka, topic, "AVAILABLE", "06:00")
        await until_committed(running, kafka, settings["GROUP_ID"], 4)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings['HTTP_PORT']}") as probe:
            live = await probe.get("/health/live")
            metrics = (await probe.get("/metrics")).text
            scraped = await probe.get("/metrics", headers={"accept": "application/openmetrics-text"})
        os.kill(pid, signal.SIGKILL)
        await running.logs("worker_restarts", worker=2)
        await report(kafka, topic, "CHARGING", "07:00")
        await until_committed(running, kafka, settings["GROUP_ID"], 8)
        assert await running.stop() == 0

    assert live.json() == {"status": "ok", "reasons": []}
    for number in (1, 2):
        assert f'evse_status_events_total{{worker="{number}",verdict="applied"}} 4.0' in metrics
    assert 'evse_status_worker_up{worker="2"} 1.0' in metrics
    samples = [sample for family in openmetrics_families(scraped.text) for sample in family.samples]
    examples = {one.labels["worker"]: one.exemplar.labels["evse_uid"] for one in samples if one.exemplar}
    assert examples.keys() == {"1", "2"}
    assert set(examples.values()) < set(UIDS)
    stopped = [line["worker"] for line in running.lines if line.get("action") == "worker_stopped"]
    assert sorted(stopped) == [1, 2]
    found = newest_snapshots(await read(kafka, settings["TOPIC_PREFIX"] + "snapshots"))
    assert {uid: each["status"] for uid, each in found.items()} == dict.fromkeys(UIDS, "CHARGING")


async def test_workers_end_with_a_parent_that_is_killed() -> None:
    """No process is left that nobody watches."""
    settings = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}", "HTTP_PORT": "0"}
    async with worker(*TWO, settings=settings) as running:
        for number in (1, 2):
            await running.logs("retry_scheduled", worker=number)
        await running.kill()
        # The end of what all three write to: it comes when the last of them has ended.
        assert await running.end() == -signal.SIGKILL

    said = [line["worker"] for line in running.lines if line.get("action") == "stopping"]
    assert sorted(said) == [1, 2]


async def test_a_port_that_cannot_be_had_is_said_before_anybody_is_started() -> None:
    """One line with the remedy."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = {"HTTP_HOST": "127.0.0.1", "HTTP_PORT": str(taken.getsockname()[1])}
        async with worker(*TWO, settings=settings) as running:
            assert await running.end() == 1

    assert [line["action"] for line in running.lines] == ["worker_failed"]
    assert "choose another HTTP_PORT" in running.lines[0]["message"]


async def test_what_somebody_has_to_mend_ends_all_with_the_remedy(tmp_path: Path) -> None:
    """Nobody is started again; the last line is the last word, and the exit code 1."""
    config = tmp_path / "settings.toml"
    config.write_text(f'kafka_security_protocol = "SSL"\nkafka_ca_file = "{config}"\nhttp_port = 0\n')

    async with worker(*TWO, "--config", str(config), settings={}) as running:
        assert await running.end() == 1

    assert running.lines[-1]["action"] == "worker_failed"
    assert "EVSE_STATUS_KAFKA_CA_FILE" in running.lines[-1]["message"]
    assert not [line for line in running.lines if line.get("action") == "worker_restarts"]
