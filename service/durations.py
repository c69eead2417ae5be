"""Spans of time as people write them; this module knows no setting."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


def parse_duration(value: object) -> timedelta:
    """
    Read `500ms`, `30s`, `15m`, `48h`, `1d` or plain seconds; raise ValueError with the remedy otherwise.

    >>> parse_duration("48h")
    datetime.timedelta(days=2)
    """
    if isinstance(value, timedelta):
        return value
    match = (
        None
        if isinstance(value, bool)
        else re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)\s*(ms|s|m|h|d)?", str(value).strip())
    )
    if match is None:
        raise ValueError(f"{value!r} is no duration; write 500ms, 30s, 15m, 48h, 1d or plain seconds")
    return float(match[1]) * _UNITS[match[2] or "s"]


def written_duration(span: timedelta) -> str:
    """
    Write a span in the largest unit that divides it, as `parse_duration` reads it.

    >>> written_duration(timedelta(hours=48))
    '2d'
    """
    if not span:
        return "0s"
    for name, unit in reversed(_UNITS.items()):
        if not span % unit:
            return f"{span // unit}{name}"
    return f"{span.total_seconds()}s"
