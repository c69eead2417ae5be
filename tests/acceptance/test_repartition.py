"""More partitions, and `rebuild --repartition`, with real services: as its user does it (promise P7)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import redis
from aiokafka.admin import NewPartitions

from service.adapters.kafka_partitioner import by_murmur2
from tests.acceptance.processes import command, unshared, until_committed, worker
from tests.builders import Json
from tests.services import Kafka
from tests.topics import Sent, committed, ends_of, of_event, read, write

OLD, NEW = 2, 4
UIDS = [f"e{number}" for number in range(12)]
STATUSES = ("AVAILABLE", "PREPARING", "CHARGING", "FINISHING", "AVAILABLE", "OUTOFORDER")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("redis_url", ["redis7"], indirect=True),
    # The client logs at ERROR what the broker's nodes tell each other late, such as partitions made just now.
    pytest.mark.allow_error_logs,
]


@pytest.fixture
def settings(kafka: Kafka, redis_url: str) -> dict[str, str]:
    """Give settings that no other test shares."""
    return unshared(kafka, redis_url, HTTP_PORT="0", TICK_INTERVAL="0", OFFLINE_AFTER="0")


def story(first: int, rounds: int) -> list[Json]:
    """Tell of some EVSEs, with times that lie a little behind now; each round has one that comes late."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    told = []
    for number in range(first, first + rounds):
        for uid in UIDS:
            at = (start + timedelta(seconds=number)).isoformat()
            late = (start + timedelta(seconds=number - 5, milliseconds=500)).isoformat()
            common = {"type": "connector.status", "evse_uid": uid, "received_at": at}
            status = STATUSES[number % len(STATUSES)]
            told += [
                {
                    **common,
                    "event_id": f"{number}",
                    "connector_uid": "c1",
                    "status": status,
                    "occurred_at": at,
                },
                {
                    **common,
                    "event_id": f"late-{number}",
                    "connector_uid": "c2",
                    "status": status,
                    "occurred_at": late,
                },
            ]
    return told


def placed(events: list[Json], partitions: int) -> list[Sent]:
    """Make the records of a producer that knows of so many partitions."""
    return [of_event(each, by_murmur2(each["evse_uid"].encode(), partitions)) for each in events]


def snapshots(redis_url: str, prefix: str = "evse") -> dict[str, Json]:
    """Give all snapshots in the view."""
    with redis.Redis.from_url(redis_url) as client:
        return {uid: json.loads(client.hget(f"{prefix}:{{{uid}}}", "snapshot") or "{}") for uid in UIDS}


def partitions(redis_url: str) -> dict[str, int]:
    """Give in which partition each EVSE lives."""
    with redis.Redis.from_url(redis_url) as client:
        return {uid: int(client.hget(f"evse:{{{uid}}}", "partition") or -1) for uid in UIDS}


async def last_snapshots(kafka: Kafka, topic: str) -> dict[str, list[tuple[int, Json]]]:
    """Give the last snapshots that the topic holds of each EVSE, with their partitions."""
    newest = {(each.key, each.partition): each for each in await read(kafka, topic)}
    found: dict[str, list[tuple[int, Json]]] = {}
    for (key, partition), record in newest.items():
        if record.value is not None:
            found.setdefault((key or b"").decode(), []).append((partition, json.loads(record.value)))
    return found


async def processed(kafka: Kafka, settings: dict[str, str], partitions: int, records: list[Sent]) -> str:
    """Let a worker take records to their end, from a new topic with so many partitions; give the topic."""
    topic = await kafka.create_topic(settings["TOPIC_PREFIX"] + "events", partitions=partitions)
    await write(kafka, topic, records)
    async with worker(settings=settings) as running:
        await until_committed(running, kafka, settings["GROUP_ID"], ends_of(records))
        assert await running.stop() == 0
    return topic


