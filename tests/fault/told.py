"""What a simulated fleet tells in some days, with all that goes wrong in a log: drawn from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zlib import crc32

import orjson

from schemas.vocabulary import RejectionReason
from service.domain.time import micros_from, rfc3339
from service.simulation import Fleet
from tests.acceptance.garbage import FAR_AHEAD, KINDS, NO_TIME
from tests.builders import Json
from tests.topics import Sent

PARTITIONS = 4
LATENESS = timedelta(hours=12)
"""Short, so that within days much of the history closes."""

_START = datetime(2026, 1, 5, tzinfo=UTC)
_SPAN = timedelta(hours=60)
_EVSES = (20, 28)
_LATE, _TWICE = 0.03, 0.02
_GARBAGE = 12

Arrival = tuple[datetime, Json]


def told(seed: int) -> list[Sent]:
    """Give the records of a scenario's log in their order; of one seed always the same."""
    rng = Random(f"{seed}/told")
    fleet = Fleet(seed, rng.randint(*_EVSES), _START)
    arrivals: list[Arrival] = [(_START, event) for event in fleet.inventory()]
    arrivals += fleet.history(_START + _SPAN)
    uids = sorted({str(event["evse_uid"]) for _, event in arrivals})
    arrivals = [_delayed(rng, arrival) if rng.random() < _LATE else arrival for arrival in arrivals]
    arrivals += [_again(rng, arrival) for arrival in arrivals if rng.random() < _TWICE]
    chosen = rng.sample(uids, 12)
    arrivals += _removals(rng, chosen[:2])
    arrivals += _exclusions(rng, chosen[2:8])
    arrivals += _gaps(rng, chosen[8:])
    arrivals.sort(key=lambda arrival: arrival[0])
    records = [_sent(arrival) for arrival in arrivals]
    for garbage in _garbage(rng):
        records.insert(rng.randrange(len(records)), garbage)
    return records


def _sent(arrival: Arrival) -> Sent:
    moment, event = arrival
    key = str(event["evse_uid"]).encode()
    return Sent(key, orjson.dumps(event), crc32(key) % PARTITIONS, timestamp_ms=_millis(moment))


def _millis(moment: datetime) -> int:
    return micros_from(moment) // 1_000


def _written(moment: datetime) -> str:
    return rfc3339(micros_from(moment))


def _delayed(rng: Random, arrival: Arrival) -> Arrival:
    """Let a report come hours later, some beyond the lateness; most are also received so late."""
    moment, event = arrival
    later = moment + rng.random() * 1.5 * LATENESS
    if "received_at" in event and rng.random() < 0.7:
        event = {**event, "received_at": _written(later)}
    return later, event


def _again(rng: Random, arrival: Arrival) -> Arrival:
    """Let the same come once more."""
    moment, event = arrival
    return moment + rng.random() * LATENESS / 2, event


def _some_time(rng: Random, begin: float = 0.2, end: float = 1.0) -> datetime:
    """Draw a time between two shares of the span, in whole seconds."""
    return _START + timedelta(seconds=round(_SPAN.total_seconds() * rng.uniform(begin, end)))


def _declared(rng: Random, kind: str, uid: str, at: datetime, **body: Any) -> Arrival:
    """Say something of the desk's, which is told within hours after it applies."""
    arrival = at + rng.random() * timedelta(hours=5)
    times = {"occurred_at": _written(at), "received_at": _written(arrival)}
    event_id = f"{kind}-{uid}-{_written(at)}-{rng.randrange(1 << 30)}"
    return arrival, {"type": kind, "event_id": event_id, "evse_uid": uid, **times, **body}


def _removals(rng: Random, uids: list[str]) -> Iterator[Arrival]:
    """Remove EVSEs of which more is heard afterwards."""
    for uid in uids:
        yield _declared(rng, "evse.removed", uid, _some_time(rng, 0.4, 0.9))


def _exclusions(rng: Random, uids: list[str]) -> Iterator[Arrival]:
    """Declare times, some of them open, replace some and take some back."""
    for uid in uids:
        begin = _some_time(rng, 0.1, 0.8)
        body: Json = {"exclusion_id": f"works-{uid}", "from": _written(begin), "reason": "maintenance"}
        if rng.random() < 0.6:
            body["until"] = _written(begin + rng.random() * timedelta(hours=20))
        yield _declared(rng, "exclusion.declared", uid, begin, **body)
        if rng.random() < 0.5:
            again = {**body, "until": _written(begin + timedelta(hours=3)), "note": "over sooner"}
            yield _declared(rng, "exclusion.declared", uid, begin + timedelta(hours=4), **again)
        if rng.random() < 0.4:
            at = begin + timedelta(hours=9)
            yield _declared(rng, "exclusion.withdrawn", uid, at, exclusion_id=f"works-{uid}")


def _gaps(rng: Random, uids: list[str]) -> Iterator[Arrival]:
    """Say that nothing could be seen for some hours, now and then."""
    for uid in uids:
        for _ in range(rng.randint(1, 2)):
            begin = _some_time(rng)
            until = begin + rng.random() * timedelta(hours=6)
            body = {"from": _written(begin), "until": _written(until)}
            yield _declared(rng, "observation.gap", uid, until, **body)


def _garbage(rng: Random) -> Iterator[Sent]:
    """
    Give records that nobody can use, anywhere in the log.

    None of them is of interest for its size, and none for its partition: which of two partitions an EVSE is
    first heard in depends on who reads faster, and so would the outcome.
    """
    left_out = {RejectionReason.TOO_LARGE, RejectionReason.TOO_DEEP, RejectionReason.WRONG_PARTITION}
    usable = [one.sent for one in KINDS if one.reason not in left_out]
    usable = [one for one in usable if one.timestamp_ms != FAR_AHEAD]
    for one in rng.choices(usable, k=_GARBAGE):
        moment = one.timestamp_ms if one.timestamp_ms == NO_TIME else _millis(_some_time(rng))
        yield replace(one, partition=rng.randrange(PARTITIONS), timestamp_ms=moment)
