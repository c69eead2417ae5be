"""The oracle against cases worked out by hand, and against itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle.drawn_events import Nastiness
from tests.oracle.log import SECOND, parse, read, times
from tests.oracle.oracle import OracleResult, run
from tests.oracle.strategies import LATENESS_OF_ALL_S, duplicate, logs, permute

Json = dict[str, Any]

MIDNIGHT = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = 3_600 * SECOND


def at(clock: str, day: int = 0) -> str:
    """Write a time of day, such as 12:00 or 12:00:30, so many days after MIDNIGHT."""
    hours, minutes, seconds = ([*(int(part) for part in clock.split(":")), 0])[:3]
    time = MIDNIGHT + timedelta(days=day, hours=hours, minutes=minutes, seconds=seconds)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def event(kind: str, occurred: str, received: str | None = None, **body: Any) -> Json:
    """One event, received when it happened unless said otherwise; its id is its content."""
    return {
        "event_id": f"{kind} {occurred} {received} {body}",
        "evse_uid": "evse-1",
        "type": kind,
        "occurred_at": occurred,
        "received_at": received or occurred,
        **body,
    }


def status(word: str, occurred: str, received: str | None = None, connector: str = "c1", **body: Any) -> Json:
    """A status of a connector."""
    return event("connector.status", occurred, received, connector_uid=connector, status=word, **body)


def online(value: bool | None, occurred: str, received: str | None = None, **body: Any) -> Json:
    """A word about the reachability of all connectors."""
    return event("connector.online", occurred, received, online=value, **body)


def heartbeat(received: str) -> Json:
    """A heartbeat."""
    return event("evse.heartbeat", received)


def sums(result: OracleResult, connector: str = "c1") -> tuple[int, int, int, int]:
    """A connector's up, down, excluded and unobserved time in seconds."""
    window = result.connectors[connector].window
    return (
        window.up // SECOND,
        window.down // SECOND,
        window.excluded // SECOND,
        window.unobserved // SECOND,
    )


DAY_ONE = (at("00:00"), at("00:00", 1))


def day_one(*events: Json) -> OracleResult:
    """The first day's accounts, from a log that is followed to its midnight."""
    return run(events, as_of=DAY_ONE[1], window=DAY_ONE)


# Times


@pytest.mark.parametrize(
    ("occurred", "received", "expected"),
    [
        (at("10:00"), at("11:00"), (at("10:00"), at("11:00"))),
        (None, at("11:00"), (at("11:00"), at("11:00"))),
        (at("10:00"), None, (at("10:00"), at("10:00"))),
        (at("11:05"), at("11:00"), (at("11:05"), at("11:00"))),
        (at("11:05:01"), at("11:00"), (at("11:00"), at("11:00"))),
        ("2009-12-31T23:59:59Z", at("11:00"), (at("11:00"), at("11:00"))),
        ("0001-01-01T00:00:00", at("11:00"), (at("11:00"), at("11:00"))),
        (at("10:00"), "1970-01-01T00:00:00Z", (at("10:00"), at("10:00"))),
        ("2026-01-05T10:00:00", at("11:00"), (at("10:00"), at("11:00"))),
        ("2026-01-05T12:00:00+02:00", at("11:00"), (at("10:00"), at("11:00"))),
    ],
)
def test_effective_and_received_time_follow_p3(
    occurred: str | None, received: str | None, expected: tuple[str, str]
) -> None:
    """A clock ahead by more than five minutes or before 2010 gives way to the receipt."""
    found = times({"occurred_at": occurred, "received_at": received})

    assert (parse(expected[0]), parse(expected[1])) == found


def test_an_event_without_a_credible_time_is_rejected() -> None:
    """There is no record time to fall back to."""
    nowhere = {"event_id": "a", "type": "evse.heartbeat", "occurred_at": "1970-01-01T00:00:00Z"}

    result = run([nowhere])

    assert result.verdicts == ["rejected"]
    assert not result.exists


# Verdicts


