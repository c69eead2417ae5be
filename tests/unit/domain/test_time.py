"""Times are integers, and are written in one way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from service.domain.rules import published_from
from service.domain.time import DAY, SECOND, datetime_from, day_of, micros_from, rfc3339
from tests.unit.domain.told import MONDAY, when


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(2026, 1, 5, tzinfo=UTC), MONDAY),
        (datetime(2026, 1, 5, 2, tzinfo=timezone(timedelta(hours=2))), MONDAY),
        (datetime(2026, 1, 5), MONDAY),  # noqa: DTZ001 - a time without an offset is the point
        (datetime(2026, 1, 5, 0, 0, 0, 1, tzinfo=UTC), MONDAY + 1),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), -1),
    ],
)
def test_a_moment_is_a_count_of_microseconds(moment: datetime, expected: int) -> None:
    """Without an offset it is UTC (promise P3)."""
    assert expected == micros_from(moment)


def test_a_count_of_microseconds_is_a_moment_again() -> None:
    """To the microsecond, and aware."""
    assert datetime_from(MONDAY + 1) == datetime(2026, 1, 5, 0, 0, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("micros", "expected"),
    [
        (MONDAY, "2026-01-05T00:00:00Z"),
        (MONDAY + 1_000, "2026-01-05T00:00:00.001Z"),
        (MONDAY + 500_000, "2026-01-05T00:00:00.500Z"),
        (MONDAY + 1, "2026-01-05T00:00:00.000001Z"),
        (MONDAY + 1_001, "2026-01-05T00:00:00.001001Z"),
        (0, "1970-01-01T00:00:00Z"),
        (micros_from(datetime(1, 1, 1, tzinfo=UTC)), "0001-01-01T00:00:00Z"),
    ],
)
def test_a_time_has_as_many_decimals_as_it_needs(micros: int, expected: str) -> None:
    """None, three or six, a `Z`, and a year of four digits."""
    assert expected == rfc3339(micros)


def test_days_are_those_of_utc() -> None:
    """The last microsecond of a day is still of it."""
    assert day_of(MONDAY) == MONDAY // DAY
    assert day_of(MONDAY - 1) == MONDAY // DAY - 1


@pytest.mark.parametrize("at", ["00:00", "00:00:00.000001", "23:59:59.999999"])
def test_the_published_window_starts_at_midnight_thirty_days_before(at: str) -> None:
    """Whatever the time of day."""
    assert published_from(when(at)) == MONDAY - 30 * 86_400 * SECOND
