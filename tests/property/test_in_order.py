"""The short way of the fold does what the long one does, event for event."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st

from schemas.vocabulary import Status
from service.domain import in_order
from service.domain.events import (
    Event,
    EvseRemoved,
    HeartbeatReceived,
    InventoryUpserted,
    OnlineReported,
    StatusReported,
)
from service.domain.fold import fold, fold_at_length
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.domain.time import HOUR, MINUTE, SECOND, Micros
from tests.oracle.drawn_events import Nastiness
from tests.oracle.strategies import logs
from tests.property.folding import Json, decoded, rules, tries

MONDAY: Micros = 1_767_571_200 * SECOND
NASTY = Nastiness(whole_seconds=False, reused_ids=True, max_events=16)
CONNECTORS = ("c1", "c2")
STATUSES = (Status.AVAILABLE, Status.CHARGING, Status.OUTOFORDER, Status.PLANNED)

KINDS = ("status", "status", "status", "status", "online", "online", "offline", "heartbeat")
SELDOM = ("inventory", "removal", "silence", "again")

Drawn = tuple[str, str | None, Status, str | None, Micros, Micros]

steps = st.tuples(
    st.sampled_from(KINDS * 4 + SELDOM),
    st.sampled_from((None, *CONNECTORS, *CONNECTORS)),
    st.sampled_from(STATUSES),
    st.sampled_from((None, "GroundFailure")),
    st.sampled_from((0, 1, SECOND, MINUTE, 40 * MINUTE, 7 * HOUR, -SECOND, -HOUR)),  # after the one before
    st.sampled_from((0, 0, 0, 1, 2 * SECOND, -2 * SECOND, 3 * HOUR)),  # from then to the receipt
)
"""Of a charger that is well most of the time: what it says comes in order, with a few things in between."""


def told(drawn: Iterable[Drawn]) -> Iterator[Event]:
    """Make the events of a drawn day."""
    at = MONDAY
    for number, (kind, connector_uid, status, error, later, delay) in enumerate(drawn):
        at = max(MONDAY, at + later)
        event_id = "again" if kind == "again" else f"e-{number}"
        common = (event_id, "evse-1", number, at, at + delay)
        if kind in {"status", "again"}:
            yield StatusReported(*common, False, None, connector_uid or "c1", status, None, error)
        elif kind in {"online", "offline"}:
            yield OnlineReported(*common, False, "gateway", connector_uid, kind == "online")
        elif kind == "silence":
            yield OnlineReported(*common, False, None, None, False, "silence", True, at - MINUTE)
        elif kind == "inventory":
            connectors = {"c1": {"power_type": status.value}}
            yield InventoryUpserted(*common, evse={}, connectors=connectors, statuses={})
        elif kind == "removal":
            yield EvseRemoved(*common)
        else:
            yield HeartbeatReceived(*common, heartbeat_interval_s=300)


def assert_both_ways_are_one(events: Iterable[Event], using: Rules) -> None:
    """Fold both ways, and compare verdicts and states after every event."""
    short, long = EvseState("evse-1"), EvseState("evse-1")
    for event in events:
        assert fold(short, event, using) == fold_at_length(long, event, using)
        assert short == long
        assert list(short.ids.items()) == list(long.ids.items())  # their order is that of packing


@given(
    st.lists(steps, min_size=2, max_size=30), st.sampled_from((HOUR, 48 * HOUR)), st.sampled_from((3, 4096))
)
@tries(0.4)
def test_both_ways_are_one_for_a_charger_that_is_well_most_of_the_time(
    drawn: list[tuple[str, str | None, Status, str | None, Micros, Micros]], lateness: Micros, limit: int
) -> None:
    """Closing by the hour and by the limit included."""
    assert_both_ways_are_one(told(drawn), Rules(allowed_lateness=lateness, recent_limit=limit))


@given(logs(NASTY), st.sampled_from((3_600, 43_200, 172_800)))
@tries(0.2)
def test_both_ways_are_one_for_anything_that_comes(log: list[Json], lateness_s: int) -> None:
    """Late, out of order, twice, removed and declared."""
    assert_both_ways_are_one(decoded(log), rules(lateness_s))


def test_the_short_way_is_taken_by_what_comes_in_order_and_changes_nothing_else() -> None:
    """It would be of no use if it were never taken."""
    using, state = Rules(), EvseState("evse-1")
    first = StatusReported("e-1", "evse-1", 1, MONDAY, MONDAY, connector_uid="c1", status=Status.AVAILABLE)
    link = OnlineReported("e-2", "evse-1", 2, MONDAY + 1, MONDAY + 1, online=True)
    assert in_order.take(state, first, using) is None
    fold(state, first, using)
    assert in_order.take(state, link, using) is None
    fold(state, link, using)
    for number, status in enumerate((Status.CHARGING, Status.CHARGING, Status.OUTOFORDER), 3):
        at = MONDAY + number * MINUTE
        report = StatusReported(f"e-{number}", "evse-1", number, at, at, connector_uid="c1", status=status)
        assert in_order.take(state, report, using) is not None
    again = OnlineReported("e-9", "evse-1", 9, MONDAY + HOUR, MONDAY + HOUR, online=True)
    assert in_order.take(state, again, using) is not None
    beat = HeartbeatReceived("e-8", "evse-1", 11, MONDAY + HOUR, MONDAY + HOUR, heartbeat_interval_s=300)
    assert in_order.take(state, beat, using) is not None
    gone = OnlineReported("e-11", "evse-1", 12, MONDAY + 2 * HOUR, MONDAY + 2 * HOUR, online=False)
    assert in_order.take(state, gone, using) is not None
    went = state.tip.is_offline
    back = StatusReported(
        "e-12",
        "evse-1",
        13,
        MONDAY + 3 * HOUR,
        MONDAY + 3 * HOUR,
        connector_uid="c1",
        status=Status.AVAILABLE,
    )
    assert in_order.take(state, back, using) is not None
    assert (went, state.tip.is_offline) == (True, False)
    before = deepcopy(state)
    late = StatusReported(
        "e-10", "evse-1", 10, MONDAY, MONDAY + HOUR, connector_uid="c1", status=Status.PLANNED
    )
    assert in_order.take(state, late, using) is None
    assert state == before
