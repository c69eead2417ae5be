"""The view lost, and made anew by hand (promise P7), with real services: `run`, `rebuild` and `show`."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
import redis
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from tests.acceptance.processes import Running, command, unshared, until_committed, worker
from tests.builders import Json
from tests.services import Kafka
from tests.topics import ends_of, newest_snapshots, of_event, read, write

PARTITIONS = 2
STATUSES = ("AVAILABLE", "PREPARING", "CHARGING", "FINISHING", "AVAILABLE", "OUTOFORDER")

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("redis_url", ["redis7"], indirect=True)]


@pytest.fixture
def settings(kafka: Kafka, redis_url: str) -> dict[str, str]:
    """Give settings that no other test shares."""
    return unshared(kafka, redis_url, HTTP_PORT="0", BATCH_RECORDS="20", TICK_INTERVAL="0", OFFLINE_AFTER="0")


@pytest.fixture
async def topic(kafka: Kafka, settings: dict[str, str]) -> str:
    """Create the input topic."""
    return await kafka.create_topic(settings["TOPIC_PREFIX"] + "events", partitions=PARTITIONS)


@pytest.fixture
async def told(kafka: Kafka, topic: str) -> dict[int, int]:
    """Write twenty rounds of the story, and give the ends of the partitions."""
    return await tell(kafka, topic, story(20))


@pytest.fixture
async def processed(kafka: Kafka, settings: dict[str, str], told: dict[int, int]) -> dict[int, int]:
    """Have a worker process that and stop."""
    async with worker(settings=settings) as running:
        await caught_up(running, kafka, settings, told)
    return told


def story(rounds: int, first: int = 0) -> list[Json]:
    """Tell of some EVSEs, with times that lie a little behind now."""
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    return [
        {
            "type": "connector.status",
            "event_id": f"{number}",
            "evse_uid": f"e{evse}",
            "connector_uid": "c1",
            "status": STATUSES[number % len(STATUSES)],
            "occurred_at": (start + timedelta(seconds=number)).isoformat(),
            "received_at": (start + timedelta(seconds=number)).isoformat(),
        }
        for number in range(first, first + rounds)
        for evse in range(6)
    ]


async def tell(kafka: Kafka, topic: str, events: list[Json]) -> dict[int, int]:
    """Write events, each EVSE to its partition; give how many each partition got."""
    records = [of_event(event, int(event["evse_uid"][1:]) % PARTITIONS) for event in events]
    await write(kafka, topic, records)
    return ends_of(records)


async def shown(settings: dict[str, str], uid: str) -> Json:
    """Give an EVSE's snapshot in the view."""
    done = await command("show", uid, "--json", settings=settings)
    assert done.code == 0, done.err
    snapshot: Json = json.loads(done.out)
    return snapshot


def snapshots(redis_url: str) -> list[Json]:
    """Give all snapshots in the view: what `show` would print of each, without a process for each."""
    with redis.Redis.from_url(redis_url) as client:
        return [json.loads(client.hget(f"evse:{{e{number}}}", "snapshot") or "{}") for number in range(6)]


async def caught_up(running: Running, kafka: Kafka, settings: dict[str, str], ends: dict[int, int]) -> None:
    """Wait until a worker has committed all, and stop it."""
    await until_committed(running, kafka, settings["GROUP_ID"], ends)
    assert await running.stop() == 0


async def test_a_flushed_redis_is_noticed_within_seconds_by_an_idle_worker(
    kafka: Kafka, settings: dict[str, str], redis_url: str, told: dict[int, int]
) -> None:
    """Nothing arrives: the worker finds out by itself, says so, and all is there again."""
    async with worker(settings=settings) as running:
        await until_committed(running, kafka, settings["GROUP_ID"], told)
        before = await shown(settings, "e1")
        with redis.Redis.from_url(redis_url) as client:
            client.flushdb()
        async with asyncio.timeout(10):
            await running.logs("view_behind")
        for _ in range(PARTITIONS):
            await running.logs("partition_restored")
        await running.logs("batch_processed")  # from here on the commit is where the view is
        await until_committed(running, kafka, settings["GROUP_ID"], told)
        assert await running.stop() == 0

    assert await shown(settings, "e1") == before