def test_an_event_older_than_the_horizon_is_late_and_counts_as_a_heartbeat() -> None:
    """It names no connector and writes no status, but ends an offline span from its receipt's minute on."""
    result = run(
        [
            status("AVAILABLE", at("00:00", 3)),
            online(False, at("10:00", 3)),
            status("OUTOFORDER", at("00:00"), at("10:05:30", 3), connector="c2"),
        ]
    )

    assert result.verdicts == ["accepted", "accepted", "late"]
    assert list(result.connectors) == ["c1"]
    assert result.connectors["c1"].online is True
    assert result.connectors["c1"].online_since == parse(at("10:05", 3))
    assert result.last_seen_at == parse(at("10:05:30", 3))


def test_at_the_horizon_an_event_is_not_late() -> None:
    """Late is older than the horizon."""
    result = run([status("AVAILABLE", at("00:00", 2)), status("CHARGING", at("00:00"))])

    assert result.verdicts == ["accepted", "accepted"]


def test_of_one_id_the_first_in_the_log_counts_while_it_is_remembered() -> None:
    """Within the lateness a second event of the same id is a duplicate whatever it says."""
    first = status("AVAILABLE", at("10:00"))
    other = {**status("OUTOFORDER", at("11:00")), "event_id": first["event_id"]}
    much_later = {**status("CHARGING", at("11:00", 3)), "event_id": first["event_id"]}

    result = run([first, other, heartbeat(at("10:30", 3)), much_later])

    assert result.verdicts == ["accepted", "duplicate", "accepted", "accepted"]
    assert result.connectors["c1"].status == "CHARGING"


def test_what_applies_after_as_of_is_ignored() -> None:
    """Also a sign of life of an event that applies before it."""
    result = run(
        [
            status("AVAILABLE", at("08:00")),
            online(False, at("09:00")),
            status("CHARGING", at("08:30"), at("11:00")),
            status("OUTOFORDER", at("10:00:01")),
        ],
        as_of=at("10:00"),
    )

    assert result.verdicts == ["accepted", "accepted", "accepted", "ignored"]
    assert result.connectors["c1"].status == "CHARGING"
    assert result.connectors["c1"].online is False
    assert result.last_seen_at == parse(at("08:00"))


# Status and online


def test_event_time_decides_and_ties_go_to_the_later_position() -> None:
    """A late arrival corrects history and overwrites nothing newer."""
    result = run(
        [
            status("CHARGING", at("10:00")),
            status("PREPARING", at("09:00"), at("10:30")),
            status("FINISHING", at("10:00"), at("10:40")),
        ]
    )

    assert result.connectors["c1"].status == "FINISHING"
    assert result.connectors["c1"].status_since == parse(at("10:00"))
    assert result.connectors["c1"].reliability.attempts["unknown"] == 0
    assert result.connectors["c1"].reliability.attempts["abandoned"] == 1


def test_a_repeat_moves_no_status_since() -> None:
    """A repeated status is a sign of life, not a transition; its raw status is the newest."""
    result = run([status("CHARGING", at("10:00")), status("CHARGING", at("11:00"), raw_status="SuspendedEV")])

    assert result.connectors["c1"].status_since == parse(at("10:00"))
    assert result.connectors["c1"].raw_status == "SuspendedEV"


def test_an_unknown_status_is_unknown_and_keeps_its_word() -> None:
    """No enum costs an event."""
    result = run([status("BLOCKED", at("10:00"))])

    assert (result.connectors["c1"].status, result.connectors["c1"].raw_status) == ("UNKNOWN", "BLOCKED")


def test_any_message_after_a_disconnect_means_online() -> None:
    """Also one whose own time lies before the disconnect; it turns no null into true."""
    result = run(
        [
            status("AVAILABLE", at("08:00")),
            online(False, at("09:00")),
            status("AVAILABLE", at("08:30"), at("09:10"), connector="c2"),
        ]
    )

    assert result.connectors["c1"].online is True
    assert result.connectors["c1"].online_since == parse(at("09:10"))
    assert result.connectors["c2"].online_since == parse(at("09:10"))
    assert run([status("AVAILABLE", at("08:00"))]).connectors["c1"].online is None


