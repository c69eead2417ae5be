"""
The log of an OCPP 1.6 charge point, as its back end writes it to CSV, to events of the input log.

Columns: seq (order of arrival; it names the events, so it goes on from file to file), cp (charge point),
received_at, kind (one of KINDS), and of a status also connector_id, status, error_code, vendor_error_code and
device_ts (the charger's own time). Statuses apply at the charger's time, connects and disconnects at their
receipt. Words are read without regard to case. This module opens no files and reads no clock.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from schemas.errors import describe
from schemas.evse import FieldWarning
from schemas.fields import MAX_UID_LENGTH, is_uid, parse_time
from schemas.vocabulary import EventType, RejectionReason
from service.translation.ocpp16 import (
    STATUS_OF_WORD,
    WHOLE_CHARGE_POINT,
    error_code_of,
    is_known,
    status_of,
)

COLUMNS = (
    "seq",
    "cp",
    "received_at",
    "kind",
    "connector_id",
    "status",
    "error_code",
    "vendor_error_code",
    "device_ts",
)
"""Columns of a charge point's log, in any order; others are ignored."""

KINDS = ("status", "online", "offline", "boot", "heartbeat")
"""What a row of the log may be."""

_LINK_OF_KIND: Mapping[str, tuple[bool, str | None]] = MappingProxyType(
    {"online": (True, None), "offline": (False, None), "boot": (True, "boot")}
)

# At most 18 digits, so that a position fits the 64 bits of a log offset.
_MOST_DIGITS = 18
_WHOLE_NUMBER = re.compile(rf"[0-9]{{1,{_MOST_DIGITS}}}", re.ASCII)

_LONGEST_CP = MAX_UID_LENGTH - len(":") - _MOST_DIGITS
"""The ids of events and connectors begin with the charge point, and a number follows: they must fit, too."""


class HeaderError(ValueError):
    """The first line does not name the columns of a charge point's log; the message says which."""


@dataclass(frozen=True, slots=True)
class LogEvent:
    """
    One line understood: its number in the file, its place in the log (`seq`) and its event.

    `warning`: its status is in a word that is not known, and was taken for UNKNOWN.
    """

    line: int
    position: int
    event: dict[str, Any]
    warning: FieldWarning | None = None


@dataclass(frozen=True, slots=True)
class LogRejection:
    """
    One line not understood: the `field` at fault (`line` for the whole line), why, and what helps.

    `code` says why in the word that rejections are counted by.
    """

    line: int
    position: int | None
    field: str
    reason: str
    code: RejectionReason = RejectionReason.INVALID_FIELD


class _Fault(Exception):
    """Ends the reading of one line; no error of the program."""

    def __init__(
        self, field: str, reason: str, code: RejectionReason = RejectionReason.INVALID_FIELD
    ) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason
        self.code = code


def read_log(
    lines: Iterable[str | bytes], earliest: datetime | None = None
) -> Iterator[LogEvent | LogRejection]:
    """
    Translate a charge point's log, one result for each line after the header that is not blank.

    A row is one line: a quote that is not closed costs its own line only. A byte-order mark, CRLF and bytes
    or text are all accepted. One charge point a file: the first row understood says which. A time before
    `earliest` was set by nobody: a row that has no other is not understood.

    Raises:
        HeaderError: the header misses columns. Nothing else is raised, whatever the lines hold.
    """
    numbered = enumerate(lines, start=1)
    header = _read_header(next(numbered, (1, ""))[1])
    charge_point: str | None = None
    for number, line in numbered:
        position: int | None = None
        try:
            text = _text_of(line)
            if not text.strip():
                continue
            row = _read_row(text, header)
            position = _whole_number(row, "seq", "the place of the row in the log")
            event = _event_of(row, position, charge_point, earliest)
        except _Fault as fault:
            yield LogRejection(number, position, fault.field, fault.reason, fault.code)
        else:
            charge_point = event["evse_uid"]
            yield LogEvent(number, position, event, _unknown_word(row))


def looks_like_header(line: bytes) -> bool:
    """Tell whether a line seems to name the columns of such a log: where it is read as something else."""
    try:
        names = {name.lower() for name in _cells(_text_of(line).removeprefix("\ufeff"))}
    except _Fault:
        return False
    return names.issuperset(COLUMNS[:2])


def _unknown_word(row: Mapping[str, str]) -> FieldWarning | None:
    word = row["status"]
    if row["kind"].lower() != "status" or is_known(word):
        return None
    shown, known = describe(word), ", ".join(STATUS_OF_WORD)
    message = f"taken for UNKNOWN: {shown} is no status of OCPP 1.6; accepted are {known}"
    return FieldWarning("status", message, shown)


def _text_of(line: str | bytes) -> str:
    try:
        if isinstance(line, bytes):
            return line.decode("utf-8")
        line.encode("utf-8")  # lone surrogates: what a lenient file handle makes of bytes it cannot decode
    except UnicodeError as error:
        raise _Fault("line", f"not UTF-8 ({error}); save the file as UTF-8") from None
    return line


def _cells(text: str) -> list[str]:
    try:
        rows = list(csv.reader([text.rstrip("\r\n")], strict=True))
    except csv.Error as error:
        raise _Fault("line", f"not a CSV line ({error}); close every quote") from None
    return [cell.strip() for cell in rows[0]] if rows else []


