"""
From what the view holds of an EVSE back to its state, and the packed form of the state.

Closed days and spans are read from where dashboards read them: they stand in the view once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from itertools import islice
from typing import Any, Final

import orjson

from schemas.view import PORT, parse_day_field
from schemas.vocabulary import Status, TimeClass
from service.domain import packing
from service.domain.closed import PortDays
from service.domain.definitions import BUCKET
from service.domain.packing import (
    VERSION,
    Edge,
    UnknownVersion,
    make_history,
    pack_declarations,
    pack_head,
    pack_items,
    pack_tail,
    pack_timeline,
    unpack,
)
from service.domain.state import EvseState
from service.domain.time import SECOND, Micros, micros_of_text
from service.domain.track import Cause, Span, Told
from service.processing.trimming import trimmed
from service.processing.values import StoredEvse
from service.processing.wording import BUCKET_NAMES, COUNTER_NAMES

__all__ = ["UnknownVersion", "edge_of", "pack_state", "read_days", "read_span", "refuse_unknown", "restore"]

_EPOCH: Final = date(1970, 1, 1)
_NUMBER_OF_BUCKET: Final = {name: number for number, name in enumerate(BUCKET_NAMES)}
_NUMBER_OF_COUNTER: Final = {name: number for number, name in COUNTER_NAMES.items()}


def pack_state(state: EvseState) -> bytes:
    """
    Pack what only the worker reads; closed history is not in it.

    It is `packing.pack` as JSON, put together of the parts that still hold and what came since.
    """
    packed, declarations = state.packed, state.declarations
    if packed.base is None:
        packed.base = trimmed(_json(pack_timeline(state.base)))
    if declarations.packed is None:
        declarations.packed = trimmed(_json(pack_declarations(declarations)))
    recent, starts, ids = packed.recent, packed.minutes, packed.ids
    # One call of the encoder for all that is new, cut at what no JSON has in it.
    new = [
        *pack_head(state),
        _CUT,
        *pack_items(state.recent[recent.count :]),
        _CUT,
        *state.minutes.starts[starts.count :],
        _CUT,
        *_newest(state.ids, len(state.ids) - ids.count),
        _CUT,
        *pack_tail(state),
    ]
    head, items, minutes, digests, tail = _json(new).split(b"\0")
    _add(recent, len(state.recent), items)
    _add(starts, len(state.minutes.starts), minutes)
    _add(ids, len(state.ids), digests)
    return b"".join(
        (
            head,
            packed.base,
            b",[",
            recent.text,
            b"],[",
            starts.text,
            b"],[",
            ids.text,
            b"],",
            declarations.packed,
            tail,
        )
    )


_HEAD: Final = b"[%d," % VERSION
"""With this each packed state begins."""

_CUT: Final = orjson.Fragment(b"\0")


def _newest(ids: dict[int, Micros], count: int) -> list[tuple[int, Micros]]:
    """Give the last so many, in their order."""
    return list(islice(reversed(ids.items()), count))[::-1]


def _add(told: Told, count: int, new: bytes) -> None:
    """Add to what is packed of a list what it holds more, which stands between two commas."""
    if count > told.count:
        told.add(count, new[1:-1])


def _json(plain: Any) -> bytes:
    # What is no plain value would else be written with the names of its fields, and not be read again.
    return orjson.dumps(plain, option=orjson.OPT_PASSTHROUGH_DATACLASS)


def restore(stored: StoredEvse) -> EvseState:
    """Make an EVSE's state from what the view holds; raise `UnknownVersion` if another version wrote it."""
    days, port_days = read_days(stored.days)
    spans = [read_span(value) for value in stored.outages]
    return unpack(orjson.loads(stored.state), make_history(days, spans), PortDays.of(port_days))


def refuse_unknown(state: bytes) -> None:
    """Raise `UnknownVersion` if another version packed a state, without reading it."""
    if not state.startswith(_HEAD):
        raise UnknownVersion


def edge_of(state: bytes) -> Edge:
    """Read where the closed history of a packed state ends; raise `UnknownVersion` as `restore` does."""
    return packing.edge_of(orjson.loads(state))


def read_days(
    fields: Mapping[str, bytes],
) -> tuple[list[tuple[str, int, dict[int, int]]], dict[int, dict[TimeClass, Micros]]]:
    """Read closed days by their fields: (connector, day, amounts) of each, and the amounts of the port."""
    days: list[tuple[str, int, dict[int, int]]] = []
    port_days: dict[int, dict[TimeClass, Micros]] = {}
    for name, value in fields.items():
        uid, moment = parse_day_field(name)
        day = (moment - _EPOCH).days
        amounts: dict[str, float] = orjson.loads(value)
        if uid == PORT:
            port_days[day] = {TimeClass(word): _micros(seconds) for word, seconds in amounts.items()}
        else:
            days.append((uid, day, _buckets(amounts)))
    return days, port_days


def _buckets(amounts: dict[str, float]) -> dict[int, int]:
    buckets = {}
    for name, amount in amounts.items():
        counter = _NUMBER_OF_COUNTER.get(name)
        if counter is None:
            buckets[_NUMBER_OF_BUCKET[name]] = _micros(amount)
        else:
            buckets[counter] = int(amount)
    return buckets


def _micros(seconds: float) -> Micros:
    """Undo the division by a million: exact for anything within a day."""
    return round(seconds * SECOND)


def read_span(value: bytes) -> tuple[str, Span]:
    """Read a closed span as the view holds it: its connector, and the span."""
    plain: dict[str, Any] = orjson.loads(value)
    status = None if plain["status"] is None else Status(plain["status"])
    return plain["connector_uid"], Span(
        micros_of_text(plain["from"]),
        micros_of_text(plain["until"]),
        BUCKET[status, plain["online"]],
        plain["error_code"],
        _cause(plain["began_by"]),
        _cause(plain["ended_by"]),
    )


def _cause(plain: dict[str, Any] | None) -> Cause | None:
    return None if plain is None else Cause(plain["event_id"], plain["position"])
