"""The oracle against cases worked out by hand: what is said of status and online, and what counts."""

from __future__ import annotations

import pytest

from tests.oracle.builders import at, heartbeat, online, status
from tests.oracle.log import parse
from tests.oracle.oracle import run


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
