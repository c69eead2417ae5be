"""What a save writes of a state: all of it once an hour, and what was added since in between."""

from __future__ import annotations

import zlib
from base64 import b64decode
from datetime import timedelta

import orjson
import pytest

from service.adapters.memory_view import MemoryEvse
from service.processing.storing import pack_state, restore, whole_of
from service.processing.values import StoredEvse
from tests.builders import Json, event, heartbeat, status_reported
from tests.driver import Driver, with_options

SINCE_LONG: Json = {"from": "2026-01-01T00:00:00Z"}
DAY = [f"{hour:02}:{minute:02}" for hour in range(24) for minute in range(0, 60, 5)]


def kept(driver: Driver) -> MemoryEvse:
    """Give what the view holds of the one EVSE."""
    return driver.store.evses["e1"]


def stored(driver: Driver) -> StoredEvse:
    """Give what a worker that comes later would read of it."""
    return driver.run(driver.store.load(["e1"]))["e1"]


def held(driver: Driver) -> bytes:
    """Give all of the state that the worker holds, packed."""
    mine = driver.worker._states.peek("e1")
    assert mine is not None
    return pack_state(mine.state)


def a_day_of(driver: Driver) -> None:
    """Let it be heard for a day, record by record."""
    driver.pipe(status_reported("AVAILABLE", "00:00"))
    for at in DAY:
        driver.pipe(heartbeat(at))


def test_a_heartbeat_writes_a_tenth_of_the_state() -> None:
    """What is written at each save hangs on an hour, and not on the lateness."""
    driver = Driver()
    a_day_of(driver)
    whole = kept(driver).state
    driver.pipe(heartbeat("23:56"), heartbeat("23:57"))

    assert kept(driver).state is whole
    assert len(kept(driver).since) < len(whole) / 10
    assert whole_of(stored(driver)) == held(driver)


@pytest.mark.parametrize(
    "late",
    [
        heartbeat("22:01"),
        status_reported("CHARGING", "21:30"),
        event("evse.upserted", "23:58", evse={"uid": "e1", "connectors": [{"uid": "c1"}]}),
        event("exclusion.declared", "23:58", exclusion_id="x", reason="other", **SINCE_LONG),
    ],
    ids=["a late heartbeat", "a late status", "an inventory", "an exclusion"],
)
def test_what_does_more_than_add_writes_all(late: Json) -> None:
    """In the midst of what is there, or in its place."""
    driver = Driver()
    a_day_of(driver)
    driver.pipe(status_reported("PREPARING", "23:56"))
    whole = kept(driver).state
    driver.pipe(late)

    assert kept(driver).state is not whole
    assert kept(driver).since == b""
    assert whole_of(stored(driver)) == held(driver) == kept(driver).state


def test_all_is_written_when_the_horizon_has_moved_by_an_hour() -> None:
    """Then the first of what is there go into the base."""
    driver = Driver()
    wholes = []
    driver.pipe(status_reported("AVAILABLE", "00:00"))
    for at in DAY:
        driver.pipe(heartbeat(at))
        wholes.append(kept(driver).whole_at)

    assert len(set(wholes)) < len(DAY) / 4


def test_events_without_number_in_one_hour_are_written_many_times_less_often_as_a_whole() -> None:
    """To write what was added since costs the more the longer nothing else is: so a whole comes by then."""
    driver = Driver()
    wholes, longest = set(), 0
    for second in range(900):
        at = f"12:{second // 60:02}:{second % 60:02}"
        driver.pipe(status_reported(("AVAILABLE", "PREPARING")[second % 2], at))
        wholes.add(kept(driver).whole_at)
        longest = max(longest, len(kept(driver).since))

    assert len(wholes) < 900 / 12
    assert longest < len(kept(driver).state) / 5


def test_a_worker_that_comes_later_goes_on_from_both() -> None:
    """And adds to the whole that it found."""
    driver = Driver()
    a_day_of(driver)
    driver.pipe(status_reported("PREPARING", "23:56"))
    whole = kept(driver).state
    driver.stop()
    driver.restart()
    driver.pipe(status_reported("CHARGING", "23:57"))

    assert kept(driver).state is whole
    assert whole_of(stored(driver)) == held(driver)
    assert driver.view()["connectors"][0]["status_since"] == "2026-01-05T23:57:00Z"


def test_where_somebody_else_wrote_all_meanwhile_the_state_is_read_again() -> None:
    """As another worker does that has the same partition for a moment."""
    driver = Driver()
    a_day_of(driver)
    mine = kept(driver)
    mine.whole_at = mine.position
    mine.state, mine.since = held(driver), b""
    driver.pipe(status_reported("CHARGING", "23:57"))

    assert whole_of(stored(driver)) == held(driver)
    assert mine.whole_at is not None
    assert driver.view()["status"] == "CHARGING"


def test_a_state_of_the_version_before_is_read_and_written_anew() -> None:
    """Nobody has to rebuild a view for it."""
    driver = Driver()
    a_day_of(driver)
    before = kept(driver)
    before.state = b"[3," + held(driver)[3:]
    before.whole_at, before.since = None, b""
    driver.stop()
    driver.restart()
    driver.pipe(status_reported("CHARGING", "23:57"))

    assert kept(driver).state.startswith(b"[4,")
    assert kept(driver).whole_at == kept(driver).position
    assert driver.view()["status"] == "CHARGING"


def test_a_base_is_one_that_the_version_before_reads() -> None:
    """Whoever goes back to it can rebuild the view; in that, as in any, more may be added to the state."""
    driver = Driver()
    a_day_of(driver)
    driver.advance(timedelta(days=1))
    driver.advance(timedelta(seconds=10))
    [base] = [each for each in driver.written("evse.ledger") if (each.key or b"").startswith(b'["base"')]
    written = zlib.decompress(b64decode(orjson.loads(base.value or b"")["state"]))

    assert written == b"[3," + whole_of(stored(driver))[3:]
    driver.crash()
    driver.server.go_back()
    driver.restart()
    driver.settle()
    assert kept(driver).state == b"[4," + written[3:]


def test_a_refresh_of_the_numbers_leaves_the_whole_as_it_stands() -> None:
    """Also of an EVSE that had to be loaded for it."""
    driver = Driver(options=with_options(tick_interval_s=3_600.0))
    a_day_of(driver)
    driver.pipe(heartbeat("23:56"))
    whole, as_of = kept(driver).state, kept(driver).position.as_of_us
    driver.advance(timedelta(hours=3))

    assert kept(driver).position.as_of_us > as_of
    assert kept(driver).state is whole
    assert pack_state(restore(stored(driver))) == whole_of(stored(driver))
