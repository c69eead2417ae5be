"""Times of the simulation: integer microseconds since 1970-01-01 UTC, and their text. No clock is read."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST_DAY = _EPOCH.toordinal()


def micros_of(moment: datetime) -> int:
    """Count the microseconds of an aware time."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(micros: int) -> datetime:
    """Give the aware UTC time of a count of microseconds."""
    return _EPOCH + timedelta(microseconds=micros)


@lru_cache(maxsize=4096)
def _to_the_minute(minute: int) -> str:
    day, minute = divmod(minute, 24 * 60)
    return f"{date.fromordinal(_FIRST_DAY + day).isoformat()}T{minute // 60:02d}:{minute % 60:02d}:"


def rfc3339(micros: int) -> str:
    """
    Write a time with `Z` and milliseconds, which is as fine as charge points are.

    All but the seconds is remembered: an event has two times, and strftime would cost more than all its rest.
    """
    minute, rest = divmod(micros // 1000, 60_000)
    return f"{_to_the_minute(minute)}{rest // 1000:02d}.{rest % 1000:03d}Z"


def weekday_of(micros: int) -> int:
    """Number the day of the week, Monday 0; 1970-01-01 was a Thursday."""
    return (micros // DAY + 3) % 7