def test_within_one_instant_position_decides_whether_a_sign_ends_the_span() -> None:
    """A sign of life before the disconnect of the same second does not end it."""
    before = [status("AVAILABLE", at("09:00")), online(False, at("09:00"))]

    assert run(before).connectors["c1"].online is False
    assert run(before[::-1]).connectors["c1"].online is True


@pytest.mark.parametrize(
    ("disconnected", "beat", "online_since"),
    [("09:00", "09:00:59", None), ("08:59:59", "09:00:59", "09:00"), ("09:00:10", "09:01", "09:01")],
)
def test_a_heartbeat_ends_a_span_that_began_before_its_minute(
    disconnected: str, beat: str, online_since: str | None
) -> None:
    """It acts at the start of its minute; the last sign of life is exact."""
    result = run([status("AVAILABLE", at("08:00")), online(False, at(disconnected)), heartbeat(at(beat))])

    connector = result.connectors["c1"]
    assert connector.online is (online_since is not None)
    assert connector.online_since == parse(at(online_since or disconnected))
    assert result.last_seen_at == parse(at(beat))


def test_online_null_replaces_and_is_a_sign_of_life_for_the_others() -> None:
    """A null of one connector is its report, and ends the offline span of another."""
    result = run(
        [
            status("AVAILABLE", at("08:00")),
            status("AVAILABLE", at("08:00"), connector="c2"),
            online(False, at("09:00")),
            online(None, at("09:30"), connector_uid="c1"),
        ]
    )

    assert (result.connectors["c1"].online, result.connectors["c1"].online_since) == (None, None)
    assert (result.connectors["c2"].online, result.connectors["c2"].online_since) == (
        True,
        parse(at("09:30")),
    )


@pytest.mark.parametrize(
    ("sign", "is_void"),
    [("08:00", False), ("08:00:01", True), ("08:14:59", True), ("08:15", False)],
)
def test_silence_is_void_if_anything_was_heard_in_between(sign: str, is_void: bool) -> None:
    """Strictly between the last sign of life it knew and its deadline, whichever arrives first."""
    silence = online(False, at("08:15"), reason="silence", last_seen_at=at("08:00"))
    heard = status("AVAILABLE", at(sign))

    for log in ([heard, silence], [silence, heard]):
        result = run(log, as_of=at("08:20"))
        ended = sign == "08:15" and log[0] is silence
        assert result.connectors["c1"].reliability.outages == (0 if is_void or ended else 1)


def test_a_heartbeat_speaks_against_silence_from_the_start_of_its_minute() -> None:
    """In the minute of the last sign of life it says nothing new."""
    silence = online(False, at("08:15"), reason="silence", last_seen_at=at("08:00:10"))
    known = status("AVAILABLE", at("08:00:10"))

    assert run([known, heartbeat(at("08:00:50")), silence]).connectors["c1"].online is False
    assert run([known, heartbeat(at("08:01:00")), silence]).connectors["c1"].online is None


# Classes of time


def test_every_class_of_time_has_its_seconds() -> None:
    """Up, down, excluded and unobserved, over one day."""
    result = day_one(
        status("AVAILABLE", at("02:00")),
        status("INOPERATIVE", at("10:00")),
        status("UNKNOWN", at("12:00")),
        status("AVAILABLE", at("14:00")),
        online(False, at("16:00")),
        online(True, at("17:00")),
        event(
            "exclusion.declared", at("20:00"), **{"from": at("09:00"), "until": at("11:00")}, exclusion_id="x"
        ),
        event("observation.gap", at("20:00"), **{"from": at("18:00"), "until": at("18:30")}),
    )

    up = 8 + 2 + 7 - 0.5
    assert sums(result) == (up * 3_600, 2 * 3_600, 3_600, (2 + 2 + 0.5) * 3_600)
    assert result.connectors["c1"].window.uptime == up / (up + 2)
    assert result.connectors["c1"].window.coverage == (up + 3) / 24


