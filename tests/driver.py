"""
A whole worker on memory, driven by hand: put events in, move the clock, look at what comes out.

The worker is the one of production; the broker, the view and the clock are in memory and survive its crash.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar
from zlib import crc32

import orjson

from service.adapters.clock import ManualClock
from service.adapters.memory import MemoryBroker, MemoryLedger, MemoryLog, MemoryPublisher
from service.adapters.memory_view import MemoryServer, MemoryViewStore
from service.domain.rules import Rules
from service.processing.narrowing import NarrowedLog
from service.processing.options import Options, Ports, unchecked
from service.processing.ports import Clock
from service.processing.silence import SilenceRules
from service.processing.tracing import NoTracing, Tracing
from service.processing.values import Headers, Record, TopicPartition
from service.processing.worker import Worker
from tests.faults import Faults, FaultyLog, FaultyPublisher, FaultyStore
from tests.recording import RecordingInstruments

Json = dict[str, Any]
Result = TypeVar("Result")

NIGHT_AFTER = 1_767_657_600_000_000
"""Microseconds at 2026-01-06T00:00:00Z: the day of `tests.builders` has passed, so its times are believed."""

OUTPUTS = ("evse.snapshots", "evse.transitions", "evse.dead-letters", "evse.ledger")
GROUP = "evse-status"


class ImpatientClock(ManualClock):
    """A manual clock on which who sleeps moves the time himself: a wait is over at once."""

    def __init__(self, now: int = NIGHT_AFTER) -> None:
        super().__init__(now)
        self._due: list[tuple[float, Callable[[], object]]] = []

    def at(self, monotonic: float, action: Callable[[], object]) -> None:
        """Do something once the clock shows so many seconds."""
        self._due.append((monotonic, action))

    def advance(self, seconds: float) -> None:
        """Let time pass, and do what was due."""
        super().advance(seconds)
        due = [action for moment, action in self._due if moment <= self.monotonic()]
        self._due = [each for each in self._due if each[0] > self.monotonic()]
        for action in due:
            action()

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)


class Driver:
    """
    One worker and what lies around it. `pipe` returns when everything written is processed and committed.
    A worker whose options name fewer partitions than there are leaves the others alone.

    What a fault of `faults` raises comes out of `pipe`; the worker is then dead until `restart`.
    """

    def __init__(
        self,
        *,
        partitions: int = 1,
        options: Options | None = None,
        rules: Rules | None = None,
        max_message_bytes: int = 1 << 21,
        tracing: Callable[[Clock], Tracing] | None = None,
    ) -> None:
        self.options = options or with_options()
        self.clock = ImpatientClock()
        self.tracing = NoTracing() if tracing is None else tracing(self.clock)
        topics = dict.fromkeys((*self.options.topics, *OUTPUTS), partitions)
        self.broker = MemoryBroker(topics, self.clock)
        self.check_topics = unchecked
        self.server = MemoryServer()
        self.store = MemoryViewStore(self.server)
        self.publisher = MemoryPublisher(self.broker, max_message_bytes)
        self.faults = Faults()
        self.instruments = RecordingInstruments()
        self._partitions = partitions
        self._rules = rules or Rules()
        self.restart()

    def restart(self, options: Options | None = None) -> None:
        """Start a new worker where the last one ended, with other options if given."""
        self.options = options or self.options
        self.log, self.worker = self.new_worker()
        self.run(self.worker.start())

    def new_worker(self) -> tuple[MemoryLog, Worker]:
        """Give one more worker of the same group, not yet started."""
        log = MemoryLog(self.broker, self.options.topics, GROUP)
        options, narrowed = self.options, FaultyLog(log, self.faults)
        if not options.partitions:
            options = replace(options, partitions=self._partitions)
        ports = Ports(
            narrowed if options.partitions >= self._partitions else NarrowedLog(narrowed, options.partitions),
            FaultyPublisher(self.publisher, self.faults),
            # One client a worker: each notices by itself what the server has lost.
            FaultyStore(MemoryViewStore(self.server), self.faults),
            self.clock,
            MemoryLedger(self.broker, f"{options.topic_prefix}ledger"),
            MemoryLedger(self.broker, f"{options.topic_prefix}snapshots"),
            self.tracing,
            self._check_topics,
        )
        return log, Worker(ports, options, self._rules, self.instruments)

    async def _check_topics(self) -> None:
        await self.check_topics()

    def extend(self, partitions: int) -> None:
        """Give all topics so many partitions; producers know of them at once."""
        for topic in (*self.options.topics, *OUTPUTS):
            self.broker.create_topic(topic, partitions)
        self.have(partitions)

    def have(self, partitions: int) -> None:
        """Take the input topics to have so many partitions, whoever gave them so many."""
        self._partitions = partitions

    def crash(self) -> None:
        """Let the worker be gone at once: nothing is finished, nothing is said to anybody."""
        self.run(self.log.expel())

    def write(
        self,
        value: Mapping[str, Any] | bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
        topic: str | None = None,
    ) -> int:
        """Write one record into the input without processing it; key and partition follow from the uid."""
        if isinstance(value, Mapping):
            key = str(value.get("evse_uid", "")).encode() if key is None else key
            value = orjson.dumps(dict(value))
        where = partition if partition is not None else self.partition_of(key or b"")
        place = TopicPartition(topic or self.options.topics[0], where)
        return self.broker.append(place, key, value, headers)

    def partition_of(self, key: bytes) -> int:
        """Give the partition a key belongs to."""
        return crc32(key) % self._partitions

    def pipe(self, *events: Mapping[str, Any] | bytes) -> None:
        """Write events and process everything that is there."""
        for event in events:
            self.write(event)
        self.settle()

    def settle(self) -> None:
        """Turn until nothing more comes."""
        self.run(self._settle())

    async def _settle(self) -> None:
        while await self.worker.turn():
            pass

    def advance(self, span: timedelta) -> None:
        """Let time pass, and let the worker notice."""
        self.clock.advance(span.total_seconds())
        self.settle()

    def stop(self) -> None:
        """Stop the worker in order."""
        self.worker.stop()
        self.run(self.worker.close())

    def restore(self) -> None:
        """Let the worker bring its partitions back, as it does at the beginning of a turn."""
        self.run(self.worker._restore(self.worker._assignment.progress(), set()))

    @staticmethod
    def run(work: Coroutine[Any, Any, Result]) -> Result:
        """Run something of the worker's to its end."""
        return asyncio.run(work)

    def written(self, topic: str) -> list[Record]:
        """Give all records of an output topic, partition by partition."""
        return [
            record
            for partition in self.broker.partitions_of(topic)
            for record in self.broker.records(partition)
        ]

    def snapshots(self, uid: str | None = None) -> list[Json | None]:
        """Give the snapshots published so far (None: a tombstone), of one EVSE or of all."""
        return [
            None if record.value is None else orjson.loads(record.value)
            for record in self.written("evse.snapshots")
            if uid is None or record.key == uid.encode()
        ]

    def last_snapshots(self) -> dict[str, Json | None]:
        """Give what a compacted snapshot topic would still hold, tombstones included."""
        return {
            (record.key or b"").decode(): None if record.value is None else orjson.loads(record.value)
            for record in self.written("evse.snapshots")
        }

    def transitions(self) -> list[Json]:
        """Give the transitions published so far, repeats included."""
        return [orjson.loads(record.value or b"") for record in self.written("evse.transitions")]

    def ledger(self) -> dict[str, Json]:
        """Give what the compacted ledger would still hold of closed history, by key, without the bases."""
        kept: dict[str, Json] = {}
        for record in self.written("evse.ledger"):
            key = (record.key or b"").decode()
            kept.pop(key, None)
            if record.value is not None and not key.startswith(('["base"', '["mark"', '["epoch"')):
                kept[key] = orjson.loads(record.value)
        return kept

    def dead_letters(self) -> list[Record]:
        """Give the dead letters published so far."""
        return self.written("evse.dead-letters")

    def reasons(self) -> list[str]:
        """Give the reasons of the dead letters."""
        return [dict(letter.headers)["dl_reason"].decode() for letter in self.dead_letters()]

    def view(self, uid: str = "e1") -> Json:
        """Give the snapshot as it stands in the view."""
        snapshot: Json = orjson.loads(self.store.evses[uid].document["snapshot"])
        return snapshot

    def committed(self, topic: str | None = None) -> dict[int, int]:
        """Give the committed next offset of each partition of an input topic."""
        wanted = topic or self.options.topics[0]
        return {
            place.partition: offset
            for place, offset in self.broker.group(GROUP).committed.items()
            if place.topic == wanted
        }


def with_options(**changes: Any) -> Options:
    """Give the default options with some changed; the watchdog sleeps unless it is asked for."""
    return replace(Options(silence=SilenceRules(offline_after=0)), **changes)
