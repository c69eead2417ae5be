"""The oracle against cases worked out by hand: classes of time, windows, exclusions."""

from __future__ import annotations

from tests.oracle.builders import HOUR, at, day_one, event, heartbeat, online, status, sums
from tests.oracle.log import parse
from tests.oracle.oracle import run


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
