"""
Kinds of fields that several models share: identifiers, times, integers of a width, enums that stay open.

This module knows no model; it says how a single value is read and how it stands in JSON Schema.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError

MAX_UID_LENGTH = 255
"""Longest identifier, in characters: it becomes part of Redis keys and the key of Kafka records."""

_UID = r"^[^\x00-\x1f\x7f-\x9f]+$"

Uid = Annotated[str, Field(min_length=1, max_length=MAX_UID_LENGTH, pattern=_UID)]
"""An identifier: 1 to 255 characters, none of them a control character. Compared as it stands."""

_IS_UID = re.compile(_UID[:-1] + r"\Z")


def is_uid(word: object) -> bool:
    """Tell whether a value is a good identifier."""
    if not isinstance(word, str) or not 0 < len(word) <= MAX_UID_LENGTH:
        return False
    # Nearly all are: no control character is printable, though more than these are not.
    return word.isprintable() or _IS_UID.match(word) is not None


MAX_TEXT_LENGTH = 255
"""Characters that are kept of a charger's text: thousands of reports are kept of an EVSE, and its snapshot
has texts of each connector, so that without a bound a few would be more than any topic takes."""


def kept_of(text: str) -> str:
    """Give what is kept of a charger's text: its beginning."""
    return text[:MAX_TEXT_LENGTH]


Text = Annotated[str, AfterValidator(kept_of)]
"""Any text. One that is longer than 255 characters costs the event nothing: its beginning is kept."""

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]((?:[01]\d|2[0-3]):[0-5]\d:)([0-5]\d|60)(\.\d+)?"
    r"([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)?",
    re.ASCII,
)
# What nearly every producer writes; fromisoformat alone would take dates, weeks and more.
_PLAIN = re.compile(r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d(?:\.\d+)?Z", re.ASCII)
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


def parse_time(value: object) -> datetime:
    """
    Read an RFC 3339 time as an aware UTC datetime.

    Without an offset it is UTC (promise P3); `t`, `z` and a space for the `T` are taken too; digits beyond
    the microsecond are cut off; a leap second is the second after it. Devices do write years 0000 and 0001,
    so what lies outside the years 1 to 9999 in UTC becomes the nearest time inside: no clock is believed
    there anyway. Raises ValueError for everything else, numbers included.
    """
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if not isinstance(value, str):
        raise ValueError("no RFC 3339 time")  # noqa: TRY004 - one kind of error for whatever is no time
    if _PLAIN.fullmatch(value):
        with suppress(ValueError):  # a leap second, the year 0000, or no day of the calendar: below
            return datetime.fromisoformat(value)
    match = _RFC3339.fullmatch(value)
    if match is None:
        raise ValueError("no RFC 3339 time")
    date, to_minute, second, fraction, offset = match.groups()
    if date.startswith("0000"):
        datetime.fromisoformat("0004" + date[4:])  # a leap year, as 0000 is: the day must exist all the same
        return _FIRST
    leap = second == "60"
    moment = datetime.fromisoformat(f"{date}T{to_minute}{'59' if leap else second}{fraction or ''}")
    try:
        if offset and offset not in "Zz":
            hours, minutes = int(offset[1:3]), int(offset[4:6])
            span = timedelta(hours=hours, minutes=minutes)
            moment += span if offset[0] == "-" else -span
        if leap:
            moment += timedelta(seconds=1)
    except OverflowError:
        return _FIRST if moment.year == 1 else _LAST
    return moment.replace(tzinfo=UTC)


def _time(value: object) -> datetime:
    try:
        return parse_time(value)
    except ValueError:
        raise PydanticCustomError("rfc3339", "is no RFC 3339 time") from None


Time = Annotated[
    datetime,
    BeforeValidator(_time),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-05T00:00:00Z"]}),
]
"""A time in RFC 3339; written in UTC with `Z`; read without an offset as UTC."""


def _whole(value: object) -> object:
    """Take `32.0` for 32, as JSON Schema's `integer` does."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Int32 = Annotated[int, BeforeValidator(_whole), Strict(), Field(ge=-(2**31), le=2**31 - 1)]
"""An integer of 32 bits, as the published schema asks."""

Int64 = Annotated[int, BeforeValidator(_whole), Strict(), Field(ge=-(2**63), le=2**63 - 1)]
"""An integer of 64 bits, as the published schema asks."""

Bool = Annotated[bool, Strict()]
"""true or false, never a word or a number for it."""

Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
"""A finite number, never a string of digits."""


def open_enum(words: type[StrEnum]) -> Any:
    """Describe a string that is one of `words` or, since producers know more than we do, any other."""
    return WithJsonSchema({"anyOf": [{"enum": [word.value for word in words]}, {"type": "string"}]})
