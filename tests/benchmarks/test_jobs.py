"""The logs that are measured are what they claim to be."""

from __future__ import annotations

import itertools
import tracemalloc
from collections import Counter
from collections.abc import Iterable

import orjson
import pytest

from service.domain.time import DAY, MINUTE, SECOND, micros_of_text
from tests.benchmarks.acknowledged import Awaited, percentiles
from tests.benchmarks.jobs import (
    CONNECTORS,
    JOBS,
    WALK,
    Entry,
    Size,
    history,
    idle,
    inventory,
    reference,
    storm,
)
from tests.benchmarks.load import Load

BEGIN = 1_767_571_200 * SECOND
SIZE = Size(6_000, 150, BEGIN)

each_job = pytest.mark.parametrize("job", JOBS)


def shares(entries: Iterable[Entry]) -> dict[str, float]:
    """Give the share of each type of event."""
    counts = Counter(orjson.loads(each.value)["type"] for each in entries)
    return {kind: count / counts.total() for kind, count in counts.items()}


@each_job
def test_a_job_has_its_number_of_records_and_is_the_same_again(job: str) -> None:
    """What two runs measure is the same, and another seed gives another log."""
    size = Size(501, 50, BEGIN)
    entries = list(JOBS[job](size))

    assert len(entries) == 501
    assert list(JOBS[job](size)) == entries
    assert list(JOBS[job](Size(501, 50, BEGIN, seed=2))) != entries


@each_job
def test_the_times_of_a_log_rise_and_an_evse_has_one_partition(job: str) -> None:
    """As a broker gives them out: of one key in one partition, in the order in which they were received."""
    entries = list(JOBS[job](SIZE))

    received = [orjson.loads(each.value)["received_at"] for each in entries]
    assert [micros_of_text(text) for text in received] == [each.timestamp for each in entries]
    assert all(
        after.timestamp - before.timestamp == SECOND // 10 for before, after in itertools.pairwise(entries)
    )
    assert len({(each.key, each.partition) for each in entries}) == len({each.key for each in entries})


def test_the_reference_job_is_that_of_the_goal() -> None:
    """70 % statuses, 20 % of the link, 10 % heartbeats, of about 220 bytes, uniformly over EVSEs."""
    entries = list(reference(SIZE))

    assert shares(entries) == pytest.approx(
        {"connector.status": 0.7, "connector.online": 0.2, "evse.heartbeat": 0.1}, abs=0.02
    )
    assert 210 <= sum(len(each.value) for each in entries) / len(entries) <= 230
    assert {each.partition for each in entries} == {0, 1, 2, 3}
    each_evse = Counter(each.key for each in entries)
    assert len(each_evse) == 150
    assert max(each_evse.values()) < 4 * min(each_evse.values())


def test_each_status_is_the_next_of_the_walk() -> None:
    """Whatever else is drawn, a connector walks on step by step."""
    steps: Counter[tuple[str, str]] = Counter()
    for each in reference(SIZE):
        event = orjson.loads(each.value)
        if event["type"] == "connector.status":
            connector = event["evse_uid"], event["connector_uid"]
            steps[connector] += 1
            assert event["status"] == WALK[steps[connector] % len(WALK)]


def test_a_fleet_mostly_says_what_is_known() -> None:
    """85 % are heartbeats and statuses that repeat the one before."""
    known: dict[tuple[str, str], str] = {}
    new = 0
    for each in JOBS["fleet"](SIZE):
        event = orjson.loads(each.value)
        if event["type"] == "connector.status":
            connector = event["evse_uid"], event["connector_uid"]
            new += known.get(connector, WALK[0]) != event["status"]
            known[connector] = event["status"]
        new += event["type"] == "connector.online"

    assert new / SIZE.records == pytest.approx(0.15, abs=0.02)


def test_a_storm_says_all_of_its_first_half_again_with_the_old_times() -> None:
    """Late events at scale: they occurred when they occurred, and are received now."""
    entries = [orjson.loads(each.value) for each in storm(Size(1_000, 20, BEGIN))]
    first, again = entries[:500], entries[500:]

    assert [each["occurred_at"] for each in again] == [each["occurred_at"] for each in first]
    assert all(micros_of_text(each["received_at"]) > BEGIN + 50 * SECOND for each in again)


