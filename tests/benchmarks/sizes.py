"""
What an EVSE takes in bytes: `python -m tests.benchmarks.sizes`.

EVSEs are taken through decode, fold and plan, and saved in a real Valkey, life by life (`lives`). Each figure
is the difference between two lives that differ in one thing, so that nothing else is in it. Bytes do not hang
on how busy the machine is: they are lengths, `used_memory` of the server, and what Python allocated.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import redis
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from schemas.view import PORT
from service.adapters.redis import RedisViewStore
from service.adapters.redis_connection import RedisSettings
from service.domain.rules import KEPT_DAYS, Rules
from service.domain.state import EvseState
from service.domain.time import SECOND
from service.processing import ledger
from service.processing.closing import Closing
from service.processing.decoding import decode
from service.processing.outputs import Topics
from service.processing.planning import Planning, grouped, plan
from service.processing.rejection import Rejection
from service.processing.sifting import Item
from service.processing.states import Held, new_position
from service.processing.storing import pack_since, pack_state
from service.processing.values import Message, Record, ViewWrite
from tests.benchmarks.jobs import Entry
from tests.benchmarks.lives import Life
from tests.benchmarks.machine import commit, machine
from tests.benchmarks.measured import Json
from tests.benchmarks.parts import ROOT
from tests.benchmarks.results import FOLDER, keep
from tests.local_redis import start_redis, valkey_binary

_TOPIC = "evse.events"
BEGIN = 1_704_067_200 * SECOND
"""A midnight."""

_RECORDS_A_SAVE = 200

_FRAME = 8
"""What Kafka's format adds to a record: length, attributes, and the differences of time and offset."""


@dataclass
class Weight:
    """What a life came to. Sums of bytes over all EVSEs; `counts` and `bytes` by kind of message."""

    evses: int
    redis: int = 0
    memory: int = 0
    saved: int = 0
    """What a save sends that adds nothing to a state that stands as a whole."""
    whole: int = 0
    """The state as a whole."""
    counts: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, size: int) -> None:
        """Count one message."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self.bytes[kind] = self.bytes.get(kind, 0) + size

    def mean(self, kind: str) -> float:
        """Give the bytes of one message of a kind."""
        return self.bytes[kind] / self.counts[kind]

    def each(self, kind: str) -> float:
        """Give how many messages of a kind there are for each EVSE."""
        return self.counts.get(kind, 0) / self.evses


class Scales:
    """Weighs lives on one server."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._warm = False
        self._planning = Planning(Rules(), Topics.with_prefix("evse.", "evse-status"), (_TOPIC,))

    def weigh(self, life: Life) -> Weight:
        """Let EVSEs live, and say what they take at the end."""
        if not self._warm:
            # The server keeps our scripts from their first call on, and this process the times it read and
            # wrote last: they belong to no EVSE.
            asyncio.run(self._weigh(Life(life.begin, evses=1, days=_DAYS, flaps=_FLAPS)))
            self._warm = True
        return asyncio.run(self._weigh(life))

    async def _weigh(self, life: Life) -> Weight:
        weight = Weight(life.evses)
        with redis.Redis.from_url(self._url) as client:
            # Valkey would else free the memory later, which would be taken for less of the next life.
            client.execute_command("FLUSHDB", "SYNC")
            before = _used(client)
            held = await self._live_all(life, weight)
            weight.redis = _used(client) - before
        for each in held:
            made = Closing(self._planning.topics, self._planning.rules).base(each.state.uid, each)
            weight.add("base", framed(made.messages[-1]))
        return weight

    async def _live_all(self, life: Life, weight: Weight) -> list[Held]:
        store = RedisViewStore(RedisSettings(self._url))
        await store.start()
        gc.collect()
        tracemalloc.start()
        try:
            held = [await self._live(life, number, store, weight) for number in range(life.evses)]
            gc.collect()
            weight.memory, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            # With its connections go their buffers, which are no part of the view.
            await store.stop()
        return held

    async def _live(self, life: Life, number: int, store: RedisViewStore, weight: Weight) -> Held:
        """
        Take one EVSE through its life, the newest records one by one, as a worker that keeps up does.

        What is kept until the next save is then of one record. What is weighed of a save is the last one.
        """
        past = life.past(number)
        parts: Iterator[list[Entry]] = iter(lambda: list(itertools.islice(past, _RECORDS_A_SAVE)), [])
        offset = itertools.count()
        held: Held | None = None
        beside = 0
        for some in itertools.chain(parts, ([each] for each in life.newest(number))):
            records = [
                Record(_TOPIC, each.partition, next(offset), each.timestamp, each.key, each.value)
                for each in some
            ]
            for record in records:
                kind = orjson.loads(record.value or b"")["type"]
                weight.add(kind, framed(Message(_TOPIC, 0, record.key, record.value)))
            items = [self._decoded(record) for record in records]
            [(uid, group)] = grouped(items).items()
            held = held or Held(EvseState(uid), new_position(0, 1))
            made = plan(uid, group, held, self._planning)
            assert made.write is not None
            beside = saved_bytes(made.write) - len(made.write.state)
            for message in made.messages:
                weight.add(_kind(self._planning.topics, message), framed(message))
            await store.save([made.write])
            made.saved()
            made.published()
        assert held is not None
        held.state.was_written()
        assert held.state.whole is not None
        weight.saved += beside + len(pack_since(held.state, held.state.whole))
        weight.whole += len(pack_state(held.state))
        return held

    def _decoded(self, record: Record) -> Item:
        event = decode(
            record.value,
            key=record.key,
            headers=record.headers,
            position=self._planning.position(record),
            record_time=record.timestamp,
        )
        if isinstance(event, Rejection):
            raise TypeError(f"a life holds no rejections: {event}")
        return Item(record, event)


