"""What comes through Kafka and a worker into Redis and the snapshots is what `replay` makes of the events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zlib import crc32

import orjson
import pytest

from schemas.view import Day, Outage, parse_day, parse_outages
from service.adapters.redis_connection import RedisSettings
from service.adapters.view_reader import ViewReader
from service.domain.events import Event
from service.domain.fold import fold
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.domain.time import micros_from
from service.processing.decoding import decode
from service.processing.outputs import described
from service.processing.values import Record
from service.replay import LogReader, Replay
from service.simulation import Fleet
from service.translation.ocpp16_csv import LogEvent, read_log
from tests.acceptance.processes import Running, command, until_committed, worker
from tests.builders import Json
from tests.driver import Driver
from tests.services import Kafka
from tests.topics import Sent, ends_of, newest_snapshots, of_event, read, write

REAL_LOG = Path(__file__).parents[3] / "shared" / "data" / "ocpp16_charger_a.csv"
PARTITIONS = 4


@pytest.fixture
def settings(kafka: Kafka, redis_url: str) -> dict[str, str]:
    """Give settings that no other test shares, with batches small enough that there are many."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "REDIS_URL": redis_url,
        "TOPIC_PREFIX": kafka.unique("evse") + ".",
        "GROUP_ID": kafka.unique("group"),
        "SESSION_TIMEOUT": "6s",
        "HTTP_PORT": "0",
        "BATCH_RECORDS": "50",
        # The fleet spoke months ago: what the clock says of it is no part of the comparison.
        "OFFLINE_AFTER": "0",
        "INGEST_SILENT_AFTER": "400d",
    }


@pytest.mark.slow
@pytest.mark.skipif(not REAL_LOG.exists(), reason="the real charger's log is not part of the project")
@pytest.mark.parametrize("redis_url", ["redis7"], indirect=True)
async def test_a_real_chargers_log_gives_the_same_through_kafka_as_in_replay(
    kafka: Kafka, settings: dict[str, str], tmp_path: Path
) -> None:
    """The newest snapshot, in the topic and in the view, is the line that `replay` writes."""
    events = [row.event for row in read_log(REAL_LOG.read_bytes().splitlines()) if isinstance(row, LogEvent)]
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"\n".join(map(orjson.dumps, events)))
    records = [of_event(event) for event in events]
    topic = await kafka.create_topic(settings["TOPIC_PREFIX"] + "events")
    await write(kafka, topic, records)

    async with worker(settings=settings) as running:
        await until_committed(running, kafka, settings["GROUP_ID"], ends_of(records))
        assert await running.stop() == 0

    replayed, shown = await asyncio.gather(
        command("replay", str(log)), command("show", "cp-A", "--json", settings=settings)
    )
    published = newest_snapshots(await read(kafka, settings["TOPIC_PREFIX"] + "snapshots"))
    expected = json.loads(replayed.out)
    assert len(events) > 400
    assert expected["connectors"][0]["reliability"]["value"] is not None
    assert expected == json.loads(shown.out)
    assert {"cp-A": expected} == published


@pytest.mark.slow
async def test_a_fleet_gives_the_same_through_kafka_as_in_replay(
    kafka: Kafka, settings: dict[str, str]
) -> None:
    """Every EVSE, over four partitions: its snapshots, in the view and in the topic, and its transitions."""
    fleet = Simulated(seed=1)
    topic = await kafka.create_topic(settings["TOPIC_PREFIX"] + "events", partitions=PARTITIONS)
    await write(kafka, topic, fleet.records)

    async with worker(settings=settings) as running:
        await until_committed(running, kafka, settings["GROUP_ID"], ends_of(fleet.records))
        assert await running.stop() == 0

    await fleet.compare(kafka, settings)


@pytest.mark.slow
@pytest.mark.parametrize("redis_url", ["valkey"], indirect=True)
async def test_a_worker_killed_in_the_middle_leaves_no_trace(kafka: Kafka, settings: dict[str, str]) -> None:
    """Killed twice between any two instructions, and started again under its name: as if undisturbed."""
    fleet = Simulated(seed=2)
    settings["INSTANCE_ID"] = "the-only-one"  # so that the group lets it in again at once
    topic = await kafka.create_topic(settings["TOPIC_PREFIX"] + "events", partitions=PARTITIONS)
    await write(kafka, topic, fleet.records)

    for batches in (5, 9):
        async with worker(settings=settings) as running:
            for _ in range(batches):
                await running.logs("batch_processed")
            await running.kill()
    async with worker(settings=settings) as running:
        await running.logs("batch_processed")
        await until_committed(running, kafka, settings["GROUP_ID"], ends_of(fleet.records))
        assert await running.stop() == 0

    await fleet.compare(kafka, settings)


