"""What is heard of a charger ends offline spans; silence is noted, and void where something was heard."""

from __future__ import annotations

import pytest

from schemas.vocabulary import Verdict
from service.domain.time import HOUR
from tests.unit.domain.told import Evse, when


def test_a_heartbeat_in_the_minute_of_the_disconnect_ends_nothing() -> None:
    """It counts at the start of its minute, which is before the disconnect."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.online(False, "10:00:20")
    evse.heartbeat("10:00:50")

    assert evse.track().online is False


def test_a_heartbeat_at_the_very_start_of_the_minute_ends_nothing() -> None:
    """The span must have begun before the minute."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.online(False, "10:01:00")
    evse.heartbeat("10:01:30")

    assert evse.track().online is False


def test_a_heartbeat_of_the_next_minute_ends_the_span_at_the_start_of_its_minute() -> None:
    """Whenever in the minute it was received."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.online(False, "10:00:20")
    evse.heartbeat("10:01:59")

    assert evse.track().online is True
    assert evse.since()[1] == "10:01:00Z"


def test_a_heartbeat_of_the_minute_in_which_a_status_ended_the_span_corrects_nothing() -> None:
    """It ends the span at the same time, and nothing is told that was not told before (promise P10)."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.online(False, "10:00:20")
    evse.status("AVAILABLE", "10:05")
    revision = evse.state.revision
    heard = evse.heartbeat("10:05:40")

    assert (heard.verdict, heard.moved) == (Verdict.REFRESHED, False)
    assert evse.state.revision == revision


def test_a_heartbeat_that_came_before_the_disconnect_was_told_ends_it_all_the_same() -> None:
    """The order of arrival does not matter."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.heartbeat("10:05")
    evse.heartbeat("10:03")
    evse.online(False, "10:00")

    assert evse.since()[1] == "10:03:00Z"


def test_a_heartbeat_of_the_past_ends_the_span_earlier() -> None:
    """History is corrected, and the time of the connector moves with it."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.online(False, "10:00")
    evse.heartbeat("11:00")
    updated = evse.state.connectors_updated["c1"]

    corrected = evse.heartbeat("10:30")

    assert corrected.moved
    assert evse.window("09:00", "11:00") == (5_400, 1_800, 0, 0)
    assert evse.state.connectors_updated["c1"] > updated


def test_a_heartbeat_that_ends_nothing_publishes_nothing() -> None:
    """Only `last_seen_at` moves."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")

    heard = evse.heartbeat("10:00")

    assert (heard.verdict, heard.publish, heard.moved) == (Verdict.REFRESHED, False, False)
    assert evse.state.last_seen_at == when("10:00")


def test_a_heartbeat_names_its_interval() -> None:
    """The newest named holds; one that names none changes nothing of it."""
    evse = Evse()
    evse.heartbeat("10:00", heartbeat_interval_s=300)
    evse.heartbeat("10:05")

    assert evse.state.heartbeat_interval_s == 300
    assert evse.state.has_sent_heartbeat


def test_a_note_of_the_whole_charger_is_a_sign_of_life_and_overwrites_nothing() -> None:
    """It is kept as a note."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.online(False, "10:00")

    noted = evse.note("OUTOFORDER", "11:00", error_code="PowerMeterFailure")

    assert evse.now() == ("AVAILABLE", True)
    assert evse.state.tip.note is not None
    assert evse.state.tip.note.report.error_code == "PowerMeterFailure"
    assert (noted.verdict, noted.publish) == (Verdict.APPLIED, True)