def _read_header(line: str | bytes) -> tuple[str, ...]:
    expected = f"the first line must name the columns {','.join(COLUMNS)}"
    try:
        names = tuple(name.lower() for name in _cells(_text_of(line).removeprefix("\ufeff")))
    except _Fault as fault:
        raise HeaderError(f"{fault.reason}; {expected}") from None
    if not any(names):
        raise HeaderError(f"there is no header; {expected}")
    missing = [column for column in COLUMNS if column not in names]
    if missing:
        raise HeaderError(f"the header misses {', '.join(missing)}; {expected}")
    twice = sorted({column for column in COLUMNS if names.count(column) > 1})
    if twice:
        raise HeaderError(
            f"the header names {', '.join(twice)} more than once; rename or drop one of the columns"
        )
    return names


def _read_row(text: str, header: tuple[str, ...]) -> dict[str, str]:
    cells = _cells(text)
    # A row cut short would silently lose the charger's own time, and one too long has shifted cells.
    if len(cells) < len(header) or any(cells[len(header) :]):
        reason = f"has {len(cells)} cells, the header {len(header)}; complete the line, or quote its commas"
        raise _Fault("line", reason)
    return dict(zip(header, cells, strict=False))


def _whole_number(row: Mapping[str, str], field: str, meaning: str) -> int:
    if not _WHOLE_NUMBER.fullmatch(row[field]):
        raise _Fault(field, f"{row[field][:40]!r} is not a whole number from 0 up; {field} is {meaning}")
    return int(row[field])


def _time(row: Mapping[str, str], field: str) -> datetime | None:
    """Read a time, None for an empty cell; without an offset it is UTC."""
    word = row[field]
    if not word:
        return None
    try:
        return parse_time(word)
    except ValueError:
        reason = (
            f"{word[:40]!r} is no time like 2026-01-02T01:52:58Z (RFC 3339); correct it or leave it empty"
        )
        raise _Fault(field, reason) from None


def _written(moment: datetime) -> str:
    """Write a time in RFC 3339 with `Z`."""
    return moment.isoformat().replace("+00:00", "Z")


def _no_time(field: str, reason: str) -> _Fault:
    return _Fault(field, reason, RejectionReason.NO_VALID_TIME)


def _was_set(moment: datetime | None, earliest: datetime | None) -> bool:
    return moment is not None and (earliest is None or moment >= earliest)


def _charge_point(row: Mapping[str, str]) -> str:
    cp = row["cp"]
    if not cp:
        raise _Fault("cp", "is empty; every row names its charge point")
    if len(cp) > _LONGEST_CP:
        raise _Fault("cp", f"has {len(cp)} characters, at most {_LONGEST_CP} are taken; shorten the name")
    if not is_uid(cp):
        raise _Fault("cp", f"{describe(cp)} holds a control character; take it out")
    return cp


def _event_of(
    row: Mapping[str, str], position: int, charge_point: str | None, earliest: datetime | None
) -> dict[str, Any]:
    cp = _charge_point(row)
    if charge_point is not None and cp != charge_point:
        other = f"{cp[:40]!r}, but the rows before are of {charge_point[:40]!r}"
        raise _Fault("cp", f"{other}; split the file, one charger a file")
    kind = row["kind"].lower()
    event: dict[str, Any] = {"event_id": f"{cp}:{position}", "evse_uid": cp}
    received_at = _time(row, "received_at")
    if received_at is not None:
        event["received_at"] = _written(received_at)
    if kind == "status":
        return event | _status_body(row, received_at, earliest)
    if kind not in KINDS:
        raise _Fault("kind", f"{row['kind'][:40]!r} is unknown; accepted are {', '.join(KINDS)}")
    if received_at is None:
        raise _no_time("received_at", f"is empty, and a row of kind {kind} has no other time; fill it in")
    if not _was_set(received_at, earliest):
        reason = f"lies before {earliest:%Y}, and a row of kind {kind} has no other time; correct it"
        raise _no_time("received_at", reason)
    if kind == "heartbeat":
        return event | {"type": EventType.EVSE_HEARTBEAT.value}
    online, reason_word = _LINK_OF_KIND[kind]
    link = {"type": EventType.CONNECTOR_ONLINE.value, "online": online, "occurred_at": event["received_at"]}
    return event | link if reason_word is None else event | link | {"reason": reason_word}


def _status_body(
    row: Mapping[str, str], received_at: datetime | None, earliest: datetime | None
) -> dict[str, Any]:
    connector_id = _whole_number(row, "connector_id", "0 for the whole charge point, else a connector")
    word = row["status"]
    if not word:
        raise _Fault("status", f"is empty; a row of kind status has one of {', '.join(STATUS_OF_WORD)}")
    occurred_at = _time(row, "device_ts")
    if occurred_at is None and received_at is None:
        raise _no_time("device_ts", "is empty, and so is received_at; fill in one of them")
    if not _was_set(occurred_at, earliest) and not _was_set(received_at, earliest):
        reason = f"is empty or lies before {earliest:%Y}, and so it is with received_at; correct one of them"
        raise _no_time("device_ts", reason)
    body: dict[str, Any] = {
        "type": EventType.EVSE_STATUS.value,
        "status": status_of(word).value,
        "raw_status": word,
    }
    if connector_id != WHOLE_CHARGE_POINT:
        body |= {"type": EventType.CONNECTOR_STATUS.value, "connector_uid": f"{row['cp']}-{connector_id}"}
    optional = {
        "occurred_at": None if occurred_at is None else _written(occurred_at),
        "error_code": error_code_of(row["error_code"]),
        "vendor_error_code": row["vendor_error_code"] or None,
    }
    return body | {name: value for name, value in optional.items() if value is not None}