async def test_all_goes_on_in_more_partitions(kafka: Kafka, settings: dict[str, str], redis_url: str) -> None:
    """What waited is processed, all moves, the worker goes on, and a lost view comes back as it is then."""
    before = placed(story(0, 10), OLD)
    waiting, after, last = story(10, 2), story(12, 3), story(15, 1)
    topic = await processed(kafka, settings, OLD, before)
    await write(kafka, topic, placed(waiting, OLD))
    async with kafka.admin() as admin:
        await admin.create_partitions({topic: NewPartitions(total_count=NEW)})

    checked = await command("check", settings=settings)
    async with worker(settings=settings) as running:
        assert await running.end() == 1
    done = await command("rebuild", "--repartition", "--yes", settings=settings)
    again = await command("rebuild", "--repartition", settings=settings)
    await write(kafka, topic, placed(after, NEW))
    ends = {
        number: ends_of([*before, *placed(waiting, OLD)]).get(number, 0)
        + ends_of(placed(after, NEW)).get(number, 0)
        for number in range(NEW)
    }
    async with worker(settings=settings) as running:
        await until_committed(running, kafka, settings["GROUP_ID"], ends)
        assert await running.stop() == 0

    assert (checked.code, again.code) == (1, 0)
    assert "rebuild --repartition" in " ".join(checked.out.split())
    assert done.code == 0, done.err
    assert "laid out for 2 partitions" in done.err
    assert "log read to its end" in done.err
    other = {**settings, "REDIS_PREFIX": "other", "TOPIC_PREFIX": kafka.unique("other") + "."}
    other["GROUP_ID"] = kafka.unique("group")
    all_of_it = [*story(0, 10), *waiting, *after]
    await processed(kafka, other, NEW, placed(all_of_it, NEW))
    expected = snapshots(redis_url, "other")
    homes = {uid: by_murmur2(uid.encode(), NEW) for uid in UIDS}
    assert snapshots(redis_url) == expected
    assert partitions(redis_url) == homes
    published = await last_snapshots(kafka, settings["TOPIC_PREFIX"] + "snapshots")
    assert published == {uid: [(homes[uid], expected[uid])] for uid in UIDS}
    assert await read(kafka, settings["TOPIC_PREFIX"] + "dead-letters") == []

    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    await write(kafka, topic, placed(last, NEW))
    async with worker(settings=settings) as running:
        for _ in range(NEW):
            assert (await running.logs("partition_restored"))["lost"] is False
        ends = {number: end + ends_of(placed(last, NEW)).get(number, 0) for number, end in ends.items()}
        await until_committed(running, kafka, settings["GROUP_ID"], ends)
        assert await running.stop() == 0

    assert partitions(redis_url) == homes
    assert {uid: each["revision"] for uid, each in snapshots(redis_url).items()} == {
        uid: each["revision"] + 2 for uid, each in expected.items()
    }
    assert await committed(kafka, settings["GROUP_ID"]) == ends


async def test_what_a_producer_wrote_that_did_not_know_yet_can_be_sent_again(
    kafka: Kafka, settings: dict[str, str], redis_url: str
) -> None:
    """Its dead letters go to where their EVSEs live now."""
    before, stale = placed(story(0, 2), OLD), placed(story(2, 1), OLD)
    topic = await processed(kafka, settings, OLD, before)
    async with kafka.admin() as admin:
        await admin.create_partitions({topic: NewPartitions(total_count=NEW)})
    done = await command("rebuild", "--repartition", "--yes", settings=settings)
    ends = ends_of([*before, *stale])
    await write(kafka, topic, stale)
    async with worker(settings=settings) as running:
        await until_committed(running, kafka, settings["GROUP_ID"], ends)
        letters = await read(kafka, settings["TOPIC_PREFIX"] + "dead-letters")
        sent = await command("dead-letters", "replay", "--all", "--yes", settings=settings)
        moved = [each for each in stale if by_murmur2(each.key or b"", NEW) != each.partition]
        again = ends_of(placed([json.loads(each.value or b"") for each in moved], NEW))
        ends |= {number: ends.get(number, 0) + count for number, count in again.items()}
        await until_committed(running, kafka, settings["GROUP_ID"], ends)
        assert await running.stop() == 0

    assert (done.code, sent.code) == (0, 0), done.err + sent.err
    assert sorted(each.value or b"" for each in letters) == sorted(each.value or b"" for each in moved)
    assert moved
    assert len({each["revision"] for each in snapshots(redis_url).values()}) == 1


