"""The fleet in numbers: who is counted, when, and what becomes of it when partitions go."""

from __future__ import annotations

from datetime import timedelta

import pytest

from schemas.vocabulary import Status, TimeClass
from service.domain.time import DAY, MINUTE
from service.processing.fleet import Round, Share, band_of
from service.processing.instruments import Online, UptimeBand
from tests.builders import online_reported, removed, status_reported
from tests.driver import Driver, with_options

HALF_A_MINUTE = timedelta(seconds=30)
A_WHILE = timedelta(minutes=15)


def let_pass(driver: Driver, span: timedelta) -> None:
    """Let time pass, and the loop turn often enough for a round over all partitions."""
    driver.advance(span)
    for _ in driver.log.assignment():
        driver.settle()


def test_evses_are_counted_by_status_and_online() -> None:
    """By the status of the whole EVSE, as the lists have it, though nothing more is said of them."""
    driver = Driver(partitions=4)
    driver.pipe(*(status_reported("AVAILABLE", "12:00", f"free-{n}") for n in range(3)))
    driver.pipe(status_reported("OUTOFORDER", "12:00", "broken"), online_reported(True, "12:01", "broken"))
    driver.pipe(status_reported("AVAILABLE", "12:00", "away"), online_reported(False, "12:01", "away"))
    driver.pipe(status_reported("AVAILABLE", "12:00", "gone"), removed("12:01", "gone"))

    let_pass(driver, HALF_A_MINUTE)

    assert {pair: count for pair, count in driver.instruments.standings.items() if count} == {
        (Status.AVAILABLE, Online.NULL): 3,
        (Status.OUTOFORDER, Online.TRUE): 1,
        (Status.UNKNOWN, Online.FALSE): 1,
        (Status.REMOVED, Online.NULL): 1,
    }


def test_windows_add_up_over_the_fleet() -> None:
    """Each EVSE as a port in one band, and all of their windows together; one that was removed is in none."""
    driver = Driver()
    driver.pipe(
        status_reported("AVAILABLE", "00:00", "up"),
        status_reported("OUTOFORDER", "00:00", "down"),
        removed("00:00", "gone"),
    )

    let_pass(driver, A_WHILE)

    counted, micros = driver.instruments.uptimes, driver.instruments.window_micros
    assert {band: count for (_, band), count in counted.items() if count} == {
        UptimeBand.FROM_99_9: 1,
        UptimeBand.BELOW_90: 1,
    }
    day_and_more = DAY + 15 * MINUTE
    assert micros["observed", TimeClass.UP] == micros["observed", TimeClass.DOWN] == day_and_more
    assert sum(micros.values()) == 2 * (30 * DAY + 15 * MINUTE)


def test_a_partition_that_went_is_counted_no_longer() -> None:
    """Its new owner counts it: the sum over the workers stays."""
    driver = Driver(partitions=2)
    here, there = "e1", "e4"
    assert driver.partition_of(here.encode()) != driver.partition_of(there.encode())
    driver.pipe(status_reported("AVAILABLE", "00:00", here), status_reported("AVAILABLE", "00:00", there))
    let_pass(driver, A_WHILE)
    assert sum(driver.instruments.standings.values()) == sum(driver.instruments.uptimes.values()) == 2

    chores = driver.worker._chores
    chores.drop(driver.partition_of(here.encode()))

    assert sum(driver.instruments.standings.values()) == sum(driver.instruments.uptimes.values()) == 1


def test_events_alone_count_nobody() -> None:
    """The numbers cost a batch nothing: between two rounds the store is not asked."""
    driver = Driver()
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    asked = driver.faults.calls.count("store.standings")

    driver.pipe(*(status_reported("CHARGING", "12:01", f"e{n}") for n in range(50)))

    assert driver.faults.calls.count("store.standings") == asked


def test_a_view_that_does_not_answer_costs_a_round_and_no_more() -> None:
    """Nobody waits for these numbers: the next round counts."""
    driver = Driver()
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    driver.store.available = False
    driver.clock.advance(30)
    driver.run(driver.worker._chores._fleet.count())
    driver.store.available = True

    let_pass(driver, HALF_A_MINUTE)

    assert driver.instruments.standings == {(Status.AVAILABLE, Online.NULL): 1}


@pytest.mark.parametrize("switched_off", ["standings_interval_s", "windows_interval_s"])
def test_zero_is_never(switched_off: str) -> None:
    """An interval of 0 switches a count off."""
    driver = Driver(options=with_options(**{switched_off: 0.0}))
    driver.pipe(status_reported("AVAILABLE", "12:00"))
    let_pass(driver, A_WHILE)

    told = driver.instruments
    assert (told.standings == {}, told.uptimes == {}) == (
        switched_off == "standings_interval_s",
        switched_off == "windows_interval_s",
    )


def test_a_round_goes_over_all_partitions_in_shares() -> None:
    """Each EVSE once, the ends of a partition marked; nothing more before the next interval."""
    uids = {0: ["a", "b", "c"], 1: [], 2: ["d"]}
    each = Round(first_at=10, interval_s=30, share=2)

    shares = [each.due(now, uids.keys, uids.__getitem__) for now in (9, 10, 11, 12, 13, 14, 39)]

    assert shares == [
        None,
        Share(0, ["a", "b"], begins=True, ends=False),
        Share(0, ["c"], begins=False, ends=True),
        Share(1, [], begins=True, ends=True),
        Share(2, ["d"], begins=True, ends=True),
        None,
        None,
    ]
    assert each.due(40, uids.keys, uids.__getitem__) == shares[1]


def test_a_round_leaves_out_what_went() -> None:
    """The partition in hand and one that waits."""
    uids = {number: [f"{number}a", f"{number}b"] for number in range(3)}
    each = Round(first_at=0, interval_s=30, share=1)
    each.due(0, uids.keys, uids.__getitem__)

    each.drop(0)
    each.drop(1)

    assert each.due(1, uids.keys, uids.__getitem__) == Share(2, ["2a"], begins=True, ends=False)


@pytest.mark.parametrize(
    ("uptime", "band"),
    [
        (None, "none"),
        (0.0, "below_90"),
        (0.9, "from_90"),
        (0.97, "from_97"),
        (0.9899, "from_97"),
        (0.999, "from_99_9"),
        (1.0, "from_99_9"),
    ],
)
def test_a_band_begins_with_its_lower_bound(uptime: float | None, band: str) -> None:
    """97 % is enough for 97 %."""
    assert band_of(uptime) == band
