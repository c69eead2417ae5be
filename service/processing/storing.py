"""
From what the view holds of an EVSE back to its state, and the packed form of the state.

Closed days and spans are read from where dashboards read them: they stand in the view once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

import orjson

from schemas.view import PORT, parse_day_field
from schemas.vocabulary import Status, TimeClass
from service.domain import packing
from service.domain.closed import PortDays
from service.domain.definitions import BUCKET
from service.domain.packing import Edge, UnknownVersion, make_history, unpack
from service.domain.state import EvseState, Whole
from service.domain.time import SECOND, Micros, micros_of_text
from service.domain.track import Cause, Span
from service.processing.values import StoredEvse
from service.processing.wording import BUCKET_NAMES, COUNTER_NAMES

__all__ = [
    "UnknownVersion",
    "edge_of",
    "from_base",
    "of_base",
    "pack_since",
    "pack_state",
    "read_days",
    "read_span",
    "refuse_unknown",
    "restore",
    "whole_of",
]

_EPOCH: Final = date(1970, 1, 1)
_NUMBER_OF_BUCKET: Final = {name: number for number, name in enumerate(BUCKET_NAMES)}
_NUMBER_OF_COUNTER: Final = {name: number for number, name in COUNTER_NAMES.items()}


def pack_state(state: EvseState) -> bytes:
    """Pack all that only the worker reads; closed history is not in it."""
    return _json(packing.pack(state))


def pack_since(state: EvseState, whole: Whole) -> bytes:
    """Pack what was added since all of it was packed."""
    return _json(packing.pack_since(state, whole))


def _json(plain: Any) -> bytes:
    # What is no plain value would else be written with the names of its fields, and not be read again.
    return orjson.dumps(plain, option=orjson.OPT_PASSTHROUGH_DATACLASS)


def of_base(state: bytes) -> bytes:
    """
    Give a whole state as a base has it: nothing is ever added to it.

    So it is of the version before additions, and a worker of that version can rebuild a view from it.
    """
    return _ALONE + state.removeprefix(_WITH_MORE) if state.startswith(_WITH_MORE) else state


def from_base(state: bytes) -> bytes:
    """Undo `of_base`: in the view more may be added to it."""
    return _WITH_MORE + state.removeprefix(_ALONE) if state.startswith(_ALONE) else state


_ALONE: Final = b"[%d," % packing.ALONE
_WITH_MORE: Final = b"[%d," % packing.VERSION


def whole_of(stored: StoredEvse) -> bytes:
    """Give all of a stored state as one, as `pack_state` would have."""
    return _json(_joined(orjson.loads(stored.state), stored.since)) if stored.since else stored.state


def _joined(whole: Any, since: bytes) -> Any:
    return packing.joined(whole, orjson.loads(since)) if since else whole


def restore(stored: StoredEvse) -> EvseState:
    """Make an EVSE's state from what the view holds; raise `UnknownVersion` if another version wrote it."""
    days, port_days = read_days(stored.days)
    spans = [read_span(value) for value in stored.outages]
    whole = orjson.loads(stored.state)
    state = unpack(_joined(whole, stored.since), make_history(days, spans), PortDays.of(port_days))
    if stored.whole_at is not None:
        state.whole = packing.extent(whole, state.declarations.version)
    return state


def refuse_unknown(state: bytes) -> None:
    """Raise `UnknownVersion` if another version packed a state, without reading the rest of it."""
    if not state.startswith((_ALONE, _WITH_MORE)):
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