def sizes(scales: Scales) -> Json:
    """Weigh lives that differ in one thing, and give what it takes; all in bytes."""
    one, two = (scales.weigh(Life(BEGIN, evses=500, connectors=count)) for count in (1, 2))
    said = scales.weigh(Life(BEGIN, statuses=_FEW))
    beaten = scales.weigh(Life(BEGIN, heartbeats=_FEW))
    plain = scales.weigh(Life(BEGIN))
    days = [scales.weigh(Life(BEGIN, _FEWER, connectors=count, days=_DAYS)) for count in (1, 2)]
    flaps = [
        scales.weigh(Life(BEGIN, _FEWER, connectors=count, days=_DAYS, flaps=_FLAPS)) for count in (1, 2)
    ]
    told: Json = {
        "input_status": said.mean("connector.status"),
        "input_link": two.mean("connector.online"),
        "input_heartbeat": beaten.mean("evse.heartbeat"),
        "transition": said.mean("transition"),
        "ledger_day": _line(*(_of_ledger(each) / _days_closed(each) for each in days)),
        "ledger_flap": _line(
            *(
                (with_.bytes["outage"] - without.bytes.get("outage", 0)) / with_.evses / _DAYS / _FLAPS
                for with_, without in zip(flaps, days, strict=True)
            )
        ),
        "snapshot": _line(days[0].mean("snapshot"), days[1].mean("snapshot")),
        "base": _line(one.mean("base"), two.mean("base")),
        "base_status": (said.mean("base") - plain.mean("base")) / _FEW,
        "base_heartbeat": (beaten.mean("base") - plain.mean("base")) / _FEW,
        "saved": _line(one.saved / one.evses, two.saved / two.evses),
        "whole": _line(one.whole / one.evses, two.whole / two.evses),
        "whole_status": (said.whole - plain.whole) / plain.evses / _FEW,
        "whole_heartbeat": (beaten.whole - plain.whole) / plain.evses / _FEW,
    }
    for name in ("redis", "memory"):
        told |= {f"{name}_{what}": size for what, size in _kept(name, one, two, plain, said, beaten).items()}
        by_day = [
            (getattr(each, name) / each.evses - getattr(short, name) / short.evses) / _days_closed(each)
            for each, short in zip(days, (one, two), strict=True)
        ]
        by_flap = [
            (getattr(with_, name) - getattr(without, name)) / with_.evses / _DAYS / _FLAPS
            for with_, without in zip(flaps, days, strict=True)
        ]
        told |= {f"{name}_day": _line(*by_day), f"{name}_flap": _line(*by_flap)}
    return told


