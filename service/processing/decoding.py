"""
From a record to an event, or to the reason why it is none.

`decode` is total: whatever the bytes are, it returns. The clock rules (promise P3, `clocks`) are applied
here and on the short way (`quick`); behind it, time is what the event says. Knows JSON and the published
models, and neither topics nor state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from schemas import events as wire
from schemas.errors import describe, is_missing, path_of, remedy_of
from schemas.evse import EVSE, FieldWarning, StructureError, parse_evse
from schemas.fields import is_uid, kept_of
from schemas.vocabulary import EventType, RejectionReason, Status
from service.domain import events as domain
from service.domain.time import Micros, micros_from
from service.processing.clocks import apply_clock_rules
from service.processing.envelope import Claim, Document, open_envelope, our_name, reconcile
from service.processing.quick import STATUSES, quickly
from service.processing.rejection import Rejected, Rejection
from service.processing.values import Headers

__all__ = ["MAX_BYTES", "Rejection", "Warn", "decode"]

MAX_BYTES = 1 << 20
"""Largest value, in bytes, that is parsed at all; a whole EVSE with many connectors has a few kB."""

Warn = Callable[[str, FieldWarning], None]
"""
Told the EVSE's uid, and each field of its inventory that was left out because it was bad, and each status in
a word that is not known.
"""

_IGNORED = {"status", "online", "uptime", "reliability", "last_updated"}
"""What the fold decides of a connector; an inventory's word for it is ignored (design 2.1)."""

_UNREAD = _IGNORED - {"status"}
"""What is ignored whatever it is, so that nobody is warned of it; a status may be the first one."""

_TYPES = frozenset(EventType)


def decode(  # noqa: PLR0913 - all but the value are named
    value: bytes | None,
    *,
    key: bytes | None,
    headers: Headers = (),
    position: int,
    record_time: Micros | None,
    compare_key: bool = True,
    max_bytes: int = MAX_BYTES,
    warn: Warn | None = None,
) -> domain.Event | Rejection:
    """
    Make an event of a record, or say why it is none. Never raises, whatever the bytes.

    `position` is the place in the log. `record_time` is the record's own timestamp in microseconds, None
    where there is none (a file); one before 2010 counts as none. `compare_key`: the key must be the EVSE's
    uid, and a missing key is a mismatch; False where records have no keys (a file). `warn` is called for bad
    fields of an inventory that is good otherwise, and for statuses in words that are not known.
    """
    if not headers and value is not None and len(value) <= max_bytes:
        event = quickly(value, key, position, record_time, compare_key=compare_key)
        if event is not None:
            return event
    document: Document = {}
    claims: list[Claim] = []
    try:
        document = open_envelope(value, headers, max_bytes, claims)
        if claims:
            document = reconcile(document, claims)
        warnings: list[FieldWarning] = []
        said = _validate(_with_our_type(document), warnings)
        if compare_key and key != said.evse_uid.encode():
            raise _key_mismatch(key, said.evse_uid)
        decoded = _translate(said, position, *_times(said, record_time))
        warnings += _unknown_words(document, said)
    except Rejected as rejected:
        return Rejection(
            rejected.reason,
            rejected.message,
            rejected.field,
            uid=_identifier(document, claims, "evse_uid"),
            event_id=_identifier(document, claims, "event_id"),
        )
    if warn is not None:
        for warning in warnings:
            warn(said.evse_uid, warning)
    return decoded


def _identifier(document: Document, claims: Iterable[Claim], field: str) -> str | None:
    said = [document.get(field), *(claim for _, about, claim in claims if about == field)]
    word = next((word for word in said if word is not None), None)
    return str(word) if is_uid(word) else None


def _key_mismatch(key: bytes | None, uid: str) -> Rejected:
    said = "missing" if key is None else describe(key.decode(errors="backslashreplace"))
    message = f"the record's key is {said}: it must be evse_uid, {describe(uid)}, in UTF-8"
    return Rejected(RejectionReason.KEY_MISMATCH, message, "key")


def _with_our_type(document: Document) -> Document:
    """Name the type of event as we do, or reject it."""
    word = document.get("type")
    if word is None:
        raise Rejected(
            RejectionReason.MISSING_FIELD, "type is missing: it says what kind of event this is", "type"
        )
    if not isinstance(word, str):
        raise Rejected(RejectionReason.INVALID_FIELD, f"type must be a string, is {describe(word)}", "type")
    name = word if word in _TYPES else our_name(word)
    if name is None:
        known = ", ".join(EventType)
        raise Rejected(RejectionReason.UNKNOWN_TYPE, f"type {describe(word)} is none of {known}", "type")
    return document if name == word else {**document, "type": name}


def _validate(document: Document, warnings: list[FieldWarning]) -> wire.Event:
    if document["type"] == EventType.EVSE_UPSERTED and is_uid(document.get("evse_uid")):
        document = _with_inventory(document, warnings)
    try:
        return wire.EVENT.validate_python(document)
    except ValidationError as failed:
        errors = failed.errors(include_url=False)
    error, more = errors[0], len(errors) - 1
    # The first part of the path is the type, which chose the model.
    field = path_of(error["loc"][1:])
    others = f" (and {more} more)" if more else ""
    if is_missing(error):
        message = f"{field} is missing: {document['type']} needs it{others}"
        raise Rejected(RejectionReason.MISSING_FIELD, message, field)
    raise Rejected(RejectionReason.INVALID_FIELD, f"{field} {remedy_of(error)}{others}", field)


