"""How history is closed, and how a connector that is named later gets its own."""

from __future__ import annotations

from schemas.vocabulary import Status, TimeClass, Verdict
from service.domain.buckets import OUTAGES
from service.domain.definitions import BUCKET
from service.domain.horizon import keep_from
from service.domain.rules import KEPT_DAYS, SETTLING
from service.domain.state import PORT
from service.domain.time import DAY, HOUR, MINUTE
from service.domain.timeline import NAMELESS, ItemKind
from service.domain.track import Report
from tests.unit.domain.told import MONDAY, Evse, when

H = 3_600
TODAY = MONDAY // DAY


def hourly(evse: Evse, days: int) -> None:
    """Let a charger be heard at the middle of each day, so that history closes behind it."""
    for day in range(days):
        evse.heartbeat(f"{day} 12:00")


# Closing


def test_history_is_closed_some_minutes_behind_the_horizon() -> None:
    """An event at the horizon may have been received a little earlier."""
    evse = Evse(allowed_lateness=HOUR)
    evse.statuses("09:00 AVAILABLE, 10:00 OUTOFORDER, 11:06 AVAILABLE")

    assert SETTLING == 6 * MINUTE
    assert evse.state.closed == when("10:00")
    assert [item.time for item in evse.state.recent if item.kind is ItemKind.STATUS] == [
        when("10:00"),
        when("11:06"),
    ]


def test_a_closed_span_goes_to_history_once() -> None:
    """And is told to be written once."""
    evse = Evse(allowed_lateness=0)
    evse.statuses("09:00 AVAILABLE, 10:00 OUTOFORDER, 11:00 AVAILABLE")
    assert [span.end for span in evse.state.history["c1"].spans] == [when("09:00")]
    assert [span.end for span in evse.track().spans] == [when("11:00")]

    evse.heartbeat("12:06")

    assert [span.end for span in evse.state.history["c1"].spans] == [when("09:00"), when("11:00")]
    assert evse.track().spans == []
    assert [span for uid, span in evse.state.unsaved.spans if uid == "c1"] == list(
        evse.state.history["c1"].spans
    )


