"""
The short way from a record to an event, for what nearly every record is.

A plain JSON object with a status, a word about the link or a heartbeat, every field as it should be: its
event is made without the models. Anything else, also anything merely unusual, is None and takes the long way
(`decoding`), which alone says what is valid and what is wrong with what is not. A property test holds the two
to the same answer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import orjson

from schemas.events import LONGEST_INTERVAL_S
from schemas.fields import MAX_TEXT_LENGTH, is_uid, parse_time
from schemas.vocabulary import EventType, Status
from service.domain import events as domain
from service.domain.time import Micros, micros_from
from service.processing.clocks import apply_clock_rules

STATUSES: Final = {status.value: status for status in Status}
_SOME_MINUTE: Final = "2026-01-05T00:00:"
_TO_MINUTE: Final = len(_SOME_MINUTE)

_known_uid = lru_cache(maxsize=65_536)(is_uid)
"""Uids come again and again; ids of events do not."""


_Get = Callable[[str], Any]
_Common = tuple[str, str, int, Micros, Micros, bool, str | None]
"""The fields of `domain.Event`, in their order."""


def quickly(
    value: bytes, key: bytes | None, position: int, record_time: Micros | None, *, compare_key: bool
) -> domain.Event | None:
    """Give the event of a record without headers, None where it takes the long way; see `decode`."""
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    if type(document) is not dict or "specversion" in document:
        return None
    get: _Get = document.get
    kind, event_id, uid, source = get("type"), get("event_id"), get("evse_uid"), get("source")
    make = _MAKE.get(kind) if type(kind) is str else None
    if make is None or not is_uid(event_id) or not _is_known_uid(uid) or not _is_text(source):
        return None
    occurred_at, received_at = get("occurred_at"), get("received_at")
    try:
        occurred = _micros(occurred_at)
        received = occurred if received_at == occurred_at else _micros(received_at)
    except ValueError:
        return None
    at, seen, corrected = apply_clock_rules(occurred, received, record_time)
    if at is None or (compare_key and key != uid.encode()):
        return None
    return make(document, (event_id, uid, position, at, seen, corrected, source))


def _is_known_uid(word: Any) -> bool:
    return type(word) is str and _known_uid(word)


def _is_text(word: Any) -> bool:
    return word is None or (type(word) is str and len(word) <= MAX_TEXT_LENGTH)


def _micros(text: Any) -> Micros | None:
    """Read a time that ends in `Z`; raise ValueError for what else there may be."""
    if text is None:
        return None
    # In this century nothing has to be cut off, and a minute and what follows it can be read apart.
    if type(text) is not str or text[:1] != "2" or text[-1:] != "Z":
        raise ValueError
    return _minute(text[:_TO_MINUTE]) + _beyond(text[_TO_MINUTE:])


@lru_cache(maxsize=4096)
def _minute(text: str) -> Micros:
    return micros_from(parse_time(f"{text}00Z"))


@lru_cache(maxsize=65_536)
def _beyond(text: str) -> Micros:
    return micros_from(parse_time(_SOME_MINUTE + text)) - _minute(_SOME_MINUTE)


def _status(document: dict[str, Any], common: _Common) -> domain.Event | None:
    get: _Get = document.get
    connector_uid, status = get("connector_uid"), get("status")
    known = STATUSES.get(status) if type(status) is str else None
    raw, error, vendor_error = get("raw_status"), get("error_code"), get("vendor_error_code")
    if known is None or not _is_known_uid(connector_uid):
        return None
    if not (_is_text(raw) and _is_text(error) and _is_text(vendor_error)):
        return None
    event_id, uid, position, at, seen, corrected, source = common
    return domain.StatusReported(
        event_id, uid, position, at, seen, corrected, source, connector_uid, known, raw, error, vendor_error
    )


def _online(document: dict[str, Any], common: _Common) -> domain.Event | None:
    get: _Get = document.get
    connector_uid, online, reason = get("connector_uid"), document.get("online", ""), get("reason")
    if online is not None and type(online) is not bool:
        return None
    if not (connector_uid is None or _is_known_uid(connector_uid)) or not _is_text(reason):
        return None
    if reason == domain.SILENCE or get("last_seen_at") is not None:
        return None
    event_id, uid, position, at, seen, corrected, source = common
    return domain.OnlineReported(
        event_id, uid, position, at, seen, corrected, source, connector_uid, online, reason
    )


def _heartbeat(document: dict[str, Any], common: _Common) -> domain.Event | None:
    interval = document.get("heartbeat_interval_s")
    if interval is not None and not (type(interval) is int and 0 < interval <= LONGEST_INTERVAL_S):
        return None
    event_id, uid, position, at, seen, corrected, source = common
    return domain.HeartbeatReceived(event_id, uid, position, at, seen, corrected, source, interval)


_MAKE: Final = {
    EventType.CONNECTOR_STATUS.value: _status,
    EventType.CONNECTOR_ONLINE.value: _online,
    EventType.EVSE_HEARTBEAT.value: _heartbeat,
}
