"""The settled readings 6 to 11: classes of time, exclusions, gaps and windows."""

from __future__ import annotations

import pytest

from service.domain.time import HOUR
from tests.unit.domain.told import Evse, when

H = 3_600

# 6 and 7: offline, unknown, out of service


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("AVAILABLE", (H, H, 0, 0)),
        ("OUTOFORDER", (0, 2 * H, 0, 0)),
        ("UNKNOWN", (0, H, 0, H)),
        ("PLANNED", (0, 0, 0, 0)),
        ("REMOVED", (0, 0, 0, 0)),
    ],
)
def test_offline_is_down_whatever_the_status_but_planned_and_removed(
    status: str, expected: tuple[int, int, int, int]
) -> None:
    """Readings 6 and 7: what is out of service is in no class."""
    evse = Evse()
    evse.status(status, "10:00")
    evse.online(False, "11:00")

    assert expected == evse.window("10:00", "12:00")


def test_a_connector_not_yet_heard_is_unobserved_and_offline_is_down() -> None:
    """Reading 6: before its first status."""
    evse = Evse()
    evse.online(True, "10:00", connector_uid="c1")
    evse.online(False, "11:00")

    assert evse.window("09:00", "12:00") == (0, H, 0, 2 * H)


def test_coverage_is_the_share_of_time_in_service_that_was_seen() -> None:
    """Reading 7: null where there was none."""
    evse = Evse()
    evse.statuses("-31 00:00 PLANNED, 10:00 AVAILABLE, 11:00 UNKNOWN, 14:00 PLANNED")
    planned = Evse()
    planned.status("PLANNED", "-31 00:00")

    assert evse.summary("20:00").connectors[0].windows[0].coverage == 1 / 4
    assert planned.summary("10:00").connectors[0].windows[0].coverage is None
    assert planned.summary("10:00").connectors[0].uptime is None


# 8: the port


def test_a_port_is_up_while_any_connector_is() -> None:
    """Reading 8: then down, then unobserved; what is out of service is left aside."""
    evse = Evse()
    evse.status("AVAILABLE", "00:00", connector_uid="c1")
    evse.status("OUTOFORDER", "00:00", connector_uid="c2")
    evse.status("UNKNOWN", "01:00", connector_uid="c1")
    evse.status("UNKNOWN", "02:00", connector_uid="c2")
    evse.status("PLANNED", "03:00", connector_uid="c1")
    evse.status("PLANNED", "04:00", connector_uid="c2")

    assert evse.port("00:00", "05:00") == (H, H, 0, 2 * H)


def test_a_port_is_excluded_only_if_none_is_up_or_down() -> None:
    """Reading 8: an exclusion of one connector hides the outage of no other."""
    evse = Evse()
    evse.status("OUTOFORDER", "00:00", connector_uid="c1")
    evse.status("OUTOFORDER", "00:00", connector_uid="c2")
    evse.exclude("x", "00:00", "02:00", at="05:00", connector_uids=("c1",))
    evse.exclude("y", "01:00", "02:00", at="05:00", connector_uids=("c2",))

    assert evse.port("00:00", "03:00") == (0, 2 * H, H, 0)


def test_an_evse_without_a_known_connector_is_unobserved() -> None:
    """Reading 8: offline or not."""
    evse = Evse()
    evse.heartbeat("09:00")
    evse.online(False, "10:00")

    assert evse.port("09:00", "11:00") == (0, 0, 0, 2 * H)


# 9: gaps


