"""Decoding is total: whatever the bytes are, it returns an event or a reason."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.examples import EVENTS
from schemas.vocabulary import RejectionReason
from service.domain.events import Event
from service.domain.time import EARLIEST, SECOND
from service.processing import decoding
from service.processing.decoding import Rejection, decode
from service.processing.quick import quickly
from service.processing.values import Headers

TEXT = st.text(st.characters())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
NAMES = sorted({name for event in EVENTS.values() for name in event} | {"specversion", "data", "id", "time"})
EVENT = st.sampled_from(list(EVENTS.values()))
MICROS = st.none() | st.integers(-(10**16), 10**16)
HEADER = st.tuples(
    st.sampled_from(
        ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "ce_subject", "content-type", "x"]
    ),
    st.binary(max_size=12)
    | st.sampled_from([b"1.0", b"charger-1", b"evse.removed", b"2026-01-05T00:00:00Z"]),
)
HEADERS = st.lists(HEADER, max_size=4).map(tuple)


def outcome(value: bytes | None, **options: Any) -> Event | Rejection:
    """Decode, and check what holds for every result."""
    result = decode(
        value, **{"key": b"charger-1", "position": 1, "record_time": 1_767_614_400 * SECOND, **options}
    )
    if isinstance(result, Rejection):
        assert result.message
        assert "\n" not in result.message
        result.message.encode()
        (result.field or "").encode()
    else:
        assert result.at >= EARLIEST
        assert result.seen >= EARLIEST
    return result


@given(st.none() | st.binary(), st.none() | st.binary(), HEADERS, MICROS)
def test_arbitrary_bytes_never_raise(
    value: bytes | None, key: bytes | None, headers: Headers, record_time: int | None
) -> None:
    """Value, key and headers alike."""
    result = outcome(value, key=key, headers=headers, record_time=record_time)

    assert isinstance(result, Rejection)


@given(JSON, HEADERS)
def test_arbitrary_json_never_raises(value: object, headers: Headers) -> None:
    """Of any shape."""
    outcome(_bytes(value), headers=headers)


@given(EVENT, st.sampled_from(NAMES), JSON, HEADERS, MICROS)
def test_an_event_with_any_value_in_any_field_never_raises(
    event: dict[str, Any], name: str, value: object, headers: Headers, record_time: int | None
) -> None:
    """Where it is rejected for a field, the field is named."""
    result = outcome(_bytes({**event, name: value}), headers=headers, record_time=record_time)

    if isinstance(result, Rejection) and result.reason in {
        RejectionReason.MISSING_FIELD,
        RejectionReason.INVALID_FIELD,
        RejectionReason.ENVELOPE_MISMATCH,
    }:
        assert result.field
        assert result.field in result.message


@given(EVENT, st.data())
def test_an_inventory_with_anything_in_it_never_raises(event: dict[str, Any], data: st.DataObject) -> None:
    """A bad field is left out, a bad structure is rejected."""
    evse = dict(EVENTS_UPSERTED["evse"])
    evse[data.draw(st.sampled_from(sorted(evse)))] = data.draw(JSON)
    connector = dict(EVENTS_UPSERTED["evse"]["connectors"][0])
    connector[data.draw(st.sampled_from(sorted(connector)))] = data.draw(JSON)
    evse["connectors"] = data.draw(
        st.sampled_from([evse.get("connectors"), [connector], [connector, connector]])
    )

    outcome(_bytes({**EVENTS_UPSERTED, "event_id": event["event_id"], "evse": evse}))


@given(EVENT, st.data())
def test_a_byte_changed_anywhere_never_raises(event: dict[str, Any], data: st.DataObject) -> None:
    """Nor one that is cut out, or everything behind it."""
    value = bytearray(orjson.dumps(event))
    place = data.draw(st.integers(0, len(value) - 1))
    match data.draw(st.sampled_from(["change", "drop", "cut"])):
        case "change":
            value[place] = data.draw(st.integers(0, 255))
        case "drop":
            del value[place]
        case _:
            del value[place:]

    outcome(bytes(value))


@given(EVENT, MICROS)
def test_the_same_record_always_gives_the_same(event: dict[str, Any], record_time: int | None) -> None:
    """Decoding reads no clock."""
    value = orjson.dumps(event)

    assert outcome(value, record_time=record_time) == outcome(value, record_time=record_time)


EVENTS_UPSERTED = next(event for event in EVENTS.values() if "evse" in event)


def _bytes(value: object) -> bytes:
    """Write what hypothesis draws, integers of any size and half surrogate pairs (as escapes) included."""
    return json.dumps(value).encode()


TIMES = st.sampled_from(
    [
        "2026-01-05T11:59:30Z",
        "2026-01-05T11:59:30.5Z",
        "2026-01-05T11:59:30.1234567Z",
        "2026-01-05 11:59:30Z",
        "2026-01-05T11:59:60Z",
        "2026-01-05T11:59:30z",
        "2026-01-05T11:59:30+02:00",
        "2026-01-05T11:59:30",
        "2026-02-30T11:59:30Z",
        "2009-12-31T23:59:59Z",
        "0000-01-05T11:59:30Z",
        "2999-01-05T11:59:30Z",
        "2026-01-05T11:59:Z",
        "2026-01-05T11:59",
        "2Z",
        "",
        None,
    ]
)
WORDS: Any = st.sampled_from(
    ["AVAILABLE", "Faulted", "c1", "", "\n", "charger-1", "charger-2", "silence", "x" * 256, None, 1, []]
)
FIELDS = {
    "event_id": WORDS,
    "evse_uid": WORDS,
    "source": WORDS,
    "occurred_at": TIMES,
    "received_at": TIMES,
    "last_seen_at": TIMES,
    "connector_uid": WORDS,
    "status": WORDS,
    "raw_status": WORDS,
    "error_code": WORDS,
    "vendor_error_code": WORDS,
    "online": st.sampled_from([True, False, None, 1, 0, "true"]),
    "reason": WORDS,
    "heartbeat_interval_s": st.sampled_from(
        [None, 1, 300, 0, -1, 0.4, 300.5, 31_536_000, 31_536_001, True, "300"]
    ),
    "type": st.sampled_from([*EVENTS, "x.connector.status", None, 1, []]),
    "extra": JSON,
}
CHANGES = st.dictionaries(st.sampled_from(list(FIELDS)), st.just(None), max_size=4).flatmap(
    lambda names: st.fixed_dictionaries({name: FIELDS[name] for name in names})
)


@given(EVENT, CHANGES, st.sets(st.sampled_from(list(FIELDS)), max_size=2), MICROS, st.booleans())
def test_the_short_way_gives_what_the_long_way_gives(
    event: dict[str, Any], changes: dict[str, Any], gone: set[str], record_time: int | None, compare: bool
) -> None:
    """Whatever it takes upon itself; and it does take what is as it should be."""
    body = {name: value for name, value in {**event, **changes}.items() if name not in gone}
    options: dict[str, Any] = {"key": b"charger-1", "position": 7, "record_time": record_time}
    value = _bytes(body)

    short = quickly(value, b"charger-1", 7, record_time, compare_key=compare)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "quickly", lambda *_, **__: None)
        long = decode(value, compare_key=compare, **options)

    assert short is None or short == long
    if value == _bytes(event) and event["type"] in {"connector.status", "connector.online", "evse.heartbeat"}:
        assert short is not None