_FEW, _FEWER, _DAYS, _FLAPS = 100, 8, KEPT_DAYS, 2
"""
Newest records of an EVSE; EVSEs that have a history; its days; how often a day the link is lost.

All the days that are kept: the server packs short hashes tighter than long ones.
"""


def _days_closed(weight: Weight) -> float:
    """Give the days that closed of each EVSE: each is told once for the port."""
    return weight.each("port day")


def _of_ledger(weight: Weight) -> float:
    """Give the bytes that closed days of an EVSE take in the ledger."""
    return (weight.bytes["day"] + weight.bytes["port day"]) / weight.evses


def _kept(name: str, one: Weight, two: Weight, plain: Weight, said: Weight, beaten: Weight) -> Json:
    """Give what is kept of an EVSE without history, by itself and for each record that may be corrected."""
    return {
        "evse": _line(getattr(one, name) / one.evses, getattr(two, name) / two.evses),
        "status": (getattr(said, name) - getattr(plain, name)) / plain.evses / _FEW,
        "heartbeat": (getattr(beaten, name) - getattr(plain, name)) / plain.evses / _FEW,
    }


def _line(of_one: float, of_two: float) -> Json:
    """Give what an EVSE takes by itself, and what each of its connectors adds."""
    return {"evse": 2 * of_one - of_two, "connector": of_two - of_one}


def framed(message: Message) -> int:
    """Give the bytes that a message takes in a segment of Kafka, uncompressed, in a large batch."""
    headers: list[tuple[str, bytes | None]] = list(message.headers)
    return _FRAME + DefaultRecordBatchBuilder.size_of(message.key, message.value, headers)


def saved_bytes(write: ViewWrite) -> int:
    """Give the bytes that one save sends: state, document, what closed, and what is kept until the next."""
    sent = [write.state, write.pending, write.vitals, *write.document.values(), *write.closed_days.values()]
    return sum(map(len, sent)) + sum(len(outage) for _, outage in write.closed_outages)


def _kind(topics: Topics, message: Message) -> str:
    """Name what a message of the worker is; records of the ledger by their own kind."""
    kind = str(topics.kind(message))
    if kind != "ledger":
        return kind
    key = ledger.parsed_key(message.key)
    return "port day" if key[0] == "day" and key[2] == PORT else key[0]


def _used(client: redis.Redis) -> int:
    used: int = client.info("memory")["used_memory"]
    return used


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.sizes", description=__doc__)
    parser.add_argument("--results", type=Path, default=FOLDER, help="the folder that results are kept in")
    arguments = parser.parse_args()
    binary = valkey_binary()
    if binary is None:
        raise SystemExit("no Valkey is installed")
    server = start_redis(binary)
    try:
        result: Json = {"commit": commit(ROOT), "job": "sizes", "machine": machine(server.url)}
        result["bytes"] = sizes(Scales(server.url))
    finally:
        server.close()
    for name, size in result["bytes"].items():
        words = (
            ", ".join(f"{size[part]:10,.1f} {part}" for part in size)
            if isinstance(size, dict)
            else f"{size:10,.1f}"
        )
        sys.stdout.write(f"{name:16} {words}\n")
    sys.stdout.write(f"kept in {keep(result, arguments.results).name}\n")


if __name__ == "__main__":
    main()