def test_offline_is_down_whatever_the_status_but_planned_and_removed() -> None:
    """Also while unknown or not heard yet; a gap covers it."""
    result = day_one(
        online(False, at("01:00")),
        online(True, at("02:00")),
        status("UNKNOWN", at("03:00")),
        online(False, at("04:00")),
        online(True, at("05:00")),
        status("PLANNED", at("06:00")),
        online(False, at("07:00")),
        event("observation.gap", at("20:00"), **{"from": at("04:30"), "until": at("23:00")}),
    )

    assert sums(result) == (0, 1.5 * 3_600, 0, (1 + 1 + 1 + 0.5 + 1) * 3_600)


def test_a_connector_named_late_in_the_log_shares_what_was_said_of_all() -> None:
    """An event without connector holds for all the EVSE ever has."""
    result = day_one(online(False, at("01:00")), status("AVAILABLE", at("02:00"), connector="c2"))

    assert sums(result, "c2") == (22 * 3_600, 3_600, 0, 3_600)


def test_a_port_is_up_when_any_of_its_connectors_is() -> None:
    """Then down, then excluded, then unobserved; out of service when all are."""
    result = day_one(
        status("AVAILABLE", at("01:00")),
        status("OUTOFORDER", at("02:00")),
        status("PLANNED", at("05:00")),
        status("UNKNOWN", at("00:00"), connector="c2"),
        status("OUTOFORDER", at("03:00"), connector="c2"),
        status("REMOVED", at("06:00"), connector="c2"),
        event(
            "exclusion.declared",
            at("10:00"),
            exclusion_id="x",
            connector_uids=["c2"],
            **{"from": at("04:00")},
        ),
    )

    port = result.port
    assert (port.up, port.down, port.excluded, port.unobserved) == (HOUR, 3 * HOUR, HOUR, HOUR)
    assert result.status == "PLANNED"


def test_an_evse_without_a_connector_is_unobserved() -> None:
    """Nothing is known of it."""
    result = day_one(heartbeat(at("10:00")))

    assert result.port.unobserved == 24 * HOUR
    assert (result.port.uptime, result.port.coverage, result.status) == (None, 0.0, "UNKNOWN")


def test_the_published_window_starts_at_midnight_of_the_30th_day_before() -> None:
    """Whole days but the last."""
    result = run([status("AVAILABLE", at("10:30"))])

    assert result.port.start == parse("2025-12-06T00:00:00Z")
    assert result.port.until == parse(at("10:30"))


def test_uptime_is_null_until_an_hour_was_seen() -> None:
    """One second less is too little."""
    seen = [status("AVAILABLE", at("10:00"))]

    assert run(seen, as_of=at("10:59:59")).connectors["c1"].window.uptime is None
    assert run(seen, as_of=at("11:00")).connectors["c1"].window.uptime == 1.0


# Exclusions


def test_the_latest_word_of_an_exclusion_holds() -> None:
    """Replaced by event time, not by arrival; withdrawn by a later word."""
    wide = event(
        "exclusion.declared", at("10:00"), exclusion_id="x", **{"from": at("01:00"), "until": at("05:00")}
    )
    narrow = event(
        "exclusion.declared", at("11:00"), exclusion_id="x", **{"from": at("02:00"), "until": at("03:00")}
    )
    withdrawn = event("exclusion.withdrawn", at("12:00"), exclusion_id="x")
    down = status("OUTOFORDER", at("00:00"))

    assert sums(day_one(down, wide))[2] == 4 * 3_600
    assert sums(day_one(down, narrow, wide))[2] == 3_600
    assert sums(day_one(down, withdrawn, wide, narrow))[2] == 0


