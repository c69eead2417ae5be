"""Event time decides, never arrival (promise P2): within the lateness no order and no repeat matters."""

from __future__ import annotations

from random import Random

from hypothesis import assume, given

from service.domain.rules import Rules
from tests.oracle.drawn_events import DAY_S, Nastiness
from tests.oracle.strategies import LATENESS_OF_ALL_S, logs
from tests.property.arrivals import SEEDS, is_in_time, rearranged, rearranged_in_time, with_repeats
from tests.property.folding import Json, Log, decoded, folded, ledger, rules, tries, view

FINE = Nastiness(whole_seconds=False, max_events=14)
MOVING = Nastiness(span_s=6 * DAY_S, max_delay_s=2 * 3_600, whole_seconds=False, max_events=14)
MOVING_LATENESS_S = 12 * 3_600
ORDERS = 6


def outcome(log: Log, using: Rules) -> tuple[bytes, bytes]:
    """Fold, and give view and ledger, in which an event is known by its id, not by its place in the log."""
    state, _ = folded(decoded(log), using)
    return view(state, using), ledger(state, causes=["event_id"])


@given(logs(FINE), SEEDS)
@tries(0.6)
def test_any_order_of_arrival_gives_the_same_view_and_ledger(log: list[Json], seed: int) -> None:
    """As long as events of the same time keep their order; the position is the new place in the log."""
    using, dice = rules(LATENESS_OF_ALL_S), Random(seed)
    expected = outcome(log, using)

    for _ in range(ORDERS):
        assert expected == outcome(rearranged(with_repeats(log, dice), dice), using)


@given(logs(FINE), SEEDS)
@tries(0.4)
def test_events_that_keep_their_positions_may_come_in_any_order_at_all(log: list[Json], seed: int) -> None:
    """Then ties are decided as before, and the ledger names the same positions."""
    using, dice = rules(LATENESS_OF_ALL_S), Random(seed)
    events = decoded(log)
    expected, _ = folded(events, using)
    first = {event.event_id: event for event in reversed(events)}
    events = [event for event in events if event.event_id == "heartbeat" or first[event.event_id] is event]

    for _ in range(ORDERS):
        arrived = events + dice.choices(events, k=4)
        dice.shuffle(arrived)
        actual, _ = folded(arrived, using)
        assert view(expected, using) == view(actual, using)
        assert ledger(expected) == ledger(actual)


@given(logs(MOVING), SEEDS)
@tries(0.6)
def test_a_moving_horizon_changes_nothing_while_nothing_is_late(log: list[Json], seed: int) -> None:
    """History is closed at other moments in another order of arrival, and closed the same."""
    using, dice = rules(MOVING_LATENESS_S), Random(seed)
    orders = [rearranged_in_time(with_repeats(log, dice), dice, MOVING_LATENESS_S) for _ in range(ORDERS)]
    in_time = [outcome(order, using) for order in orders if is_in_time(order, MOVING_LATENESS_S)]
    assume(len(in_time) > 1)

    assert all(each == in_time[0] for each in in_time)


@given(logs(FINE), SEEDS)
@tries(0.4)
def test_two_days_are_enough_for_what_arrives_within_two_days(log: list[Json], seed: int) -> None:
    """The default lateness."""
    using, dice = rules(), Random(seed)
    orders: list[Log] = [log]
    orders += [rearranged(with_repeats(log, dice), dice) for _ in range(ORDERS)]
    in_time = [outcome(order, using) for order in orders if is_in_time(order, 172_800)]
    assume(len(in_time) > 1)

    assert all(each == in_time[0] for each in in_time)