async def explained(uid: str, settings: dict[str, str]) -> set[tuple[str, int]]:
    """Give where the events lie that `explain` names."""
    said = json.loads((await command("explain", uid, "--json", settings=settings)).out)
    ends = [
        each[end]
        for connector in said["connectors"]
        for each in connector["intervals"]
        for end in ("began_by", "ended_by")
        if each[end] is not None and each[end]["topic"] is not None
    ]
    return {(end["topic"], end["partition"]) for end in ends}


async def test_fewer_partitions_are_had_with_new_topics(
    kafka: Kafka, settings: dict[str, str], redis_url: str
) -> None:
    """All is copied to them; what the old ones hold stays."""
    before, after = placed(story(0, 3), NEW), placed(story(3, 2), OLD)
    before.append(Sent(b"e1", b"{oops", by_murmur2(b"e1", NEW)))
    await processed(kafka, settings, NEW, before)
    shown = snapshots(redis_url)
    moved = {**settings, "TOPIC_PREFIX": kafka.unique("moved") + "."}
    new = await kafka.create_topic(moved["TOPIC_PREFIX"] + "events", partitions=OLD)

    from_before = ("--from-prefix", settings["TOPIC_PREFIX"])
    done = await command("rebuild", "--repartition", *from_before, "--yes", settings=moved)
    between = snapshots(redis_url)
    places = [await explained(uid, settings=moved) for uid in UIDS[:2]]
    with_old_settings = await command("dead-letters", "replay", "--all", "--yes", settings=settings)
    async with worker(settings=settings) as running:
        assert await running.end() == 1
    await write(kafka, new, after)
    async with worker(settings=moved) as running:
        while {each["revision"] for each in snapshots(redis_url).values()} != {10}:
            await running.logs("batch_processed")
        assert await running.stop() == 0

    assert done.code == 0, done.err
    assert places == [
        {(settings["TOPIC_PREFIX"] + "events", by_murmur2(uid.encode(), NEW))} for uid in UIDS[:2]
    ]
    assert with_old_settings.code == 1
    assert f"and not of {settings['TOPIC_PREFIX']}events" in with_old_settings.err
    assert between == shown
    assert partitions(redis_url) == {uid: by_murmur2(uid.encode(), OLD) for uid in UIDS}
    assert await read(kafka, moved["TOPIC_PREFIX"] + "dead-letters") == []
    assert len(await last_snapshots(kafka, settings["TOPIC_PREFIX"] + "snapshots")) == len(UIDS)


async def test_workers_that_still_run_and_a_partitioner_of_others_are_refused(
    kafka: Kafka, settings: dict[str, str]
) -> None:
    """Each in one line with the remedy; nothing is written."""
    topic = await kafka.create_topic(settings["TOPIC_PREFIX"] + "events", partitions=OLD)
    records = placed(story(0, 2), OLD)
    await write(kafka, topic, records)
    async with worker(settings=settings) as running:
        await until_committed(running, kafka, settings["GROUP_ID"], ends_of(records))
        while_it_runs = await command("rebuild", "--repartition", "--yes", settings=settings)
        async with kafka.admin() as admin:
            await admin.create_partitions({topic: NewPartitions(total_count=NEW)})
        refused = await command("rebuild", "--repartition", "--yes", settings=settings)
        assert await running.stop() in {0, 1}
    others = await command(
        "rebuild", "--repartition", "--yes", settings={**settings, "INPUT_PARTITIONER": "crc32"}
    )
    unallowed = await command(
        "rebuild", "--repartition", "--yes", settings={**settings, "CREATE_TOPICS": "false"}
    )

    assert while_it_runs.code == 0, while_it_runs.err
    assert "laid out for the 2 partitions" in while_it_runs.err
    assert refused.code == 1
    assert "stop them first" in refused.err
    assert others.code == 1
    assert "set EVSE_STATUS_INPUT_PARTITIONER=murmur2" in others.err
    assert unallowed.code == 1
    assert "kafka-topics.sh --alter --topic" in unallowed.err
    assert {each.partition for each in await read(kafka, settings["TOPIC_PREFIX"] + "ledger")} <= {0, 1}