def test_exclusions_obey_no_lateness_and_count_once() -> None:
    """Two that overlap excuse the same second once."""
    result = day_one(
        status("OUTOFORDER", at("00:00")),
        event("exclusion.declared", "2025-06-01T00:00:00Z", exclusion_id="x", **{"from": at("20:00")}),
        event("exclusion.declared", "2025-06-01T00:00:00Z", exclusion_id="y", **{"from": at("22:00")}),
    )

    assert result.verdicts == ["accepted"] * 3
    assert sums(result) == (0, 20 * 3_600, 4 * 3_600, 0)


# Inventory and removal


def upserted(occurred: str, received: str | None = None, **statuses: str | None) -> Json:
    """An inventory of some connectors, for each a status or none."""
    connectors = [{"uid": name} | ({"status": word} if word else {}) for name, word in statuses.items()]
    return event("evse.upserted", occurred, received, evse={"uid": "evse-1", "connectors": connectors})


def test_the_first_inventory_status_counts_where_none_is_known() -> None:
    """The earliest that carries one, unless a status event applies earlier."""
    result = run(
        [
            upserted(at("03:00"), c1="PLANNED", c2="CHARGING"),
            upserted(at("02:00"), c1="AVAILABLE", c2="AVAILABLE"),
            upserted(at("01:00"), c1=None),
            status("OUTOFORDER", at("01:30"), connector="c2"),
        ]
    )

    assert (result.connectors["c1"].status, result.connectors["c1"].status_since) == (
        "AVAILABLE",
        parse(at("02:00")),
    )
    assert result.connectors["c2"].status == "OUTOFORDER"
    assert result.last_seen_at == parse(at("01:30"))


def test_an_inventory_before_the_horizon_takes_effect_at_the_horizon() -> None:
    """Closed history stays closed."""
    result = run([heartbeat(at("06:00", 4)), upserted(at("00:00"), at("06:00", 4), c1="AVAILABLE")])

    assert result.connectors["c1"].status_since == parse(at("06:00", 2))


def test_a_connector_no_longer_named_leaves_the_published_evse_alone() -> None:
    """Its status and its part in windows stay."""
    result = run(
        [
            status("AVAILABLE", at("00:30"), connector="c3"),
            upserted(at("01:00"), c1="AVAILABLE", c2="AVAILABLE"),
            upserted(at("02:00"), c1=None),
            event("evse.upserted", at("03:00"), evse={"uid": "evse-1"}),
        ]
    )

    assert {name: each.published for name, each in result.connectors.items()} == {
        "c1": True,
        "c2": False,
        "c3": True,
    }
    assert result.connectors["c2"].status == "AVAILABLE"
    assert result.inventory == {"uid": "evse-1"}


def test_a_removal_ends_everything_but_what_applies_before() -> None:
    """Later reports are ignored, their signs of life are not; earlier ones still correct history."""
    result = day_one(
        status("AVAILABLE", at("08:00")),
        event("evse.removed", at("12:00")),
        status("CHARGING", at("13:00")),
        status("AVAILABLE", at("13:00"), connector="c2"),
        status("OUTOFORDER", at("10:00"), at("14:00")),
    )

    assert result.removed
    assert list(result.connectors) == ["c1"]
    assert (result.status, result.connectors["c1"].status) == ("REMOVED", "REMOVED")
    assert result.connectors["c1"].status_since == parse(at("12:00"))
    assert sums(result) == (2 * 3_600, 2 * 3_600, 0, 8 * 3_600)
    assert result.last_seen_at == parse(at("14:00"))


def test_a_removal_before_the_horizon_takes_effect_at_the_horizon() -> None:
    """As the horizon was when it arrived."""
    result = run(
        [
            status("AVAILABLE", at("06:00", 4)),
            event("evse.removed", at("00:00"), at("06:00", 4)),
            status("AVAILABLE", at("07:00", 9)),
        ]
    )

    assert result.removed_at == parse(at("06:00", 2))


# The EVSE


