"""What a fleet needs: by hand, and the way it grows."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from service.sizing import constants as measured
from service.sizing.needs import Fleet, partitions_for, redis_bytes, size, state_bytes
from tests.benchmarks.results import FOLDER
from tests.readme import DESIGN, with_sizing

BARE = Fleet(
    evses=86_400,
    connectors=2,
    events_a_day=10,
    flaps=0,
    heartbeat_s=0,
    history_days=0,
    replication=1,
    peak=1,
    headroom=0,
)
"""Ten records a second, without history."""


def test_the_load_is_records_by_the_second() -> None:
    """A heartbeat every 5 minutes is 288 a day; the peak is a multiple of the mean."""
    beating = replace(BARE, heartbeat_s=300, peak=4)

    assert size(BARE).amount("log", "records, mean") == 10
    assert size(beating).amount("log", "records, mean") == 298
    assert size(beating).amount("log", "records, busiest hour") == 1_192


def test_a_core_is_what_records_and_ticks_take() -> None:
    """Ten records a second and 24 ticks of each EVSE a day: 34 times a second what one record takes."""
    cores = size(BARE).amount("workers", "CPU, busiest hour")

    assert cores == pytest.approx(34 * measured.CPU.value / 1e6)
    compiled = size(replace(BARE, compiled=True)).amount("workers", "CPU, busiest hour")
    assert compiled / cores == pytest.approx(measured.WAITING_COMPILED.value / measured.WAITING.value)


def test_headroom_is_a_share_that_stays_free() -> None:
    """What is three quarters of the cores needs four thirds of them."""
    large = replace(BARE, evses=86_400 * 80)
    full = size(large).amount("workers", "CPU, busiest hour")

    assert full == pytest.approx(1.204, abs=0.001)
    assert size(large).amount("workers", "workers") == 2
    assert size(replace(large, headroom=0.5)).amount("workers", "workers") == 3


@pytest.mark.parametrize(
    ("workers", "evses", "partitions"),
    [
        (1, 1, 2),
        (2, 100, 4),
        (3, 100, 8),
        (1, 20_000, 2),
        (1, 60_001, 4),
        (1, 80_001, 8),
        (38, 5_000_000, 256),
    ],
)
def test_partitions_let_workers_double_and_hold_few_evses(workers: int, evses: int, partitions: int) -> None:
    """A power of two, two a worker at least, and no more than 20 000 EVSEs in each."""
    assert partitions_for(workers, evses) == partitions


def test_redis_holds_an_evse_its_newest_reports_and_its_history() -> None:
    """By hand: an EVSE with two connectors, 20 reports of two days, 100 days and 50 offline spans."""
    fleet = replace(BARE, flaps=0.5, history_days=100)
    by_hand = (
        measured.REDIS_EVSE.value
        + 2 * measured.REDIS_EVSE.connector
        + 20 * measured.REDIS_STATUS.value
        + 100 * (measured.REDIS_DAY.value + 2 * measured.REDIS_DAY.connector)
        + 50 * (measured.REDIS_FLAP.value + 2 * measured.REDIS_FLAP.connector)
    )

    assert redis_bytes(fleet) == pytest.approx(by_hand)
    assert size(fleet).amount("Redis", "memory, primaries") == pytest.approx(86_400 * by_hand)


def test_the_input_is_kept_as_long_as_its_retention_in_each_replica() -> None:
    """86 400 EVSEs, 8 statuses and 2 words about the link a day, five days, three replicas."""
    fleet = replace(BARE, flaps=1, retention_days=5, replication=3)
    a_day = 86_400 * (8 * measured.INPUT_STATUS.value + 2 * measured.INPUT_LINK.value)

    assert size(fleet).amount("Kafka", "disk, input") == pytest.approx(a_day * 5 * 3)
    assert size(fleet).amount("Kafka", "input written, busiest hour") == pytest.approx(a_day / 86_400)


def test_a_compacted_topic_has_twice_what_it_keeps_and_its_newest_segments() -> None:
    """34 snapshots of an EVSE a day for a week are more than one segment of 1 GiB in each of 8 partitions."""
    kept = 86_400 * (measured.SNAPSHOT.value + 2 * measured.SNAPSHOT.connector)

    assert size(BARE).amount("workers", "partitions") == 8
    assert size(BARE).amount("Kafka", "disk, snapshots") == pytest.approx(2 * kept + 8 * 2**30)
    one = replace(BARE, evses=1)
    snapshot = kept / 86_400
    assert size(one).amount("Kafka", "disk, snapshots") == pytest.approx(2 * snapshot + 34 * 7 * snapshot)


def test_who_is_seldom_heard_takes_little_of_a_worker() -> None:
    """Without heartbeats and with twelve words a day a quarter of all is heard within half an hour."""
    rare, often = replace(BARE, events_a_day=12), replace(BARE, events_a_day=48)

    held = [size(each).amount("workers", "memory, all") for each in (rare, often)]

    assert held[0] < held[1] / 2
    assert held[0] > 86_400 * measured.IDLE.value


def test_states_are_as_resident_as_in_the_reference_job() -> None:
    """There a worker holds 10 000 states with 90 reports and ten heartbeats each, all of 28 hours."""
    result = json.loads((FOLDER / measured.WORKER.source.result).read_text(encoding="utf-8"))
    memory = {row["what"]: row["memory_mb"] * 2**20 for row in result["medians"]}
    # Kept for two days in the arithmetic: a fleet of half as many a day holds as many.
    fleet = replace(BARE, events_a_day=45, heartbeat_s=86_400 / 5)

    measured_here = (memory["worker"] - memory["consume"]) / result["size"]["evses"]
    assert state_bytes(fleet) == pytest.approx(measured_here, rel=0.1)


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("evses", 1_000_000),
        ("connectors", 4),
        ("events_a_day", 80.0),
        ("flaps", 3.0),
        ("heartbeat_s", 60.0),
        ("history_days", 400),
        ("retention_days", 14.0),
        ("replication", 5),
        ("peak", 8.0),
        ("headroom", 0.5),
    ],
)
def test_more_of_anything_needs_no_less_of_anything(field: str, more: Any) -> None:
    """Line by line; and it needs more of something."""
    fleet = Fleet(evses=200_000, history_days=30)
    before = size(fleet).needs
    after = size(replace(fleet, **{field: more})).needs

    ratios = [new.amount / old.amount for old, new in zip(before, after, strict=True)]
    # A word about the link is a little shorter than the status that it takes the place of.
    assert min(ratios) >= (0.85 if field == "flaps" else 1)
    assert max(ratios) > 1


def test_larger_shards_are_fewer() -> None:
    """The one thing of which more needs less."""
    fleet = Fleet(evses=1_000_000)

    shards = [size(replace(fleet, shard_gb=gb)).amount("Redis", "shards") for gb in (16, 32, 64)]

    assert shards == sorted(shards, reverse=True)
    assert shards[0] > shards[2]


def test_every_figure_that_is_measured_names_its_run() -> None:
    """No amount of bytes or cores comes without a constant; partitions and lists are counted."""
    without = {need.what for need in size(Fleet(evses=1)).needs if not need.constants}

    assert without == {
        "records, mean",
        "records, busiest hour",
        "partitions",
        "writes to the lists, one shard",
    }


def test_the_table_of_the_design_is_that_of_the_command() -> None:
    """Ten million connectors: `python -m tests.readme` writes it."""
    text = DESIGN.read_text(encoding="utf-8")

    assert with_sizing(text) == text
