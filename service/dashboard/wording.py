"""
The words and numbers of the page: how times, shares and states are written for people.

Nothing here knows Redis or HTML; every function takes values and gives text. All times are UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.no_uptime import NoUptime, why_null
from schemas.vocabulary import ExclusionReason, Status, TimeClass

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 3_600 * SECOND
DAY = 86_400 * SECOND

NOT_ENOUGH = "not enough seen yet"
NEVER = "never"
NOTHING = "\u2013"
"""A dash, where there is no number."""
NARROW = "\u202f"
"""A narrow space that does not break, between a number and its unit."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

STATUS_WORDS: dict[str, str] = {
    Status.AVAILABLE: "Available",
    Status.PREPARING: "Preparing",
    Status.CHARGING: "Charging",
    Status.FINISHING: "Finishing",
    Status.RESERVED: "Reserved",
    Status.INOPERATIVE: "Inoperative",
    Status.OUTOFORDER: "Out of order",
    Status.UNKNOWN: "Unknown",
    Status.PLANNED: "Planned",
    Status.REMOVED: "Removed",
}

ONLINE_WORDS: dict[bool | None, str] = {True: "Online", False: "Offline", None: "Not reported"}

CLASS_WORDS: dict[TimeClass, str] = {
    TimeClass.UP: "Up",
    TimeClass.DOWN: "Down",
    TimeClass.EXCLUDED: "Excluded",
    TimeClass.UNOBSERVED: "Not observed",
    TimeClass.OUT_OF_SERVICE: "Out of service",
}

REASON_WORDS: dict[str, str] = {
    ExclusionReason.UTILITY_INTERRUPTION: "Utility interruption",
    ExclusionReason.VEHICLE_FAULT: "Vehicle fault",
    ExclusionReason.SCHEDULED_MAINTENANCE: "Scheduled maintenance",
    ExclusionReason.VANDALISM: "Vandalism",
    ExclusionReason.NATURAL_DISASTER: "Natural disaster",
    ExclusionReason.OUTSIDE_HOURS: "Outside opening hours",
    ExclusionReason.OTHER: "Other",
}


def status_word(status: str | None) -> str:
    """Name a status for people; one this version does not know is shown as it came."""
    if not status:
        return "Nothing heard yet"
    return STATUS_WORDS.get(status, status)


def status_key(status: str | None) -> str:
    """Give the word that style sheets know a status by (`unknown` for whatever is not in the vocabulary)."""
    return status.lower() if status in STATUS_WORDS and status else "unknown"


def online_key(online: bool | None) -> str:
    """Give the word that style sheets know a link's state by."""
    return {True: "online", False: "offline", None: "unreported"}[online]


def parse_time(text: str | None) -> int | None:
    """Read an RFC 3339 time as microseconds since 1970; None for nothing, or for what is no time."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1)


def moment_of(micros: int) -> datetime:
    """Give the aware UTC datetime of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=micros)


def machine_time(micros: int | None) -> str:
    """Write a time for a program: RFC 3339 in whole seconds, UTC."""
    return "" if micros is None else moment_of(micros).strftime("%Y-%m-%dT%H:%M:%SZ")


def date_time(micros: int | None) -> str:
    """Write a time in full: `5 Jan 2026, 14:03:07`."""
    if micros is None:
        return NEVER
    moment = moment_of(micros)
    return f"{moment.day} {moment:%b %Y, %H:%M:%S}"


def short_time(micros: int | None) -> str:
    """Write a time in a list: `5 Jan, 14:03:07`."""
    if micros is None:
        return NEVER
    moment = moment_of(micros)
    return f"{moment.day} {moment:%b, %H:%M:%S}"


def day_name(micros: int) -> str:
    """Write a day: `Mon 5 Jan`."""
    moment = moment_of(micros)
    return f"{moment:%a} {moment.day} {moment:%b}"


def ago(micros: int | None, now: int) -> str:
    """Say how long ago a time was, by its largest unit; a time ahead of `now` was just now."""
    if micros is None:
        return NEVER
    past = now - micros
    if past < 5 * SECOND:
        return "just now"
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if past >= unit:
            return f"{past // unit}{NARROW}{name} ago"
    return f"{past // SECOND}{NARROW}s ago"


def duration(micros: int) -> str:
    """Write a span by its two largest units: `2 d 4 h`, `3 h 12 min`, `45 s`."""
    seconds = max(0, round(micros / SECOND))
    if 0 < micros < SECOND:
        return f"under 1{NARROW}s"
    parts = []
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, seconds = divmod(seconds, unit)
        if count:
            parts.append(f"{count}{NARROW}{name}")
        elif parts:
            break
    return " ".join(parts[:2]) or f"0{NARROW}s"


def percent(share: float | None, decimals: int = 2) -> str | None:
    """
    Write a share of 1 as a percentage; None stays None.

    What is not whole is never rounded to 100 or to 0: a number that hides an outage is not believed twice.
    """
    if share is None:
        return None
    if share == 1:
        return f"100{NARROW}%"
    step = 10.0**-decimals
    value = round(share * 100, decimals)
    if 0 < share < 1:
        value = min(max(value, step), 100 - step)
    return f"{value:.{decimals}f}{NARROW}%"


def no_uptime(window: Mapping[str, Any]) -> NoUptime | None:
    """Say why a published window has no uptime; None where it has one. What is absent counts as nothing."""
    if window.get("uptime") is not None:
        return None
    counted = sum(window.get(f"{kind}_seconds") or 0 for kind in ("up", "down", "excluded"))
    unobserved = window.get("unobserved_seconds") or 0
    start, until = parse_time(window.get("from")), parse_time(window.get("until"))
    if start is None or until is None:
        return why_null(counted, unobserved, counted + unobserved)
    return why_null(counted, unobserved, (until - start) / SECOND)


def number(value: float) -> str:
    """Write a count with thin spaces between its thousands."""
    return f"{value:,}".replace(",", NARROW)


def kilowatts(watts: int | None) -> str | None:
    """Write a power in kW with no more decimals than it needs; None stays None."""
    return None if watts is None else f"{watts / 1000:g}{NARROW}kW"
