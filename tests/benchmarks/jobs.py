"""
The logs that are measured: records in the order of the log, the same for the same arguments.

`reference` is the job that results are compared by; the others are what real fleets do to a worker.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from schemas.examples import EVSE_EXAMPLE
from service.domain.time import SECOND, Micros, rfc3339

PARTITIONS = 4
CONNECTORS = ("c1", "c2")
WALK = (
    "AVAILABLE",
    "PREPARING",
    "CHARGING",
    "FINISHING",
    "AVAILABLE",
    "OUTOFORDER",
    "AVAILABLE",
    "INOPERATIVE",
)
"""What the statuses of a connector walk through, again and again."""

_STEP: Micros = SECOND // 10
_ONLINE_SHARE = 0.7


class Entry(NamedTuple):
    """One record to be written: its time is that of the event, in microseconds."""

    partition: int
    key: bytes
    value: bytes
    timestamp: Micros


@dataclass(frozen=True, slots=True)
class Size:
    """How large a job is; `begin` is the time of its first event."""

    records: int
    evses: int
    begin: Micros
    seed: int = 1


def uid_of(number: int) -> str:
    """Name an EVSE."""
    return f"EVSE-{number:07d}"


def inventory(size: Size) -> Iterator[Entry]:
    """Give the inventory of every EVSE, about 1.4 kB each."""
    for number in range(size.evses):
        uid = uid_of(number)
        connectors = [{**EVSE_EXAMPLE["connectors"][0], "uid": name, "status": None} for name in CONNECTORS]
        evse = {**EVSE_EXAMPLE, "uid": uid, "connectors": connectors}
        body: dict[str, object] = {
            "type": "evse.upserted",
            "event_id": f"inventory-{uid}",
            "evse": evse,
        }
        yield _entry(number, size.begin, body)


def reference(size: Size) -> Iterator[Entry]:
    """70 % statuses that walk on, 20 % words about the link (70 % of them true), 10 % heartbeats."""
    yield from _mixed(size, statuses=0.7, links=0.2)


def fleet(size: Size) -> Iterator[Entry]:
    """What real chargers send: 85 % heartbeats and repeats of the status, the rest as in the reference."""
    yield from _mixed(size, statuses=0.12, links=0.03, repeats=0.25)


def storm(size: Size) -> Iterator[Entry]:
    """Half the reference job, then every charger sends what it said again, with the old times."""
    half = list(reference(Size(size.records // 2, size.evses, size.begin, size.seed)))
    yield from half
    now = half[-1].timestamp
    for number, entry in enumerate(half[-(size.records - len(half)) :]):
        now += _STEP
        event = orjson.loads(entry.value)
        event |= {"event_id": f"again-{number}", "received_at": rfc3339(now)}
        yield Entry(entry.partition, entry.key, orjson.dumps(event), now)


def hot(size: Size) -> Iterator[Entry]:
    """The reference job about a single EVSE."""
    yield from reference(Size(size.records, 1, size.begin, size.seed))


JOBS: dict[str, Callable[[Size], Iterator[Entry]]] = {
    "reference": reference,
    "fleet": fleet,
    "storm": storm,
    "hot": hot,
}


def _mixed(size: Size, *, statuses: float, links: float, repeats: float = 0.0) -> Iterator[Entry]:
    draw = random.Random(size.seed)
    steps = [[0] * len(CONNECTORS) for _ in range(size.evses)]
    at = size.begin
    for number in range(size.records):
        at += _STEP
        evse = draw.randrange(size.evses)
        kind = draw.random()
        body: dict[str, object] = {"type": "evse.heartbeat", "event_id": f"event-{number:09d}"}
        if kind < statuses + repeats:
            connector = draw.randrange(len(CONNECTORS))
            if kind < statuses:
                steps[evse][connector] += 1
            status = WALK[steps[evse][connector] % len(WALK)]
            body |= {"type": "connector.status", "connector_uid": CONNECTORS[connector], "status": status}
        elif kind < statuses + repeats + links:
            body |= {"type": "connector.online", "online": draw.random() < _ONLINE_SHARE}
        yield _entry(evse, at, body)


def _entry(evse: int, at: Micros, body: dict[str, object]) -> Entry:
    uid, time = uid_of(evse), rfc3339(at)
    event = {
        "evse_uid": uid,
        "occurred_at": time,
        "received_at": time,
        "source": "csms-west",
        **body,
    }
    return Entry(evse % PARTITIONS, uid.encode(), orjson.dumps(event), at)