@pytest.mark.usefixtures("processed")
async def test_rebuild_with_no_worker_does_the_work_itself(settings: dict[str, str], redis_url: str) -> None:
    """The view was damaged by somebody; ledger and log hold all of it, and progress is told."""
    before = snapshots(redis_url)
    with redis.Redis.from_url(redis_url) as client:
        client.hset("evse:{e1}", "snapshot", "{}")
        client.delete("evse:{e2}", "evse:{e2}:private")

    done = await command("rebuild", "--yes", settings=settings)

    assert done.code == 0, done.err
    assert "no worker runs, it is done here" in done.err
    assert "partitions restored: 2 of 2; log read to offset 120 of 120" in done.err
    assert snapshots(redis_url) == before
    assert await shown(settings, "e2") == before[2]


async def test_rebuild_does_not_wait_for_a_worker_that_was_killed(
    kafka: Kafka, settings: dict[str, str], redis_url: str, told: dict[int, int]
) -> None:
    """It is a member of the group until its session is over; then the work is done here."""
    async with worker(settings=settings) as running:
        await until_committed(running, kafka, settings["GROUP_ID"], told)
        before = snapshots(redis_url)
        await running.kill()

    done = await command("rebuild", "--yes", settings=settings)

    assert done.code == 0, done.err
    assert "the workers of the group do it (1)" in done.err
    assert snapshots(redis_url) == before


async def test_rebuild_is_done_by_running_workers(
    kafka: Kafka, topic: str, settings: dict[str, str], redis_url: str, told: dict[int, int]
) -> None:
    """They notice it, go on with their group, and what comes meanwhile is not lost."""
    async with worker(settings=settings) as running:
        await until_committed(running, kafka, settings["GROUP_ID"], told)
        with redis.Redis.from_url(redis_url) as client:
            client.hset("evse:{e1}", "snapshot", "{}")
        rebuilding = asyncio.ensure_future(command("rebuild", "--yes", settings=settings))
        await running.logs("view_behind")
        more = await tell(kafka, topic, story(3, first=20))
        done = await rebuilding
        ends = {number: told[number] + more[number] for number in told}
        await until_committed(running, kafka, settings["GROUP_ID"], ends)
        assert await running.stop() == 0

    assert done.code == 0, done.err
    assert "the workers of the group do it (1)" in done.err
    assert (await shown(settings, "e1"))["revision"] == 23


@pytest.mark.allow_error_logs  # the client of the test logs that the topic it asks for is not there yet
@pytest.mark.usefixtures("processed")
async def test_a_topic_made_anew_stops_the_worker_until_rebuild_begins_a_new_epoch(
    kafka: Kafka, topic: str, settings: dict[str, str]
) -> None:
    """New offsets are not taken for old ones; with the new epoch history and revision go on."""
    await make_anew(kafka, topic)
    await tell(kafka, topic, story(2, first=20))

    async with worker(settings=settings) as running:
        assert await running.end() == 1
    [last] = [line for line in running.lines if line.get("action") == "worker_failed"]
    done = await command("rebuild", "--yes", settings=settings)
    snapshot = await shown(settings, "e1")

    assert "evse-status rebuild" in last["message"]
    assert done.code == 0, done.err
    assert f"{topic} is another log" in done.err
    connector = snapshot["evse"]["connectors"][0]
    assert (snapshot["revision"], connector["status"]) == (22, STATUSES[21 % len(STATUSES)])
    published = newest_snapshots(await read(kafka, settings["TOPIC_PREFIX"] + "snapshots"))
    assert published["e1"] == snapshot


async def test_what_the_log_no_longer_holds_is_said_and_the_rest_goes_on(
    kafka: Kafka, topic: str, settings: dict[str, str], redis_url: str, processed: dict[int, int]
) -> None:
    """View lost, log cut before any base: `check` warns, `rebuild` names the EVSEs, revisions go on."""
    before = await shown(settings, "e1")
    await cut(kafka, topic, processed)
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()

    checked = await command("check", settings=settings)
    done = await command("rebuild", "--yes", settings=settings)
    after = await shown(settings, "e1")
    explained = await command("explain", "e1", settings=settings)

    assert "a worker restores it from ledger and log" in checked.out
    assert done.code == 0, done.err
    assert "The view is there, but not whole: of 6 EVSEs (e0, e1," in done.err.replace("\n", " ")
    assert (after["revision"], after["status"]) == (before["revision"], before["status"])
    assert explained.code == 0, explained.out
    assert "these are the published numbers, to the microsecond" in explained.out


