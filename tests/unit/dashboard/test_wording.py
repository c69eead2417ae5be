"""How times, shares and states are written."""

from __future__ import annotations

import pytest

from schemas.vocabulary import ExclusionReason, Status, TimeClass
from service.dashboard import wording
from service.dashboard.wording import DAY, HOUR, MINUTE, SECOND


@pytest.mark.parametrize(
    ("share", "written"),
    [
        (0.98755, "98.76 %"),
        (0.999999, "99.99 %"),
        (0.000001, "0.01 %"),
        (1.0, "100 %"),
        (0.0, "0.00 %"),
        (None, None),
    ],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float | None, written: str | None) -> None:
    """What is not whole does not read 100 %, what is not nothing does not read 0 %."""
    assert wording.percent(share) == (written and written.replace(" ", wording.NARROW))


@pytest.mark.parametrize(
    ("micros", "written"),
    [
        (0, "0 s"),
        (400_000, "under 1 s"),
        (45 * SECOND, "45 s"),
        (3 * HOUR + 12 * MINUTE + 5 * SECOND, "3 h 12 min"),
        (2 * DAY + 5 * MINUTE, "2 d"),
        (30 * DAY + HOUR, "30 d 1 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(micros: int, written: str) -> None:
    """Neighbouring units only: days without hours are days."""
    assert wording.duration(micros).replace(wording.NARROW, " ") == written


@pytest.mark.parametrize(
    ("past", "written"),
    [(-MINUTE, "just now"), (59 * SECOND, "59 s ago"), (61 * MINUTE, "1 h ago"), (49 * HOUR, "2 d ago")],
)
def test_how_long_ago_is_told_by_the_largest_unit(past: int, written: str) -> None:
    """A clock that is ahead was just now."""
    assert wording.ago(10 * DAY - past, 10 * DAY).replace(wording.NARROW, " ") == written


def test_times_are_read_and_written_in_utc() -> None:
    """An offset is honoured, a time without one is UTC, and what is no time is nothing."""
    noon = wording.parse_time("2026-01-05T12:00:00Z")
    assert noon is not None
    assert wording.parse_time("2026-01-05T13:00:00+01:00") == noon
    assert wording.parse_time("2026-01-05T12:00:00") == noon
    assert wording.parse_time("yesterday") is None
    assert wording.machine_time(noon) == "2026-01-05T12:00:00Z"
    assert wording.date_time(noon) == "5 Jan 2026, 12:00:00"
    assert wording.day_name(noon) == "Mon 5 Jan"


def test_every_word_of_the_field_has_one_for_people() -> None:
    """No status, class or reason is shown as its code; an unknown one is shown as it came."""
    assert set(wording.STATUS_WORDS) == set(Status)
    assert set(wording.CLASS_WORDS) == set(TimeClass)
    assert set(wording.REASON_WORDS) == set(ExclusionReason)
    assert wording.status_word("BLOCKED") == "BLOCKED"
    assert wording.status_key("BLOCKED") == "unknown"
    assert wording.status_word(None) == "Nothing heard yet"
