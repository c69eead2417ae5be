"""
The logs that are measured: records in the order of the log, the same for the same arguments.

`reference` is the job that results are compared by; the others are what real fleets do to a worker. Each
gives its records one by one and keeps two bytes an EVSE, so a job may be larger than memory.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import orjson

from schemas.examples import EVSE_EXAMPLE
from service.domain.time import DAY, SECOND, Micros, rfc3339

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

STEP: Micros = SECOND // 10
"""Between two records of a job, in microseconds of event time."""

_ONLINE_SHARE = 0.7


class Entry(NamedTuple):
    """One record to be written: its time is that of the event, in microseconds."""

    partition: int
    key: bytes
    value: bytes
    timestamp: Micros


@dataclass(frozen=True, slots=True)
class Size:
    """How large a job is; `begin` is the time of its first event, in microseconds since 1970."""

    records: int
    evses: int
    begin: Micros
    seed: int = 1


def uid_of(number: int) -> str:
    """Name an EVSE."""
    return f"EVSE-{number:07d}"


def partition_of(number: int) -> int:
    """Say where an EVSE's records are."""
    return number % PARTITIONS


def inventory(size: Size) -> Iterator[Entry]:
    """Give the inventory of every EVSE, about 1.5 kB each."""
    for number in range(size.evses):
        uid = uid_of(number)
        connectors = [{**EVSE_EXAMPLE["connectors"][0], "uid": name, "status": None} for name in CONNECTORS]
        evse = {**EVSE_EXAMPLE, "uid": uid, "connectors": connectors}
        body: dict[str, object] = {
            "type": "evse.upserted",
            "event_id": f"inventory-{uid}",
            "evse": evse,
        }
        yield entry(number, size.begin, body)


def reference(size: Size) -> Iterator[Entry]:
    """70 % statuses that walk on, 20 % words about the link (70 % of them true), 10 % heartbeats."""
    yield from _mixed(size, statuses=0.7, links=0.2)


def fleet(size: Size) -> Iterator[Entry]:
    """What real chargers send: 85 % heartbeats and repeats of the status, the rest as in the reference."""
    yield from _mixed(size, statuses=0.12, links=0.03, repeats=0.25)


def storm(size: Size) -> Iterator[Entry]:
    """Half the reference job, then every charger sends what it said again, with the old times."""
    again = size.records // 2
    first = replace(size, records=size.records - again)
    yield from reference(first)
    now = size.begin + first.records * STEP
    # Made a second time rather than kept: half a job may be larger than memory.
    for number, said in enumerate(itertools.islice(reference(first), first.records - again, None)):
        now += STEP
        event = orjson.loads(said.value)
        event |= {"event_id": f"again-{number:09d}", "received_at": rfc3339(now)}
        yield Entry(said.partition, said.key, orjson.dumps(event), now)


def hot(size: Size) -> Iterator[Entry]:
    """The reference job about a single EVSE."""
    yield from reference(replace(size, evses=1))


JOBS: dict[str, Callable[[Size], Iterator[Entry]]] = {
    "reference": reference,
    "fleet": fleet,
    "storm": storm,
    "hot": hot,
}


def size_for(job: str, size: Size) -> Size:
    """Give the size that a job really has: `hot` is about one EVSE, whatever was asked for."""
    return replace(size, evses=1) if job == "hot" else size


IDLE_WORDS = len(CONNECTORS) + 1
"""Records of `idle` for each EVSE."""


def idle(size: Size) -> Iterator[Entry]:
    """Each EVSE says once what its two connectors do and that it is online, and then nothing any more."""
    at = size.begin
    for number in range(size.evses):
        for connector in CONNECTORS:
            at += STEP
            yield entry(number, at, status(f"idle-{number}-{connector}", connector, "AVAILABLE"))
        at += STEP
        yield entry(number, at, {"type": "connector.online", "event_id": f"idle-{number}", "online": True})


_HEARD_A_DAY = 1440
"""Words that the fleet says a day at least: where it says fewer, the ingest takes it for standing still."""


def history(size: Size, days: int) -> Iterator[Entry]:
    """
    Days of the past: each connector walks on once a day, so each has an outage about every four days.

    The records are spread evenly, from `size.begin` on; `size.records` is not asked.
    """
    words = max(len(CONNECTORS), -(-_HEARD_A_DAY // size.evses))
    between = DAY // (words * size.evses)
    at = size.begin
    for day in range(days):
        for word, number in itertools.product(range(words), range(size.evses)):
            at += between
            event_id = f"day-{day}-{word}-{number}"
            if word < len(CONNECTORS):
                said = WALK[(day + number) % len(WALK)]
                yield entry(number, at, status(event_id, CONNECTORS[word], said))
            else:
                yield entry(number, at, {"type": "evse.heartbeat", "event_id": event_id})


def _mixed(size: Size, *, statuses: float, links: float, repeats: float = 0.0) -> Iterator[Entry]:
    draw = random.Random(size.seed)
    steps = bytearray(size.evses * len(CONNECTORS))
    at = size.begin
    for number in range(size.records):
        at += STEP
        evse = draw.randrange(size.evses)
        kind = draw.random()
        event_id = f"event-{number:09d}"
        body: dict[str, object] = {"type": "evse.heartbeat", "event_id": event_id}
        if kind < statuses + repeats:
            connector = draw.randrange(len(CONNECTORS))
            place = evse * len(CONNECTORS) + connector
            if kind < statuses:
                steps[place] = (steps[place] + 1) % len(WALK)
            body = status(event_id, CONNECTORS[connector], WALK[steps[place]])
        elif kind < statuses + repeats + links:
            body |= {"type": "connector.online", "online": draw.random() < _ONLINE_SHARE}
        yield entry(evse, at, body)


def status(event_id: str, connector: str, word: str) -> dict[str, object]:
    """Give what is particular to the report of a status."""
    return {"type": "connector.status", "event_id": event_id, "connector_uid": connector, "status": word}


def entry(evse: int, at: Micros, body: dict[str, object]) -> Entry:
    """Make the record of an event that is received when it occurs."""
    uid, time = uid_of(evse), rfc3339(at)
    event = {
        "evse_uid": uid,
        "occurred_at": time,
        "received_at": time,
        "source": "csms-west",
        **body,
    }
    return Entry(partition_of(evse), uid.encode(), orjson.dumps(event), at)
