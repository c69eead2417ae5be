"""Numbers and times in words for people; this module prints nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_FEW_DAYS = 100


def in_words(span: timedelta) -> str:
    """
    Write a span with the two units that matter.

    >>> in_words(timedelta(hours=26, minutes=3))
    '1 d 2 h'
    """
    seconds = round(span.total_seconds())
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min {seconds % _MINUTE} s"
    if seconds < _DAY:
        return f"{seconds // _HOUR} h {seconds % _HOUR // _MINUTE} min"
    if seconds < _FEW_DAYS * _DAY:
        return f"{seconds // _DAY} d {seconds % _DAY // _HOUR} h"
    return f"{seconds // _DAY} d"


def moment(at: datetime | None) -> str:
    """Write a time to the second in UTC; `-` for none."""
    return "-" if at is None else at.strftime("%Y-%m-%d %H:%M:%SZ")


def exactly(at: datetime) -> str:
    """
    Write a time to the microsecond in UTC, with no more decimals than it has.

    >>> exactly(datetime(2026, 1, 5, 0, 0, 0, 230000))
    '2026-01-05 00:00:00.23Z'
    """
    return f"{at:%Y-%m-%d %H:%M:%S}{_fraction(at.microsecond)}Z"


def exact_length(span: timedelta) -> str:
    """
    Write a span to the microsecond, so that a column of them adds up.

    >>> exact_length(timedelta(days=1, hours=2, seconds=3.5))
    '1 d 02:00:03.5'
    """
    minutes, seconds = divmod(span.seconds, 60)
    days = f"{span.days} d " if span.days else ""
    return f"{days}{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{_fraction(span.microseconds)}"


def _fraction(microseconds: int) -> str:
    return f".{microseconds:06}".rstrip("0") if microseconds else ""


def share(value: float | None, decimals: int = 2) -> str:
    """
    Write a share of 1 as a percentage, never rounded up to 100 %: that would hide an outage.

    >>> share(0.999999)
    '99.99 %'
    """
    if value is None:
        return "-"
    written = f"{100 * value:.{decimals}f}"
    if value < 1 and float(written) >= 100:  # noqa: PLR2004 - per cent
        written = f"{100 - 10.0**-decimals:.{decimals}f}"
    return f"{written} %"


def online_in_words(online: bool | None) -> str:
    """Say what online is; null is a word of the field, too."""
    return {True: "online", False: "offline", None: "online not reported"}[online]