@pytest.mark.parametrize(
    ("words", "offline", "expected"),
    [
        (["AVAILABLE", "FINISHING"], [], "CHARGING"),
        (["AVAILABLE", "RESERVED"], [], "RESERVED"),
        (["OUTOFORDER", "AVAILABLE"], [], "AVAILABLE"),
        (["OUTOFORDER", "INOPERATIVE"], [], "INOPERATIVE"),
        (["OUTOFORDER", "UNKNOWN"], [], "OUTOFORDER"),
        (["OUTOFORDER", "PLANNED"], [], "OUTOFORDER"),
        (["REMOVED", "PLANNED"], [], "PLANNED"),
        (["REMOVED", "REMOVED"], [], "REMOVED"),
        (["UNKNOWN", "PLANNED"], [], "UNKNOWN"),
        (["CHARGING", "AVAILABLE"], ["c1"], "CHARGING"),
        (["CHARGING", "AVAILABLE"], ["c1", "c2"], "UNKNOWN"),
        (["CHARGING", "PLANNED"], ["c1"], "UNKNOWN"),
    ],
)
def test_one_status_for_the_evse(words: list[str], offline: list[str], expected: str) -> None:
    """In use first; offline connectors keep their last status unless all are offline."""
    reports = [status(word, at("08:00"), connector=f"c{index}") for index, word in enumerate(words, start=1)]
    disconnects = [online(False, at("09:00"), connector_uid=name) for name in offline]

    assert run(reports + disconnects).status == expected


def test_the_note_is_the_last_word_about_the_whole_charger() -> None:
    """It overwrites nothing and is a sign of life."""
    result = run(
        [
            status("AVAILABLE", at("08:00")),
            event("evse.status", at("09:00"), status="OUTOFORDER", error_code="OtherError"),
            event("evse.status", at("08:30"), status="AVAILABLE"),
        ]
    )

    assert result.note is not None
    assert (result.note.status, result.note.at) == ("OUTOFORDER", parse(at("09:00")))
    assert result.connectors["c1"].status == "AVAILABLE"
    assert result.last_seen_at == parse(at("09:00"))


# The oracle against itself

FEW_HOURS = Nastiness(span_s=6 * 3_600, max_delay_s=3_600)


@settings(max_examples=60, deadline=None)
@given(events=logs(FEW_HOURS))
def test_intervals_and_seconds_agree(events: list[Json]) -> None:
    """The two ways of counting share nothing but the story."""
    now = run(events).as_of
    start = f"{datetime.fromtimestamp(now / SECOND - 8 * 3_600, UTC):%Y-%m-%dT%H:%M:%SZ}"
    until = f"{datetime.fromtimestamp(now / SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}"

    assert run(events, window=(start, until)) == run(events, window=(start, until), second_by_second=True)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), events=logs(Nastiness(whole_seconds=False)))
def test_neither_order_of_arrival_nor_duplicates_matter(data: st.DataObject, events: list[Json]) -> None:
    """Within the allowed lateness (P2)."""
    expected = run(events, allowed_lateness_s=LATENESS_OF_ALL_S)

    arrived = data.draw(permute(data.draw(duplicate(events))))

    assert expected == run(arrived, allowed_lateness_s=LATENESS_OF_ALL_S)


@settings(max_examples=100, deadline=None)
@given(events=logs(Nastiness(whole_seconds=False, reused_ids=True)))
def test_the_accounts_close(events: list[Json]) -> None:
    """The four kinds of time are never more than the window; there is a verdict for every event."""
    result = run(events)

    assert len(events) == len(result.verdicts)
    for each in [result.port, *(connector.window for connector in result.connectors.values())]:
        total = each.up + each.down + each.excluded + each.unobserved
        assert 0 <= total <= each.until - each.start
    for connector in result.connectors.values():
        assert connector.reliability.value is None or 0 < connector.reliability.value < 10


def test_positions_may_be_given() -> None:
    """A file numbers its own lines."""
    log = read([(7, heartbeat(at("10:00"))), (9, heartbeat(at("11:00")))], None, 0)

    assert [entry.position for entry in log.entries] == [7, 9]