def test_a_day_is_closed_when_the_base_has_passed_it() -> None:
    """Connector, port and what held for all of them."""
    evse = Evse(allowed_lateness=0)
    evse.statuses("18:00 AVAILABLE, 23:00 OUTOFORDER")
    evse.online(False, "23:30")
    evse.heartbeat("1 00:05:59")
    assert evse.state.days_closed == TODAY

    evse.heartbeat("1 00:06")

    faulty, offline = BUCKET[Status.OUTOFORDER, None], BUCKET[Status.OUTOFORDER, False]
    buckets = evse.state.history["c1"].days[TODAY]
    assert (buckets[faulty], buckets[offline]) == (HOUR // 2, HOUR // 2)
    assert evse.state.port_days[TODAY] == {TimeClass.UP: 5 * HOUR, TimeClass.DOWN: HOUR}
    assert evse.state.history[NAMELESS].days[TODAY] == {BUCKET[None, False]: HOUR // 2}
    assert {uid for uid, _ in evse.state.unsaved.days} == {"c1", NAMELESS, PORT}


def test_what_was_written_is_not_written_again() -> None:
    """After a save nothing is left to say."""
    evse = Evse(allowed_lateness=0)
    evse.statuses("09:00 AVAILABLE, 10:00 OUTOFORDER, 2 11:00 AVAILABLE")
    evse.gap("10:00", "11:00", at="2 12:00")
    evse.exclude("x", "10:00", "11:00", at="2 12:00")

    evse.state.unsaved.clear()
    evse.status("AVAILABLE", "2 12:01")

    unsaved = evse.state.unsaved
    assert not any([unsaved.days, unsaved.spans, unsaved.gaps, unsaved.exclusions, unsaved.dropped_days])


def test_ids_are_forgotten_hour_by_hour_of_the_log() -> None:
    """What is past the horizon can only be late."""
    evse = Evse(allowed_lateness=HOUR)
    for number in range(20):
        evse.status("AVAILABLE", f"{number}:00")

    assert len(evse.state.ids) == 2
    assert len(evse.state.recent) == 6


def test_a_correction_within_the_lateness_reaches_over_midnight() -> None:
    """The days of the tip are those of the corrected history."""
    evse = Evse()
    evse.statuses("20:00 AVAILABLE, 1 04:00 CHARGING")

    evse.status("OUTOFORDER", "22:00")

    assert evse.window("20:00", "1 04:00") == (2 * H, 6 * H, 0, 0)
    published = evse.summary().connectors[0].windows[0]
    assert (published.up, published.down) == (2 * HOUR, 6 * HOUR)


# What is too old


def test_days_and_spans_are_kept_four_hundred_days() -> None:
    """Then they are dropped, the port's too, and what is left is still accounted for."""
    evse = Evse(allowed_lateness=0)
    evse.statuses("00:00 OUTOFORDER, 1 00:00 AVAILABLE, 2 00:00 OUTOFORDER, 3 00:00 AVAILABLE")
    evse.exclude("x", "00:00", "12:00", at="1 00:00")
    evse.gap("2 00:00", "2 12:00")
    hourly(evse, 10)
    kept = set(evse.state.history["c1"].days)
    assert min(kept) == TODAY

    evse.heartbeat(f"{KEPT_DAYS + 2} 12:00")

    assert keep_from(evse.state) == when("2 00:00")
    assert min(evse.state.history["c1"].days) == min(evse.state.port_days) == TODAY + 2
    assert [span.end for span in evse.state.history["c1"].spans] == [when("3 00:00")]
    assert ("c1", TODAY) in evse.state.unsaved.dropped_days
    assert (PORT, TODAY + 1) in evse.state.unsaved.dropped_days
    assert evse.state.declarations.exclusions == {}
    assert len(evse.state.declarations.merged_gaps) == 1
    assert evse.window("2 00:00", f"{KEPT_DAYS + 2} 12:00") == (
        (KEPT_DAYS - 1) * 24 * H + 12 * H,
        12 * H,
        0,
        12 * H,
    )


def test_a_day_that_is_too_old_when_it_closes_is_never_written() -> None:
    """After a silence of years."""
    evse = Evse(allowed_lateness=0)
    evse.status("AVAILABLE", "00:00")

    evse.status("OUTOFORDER", f"{KEPT_DAYS + 100} 12:00")

    first = TODAY + 100
    assert min(evse.state.history["c1"].days) == min(evse.state.port_days) == first
    assert min(day for _, day in evse.state.unsaved.days) == first
    assert evse.port(f"{KEPT_DAYS} 00:00", f"{KEPT_DAYS + 100} 12:00") == (100 * 24 * H + 12 * H, 0, 0, 0)


def test_a_connector_named_after_its_first_spans_were_dropped_makes_no_port_of_the_past() -> None:
    """The port is computed again, and what was up before the oldest span kept stays so."""
    evse = Evse(allowed_lateness=0)
    evse.status("AVAILABLE", "00:00")
    hourly(evse, 3)
    evse.heartbeat(f"{KEPT_DAYS + 10} 12:00")
    before = dict(evse.state.port_days.items())

    evse.status("OUTOFORDER", f"{KEPT_DAYS + 10} 13:00", connector_uid="c2")

    assert before == {day: evse.state.port_days[day] for day in before}


# Connectors named later


def test_a_connector_named_later_starts_as_a_copy_of_what_held_for_all() -> None:
    """Closed days and spans, and what is now; they are written for it."""
    evse = Evse(allowed_lateness=HOUR)
    evse.online(False, "10:00")
    evse.online(True, "20:00")
    evse.heartbeat("2 12:00")
    evse.state.unsaved.clear()

    evse.status("AVAILABLE", "2 12:00")

    offline, online = BUCKET[None, False], BUCKET[None, True]
    history = evse.state.history["c1"]
    assert history.days[TODAY] == {offline: 10 * HOUR, online: 4 * HOUR, OUTAGES: 1}
    assert [span.bucket for span in history.spans] == [BUCKET[None, None], offline]
    assert ("c1", TODAY) in evse.state.unsaved.days
    assert [uid for uid, _ in evse.state.unsaved.spans] == ["c1", "c1"]
    assert evse.window("00:00", "2 13:00") == (H, 10 * H, 0, 50 * H)
    assert evse.rating("2 13:00").outages == 1


def test_the_port_is_computed_again_with_a_connector_named_later() -> None:
    """Over all days kept: an EVSE that was offline was down, once it is known to have a connector."""
    evse = Evse(allowed_lateness=HOUR)
    evse.online(False, "10:00")
    evse.online(True, "20:00")
    evse.heartbeat("2 12:00")
    assert len(evse.state.port_days) == 0
    assert evse.port("00:00", "2 12:00") == (0, 0, 0, 60 * H)

    evse.status("AVAILABLE", "2 12:00")

    assert evse.state.port_days[TODAY] == {TimeClass.DOWN: 10 * HOUR}
    assert evse.port("00:00", "2 13:00") == (H, 10 * H, 0, 50 * H)


def test_a_second_connector_named_later_does_not_hide_the_first() -> None:
    """The port stays up where the first was."""
    evse = Evse(allowed_lateness=HOUR)
    evse.statuses("00:00 AVAILABLE, 10:00 OUTOFORDER, 11:00 AVAILABLE")
    evse.online(False, "20:00")
    evse.status("AVAILABLE", "21:00")
    evse.heartbeat("2 12:00")
    before = dict(evse.state.port_days.items())

    evse.status("AVAILABLE", "2 12:00", connector_uid="c2")

    assert before == dict(evse.state.port_days.items())
    assert evse.window("00:00", "1 00:00", "c2") == (0, H, 0, 23 * H)


def test_a_day_of_the_port_that_a_connector_named_later_empties_is_not_written() -> None:
    """It was out of service, and is unobserved with a connector of which nothing was heard."""
    evse = Evse(allowed_lateness=HOUR)
    evse.statuses("00:00 PLANNED, 2 12:00 AVAILABLE")
    assert (PORT, TODAY) in evse.state.unsaved.days

    evse.status("AVAILABLE", "2 12:00", connector_uid="c2")

    assert TODAY not in evse.state.port_days
    assert (PORT, TODAY) not in evse.state.unsaved.days
    assert (PORT, TODAY) in evse.state.unsaved.dropped_days


def test_a_removal_forgets_connectors_named_only_after_it() -> None:
    """With what was closed and written of them."""
    evse = Evse(allowed_lateness=HOUR)
    evse.status("AVAILABLE", "00:00")
    evse.online(False, "10:00", connector_uid="c1")
    evse.heartbeat("2 12:00")
    evse.status("AVAILABLE", "2 12:00", connector_uid="c2")
    assert ("c2", TODAY) not in evse.state.unsaved.days
    evse.online(False, "2 11:45")
    evse.status("CHARGING", "2 11:30", connector_uid="c3")

    evse.remove("2 11:40")

    assert sorted(evse.state.tip.tracks) == ["c1", "c3"]
    assert sorted(evse.state.history) == [NAMELESS, "c1", "c3"]
    assert not any(uid == "c2" for uid, _ in evse.state.unsaved.days)
    assert evse.track("c3").status is Status.REMOVED
    assert evse.summary().status is Status.REMOVED


def test_a_removal_takes_back_the_days_of_a_connector_it_forgets() -> None:
    """They were written before it arrived."""
    evse = Evse(allowed_lateness=HOUR)
    evse.online(False, "10:00")
    evse.online(True, "20:00")
    evse.heartbeat("2 12:00")
    evse.status("AVAILABLE", "2 12:00")
    assert ("c1", TODAY) in evse.state.unsaved.days

    evse.remove("2 11:30")

    unsaved = evse.state.unsaved
    assert ("c1", TODAY) in unsaved.dropped_days
    assert ("c1", TODAY) not in unsaved.days
    assert [uid for uid, _ in unsaved.spans if uid == "c1"] == []
    assert [uid for uid, _ in unsaved.dropped_spans] == ["c1", "c1"]
    assert len(evse.state.port_days) == 0


def test_a_removal_that_forgets_the_only_connector_that_was_offline_leaves_none_offline() -> None:
    """It was the last of what the limit has closed, and the removal takes effect just before it."""
    evse = Evse(recent_limit=4)
    evse.status("AVAILABLE", "09:00")
    evse.online(False, "10:00", connector_uid="c2")
    for minute in range(10, 14):
        evse.status("AVAILABLE", f"10:{minute}", received="09:00")
    assert evse.state.base.tracks["c2"].online is False

    evse.remove("09:30")

    assert list(evse.state.tip.tracks) == ["c1"]
    assert not evse.state.base.is_offline
    assert evse.status("CHARGING", "10:30").verdict is Verdict.REFRESHED


# What is applied directly, and what is folded again


def test_a_repeat_of_what_was_closed_long_ago_changes_nothing() -> None:
    """A charger re-sends its last status; the one before it is in the base by now."""
    evse = Evse(allowed_lateness=HOUR)
    evse.statuses("09:00 AVAILABLE, 11:00 CHARGING")

    assert evse.status("AVAILABLE", "10:30").verdict is Verdict.REFRESHED
    assert evse.status("OUTOFORDER", "10:30").verdict is Verdict.CORRECTED


def test_a_sign_of_life_between_two_disconnects_ends_the_first() -> None:
    """The second was a repeat when it came, and is a disconnect now."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.online(False, "10:00")
    evse.online(False, "11:00")

    assert evse.heartbeat("10:30").moved
    assert evse.window("09:00", "12:00") == (5_400, 5_400, 0, 0)
    assert evse.since()[1] == "11:00:00Z"


def test_repeats_after_a_removal_name_no_connector() -> None:
    """However often they come, and in any order."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.remove("10:00")
    for at in ("12:00", "11:00", "11:30"):
        assert evse.status("CHARGING", at, connector_uid="c2").verdict is Verdict.REFRESHED

    assert list(evse.state.tip.tracks) == ["c1"]


def test_a_span_begins_with_the_error_that_was_told_last_before_it() -> None:
    """However late the word that ended the span before it comes."""
    evse = Evse()
    evse.status("OUTOFORDER", "10:00", error_code="GroundFailure")
    evse.status("OUTOFORDER", "11:00", error_code="OverVoltage")

    evse.online(True, "10:30")

    evse.status("AVAILABLE", "12:00")
    assert [span.error_code for span in evse.track().spans] == [None, "GroundFailure", "GroundFailure"]


def test_a_sign_of_life_that_ends_a_span_in_the_past_leaves_the_error_told_before_it() -> None:
    """The report after it repeated the status with another error, received too early to be that sign."""
    evse = Evse()
    evse.status("OUTOFORDER", "10:00", error_code="GroundFailure")
    evse.online(False, "10:02:30")
    evse.status("OUTOFORDER", "10:06", received="10:02", error_code="OverVoltage")

    evse.heartbeat("10:05")

    evse.status("AVAILABLE", "12:00")
    assert [span.error_code for span in evse.track().spans][-2:] == ["GroundFailure", "GroundFailure"]


# What is folded again from a checkpoint


def many(evse: Evse, count: int) -> None:
    """Report so many statuses of `c1`, half a minute apart; the connector is well."""
    for number in range(count):
        minute, second = divmod(number * 30, 60)
        word = "AVAILABLE" if number % 2 else "CHARGING"
        evse.status(word, f"{minute // 60}:{minute % 60:02}:{second:02}")


def test_a_late_event_leaves_a_checkpoint_close_before_its_place() -> None:
    """The next late one goes in close behind it, and is folded again from there."""
    evse = Evse()
    many(evse, 1_000)
    assert evse.state.checkpoints.kept == []

    evse.status("OUTOFORDER", "3:00:01")

    places = [each.place for each in evse.state.checkpoints.kept]
    assert places == [256, 512, 722, 978, 1234, 1490, 1746]
    assert [item.connector_uid for item in evse.state.recent[722:723]] == ["c1"]
    assert evse.state.recent[722].body == Report(Status.OUTOFORDER)


def test_what_a_charger_says_again_is_not_folded_again() -> None:
    """Statuses and words about the link, with the old times and other ids."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.online(False, "10:00")
    evse.online(True, "11:00")
    evse.status("OUTOFORDER", "12:00")
    evse.status("AVAILABLE", "13:00")
    tip = evse.state.tip

    for verdict in (
        evse.status("AVAILABLE", "09:00", received="14:00").verdict,
        evse.online(False, "10:00", received="14:01").verdict,
        evse.online(True, "11:00", received="14:02").verdict,
        evse.status("OUTOFORDER", "12:00", received="14:03").verdict,
    ):
        assert verdict is Verdict.REFRESHED
    assert evse.state.tip is tip

    assert evse.online(False, "10:30", received="14:04").verdict is Verdict.REFRESHED
    evse.heartbeat("10:40")
    assert evse.online(False, "10:50", received="14:05").verdict is Verdict.CORRECTED
    assert evse.state.tip is not tip


# The limit


def test_beyond_the_limit_the_horizon_moves_up_and_it_is_counted() -> None:
    """What is older is late from then on, and what is now is right."""
    evse = Evse(recent_limit=10)
    for number in range(24):
        evse.status("CHARGING" if number % 2 else "AVAILABLE", f"{number}:00")

    assert evse.state.overflows > 0
    assert when("12:00") < evse.state.horizon < when("23:00")
    assert evse.status("OUTOFORDER", "01:00").verdict is Verdict.LATE
    assert evse.now() == ("CHARGING", None)
    assert evse.window("00:00", "1 00:00") == (24 * H, 0, 0, 0)


def test_a_sign_of_life_from_before_what_the_limit_has_closed_is_dropped() -> None:
    """The effect may apply up to five minutes after the receipt; closed history stays."""
    evse = Evse(recent_limit=2)
    evse.statuses("10:00 AVAILABLE, 10:10 CHARGING, 10:20 FINISHING, 10:30 AVAILABLE")
    assert when("10:08") < evse.state.closed <= when("10:20")

    evse.status("RESERVED", "10:21", received="10:08")

    assert all(item.time >= evse.state.closed for item in evse.state.recent)
    assert evse.window("10:00", "10:40") == (40 * 60, 0, 0, 0)
