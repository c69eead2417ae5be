"""All tracks of an EVSE in step, heartbeats by the minute, and the port beside them."""

from __future__ import annotations

from schemas.vocabulary import TimeClass
from service.domain.time import DAY, HOUR, MINUTE
from service.domain.timeline import HEARTBEAT_POSITION, Item, ItemKind, Minutes, PortTrack, Timeline, order_of
from tests.unit.domain.told import MONDAY, Evse

DAY_ONE = MONDAY // DAY


def test_minutes_are_kept_sorted_and_once() -> None:
    """Whatever the order they come in."""
    minutes = Minutes()
    new = [minutes.add(minute) for minute in (3, 1, 2, 3, 1, 5)]

    assert minutes.starts == [1, 2, 3, 5]
    assert new == [True, True, True, False, False, True]


def test_the_first_minute_after_a_time_starts_after_it() -> None:
    """Not at it; None where there is none."""
    minutes = Minutes([10, 20])

    assert [minutes.first_after(time) for time in (9, 10, 19, 20)] == [10, 20, 20, None]


def test_a_minute_lies_between_two_times_strictly() -> None:
    """At neither of them."""
    minutes = Minutes([10])

    assert minutes.any_between(9, 11)
    assert not minutes.any_between(10, 11)
    assert not minutes.any_between(9, 10)
    assert not minutes.any_between(10, 99)


def test_minutes_before_a_time_are_dropped() -> None:
    """And the newest of them is told."""
    minutes = Minutes([10, 20, 30])

    assert minutes.forget_before(10) is None
    assert minutes.forget_before(30) == 20
    assert minutes.starts == [30]


def test_items_are_ordered_by_time_then_position_then_kind() -> None:
    """A report's effect before its own sign of life; a heartbeat before all of its instant."""
    effect = Item(10, 1, ItemKind.STATUS, "a")
    sign = Item(10, 1, ItemKind.SIGN, "a")
    later = Item(10, 2, ItemKind.ONLINE, "b")

    assert sorted([later, sign, effect], key=order_of) == [effect, sign, later]
    assert effect.key > (10, HEARTBEAT_POSITION)


def test_the_two_newest_times_of_signs_are_known() -> None:
    """Of different times, in any order of seeing them."""
    timeline = Timeline()
    for time in (10, 30, 30, 20, 5):
        timeline.see(time)

    assert (timeline.last_sign, timeline.sign_before) == (30, 20)


def test_the_ports_day_is_poured_by_class() -> None:
    """Unobserved is what is left of it."""
    port = PortTrack()
    port.become(MONDAY, TimeClass.UP)
    port.become(MONDAY + HOUR, TimeClass.UP)
    port.become(MONDAY + 2 * HOUR, TimeClass.UNOBSERVED)
    port.become(MONDAY + 3 * HOUR, TimeClass.DOWN)
    port.pour(MONDAY + DAY + HOUR)
    port.pour(MONDAY)

    assert port.days == {
        DAY_ONE: {TimeClass.UP: 2 * HOUR, TimeClass.DOWN: 21 * HOUR},
        DAY_ONE + 1: {TimeClass.DOWN: HOUR},
    }
    assert port.copy() == port


def test_heartbeats_take_their_effect_before_what_comes_after_them() -> None:
    """In a refold, too: each offline span is ended by the first minute after it."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    for minute in ("10:30", "11:30", "12:30"):
        evse.heartbeat(minute)
    evse.online(False, "12:00")
    evse.online(False, "11:00")
    evse.online(False, "10:00", connector_uid="c1")

    assert evse.window("09:00", "13:00") == (9_000, 5_400, 0, 0)
    assert evse.since()[1] == "12:30:00Z"


def test_copies_share_nothing_that_changes() -> None:
    """A copy folded on leaves the original as it was."""
    evse = Evse()
    evse.statuses("09:00 AVAILABLE, 10:00 OUTOFORDER")
    twin = evse.state.tip.copy()
    assert twin == evse.state.tip

    sign = Item(MONDAY + 11 * HOUR, 9, ItemKind.ONLINE, "x", None, evse.state.recent[0].body)
    twin.pour(sign.time)
    twin.see(sign.time + MINUTE)

    assert twin != evse.state.tip
    assert evse.window("09:00", "11:00") == (3_600, 3_600, 0, 0)
