"""
Time as integer microseconds since 1970-01-01 UTC.

Integers make sums independent of their order. This module reads no clock.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

Micros = int
"""Microseconds since 1970-01-01T00:00:00Z, or a span of microseconds."""

SECOND: Final[Micros] = 1_000_000
MINUTE: Final[Micros] = 60 * SECOND
HOUR: Final[Micros] = 3_600 * SECOND
DAY: Final[Micros] = 86_400 * SECOND

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

EARLIEST: Final[Micros] = 1_262_304_000 * SECOND
"""2010-01-01: a clock that shows less was never set (promise P3)."""

LATEST: Final[Micros] = 253_402_300_799_999_999
"""The last moment of the year 9999, and of what can be written."""

CLOCK_TOLERANCE: Final[Micros] = 5 * MINUTE
"""How far a charger's clock may be ahead of receipt before it is not believed (promise P3)."""


def micros_from(moment: datetime) -> Micros:
    """Count microseconds since 1970; a time without an offset is UTC (promise P3)."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND


def micros_of_text(text: str) -> Micros:
    """Read what `rfc3339` wrote."""
    return micros_from(datetime.fromisoformat(text))


def datetime_from(micros: Micros) -> datetime:
    """Give the aware UTC datetime of a count of microseconds."""
    return _EPOCH + timedelta(microseconds=micros)


@lru_cache(maxsize=8192)
def rfc3339(micros: Micros) -> str:
    """
    Write a time as RFC 3339 in UTC with `Z`, with as many decimals (0, 3 or 6) as it needs.

    A snapshot names the same few times again and again, so the newest texts are kept.

    >>> rfc3339(1_767_571_200_000_000)
    '2026-01-05T00:00:00Z'
    """
    minute, rest = divmod(micros, MINUTE)
    seconds, fraction = divmod(rest, SECOND)
    if not fraction:
        return f"{_to_minute(minute)}{seconds:02d}Z"
    millis, below = divmod(fraction, 1000)
    return f"{_to_minute(minute)}{seconds:02d}.{millis:03d}{f'{below:03d}' if below else ''}Z"


@lru_cache(maxsize=4096)
def _to_minute(minute: int) -> str:
    """Write a minute, counted from 1970, as what a time in it begins with."""
    return datetime_from(minute * MINUTE).isoformat(timespec="seconds")[: -len("00+00:00")]


def day_of(micros: Micros) -> int:
    """Number the UTC day a time lies in, counted from 1970-01-01."""
    return micros // DAY