def test_a_hot_job_is_about_one_evse() -> None:
    """Whatever number is asked for."""
    assert {each.key for each in JOBS["hot"](SIZE)} == {b"EVSE-0000000"}


@each_job
def test_a_job_over_a_million_evses_needs_little_memory(job: str) -> None:
    """Two bytes an EVSE, whatever the job."""
    tracemalloc.start()
    try:
        assert len(list(JOBS[job](Size(10, 1_000_000, BEGIN)))) == 10
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * 2**20


def test_the_inventory_names_each_evse_once() -> None:
    """With two connectors, about 1.5 kB each."""
    entries = list(inventory(SIZE))

    assert len({each.key for each in entries}) == len(entries) == 150
    assert all(1_300 < len(each.value) < 1_700 for each in entries)
    assert [each["uid"] for each in orjson.loads(entries[0].value)["evse"]["connectors"]] == list(CONNECTORS)


@pytest.mark.parametrize("evses", [20, 1_000])
def test_a_history_has_every_day_and_no_gap(evses: int) -> None:
    """Each connector says one status a day, and no partition is silent for as long as the ingest minds."""
    entries = list(history(Size(0, evses, BEGIN), days=3))

    statuses = Counter(
        ((each.timestamp - BEGIN) // DAY, each.key, event["connector_uid"])
        for each in entries
        if (event := orjson.loads(each.value))["type"] == "connector.status"
    )
    assert len(statuses) == 3 * evses * len(CONNECTORS)
    assert set(statuses.values()) == {1}
    for partition in range(4):
        times = [BEGIN, *(each.timestamp for each in entries if each.partition == partition), BEGIN + 3 * DAY]
        assert max(after - before for before, after in itertools.pairwise(times)) < 5 * MINUTE


def test_who_is_idle_has_said_all_there_is_once() -> None:
    """Both connectors and the link, so that the state is a whole one."""
    entries = list(idle(Size(0, 5, BEGIN)))

    assert shares(entries) == pytest.approx({"connector.status": 2 / 3, "connector.online": 1 / 3})
    assert set(Counter(each.key for each in entries).values()) == {3}


LOAD = Load("events", "localhost:9092", rate=1_000, seconds=2.0, evses=7, begin=BEGIN)


def test_a_load_is_due_evenly_and_changes_a_connector_each_time() -> None:
    """Open-loop: when an event is due does not depend on anything that happens."""
    said: dict[tuple[str, str], str] = {}
    for number, each in enumerate(LOAD.entries()):
        event = orjson.loads(each.value)
        connector = event["evse_uid"], event["connector_uid"]
        assert micros_of_text(event["occurred_at"]) == BEGIN + number * 1_000
        assert said.get(connector) != event["status"]
        said[connector] = event["status"]
    assert sum(len(times) for times in LOAD.due_times().values()) == LOAD.events == 2_000


def test_a_snapshot_holds_what_was_due_before_it() -> None:
    """All events of the EVSE up to `as_of` came, each so late as it came; the warm-up is not counted."""
    awaited = Awaited(LOAD, counted_from=BEGIN)
    times = LOAD.due_times()[3]

    awaited.came("EVSE-0000003", times[1], at=times[1] + 500)
    awaited.came("EVSE-0000003", times[1], at=times[1] + 900)
    awaited.came("nobody", times[1], at=times[1] + 900)

    assert list(awaited.latencies) == [times[1] + 500 - times[0], 500]
    assert awaited.left == LOAD.events - 2
    assert awaited.give_up(BEGIN + 3 * SECOND) == LOAD.events - 2
    assert len(awaited.latencies) == LOAD.events


def test_percentiles_are_those_of_values_that_occurred() -> None:
    """Of a thousand values the 990th is the 99th percentile."""
    told = percentiles([number * 1_000 for number in range(1, 1_001)])

    assert told == {"p50_ms": 500, "p90_ms": 900, "p99_ms": 990, "p99_9_ms": 999, "max_ms": 1_000}
    assert percentiles([]) == {}