def _unknown_words(document: Document, said: wire.Event) -> Iterator[FieldWarning]:
    """Name the statuses in words that are not known: a producer that says none of ours is noticed by it."""
    if isinstance(said, wire.StatusEvent):
        if said.status is Status.UNKNOWN and document["status"] not in STATUSES:
            yield _unknown_word("status", document["status"])
    elif isinstance(said, wire.EvseUpserted):
        for number, connector in enumerate(said.evse.connectors or ()):
            if connector.status is not None and connector.status not in STATUSES:
                yield _unknown_word(f"evse.connectors.{number}.status", connector.status)


def _unknown_word(field: str, word: str) -> FieldWarning:
    ours = word.upper()
    remedy = f"did you mean {ours}?" if ours in STATUSES else f"known are {', '.join(Status)}"
    shown = describe(word)
    return FieldWarning(field, f"taken for UNKNOWN: {shown} is no status; {remedy}", shown)


def _with_inventory(document: Document, warnings: list[FieldWarning]) -> Document:
    """Read the EVSE of `evse.upserted` leniently; its uid may be left out, since the event says it."""
    raw = document.get("evse")
    if raw is None:
        return document
    uid = document["evse_uid"]
    if isinstance(raw, dict) and raw.get("uid") is None:
        raw = {**raw, "uid": uid}
    try:
        evse, left_out = parse_evse(raw)
    except StructureError as failed:
        field = f"evse.{failed.field}".rstrip(".")
        reason = RejectionReason.MISSING_FIELD if failed.missing else RejectionReason.INVALID_FIELD
        raise Rejected(reason, f"{field} {failed.remedy}", field) from None
    if evse.uid != uid:
        message = f"evse.uid must equal evse_uid, {describe(uid)}, is {describe(evse.uid)}"
        raise Rejected(RejectionReason.INVALID_FIELD, message, "evse.uid")
    warnings += [
        FieldWarning(f"evse.{warning.field}", warning.message)
        for warning in left_out
        if warning.field.rpartition(".")[2] not in _UNREAD
    ]
    return {**document, "evse": evse}


def _times(event: wire.Event, record_time: Micros | None) -> tuple[Micros, Micros, bool]:
    """Apply the clock rules: (when it applies, when it was seen, corrected)."""
    at, seen, corrected = apply_clock_rules(
        _micros(event.occurred_at), _micros(event.received_at), record_time
    )
    if at is None:
        message = (
            "occurred_at is missing or before 2010, and no time of receipt stands in for it: give one of them"
        )
        raise Rejected(RejectionReason.NO_VALID_TIME, message, "occurred_at")
    return at, seen, corrected


def _translate(  # noqa: PLR0911 - one return for each type of event
    event: wire.Event, position: int, at: Micros, seen: Micros, corrected: bool
) -> domain.Event:
    """Say in the domain's words what the wire said."""
    common = (event.event_id, event.evse_uid, position, at, seen, corrected, event.source)
    match event:
        case wire.ConnectorStatus():
            words = (event.raw_status, event.error_code, event.vendor_error_code)
            return domain.StatusReported(*common, event.connector_uid, event.status, *words)
        case wire.EvseHeartbeat():
            interval = event.heartbeat_interval_s
            return domain.HeartbeatReceived(*common, None if interval is None else max(1, round(interval)))
        case wire.ConnectorOnline():
            last_seen_at = _micros(event.last_seen_at)
            silence = event.reason == "silence" and event.online is False and last_seen_at is not None
            said = (event.connector_uid, event.online, event.reason)
            return domain.OnlineReported(*common, *said, silence, last_seen_at if silence else None)
        case wire.EvseStatus():
            words = (event.raw_status, event.error_code, event.vendor_error_code)
            return domain.ChargerNoted(*common, event.status, *words)
        case wire.EvseUpserted():
            return domain.InventoryUpserted(*common, *_inventory(event.evse))
        case wire.EvseRemoved():
            return domain.EvseRemoved(*common)
        case wire.ExclusionDeclared():
            span = (micros_from(event.from_), _micros(event.until))
            return domain.ExclusionDeclared(
                *common, event.exclusion_id, *span, event.reason, event.connector_uids, event.note
            )
        case wire.ExclusionWithdrawn():
            return domain.ExclusionWithdrawn(*common, event.exclusion_id)
        case wire.ObservationGap():
            return domain.GapObserved(*common, micros_from(event.from_), micros_from(event.until))


def _micros(moment: datetime | None) -> Micros | None:
    return None if moment is None else micros_from(moment)


Fields = dict[str, Any]


def _inventory(evse: EVSE) -> tuple[Fields, dict[str, Fields] | None, dict[str, tuple[Status, str | None]]]:
    """Take an EVSE apart: its own fields, its connectors' by their uid, and the statuses it claims for
    them.
    """
    fields = evse.model_dump(mode="json", exclude_none=True, exclude={"connectors", "last_updated"})
    if evse.connectors is None:
        return fields, None, {}
    connectors = {
        c.uid: c.model_dump(mode="json", exclude_none=True, exclude=_IGNORED) for c in evse.connectors
    }
    statuses = {
        c.uid: (STATUSES.get(c.status, Status.UNKNOWN), None if c.status in STATUSES else kept_of(c.status))
        for c in evse.connectors
        if c.status is not None
    }
    return fields, connectors, statuses
