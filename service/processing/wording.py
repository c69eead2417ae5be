"""
The words of history: days, outages, exclusions and gaps as the JSON that the view and the ledger hold.

Whoever reads them finds their models in `schemas.view`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Final, TypeVar

import orjson

from schemas.view import NOT_HEARD
from schemas.vocabulary import TimeClass
from service.domain.buckets import COUNTERS, FIRST_COUNTER, OUTAGES, Buckets
from service.domain.definitions import PAIRS, UNHEARD
from service.domain.inventory import Exclusion, Gap
from service.domain.state import EvseState
from service.domain.time import DAY, SECOND, Micros, rfc3339
from service.domain.track import Cause, Span, Track
from service.processing.trimming import trimmed

_EPOCH: Final = date(1970, 1, 1)
_UNOBSERVED: Final = TimeClass.UNOBSERVED

ONLINE: Final = {None: "null", True: "true", False: "false"}

BUCKET_NAMES: Final[tuple[str, ...]] = tuple(
    f"{status or NOT_HEARD}/{ONLINE[online]}" for status, online in PAIRS
)
"""How a day names its buckets: `AVAILABLE/true`."""

COUNTER_NAMES: Final[dict[int, str]] = {number: f"attempts.{name}" for name, number in COUNTERS.items()} | {
    OUTAGES: "outages"
}
"""How a day names what it counts."""

_NAMES: Final = (*BUCKET_NAMES, *(COUNTER_NAMES[number] for number in sorted(COUNTER_NAMES)))
"""By the number under which a day keeps it."""


def day_json(buckets: Buckets) -> dict[str, float]:
    """Give a connector's day as the view holds it: seconds by state, and counts."""
    return {
        _NAMES[number]: amount / SECOND if number < FIRST_COUNTER else amount
        for number, amount in buckets.items()
    }


def port_day_json(classes: dict[TimeClass, Micros]) -> dict[str, float]:
    """Give the port's day as the view holds it: seconds by class, before exclusions and gaps."""
    return {str(time_class): amount / SECOND for time_class, amount in classes.items()}


def outage_json(uid: str, span: Span, *, is_open: bool = False) -> dict[str, Any]:
    """Give a span that is not plainly up as the view holds it."""
    status, online = PAIRS[span.bucket]
    return {
        "connector_uid": uid,
        "from": rfc3339(span.start),
        "until": None if is_open else rfc3339(span.end),
        "status": status,
        "online": online,
        "error_code": span.error_code,
        "began_by": _cause_json(span.began_by),
        "ended_by": _cause_json(span.ended_by),
    }


def _cause_json(cause: Cause | None) -> dict[str, Any] | None:
    return None if cause is None else {"event_id": cause.event_id, "position": cause.position}


def exclusion_json(exclusion: Exclusion) -> dict[str, Any]:
    """Give an exclusion as the view holds it."""
    return {
        "from": rfc3339(exclusion.from_),
        "until": None if exclusion.until is None else rfc3339(exclusion.until),
        "reason": exclusion.reason,
        "connector_uids": exclusion.connector_uids,
        "note": exclusion.note,
    }


def gap_json(gap: Gap) -> dict[str, Any]:
    """Give a gap as the view holds it."""
    return {"from": rfc3339(gap.from_), "until": rfc3339(gap.until)}


def recent_history(state: EvseState, as_of: Micros) -> bytes:
    """Give the history since the last closed day, up to `as_of`, that late events may still correct."""
    connectors: dict[str, Any] = {}
    for uid, track in state.tip.tracks.items():
        name = BUCKET_NAMES[track.bucket] if track.bucket != UNHEARD else None
        connectors[uid] = {
            "days": _days(track.days, day_json, track.told_days, name, track.poured, as_of),
            "outages": orjson.Fragment(_outages(uid, track, as_of)),
        }
    port = state.tip.port
    name = None if port.time_class is _UNOBSERVED else str(port.time_class)
    days = _days(port.days, port_day_json, port.told_days, name, port.poured, as_of)
    recent = {"from": rfc3339(max(state.closed, 0)), "connectors": connectors, "port": {"days": days}}
    return orjson.dumps(recent)


Amounts = TypeVar("Amounts")


def _days(
    days: Mapping[int, Amounts],
    as_json: Callable[[Amounts], dict[str, float]],
    told: dict[int, bytes],
    name: str | None,
    start: Micros,
    until: Micros,
) -> dict[str, Any]:
    """
    Give days by their dates, with what is open of the state `name` from `start` to `until`.

    Time is accounted for in its order: of all days but the newest what was told once still holds.
    """
    given: dict[str, Any] = {}
    newest = max(days, default=-1)
    for day, amounts in days.items():
        if day == newest:
            given[_date(day)] = as_json(amounts)
            continue
        said = told.get(day)
        if said is None:
            said = told[day] = trimmed(orjson.dumps(as_json(amounts)))
        given[_date(day)] = orjson.Fragment(said)
    while name is not None and start < until:
        day = start // DAY
        end = min(until, (day + 1) * DAY)
        seconds = given.setdefault(_date(day), {})
        seconds[name] = seconds.get(name, 0.0) + (end - start) / SECOND
        start = end
    return given


def _outages(uid: str, track: Track, as_of: Micros) -> bytes:
    """Give the spans that are not plainly up as a JSON array, the open one last."""
    told = track.told
    if len(track.spans) > told.count:
        more = [orjson.dumps(outage_json(uid, span)) for span in track.spans[told.count :]]
        told.add(len(track.spans), b",".join(more))
    open_span = track.open_span(as_of)
    if open_span is None:
        return b"".join((b"[", told.text, b"]"))
    said = orjson.dumps(outage_json(uid, open_span, is_open=True))
    return b"".join((b"[", told.text, b"," if told.count else b"", said, b"]"))


@lru_cache(maxsize=64)
def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()
