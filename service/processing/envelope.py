"""
From the bytes and headers of a record to one JSON object with our names in it.

Knows JSON and CloudEvents 1.0 (Kafka binding: binary mode with `ce_` headers, structured mode with the
envelope in the value), and not what the events mean.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Any

import orjson

from schemas.errors import describe
from schemas.fields import parse_time
from schemas.vocabulary import EventType, RejectionReason
from service.processing.rejection import Rejected
from service.processing.values import Headers

Document = dict[str, Any]
Claim = tuple[str, str, object]
"""One attribute of an envelope: the name it stood under, the field it stands for, and its value."""

_STANDS_FOR = {
    "id": "event_id",
    "type": "type",
    "source": "source",
    "time": "occurred_at",
    "subject": "evse_uid",
}
_HEADER_STANDS_FOR = {f"ce_{name}": field for name, field in _STANDS_FOR.items()}
_REQUIRED = frozenset({"ce_specversion", "ce_id", "ce_source", "ce_type"})
"""The headers without which there is no CloudEvent (CloudEvents 1.0, "Required attributes")."""

_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LARGEST = "1e308"
"""Stands for a number beyond all that a double holds: no field takes one that is nearly as large."""
_MOST_BEYOND = 8
"""So many of these are read in one value: each has it parsed once more."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OUR_NAME = re.compile(r"(?:^|[./:#])(" + "|".join(re.escape(name.value) for name in EventType) + r")\Z")


def our_name(word: str) -> str | None:
    """Drop what stands before our name for a type of event (`com.example.connector.status`); None: not
    ours.
    """
    match = _OUR_NAME.search(word)
    return match.group(1) if match else None


def read_object(value: bytes | None, max_bytes: int, field: str | None = None) -> Document:
    """Read a JSON object; raise `Rejected` with a reason of its own for each way in which it is none."""
    what = field or "the value"
    if not value:
        raise Rejected(
            RejectionReason.EMPTY,
            f"{what} is empty: an event is a JSON object; to remove an EVSE, send evse.removed",
            field,
        )
    if len(value) > max_bytes:
        raise Rejected(
            RejectionReason.TOO_LARGE,
            f"{what} has {len(value)} bytes: an event has at most {max_bytes}",
            field,
        )
    try:
        document = _loads(value.removeprefix(_BYTE_ORDER_MARK))
    except orjson.JSONDecodeError as error:
        raise _unreadable(value, str(error), what, field) from None
    if not isinstance(document, dict):
        raise Rejected(
            RejectionReason.NOT_AN_OBJECT, f"{what} must be a JSON object, is {describe(document)}", field
        )
    return document


def _loads(text: bytes | str) -> Any:
    """
    Read JSON; a number beyond what a double holds is legal, and may stand in a field that is ignored.

    The largest that there is stands for it, which any field of ours rejects.
    """
    for _ in range(_MOST_BEYOND):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            # orjson gives no code for it; its words and the place are pinned by a test.
            number = _NUMBER.match(error.doc, error.pos) if "infinity" in str(error) else None
            if number is None:
                raise
            largest = "-" + _LARGEST if number[0].startswith("-") else _LARGEST
            # As long as it was: what else is wrong is named by its place.
            text = error.doc[: number.start()] + largest.ljust(len(number[0])) + error.doc[number.end() :]
    return orjson.loads(text)


def _unreadable(value: bytes, error: str, what: str, field: str | None) -> Rejected:
    try:
        value.decode()
    except UnicodeDecodeError as failed:
        message = f"{what} must be UTF-8: byte {failed.start} is not"
        return Rejected(RejectionReason.NOT_UTF8, message, field)
    # orjson gives no code for it; its words are pinned by a test.
    if "depth" in error or "recursion" in error.lower():
        return Rejected(
            RejectionReason.TOO_DEEP, f"{what} is nested too deeply: an event needs five levels", field
        )
    return Rejected(RejectionReason.NOT_JSON, f"{what} must be JSON: {error}", field)


def open_envelope(value: bytes | None, headers: Headers, max_bytes: int, claims: list[Claim]) -> Document:
    """
    Take the event out of its envelope, if it has one; add to `claims` what the envelope says about it.

    What was read of them stays there where this raises, so that a rejection can say whose event it was. A
    CloudEvent of binary mode may have no data, like one of structured mode: its headers say all.
    """
    for claim in _header_claims(headers):
        claims.append(claim)  # noqa: PERF402 - those before one that is bad are kept
    if not value and _is_cloud_event(headers):
        return {}
    document = read_object(value, max_bytes)
    if "specversion" not in document:
        return document
    for name, field in _STANDS_FOR.items():
        said = document.get(name)
        if said is not None:
            claims.append((name, field, said))
    _check_version("specversion", document["specversion"])
    return _data_of(document, max_bytes)


def _is_cloud_event(headers: Headers) -> bool:
    return {name for name, content in headers if content} >= _REQUIRED


def _header_claims(headers: Headers) -> Iterable[Claim]:
    for name, content in headers:
        field = _HEADER_STANDS_FOR.get(name)
        if not content or (field is None and name != "ce_specversion"):
            continue
        try:
            text = content.decode()
        except UnicodeDecodeError:
            raise Rejected(RejectionReason.NOT_UTF8, f"the header {name} must be UTF-8", name) from None
        if field is None:
            _check_version(name, text)
        else:
            yield name, field, text


def _check_version(name: str, version: object) -> None:
    if not isinstance(version, str) or not version.startswith("1."):
        raise Rejected(RejectionReason.INVALID_FIELD, f"{name} must be 1.0, is {describe(version)}", name)


def _data_of(document: Document, max_bytes: int) -> Document:
    """Give the data of a structured CloudEvent; without any, the attributes alone may say all
    (`evse.removed`).
    """
    data = document.get("data")
    if data is None:
        encoded = document.get("data_base64")
        if encoded is None:
            return document
        try:
            return read_object(base64.b64decode(encoded, validate=True), max_bytes, "data_base64")
        except (TypeError, ValueError, binascii.Error):
            message = f"data_base64 must be Base64, is {describe(encoded)}"
            raise Rejected(RejectionReason.INVALID_FIELD, message, "data_base64") from None
    if not isinstance(data, dict):
        raise Rejected(
            RejectionReason.NOT_AN_OBJECT, f"data must be a JSON object, is {describe(data)}", "data"
        )
    return data


def reconcile(document: Document, claims: list[Claim]) -> Document:
    """Let the envelope stand for what the data lacks; raise `Rejected` where both say something else."""
    merged = dict(document)
    taken_from: dict[str, str] = {}
    for name, field, claim in claims:
        if not isinstance(claim, str):
            message = f"{name} must be a string, is {describe(claim)}"
            raise Rejected(RejectionReason.INVALID_FIELD, message, name)
        if field == "occurred_at" and _instant(claim) is None:
            message = f"{name} must be an RFC 3339 time like 2026-01-05T00:00:00Z, is {describe(claim)}"
            raise Rejected(RejectionReason.INVALID_FIELD, message, name)
        said = merged.get(field)
        if said is None:
            merged[field], taken_from[field] = claim, _with_place(name)
        elif not _same(field, said, claim):
            other = taken_from.get(field, f"{field} of the data")
            message = (
                f"{_with_place(name)} is {describe(claim)} but {other} is {describe(said)}: "
                f"send one {field}, or both alike"
            )
            raise Rejected(RejectionReason.ENVELOPE_MISMATCH, message, field)
    return merged


def _with_place(name: str) -> str:
    return f"the header {name}" if name in _HEADER_STANDS_FOR else f"{name} of the envelope"


def _same(field: str, said: object, claim: str) -> bool:
    if said == claim:
        return True
    if field == "type":
        return isinstance(said, str) and our_name(said) is not None and our_name(said) == our_name(claim)
    # A time that is none is for the validation of the field to reject, under its own name.
    return field == "occurred_at" and _instant(said) in {None, _instant(claim)}


def _instant(text: object) -> object:
    try:
        return parse_time(text)
    except ValueError:
        return None