def test_a_gap_covers_every_class_but_out_of_service() -> None:
    """Reading 9: up, down, offline; for the port, too."""
    evse = Evse()
    evse.statuses("00:00 AVAILABLE, 01:00 OUTOFORDER, 02:00 PLANNED")
    evse.gap("00:30", "02:30")

    assert evse.window("00:00", "03:00") == (H // 2, 0, 0, 3 * H // 2)
    assert evse.port("00:00", "03:00") == (H // 2, 0, 0, 3 * H // 2)


def test_a_gap_goes_before_an_exclusion() -> None:
    """Reading 9: what was not seen cannot be excused."""
    evse = Evse()
    evse.status("OUTOFORDER", "00:00")
    evse.exclude("x", "00:00", "02:00", at="03:00")
    evse.gap("01:00", "03:00")

    assert evse.window("00:00", "04:00") == (0, H, H, 2 * H)
    assert evse.port("00:00", "04:00") == (0, H, H, 2 * H)


def test_gaps_that_overlap_count_once() -> None:
    """Reading 9: also one declared twice, and one within another."""
    evse = Evse()
    evse.status("AVAILABLE", "00:00")
    assert evse.gap("01:00", "03:00").publish
    assert not evse.gap("01:00", "02:00").publish
    assert evse.gap("02:00", "04:00").publish

    assert evse.window("00:00", "05:00") == (2 * H, 0, 0, 3 * H)


def test_a_gap_ends_no_offline_span_and_removes_no_onset() -> None:
    """Reading 9: but its time is left out of reliability's sums."""
    evse, without = Evse(), Evse()
    for each in (evse, without):
        each.status("AVAILABLE", "-2 00:00")
        each.online(False, "10:00")
    evse.gap("09:00", "11:00")

    rating, whole = evse.rating("12:00"), without.rating("12:00")

    assert evse.track().online is False
    assert (rating.outages, whole.outages) == (1, 1)
    assert whole.observed - rating.observed == 2 * HOUR
    assert rating.availability > whole.availability


# 10: exclusions


def test_an_exclusion_counts_only_where_it_overlaps_an_outage() -> None:
    """Reading 10: up stays up, unobserved stays unobserved."""
    evse = Evse()
    evse.statuses("00:00 AVAILABLE, 01:00 OUTOFORDER, 02:00 UNKNOWN, 03:00 PLANNED")
    evse.exclude("x", "00:00", "04:00", at="04:00")

    assert evse.window("00:00", "04:00") == (H, 0, H, H)


def test_an_exclusion_may_be_declared_in_the_past() -> None:
    """Reading 10: exclusions obey no lateness, by any definition of late."""
    evse = Evse(allowed_lateness=HOUR)
    evse.statuses("00:00 OUTOFORDER, 9 00:00 AVAILABLE")

    evse.exclude("x", "10:00", "12:00", at="11:00")

    assert evse.window("00:00", "1 00:00") == (0, 22 * H, 2 * H, 0)


def test_an_exclusion_declared_again_is_replaced_for_its_whole_span() -> None:
    """Reading 10: the latest by (effective time, position), whichever arrives first."""
    evse = Evse()
    evse.status("OUTOFORDER", "00:00")
    evse.exclude("x", "01:00", "05:00", at="06:00")
    assert evse.window("00:00", "08:00") == (0, 4 * H, 4 * H, 0)

    evse.exclude("x", "06:00", "07:00", at="08:00")
    assert evse.window("00:00", "08:00") == (0, 7 * H, H, 0)

    assert not evse.exclude("x", "00:00", "08:00", at="07:00").publish
    assert evse.window("00:00", "08:00") == (0, 7 * H, H, 0)


def test_an_exclusion_withdrawn_holds_no_more() -> None:
    """Reading 10: until it is declared again later."""
    evse = Evse()
    evse.status("OUTOFORDER", "00:00")
    evse.exclude("x", "01:00", "05:00", at="06:00")
    assert evse.withdraw("x", at="07:00").publish
    assert evse.window("00:00", "08:00") == (0, 8 * H, 0, 0)
    assert not evse.withdraw("x", at="07:30").publish
    assert not evse.withdraw("never declared", at="07:30").publish

    assert not evse.exclude("x", "00:00", "08:00", at="06:30").publish
    assert evse.exclude("x", "00:00", "01:00", at="08:00").publish
    assert evse.window("00:00", "08:00") == (0, 7 * H, H, 0)


def test_an_exclusion_declared_again_in_the_same_words_changes_nothing() -> None:
    """No snapshot follows."""
    evse = Evse()
    evse.status("OUTOFORDER", "00:00")
    evse.exclude("x", "01:00", "05:00", at="06:00")

    assert not evse.exclude("x", "01:00", "05:00", at="07:00").publish


def test_an_exclusion_without_an_end_is_open() -> None:
    """Reading 10: also past the time it was declared."""
    evse = Evse()
    evse.status("OUTOFORDER", "00:00")
    evse.exclude("x", "01:00", None, at="02:00")

    assert evse.window("00:00", "20:00") == (0, H, 19 * H, 0)
    assert evse.port("00:00", "20:00") == (0, H, 19 * H, 0)


def test_exclusions_that_overlap_count_once() -> None:
    """Reading 10: of two ids."""
    evse = Evse()
    evse.status("OUTOFORDER", "00:00")
    evse.exclude("x", "01:00", "03:00", at="06:00")
    evse.exclude("y", "02:00", "04:00", at="06:00")

    assert evse.window("00:00", "06:00") == (0, 3 * H, 3 * H, 0)


def test_an_exclusion_of_one_connector_leaves_the_others() -> None:
    """Reading 10: `connector_uids` absent is all."""
    evse = Evse()
    evse.status("OUTOFORDER", "00:00", connector_uid="c1")
    evse.status("OUTOFORDER", "00:00", connector_uid="c2")
    evse.exclude("x", "00:00", "01:00", at="06:00", connector_uids=("c2", "c3"))

    assert evse.window("00:00", "02:00", "c1") == (0, 2 * H, 0, 0)
    assert evse.window("00:00", "02:00", "c2") == (0, H, H, 0)


def test_excluded_time_is_left_out_of_reliability() -> None:
    """An outage that is excused costs no availability; its onset still counts."""
    evse, without = Evse(), Evse()
    for each in (evse, without):
        each.statuses("-3 00:00 AVAILABLE, -1 00:00 OUTOFORDER, 00:00 AVAILABLE")
    evse.exclude("x", "-2 00:00", "00:00", at="01:00")

    rating, whole = evse.rating("1 00:00"), without.rating("1 00:00")

    assert whole.observed - rating.observed == 24 * HOUR
    assert rating.availability > 0.98 > whole.availability
    assert rating.continuity == whole.continuity


# 11: uptime


def test_uptime_is_null_until_an_hour_was_seen() -> None:
    """Reading 11: up, down and excluded together."""
    evse = Evse()
    evse.statuses("00:00 AVAILABLE, 00:30 OUTOFORDER")
    evse.exclude("x", "00:45", None, at="00:45")

    assert evse.summary("00:59:59.999999").connectors[0].uptime is None
    assert evse.summary("01:00").connectors[0].uptime == 30 / 45


def test_uptime_is_null_where_everything_is_excluded() -> None:
    """P6: there is no denominator."""
    evse = Evse()
    evse.status("OUTOFORDER", "00:00")
    evse.exclude("x", "00:00", None, at="00:45")

    assert evse.summary("10:00").connectors[0].uptime is None
    assert evse.summary("10:00").connectors[0].windows[0].excluded == 10 * HOUR


def test_the_published_window_is_thirty_days_and_today() -> None:
    """From midnight UTC, exactly, even if most of it was closed long ago."""
    evse = Evse(allowed_lateness=HOUR)
    evse.statuses("-31 00:00 OUTOFORDER, -30 01:00 AVAILABLE, 10:00 AVAILABLE")
    window = evse.summary("12:00").connectors[0].windows[0]

    assert (window.start, window.end) == (when("-30 00:00"), when("12:00"))
    assert (window.down, window.up) == (HOUR, 30 * 24 * HOUR + 11 * HOUR)
    assert window == evse.summary("12:00").windows[0]
