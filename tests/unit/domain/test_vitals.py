"""What the watch over silence is told of an EVSE (promise P5)."""

from __future__ import annotations

import pytest

from service.domain.time import HOUR
from service.domain.vitals import Vitals, pack_vitals, unpack_vitals, vitals
from tests.unit.domain.told import MONDAY, Evse, when


def test_nothing_is_known_of_a_new_evse() -> None:
    """And nobody watches it."""
    assert vitals(Evse().state) == Vitals(None, None, None, watched=False)


def test_the_source_is_that_of_the_newest_sign_of_life() -> None:
    """Whatever arrives last; one that names no source leaves none."""
    evse = Evse()
    evse.status("AVAILABLE", "10:00", source="new")
    evse.heartbeat("09:00", source="old")
    named = vitals(evse.state).source
    evse.heartbeat("10:05")

    assert (named, vitals(evse.state).source) == ("new", None)


@pytest.mark.parametrize(("position", "source"), [(1, "first"), (9, "second")])
def test_of_two_signs_of_one_instant_the_later_position_names_the_source(position: int, source: str) -> None:
    """Not the later arrival."""
    evse = Evse()
    evse.heartbeat("10:00", source="first", position=5)
    evse.heartbeat("10:00", source="second", position=position)

    assert vitals(evse.state).source == source


def test_the_newest_heartbeat_tells_the_interval() -> None:
    """An older one that arrives later changes nothing, nor does one that tells none."""
    evse = Evse()
    evse.heartbeat("10:05", heartbeat_interval_s=300)
    evse.heartbeat("10:00", heartbeat_interval_s=60)
    evse.heartbeat("10:10")

    assert vitals(evse.state).heartbeat_interval_s == 300


@pytest.mark.parametrize(("position", "interval"), [(1, 300), (9, 60)])
def test_of_two_heartbeats_of_one_instant_the_later_position_tells_the_interval(
    position: int, interval: int
) -> None:
    """Ties are decided by the place in the log."""
    evse = Evse()
    evse.heartbeat("10:00", heartbeat_interval_s=300, position=5)
    evse.heartbeat("10:00", heartbeat_interval_s=60, position=position)

    assert vitals(evse.state).heartbeat_interval_s == interval


def test_a_late_event_has_been_said_all_the_same() -> None:
    """It changes no history, but it shows that heartbeats are sent and how often."""
    evse = Evse(allowed_lateness=HOUR)
    evse.status("AVAILABLE", "12:00")
    evse.heartbeat("10:00", heartbeat_interval_s=60)

    assert vitals(evse.state) == Vitals(when("12:00"), 60, None, watched=True)


@pytest.mark.parametrize("value", [True, False])
def test_who_spoke_of_its_link_is_watched(value: bool) -> None:
    """True or false; of one connector or of all."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.status("AVAILABLE", "09:00", connector_uid="c2")
    before = vitals(evse.state).watched
    evse.online(value, "10:00", connector_uid="c1")

    assert (before, vitals(evse.state).watched) == (False, True)


def test_online_null_makes_nobody_watched() -> None:
    """It says that the operator does not support it."""
    evse = Evse()
    evse.online(None, "10:00")

    assert not vitals(evse.state).watched


def test_the_workers_own_word_makes_nobody_watched() -> None:
    """The charger did not say it."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.silence("09:00", "09:15")
    evse.status("AVAILABLE", "10:00")

    assert not vitals(evse.state).watched


def test_what_is_offline_is_not_watched_until_it_is_heard() -> None:
    """There is nothing more to declare."""
    evse = Evse()
    evse.heartbeat("09:00")
    evse.status("AVAILABLE", "09:00")
    evse.silence("09:00", "09:15")
    silent = vitals(evse.state).watched
    evse.heartbeat("10:00")

    assert (silent, vitals(evse.state).watched) == (False, True)


def test_one_connector_that_is_not_offline_is_enough() -> None:
    """What holds for all while none is known counts only while none is known."""
    evse = Evse()
    evse.heartbeat("09:00")
    evse.online(False, "09:10")
    nameless = vitals(evse.state).watched
    evse.status("AVAILABLE", "09:20", connector_uid="c1")
    evse.online(False, "09:30", connector_uid="c1")
    offline = vitals(evse.state).watched
    evse.status("AVAILABLE", "09:20", connector_uid="c2")

    assert (nameless, offline, vitals(evse.state).watched) == (False, False, True)


def test_a_removed_evse_is_not_watched() -> None:
    """Whatever it still says."""
    evse = Evse()
    evse.heartbeat("09:00")
    evse.remove("10:00")
    evse.heartbeat("11:00")

    assert not vitals(evse.state).watched


def test_the_horizon_is_told_where_it_is_beyond_the_last_sign() -> None:
    """People's words moved it on; else it does not matter."""
    evse = Evse(allowed_lateness=HOUR)
    evse.heartbeat("09:00")
    before = vitals(evse.state).horizon
    evse.inventory("12:00", "c1")

    assert (before, vitals(evse.state).horizon) == (0, when("11:00"))


@pytest.mark.parametrize(
    "known",
    [
        Vitals(None, None, None, watched=False),
        Vitals(MONDAY + 1, 300, 'a "gateway", östlich', watched=True, horizon=MONDAY + 2),
    ],
)
def test_vitals_are_the_same_after_packing(known: Vitals) -> None:
    """As text or as the bytes that a store gives back."""
    text = pack_vitals(known)

    assert unpack_vitals(text) == unpack_vitals(text.encode()) == known


def test_a_word_about_the_link_by_a_fast_clock_moves_on_from_when_silence_can_be_said() -> None:
    """Else the worker's word would apply before it, again and again, and the EVSE stay online for ever."""
    evse = Evse()
    evse.heartbeat("10:00", heartbeat_interval_s=60)
    evse.online(True, "10:04:30", received="10:00:10")

    known = vitals(evse.state)

    assert (known.last_seen_at, known.horizon) == (when("10:00:10"), when("10:04:30"))
    evse.silence("10:00:10", "10:04:30")
    assert evse.state.tip.nameless.online is False