@pytest.mark.slow
@pytest.mark.parametrize("redis_url", ["redis7"], indirect=True)
async def test_workers_that_come_and_go_leave_no_trace(kafka: Kafka, settings: dict[str, str]) -> None:
    """A second one joins in the middle, both share the partitions, the first leaves: as if undisturbed."""
    fleet = Simulated(seed=3)
    third = len(fleet.records) // 3
    topic = await kafka.create_topic(settings["TOPIC_PREFIX"] + "events", partitions=PARTITIONS)
    await write(kafka, topic, fleet.records[:third])

    async with worker(settings=settings) as first:
        await first.logs("batch_processed")
        async with worker(settings=settings) as second:
            await asyncio.gather(
                write(kafka, topic, fleet.records[third : 2 * third]),
                _until_it_has(2, first, topic),
                _until_it_has(2, second, topic),
            )
            left, *_ = await asyncio.gather(
                first.stop(),
                write(kafka, topic, fleet.records[2 * third : -third // 2]),
                _until_it_has(PARTITIONS, second, topic),
            )
            assert left == 0
            await write(kafka, topic, fleet.records[-third // 2 :])
            await until_committed(second, kafka, settings["GROUP_ID"], ends_of(fleet.records))
            assert await second.stop() == 0

    await fleet.compare(kafka, settings)


async def _until_it_has(partitions: int, running: Running, topic: str) -> None:
    """Wait until a worker was assigned exactly so many partitions."""
    while True:
        assigned = await running.logs("partitions_assigned")
        names: list[str] = assigned["partitions"]
        if len(names) == partitions:
            assert all(name.startswith(topic) for name in names)
            return


class Simulated:
    """What a simulated fleet says in some days, as records, and what has to come of it."""

    def __init__(self, seed: int) -> None:
        start, until = datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 11, 15, tzinfo=UTC)
        fleet = Fleet(seed, 20, start)
        arrivals = [(start, event) for event in fleet.inventory()] + list(fleet.history(until))
        self.uids = sorted({event["evse_uid"] for _, event in arrivals})
        self.removed = self.uids[0]
        told = {"occurred_at": "2026-01-10T00:00:00Z", "received_at": "2026-01-11T14:00:00Z"}
        excluded = {"exclusion_id": "works", "from": "2026-01-07T00:00:00Z", "reason": "maintenance"}
        arrivals += [
            (until, {"type": "exclusion.declared", "event_id": "x", "evse_uid": uid, **told, **excluded})
            for uid in self.uids[1:4]
        ]
        arrivals += [(until, {"type": "evse.removed", "event_id": "end", "evse_uid": self.removed, **told})]
        self.records = [_at(arrival, event) for arrival, event in arrivals]

    async def compare(self, kafka: Kafka, settings: dict[str, str]) -> None:
        """Hold view, snapshots and transitions of the whole fleet to what `replay` makes of the records."""
        prefix = settings["TOPIC_PREFIX"]
        published = newest_snapshots(await read(kafka, prefix + "snapshots"))
        view = await _view(settings["REDIS_URL"], self.uids)
        assert await asyncio.to_thread(_undisturbed, self.records) == view
        assert self.uids == sorted(view)
        assert self.uids == sorted([*published, self.removed])
        for uid in self.uids:
            lines = [one.value or b"" for one in self.records if one.key == uid.encode()]
            assert _replayed(lines) == view[uid].snapshot
            if uid != self.removed:
                # A sign of life alone publishes nothing: what is in the topic may be of an earlier time.
                assert _replayed(lines, as_of=published[uid]["as_of"]) == published[uid]
        assert _changes(self.records, prefix + "events") == {
            said["id"]: said
            for one in await read(kafka, prefix + "transitions")
            if (said := orjson.loads(one.value or b""))
        }


def _at(arrival: datetime, event: Json) -> Sent:
    key = str(event["evse_uid"]).encode()
    timestamp_ms = micros_from(arrival) // 1_000
    return Sent(key, orjson.dumps(event), crc32(key) % PARTITIONS, timestamp_ms=timestamp_ms)


def _changes(sent: Sequence[Sent], topic: str) -> dict[str, Json]:
    """Give the transitions, by their ids, of folding the records one by one."""
    states: dict[str, EvseState] = {}
    ends: dict[int, int] = {}
    changes: dict[str, Json] = {}
    for one in sent:
        offset = ends.get(one.partition, 0)
        ends[one.partition] = offset + 1
        record = Record(topic, one.partition, offset, 0, one.key, one.value)
        event = decode(one.value, key=one.key, position=offset, record_time=None)
        assert isinstance(event, Event)
        uid = event.evse_uid
        folded = fold(states.setdefault(uid, EvseState(uid)), event, Rules())
        for change in described(uid, record, folded.transitions):
            changes[change.id] = orjson.loads(change.value)
    return changes


@dataclass(frozen=True)
class Viewed:
    """What readers may see of one EVSE."""

    snapshot: Json
    document: dict[str, str]
    days: dict[str, Day]
    outages: tuple[Outage, ...]


async def _view(url: str, uids: Sequence[str]) -> dict[str, Viewed]:
    reader = ViewReader(RedisSettings(url))
    try:
        return {
            uid: Viewed(
                orjson.loads(document["snapshot"]),
                document,
                await reader.days(uid),
                await reader.outages(uid),
            )
            for uid, document in (await reader.documents(uids)).items()
        }
    finally:
        await reader.close()


def _undisturbed(sent: Sequence[Sent]) -> dict[str, Viewed]:
    """Give the view that one worker makes on memory, without an accident."""
    driver = Driver(partitions=PARTITIONS)
    driver.advance(timedelta(days=30))  # no clock of the fleet is ahead of the log's
    for one in sent:
        driver.write(one.value, key=one.key, partition=one.partition)
    driver.settle()
    driver.stop()
    return {
        uid: Viewed(
            orjson.loads(kept.document["snapshot"]),
            {name: value.decode() for name, value in kept.document.items()},
            {name: parse_day(day) for name, day in kept.days.items()},
            parse_outages(outage for _, outage in sorted(kept.outages)),
        )
        for uid, kept in driver.store.evses.items()
    }


def _replayed(lines: Sequence[bytes], as_of: str | None = None) -> Json:
    """Give the line that `replay` writes for the events of one EVSE."""
    job = Replay(Rules(), None if as_of is None else micros_from(datetime.fromisoformat(as_of)))
    contents = [line.content for line in LogReader().read("log", lines)]
    job.take([content for content in contents if isinstance(content, Event)])
    (line,) = job.snapshots()
    snapshot: Json = orjson.loads(line)
    return snapshot