@pytest.mark.allow_error_logs  # the client of the test logs that the topic it asks for is not there yet
@pytest.mark.usefixtures("processed")
async def test_view_and_topic_lost_at_once_stop_the_worker_until_rebuild(
    kafka: Kafka, topic: str, settings: dict[str, str], redis_url: str
) -> None:
    """The group's offsets go with the topic; ledger and snapshots say that it is another one."""
    await make_anew(kafka, topic)
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    await tell(kafka, topic, story(2, first=20))

    async with worker(settings=settings) as running:
        assert await running.end() == 1
    [last] = [line for line in running.lines if line.get("action") == "worker_failed"]
    checked = await command("check", settings=settings)
    done = await command("rebuild", "--yes", settings=settings)

    assert "evse-status rebuild" in last["message"]
    assert checked.code == 1
    assert f"topic {topic} is another one than was processed" in " ".join(checked.out.split())
    assert done.code == 0, done.err
    assert f"{topic} is another log" in done.err
    assert (await shown(settings, "e1"))["revision"] == 22
    assert [gaps_of(redis_url, f"e{number}") for number in range(6)] == [1] * 6


async def test_a_deleted_ledger_is_written_anew_and_serves_when_the_view_is_lost(
    kafka: Kafka, topic: str, settings: dict[str, str], redis_url: str, processed: dict[int, int]
) -> None:
    """The worker that starts next creates it, and writes to it all that the view holds."""
    before = snapshots(redis_url)
    await kafka.delete_topic(settings["TOPIC_PREFIX"] + "ledger")

    async with worker(settings=settings) as running:
        for _ in range(PARTITIONS):
            await running.logs("ledger_lost")
        for _ in range(PARTITIONS):
            await running.logs("bases_written")
        await cut(kafka, topic, processed)
        with redis.Redis.from_url(redis_url) as client:
            client.flushdb()
        for _ in range(PARTITIONS):
            restored = await running.logs("partition_restored")
            assert restored["lost"] is False
        assert await running.stop() == 0

    assert snapshots(redis_url) == before


@pytest.mark.usefixtures("processed")
async def test_a_ledger_that_a_broker_creates_unasked_ends_the_worker(
    kafka: Kafka, settings: dict[str, str]
) -> None:
    """It would delete in time what is written to it once, and the view's loss would then be one for good."""
    ledger = settings["TOPIC_PREFIX"] + "ledger"
    async with worker(settings=settings) as running:
        await running.logs("partitions_assigned")
        await make_anew(kafka, ledger)
        assert await running.end() == 1

    [last] = [line for line in running.lines if line.get("action") == "worker_failed"]
    assert f"topic {ledger} has cleanup.policy delete and needs compact" in last["message"]


async def test_a_place_that_does_not_exist_is_refused(
    kafka: Kafka, topic: str, settings: dict[str, str]
) -> None:
    """`run --skip` with an offset that is still to come: one line says what there is."""
    await tell(kafka, topic, story(1))

    async with worker("--skip", f"{topic}:1:500", settings=settings) as running:
        assert await running.end() == 1

    [last] = [line for line in running.lines if line.get("action") == "worker_failed"]
    assert f"--skip {topic}:1:500: " in last["message"]
    assert "its last record is 2" in last["message"]


async def cut(kafka: Kafka, topic: str, ends: dict[int, int]) -> None:
    """Delete all records of a topic before these offsets, as retention does."""
    places = {TopicPartition(topic, number): RecordsToDelete(end) for number, end in ends.items()}
    async with kafka.admin() as admin:
        await admin.delete_records(places)


def gaps_of(redis_url: str, uid: str) -> int:
    """Count the times in which nothing could be seen of an EVSE."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        return int(client.zcard(f"evse:{{{uid}}}:gaps"))


async def make_anew(kafka: Kafka, topic: str) -> None:
    """Delete a topic and create it again."""
    await kafka.delete_topic(topic)
    await kafka.create_topic(topic, partitions=PARTITIONS)
