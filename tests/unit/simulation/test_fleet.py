"""What the fleet promises whatever it simulates: order, determinism, shapes, bounds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import EVENT
from service.simulation.fleet import Fleet
from service.simulation.timestamps import micros_of, moment_of, rfc3339
from tests.unit.simulation.month import EVSES, MONTH_END, START, Month

DAYS_2 = START + timedelta(days=2)


def arrivals(*, seed: int = 1, evses: int = 12, until: datetime = DAYS_2) -> list[tuple[datetime, Any]]:
    """Generate a small fleet's events up to a time."""
    return list(Fleet(seed, evses, START).until(until))


def test_the_same_seed_gives_the_same_events() -> None:
    """Inventory and history are functions of seed, size and start."""
    assert arrivals() == arrivals()
    assert list(Fleet(1, 12, START).inventory()) == list(Fleet(1, 12, START).inventory())
    assert arrivals() != arrivals(seed=2)


def test_a_charger_keeps_its_fate_in_a_larger_fleet() -> None:
    """What happens to the first chargers does not hang on how many others there are."""
    first = next(Fleet(1, 12, START).inventory())["evse_uid"]
    small = [event for _, event in arrivals() if event["evse_uid"] == first]
    large = [event for _, event in arrivals(evses=40) if event["evse_uid"] == first]
    assert small == large


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(min_value=0, max_value=48 * 3600), max_size=6))
def test_any_cut_into_calls_gives_the_same_events(cuts: list[int]) -> None:
    """A live demonstration asks every second, a test once: both see the same fleet."""
    fleet = Fleet(1, 6, START)
    seen: list[tuple[datetime, Any]] = []
    for cut in sorted(cuts):
        seen += fleet.until(START + timedelta(seconds=cut))
    seen += fleet.until(DAYS_2)
    assert seen == arrivals(evses=6)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(min_value=0, max_value=40), max_size=6))
def test_an_iteration_left_early_goes_on_in_the_next_call(sizes: list[int]) -> None:
    """Nothing is lost where a reader stops in the midst, even between two events of one moment."""
    fleet = Fleet(1, 6, START)
    seen: list[tuple[datetime, Any]] = []
    for size in sizes:
        seen += islice(fleet.until(DAYS_2), size)
    seen += fleet.until(DAYS_2)
    assert seen == arrivals(evses=6)


def test_events_come_in_order_of_arrival_and_say_when(month: Month) -> None:
    """The time beside an event is its `received_at`, and it never goes back."""
    times = [arrival for arrival, _ in month.arrivals]
    assert all(earlier <= later for earlier, later in pairwise(times))
    assert all(rfc3339(micros_of(arrival)) == event["received_at"] for arrival, event in month.arrivals)
    assert times[0] >= START
    assert times[-1] <= MONTH_END


def test_event_ids_are_unique_in_an_evse(month: Month) -> None:
    """A status sent again is another report, so it has an id of its own; the inventory counts too."""
    ids = [(event["evse_uid"], event["event_id"]) for event in [*month.inventory, *month.events]]
    assert len(ids) == len(set(ids))


def test_every_event_is_one_of_the_published_union(month: Month) -> None:
    """Each passes the models of the input log."""
    for event in [*month.inventory, *month.events]:
        validated = EVENT.validate_python(event)
        assert validated.received_at is not None
        assert validated.evse_uid == event["evse_uid"]


def test_the_inventory_has_every_evse_once_with_its_connectors(month: Month) -> None:
    """Names, places to six decimals, plugs of several standards, tariffs; one to three connectors."""
    evses = [event["evse"] for event in month.inventory]
    assert len({evse["uid"] for evse in evses}) == EVSES
    assert len({evse["evse_id"] for evse in evses}) == EVSES
    connectors = [connector for evse in evses for connector in evse["connectors"]]
    assert len({connector["uid"] for connector in connectors}) == len(connectors)
    assert {len(evse["connectors"]) for evse in evses} == {1, 2, 3}
    assert {"IEC_62196_T2", "IEC_62196_T2_COMBO", "CHADEMO"} == {c["standard"] for c in connectors}
    assert {"DC", "AC_3_PHASE", "AC_1_PHASE"} == {connector["power_type"] for connector in connectors}
    assert all(connector["tariff_uids"] for connector in connectors)
    assert all(evse["capabilities"] for evse in evses)
    for evse in evses:
        assert all(re.fullmatch(r"\d+\.\d{6}", text) for text in evse["coordinates"].values())


def test_the_inventory_given_out_is_a_copy() -> None:
    """Who changes an event that was given does not change the fleet."""
    fleet = Fleet(1, 2, START)
    next(fleet.inventory())["evse"]["connectors"].clear()
    assert next(fleet.inventory())["evse"]["connectors"]


def test_names_of_sites_do_not_run_out() -> None:
    """A thousand EVSEs have a thousand uids."""
    assert len({event["evse_uid"] for event in Fleet(1, 1500, START).inventory()}) == 1500


def test_the_past_is_written_with_some_twenty_events_a_day(month: Month) -> None:
    """A month of a few hundred chargers has to fit an embedded broker's pace."""
    assert 15 <= len(month.arrivals) / EVSES / 30 <= 40


def test_the_past_goes_over_into_the_present_without_a_seam() -> None:
    """`history` and then `until` is one run."""
    live_from = START + timedelta(days=1)
    fleet = Fleet(1, 12, START, live_from)
    parts = [*fleet.history(), *fleet.until(DAYS_2)]
    assert parts == list(Fleet(1, 12, START, live_from).history(DAYS_2))
    assert list(fleet.until(DAYS_2)) == []


def test_what_waits_does_not_grow_with_time() -> None:
    """A fleet holds its agendas and nothing it has already given."""
    fleet = Fleet(1, 20, START)
    sizes = []
    for days in (10, 20, 40, 80):
        for _ in fleet.until(START + timedelta(days=days)):
            pass
        sizes.append(sum(len(charger._agenda) for _, _, charger in fleet._heap))
    assert max(sizes) < 20 * 40
    assert not fleet._pending


def test_a_fleet_has_at_least_one_evse() -> None:
    """The error says what is wrong with the argument."""
    with pytest.raises(ValueError, match="at least one"):
        Fleet(1, 0, START)
    assert len(list(Fleet(1, 1, START).until(DAYS_2))) > 0


def test_history_without_an_end_is_refused() -> None:
    """A fleet that was not told when it is live cannot know where its past ends."""
    with pytest.raises(ValueError, match="until when"):
        list(Fleet(1, 1, START).history())


@given(st.integers(min_value=-62_135_596_800_000, max_value=253_402_300_799_999))
def test_times_are_written_as_datetime_would(milliseconds: int) -> None:
    """The quick writing of times agrees with the standard library over the whole calendar."""
    text = rfc3339(milliseconds * 1000)
    assert text.endswith("Z")
    assert datetime.fromisoformat(text).astimezone(UTC) == moment_of(milliseconds * 1000)
