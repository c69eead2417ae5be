"""
Nothing is lost (promise P7): wherever a worker dies or is left without an answer, all ends as if undisturbed.

Each test runs a story twice, once with faults, and compares everything that others can see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.processing.instruments import Part
from service.processing.ports import Unavailable
from tests.builders import Json, event, heartbeat, online_reported, removed, status_reported
from tests.driver import Driver, with_options
from tests.faults import Crash, When

DRIFTING = {"as_of", "last_seen_at", "windows", "reliability", "uptime"}
"""What a last snapshot may differ in: it is as of another time."""

STORY: tuple[Json | bytes, ...] = (
    event("evse.upserted", "11:00", evse={"connectors": [{"uid": "c1"}, {"uid": "c2"}]}),
    status_reported("AVAILABLE", "12:00"),
    status_reported("AVAILABLE", "12:00", uid="e2"),
    status_reported("PREPARING", "12:01"),
    b"garbage",
    status_reported("CHARGING", "12:02"),
    heartbeat("12:03"),
    online_reported(False, "12:10", uid="e2"),
    status_reported("CHARGING", "12:02"),
    status_reported("OUTOFORDER", "11:30", connector="c2"),
    heartbeat("12:30", uid="e2"),
    status_reported("AVAILABLE", "12:40", uid="e3"),
    b"more garbage",
    removed("12:50", uid="e3"),
    status_reported("FINISHING", "12:55"),
    status_reported("OUTOFORDER", "12:45", uid="e3"),
    heartbeat("13:00"),
    status_reported("AVAILABLE", "13:05"),
    event(
        "exclusion.declared",
        "13:06",
        exclusion_id="x",
        reason="vandalism",
        until="2026-01-05T12:20:00Z",
    )
    | {"from": "2026-01-05T12:00:00Z"},
    event("exclusion.withdrawn", "13:07", exclusion_id="x"),
    status_reported("AVAILABLE", "12:20", day=5, uid="e2"),
)
"""Every kind of output: corrections, signs of life, duplicates, dead letters, a removal, days that close."""


@dataclass(frozen=True)
class Fault:
    """A fault at the so-manieth call from the one before; the restart takes batches of another size."""

    call: int
    when: When
    batch: int = 4


def told(batch: int, commit_every_s: float = 0.0) -> Driver:
    """Give a driver before which the story lies, to be read in batches of so many records, each committed."""
    options = with_options(max_batch_records=batch, commit_every_s=commit_every_s)
    driver = Driver(partitions=2, options=options)
    for value in STORY:
        driver.write(value)
    return driver


def steady(value: Any) -> Any:
    """Leave out of a snapshot what drifts with its time."""
    if isinstance(value, dict):
        return {name: steady(each) for name, each in value.items() if name not in DRIFTING}
    return [steady(each) for each in value] if isinstance(value, list) else value


def outcome(driver: Driver) -> Json:
    """Give everything that others can see, repeats taken out."""
    transitions: dict[str, Json] = {}
    for each in driver.transitions():
        assert transitions.setdefault(each["id"], each) == each
    return {
        "view": {
            uid: (kept.position, kept.document, kept.days, kept.outages, kept.exclusions, kept.gaps)
            for uid, kept in driver.store.evses.items()
        },
        "lists": driver.store.lists,
        "snapshots": {uid: steady(value) for uid, value in driver.last_snapshots().items()},
        "transitions": transitions,
        "dead letters": {(each.value, dict(each.headers)["dl_offset"]) for each in driver.dead_letters()},
        "committed": driver.committed(),
        "checkpoints": {
            place: (each.next_offset, each.rejections_in_a_row)
            for place, each in driver.store.checkpoints.items()
        },
        "ledger": driver.ledger(),
    }


def undisturbed(batch: int) -> Driver:
    """Tell the story without faults."""
    driver = told(batch)
    driver.settle()
    return driver


def settle_through_crashes(driver: Driver, faults: list[Fault]) -> int:
    """Process everything, dying at each fault and starting anew; give how many struck."""
    struck = 0
    for fault in faults:
        driver.faults.arm(fault.call, fault.when, Crash())
        try:
            driver.settle()
        except Crash:
            struck += 1
            driver.crash()
            driver.restart(with_options(max_batch_records=fault.batch))
    driver.faults.disarm()
    driver.settle()
    return struck


CALLS = len(undisturbed(4).faults.calls) - 3
"""How many calls the story takes in batches of 4, those of the start left out."""


@pytest.mark.parametrize("when", When)
@pytest.mark.parametrize("call", range(CALLS))
def test_a_crash_at_any_await_changes_nothing(call: int, when: When) -> None:
    """Before, in the midst of and after each call: view, topics and commits end as undisturbed."""
    driver = told(4)

    assert settle_through_crashes(driver, [Fault(call, when)]) == 1
    assert outcome(driver) == outcome(undisturbed(4))


BATCHES = st.integers(1, len(STORY))
FAULTS = st.lists(st.builds(Fault, st.integers(0, 25), st.sampled_from(When), BATCHES), max_size=8)


@settings(max_examples=150)
@given(batch=BATCHES, faults=FAULTS, commit_every_s=st.sampled_from((0.0, 0.1)))
def test_crash_upon_crash_changes_nothing(batch: int, faults: list[Fault], commit_every_s: float) -> None:
    """Dying again while recovering from a death, in batches cut anew each time, not all of them committed."""
    driver = told(batch, commit_every_s)
    settle_through_crashes(driver, faults)

    expected = outcome(undisturbed(len(STORY)))
    assert outcome(driver) == expected


def test_outputs_unwritten_at_two_crashes_are_written_after_the_second() -> None:
    """A batch that begins with a repeat keeps the outputs of the save before beside its own."""
    driver = Driver(options=with_options(max_batch_records=1))
    driver.write(status_reported("AVAILABLE", "12:00"))
    driver.write(status_reported("CHARGING", "12:01"))
    for batch in (2, 3):
        driver.faults.arm_next("publisher.publish", When.BEFORE, Crash())
        with pytest.raises(Crash):
            driver.settle()
        driver.crash()
        driver.restart(with_options(max_batch_records=batch))
    assert driver.transitions() == []
    driver.settle()

    assert [each["to_status"] for each in driver.transitions()] == ["AVAILABLE", "CHARGING"]


@pytest.mark.parametrize("when", When)
@pytest.mark.parametrize("call", range(CALLS))
def test_a_call_without_an_answer_is_made_again(call: int, when: When) -> None:
    """Whether it had acted, half acted or not: the reply alone may be lost."""
    driver = told(4)
    driver.faults.arm(call, when, Unavailable("no answer"))
    driver.settle()

    assert sum(driver.instruments.retries.values()) == 1
    assert outcome(driver) == outcome(undisturbed(4))


def outage_of_store(driver: Driver, *, over: bool) -> None:
    """Begin or end an outage of the store."""
    driver.store.available = over


def outage_of_broker(driver: Driver, *, over: bool) -> None:
    """Begin or end an outage of the broker."""
    driver.broker.available = over


@pytest.mark.parametrize("outage", [outage_of_store, outage_of_broker])
@pytest.mark.parametrize("call", range(0, CALLS, 3))
def test_an_outage_ends_by_itself(call: int, outage: Callable[..., None]) -> None:
    """For minutes nothing answers: nothing is committed meanwhile, then all goes on."""
    driver = told(4)
    committed: list[dict[int, int]] = []

    async def begin() -> None:
        outage(driver, over=False)
        driver.clock.at(driver.clock.monotonic() + 300, end)

    def end() -> None:
        committed.append(driver.committed())
        outage(driver, over=True)

    driver.faults.arm(call, When.BEFORE, begin)
    driver.settle()
    driver.clock.advance(300)
    driver.settle()
    driver.settle()

    assert outcome(driver) == outcome(undisturbed(4))
    assert driver.worker.health.ready(driver.clock.monotonic()).ok


def test_an_outage_shows_in_readiness_and_not_in_liveness() -> None:
    """Partitions are paused, the loop turns, retries are counted; no restart would help."""
    driver = told(4)
    driver.settle()
    reports = []

    def look() -> None:
        health, now = driver.worker.health, driver.clock.monotonic()
        reports.append(
            (health.live(now).ok, health.ready(now).reasons, driver.log._paused == driver.log.assignment())
        )
        driver.store.available = True

    driver.store.available = False
    driver.clock.at(driver.clock.monotonic() + 3600, look)
    driver.pipe(status_reported("CHARGING", "14:00"))

    assert reports == [(True, ("store does not answer: the view does not answer",), True)]
    assert driver.instruments.retries[Part.STORE] > 100
    assert driver.instruments.waiting == set()
    assert driver.view()["status"] == "CHARGING"


def test_a_stop_during_an_outage_leaves_the_batch_uncommitted() -> None:
    """The worker ends at once; whoever comes next reads the records again."""
    driver = told(4)
    driver.crash()
    driver.log, driver.worker = driver.new_worker()

    async def begin() -> None:
        driver.store.available = False
        driver.clock.at(driver.clock.monotonic() + 30, driver.worker.stop)

    driver.faults.arm(7, When.BEFORE, begin)
    driver.run(driver.worker.run())
    committed = driver.committed()
    driver.store.available = True
    driver.restart()
    driver.settle()

    assert committed == {0: 0}
    assert outcome(driver) == outcome(undisturbed(4))


def test_a_worker_waits_for_its_parts_at_the_start() -> None:
    """Redis may come up after the worker."""
    driver = Driver()
    driver.crash()
    driver.store.available = False
    driver.clock.at(driver.clock.monotonic() + 60, lambda: setattr(driver.store, "available", True))
    driver.restart()
    driver.pipe(status_reported("AVAILABLE", "12:00"))

    assert driver.view()["status"] == "AVAILABLE"
    assert driver.instruments.retries[Part.STORE] > 1
