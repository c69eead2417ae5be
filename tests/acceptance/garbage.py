"""Garbage of every kind, and what each has to be rejected for."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from schemas.vocabulary import RejectionReason
from service.processing.values import Headers
from tests.builders import Json, status_reported
from tests.topics import Sent

HOME, ELSEWHERE = 0, 1
"""The partition that the EVSE `e1` lives in, and another one."""

NO_TIME = 1_000
"""A record's own timestamp, in milliseconds, that nobody set; with 0 the producer would take its own."""

FAR_AHEAD = 1_767_571_200_000_000
"""Microseconds where milliseconds belong: the year 57 981, which no calendar here has."""


@dataclass(frozen=True)
class Garbage:
    """One record and the reason it ends with; `says` stands in the message."""

    sent: Sent
    reason: RejectionReason
    says: str


def _garbage(
    reason: RejectionReason,
    says: str,
    value: bytes | None,
    *,
    key: bytes | None = b"e1",
    headers: Headers = (),
    partition: int = HOME,
    timestamp_ms: int | None = None,
) -> Garbage:
    traced = (("trace", b"17"), *headers, ("trace", b"\xff\x00"))
    return Garbage(Sent(key, value, partition, traced, timestamp_ms), reason, says)


def _written(**changes: object) -> bytes:
    """Write a good event with some fields changed; None leaves one out."""
    changed: Json = {**status_reported("CHARGING", "10:00"), **changes}
    return orjson.dumps({name: value for name, value in changed.items() if value is not None})


def large_event(size: int) -> bytes:
    """Write an event of that many bytes that is good in itself, and has no time of its own."""
    event = _written(event_id="large", status="INOPERATIVE", occurred_at=None, received_at=None, padding="")
    return event.replace(b'"padding":""', b'"padding":"' + b"x" * (size - len(event)) + b'"')


_BARE = {"occurred_at": None, "received_at": None}

KINDS: tuple[Garbage, ...] = (
    _garbage(RejectionReason.NOT_JSON, "the value must be JSON", b"{oops"),
    _garbage(RejectionReason.NOT_JSON, "must be JSON: unexpected end", _written()[:-1]),
    _garbage(RejectionReason.NOT_JSON, "must be JSON", _written(status=17).replace(b"17", b"NaN")),
    _garbage(RejectionReason.NOT_JSON, "surrogate", _written(status="17").replace(b"17", rb"\ud800")),
    _garbage(RejectionReason.NOT_UTF8, "byte 1 is not", b'"\xed\xa0\x80"'),
    _garbage(RejectionReason.NOT_UTF8, "must be UTF-8: byte", _written(status="17").replace(b"17", b"\xff")),
    _garbage(RejectionReason.NOT_UTF8, "the header ce_id", _written(), headers=(("ce_id", b"\xfe"),)),
    _garbage(RejectionReason.TOO_DEEP, "nested too deeply", b"[" * 100_000 + b"]" * 100_000),
    _garbage(
        RejectionReason.TOO_LARGE, "5000000 bytes", large_event(5_000_000), timestamp_ms=1_767_639_600_000
    ),
    _garbage(RejectionReason.EMPTY, "is empty", b""),
    _garbage(RejectionReason.EMPTY, "is empty", None),
    _garbage(RejectionReason.NOT_AN_OBJECT, "must be a JSON object", b"[" + _written() + b"]"),
    _garbage(RejectionReason.NOT_AN_OBJECT, "must be a JSON object", b"null"),
    _garbage(RejectionReason.UNKNOWN_TYPE, "'connector.exploded'", _written(type="connector.exploded")),
    _garbage(RejectionReason.MISSING_FIELD, "type is missing", _written(type=None)),
    _garbage(RejectionReason.MISSING_FIELD, "evse_uid is missing", _written(evse_uid=None)),
    _garbage(RejectionReason.INVALID_FIELD, "evse_uid", _written(evse_uid=17)),
    _garbage(RejectionReason.INVALID_FIELD, "status", _written(status={"is": "AVAILABLE"})),
    _garbage(RejectionReason.INVALID_FIELD, "occurred_at", _written(occurred_at=1_767_571_200)),
    _garbage(
        RejectionReason.ENVELOPE_MISMATCH,
        "ce_subject is 'e2' but evse_uid of the data is 'e1'",
        _written(),
        headers=(("ce_specversion", b"1.0"), ("ce_subject", b"e2")),
    ),
    _garbage(RejectionReason.KEY_MISMATCH, "key is 'e9'", _written(), key=b"e9"),
    _garbage(RejectionReason.KEY_MISMATCH, "key is missing", _written(), key=None),
    _garbage(RejectionReason.KEY_MISMATCH, "key is ''", _written(), key=b""),
    _garbage(RejectionReason.KEY_MISMATCH, r"\xff", _written(), key=b"\xff"),
    _garbage(RejectionReason.NO_VALID_TIME, "occurred_at", _written(**_BARE), timestamp_ms=NO_TIME),
    _garbage(RejectionReason.NO_VALID_TIME, "occurred_at", _written(**_BARE), timestamp_ms=FAR_AHEAD),
    _garbage(RejectionReason.WRONG_PARTITION, "lives in partition 0", _written(), partition=ELSEWHERE),
)