def test_an_older_note_is_only_a_sign_of_life() -> None:
    """The newest stands, the older one can still correct history by its receipt."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.note("AVAILABLE", "12:00")
    assert evse.note("OUTOFORDER", "11:00").verdict is Verdict.REFRESHED
    evse.online(False, "13:00")
    evse.status("AVAILABLE", "14:00")

    assert evse.note("OUTOFORDER", "11:00", received="13:30").verdict is Verdict.CORRECTED
    assert evse.state.tip.note is not None
    assert evse.state.tip.note.at == when("12:00")
    assert evse.window("13:00", "14:00") == (1_800, 1_800, 0, 0)


@pytest.mark.parametrize("position", [1, 9])
def test_of_two_notes_of_one_instant_the_later_position_stands(position: int) -> None:
    """Whichever arrives first."""
    evse = Evse()
    evse.note("AVAILABLE", "10:00", position=5)
    evse.note("OUTOFORDER", "10:00", position=position)

    assert evse.state.tip.note is not None
    assert evse.state.tip.note.report.status == ("OUTOFORDER" if position == 9 else "AVAILABLE")


# Silence (promise P5)


def test_silence_is_offline_from_its_deadline() -> None:
    """It is a report like any other, but no sign of life."""
    evse = Evse()
    evse.status("AVAILABLE", "10:00")

    silent = evse.silence("10:00", "10:15")

    assert silent.verdict is Verdict.APPLIED
    assert evse.now() == ("AVAILABLE", False)
    assert evse.since()[1] == "10:15:00Z"
    assert evse.state.last_seen_at == when("10:00")


@pytest.mark.parametrize(
    ("heard", "void"),
    [("10:00", False), ("10:00:01", True), ("10:14:59", True), ("10:15", False), ("09:59:59", False)],
)
def test_silence_is_void_if_there_was_a_sign_of_life_strictly_within_it(heard: str, void: bool) -> None:
    """Whichever arrives first; a sign at its end is later than the last one seen, but not within."""
    before, after = Evse(), Evse()
    for evse in (before, after):
        evse.status("AVAILABLE", "09:00")
    before.status("AVAILABLE", heard, connector_uid="c2", position=3)
    verdict = before.silence("10:00", "10:15", position=4).verdict
    after.silence("10:00", "10:15", position=4)
    after.status("AVAILABLE", heard, connector_uid="c2", position=3)

    assert (verdict is Verdict.REFRESHED) == void
    assert before.track().online is (None if void else False)
    assert before.now() == after.now()
    assert before.since() == after.since()


@pytest.mark.parametrize(
    ("heard", "online"),
    [("10:00:59", False), ("10:01:00", None), ("10:14:30", None), ("10:15:30", False), ("10:16", True)],
)
def test_a_heartbeat_voids_silence_by_the_start_of_its_minute(heard: str, online: bool | None) -> None:
    """Or ends it, from the next minute on."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.silence("10:00", "10:15")
    evse.heartbeat(heard)

    assert evse.track().online is online


def test_a_second_sign_at_the_deadline_hides_none_within() -> None:
    """Of the signs before a silence the newest two times are known."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.status("AVAILABLE", "10:10")
    evse.status("AVAILABLE", "10:15", position=3)
    evse.silence("10:00", "10:15", position=4)

    assert evse.track().online is None


def test_a_sign_of_life_folded_into_closed_history_still_voids_silence() -> None:
    """The last heartbeat's minute is kept when the minutes are dropped."""
    evse = Evse(allowed_lateness=HOUR)
    evse.status("AVAILABLE", "08:00")
    evse.heartbeat("10:05")
    evse.gap("07:00", "07:01", at="12:06")
    assert evse.state.minutes.starts == []

    evse.silence("10:00", "11:30")

    assert evse.track().online is None


@pytest.mark.parametrize("online", [True, None])
def test_what_is_no_sign_of_life(online: bool | None) -> None:
    """Online false, silence, exclusions, gaps, inventories and removals; online true and null are."""
    evse = Evse()
    evse.online(False, "10:00")
    evse.silence("09:00", "10:15")
    evse.exclude("x", "10:00", "11:00", at="10:30")
    evse.withdraw("x", at="10:31")
    evse.gap("10:00", "10:30")
    evse.inventory("10:40", "c1")
    before = evse.state.last_seen_at

    evse.online(online, "10:50", connector_uid="c2")

    assert (before, evse.state.last_seen_at) == (None, when("10:50"))
    assert evse.track("c1").online is True
