"""
The process that is measured: one worker over a log that is there, or a client that does less, to its end.

Reads a `Task` as JSON from its standard input and writes what it took to its standard output, as the last
line. It is run from the tree that is measured and knows nothing of how the parts outside came about.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import orjson
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition

from service import app
from service.adapters.clock import SystemClock
from service.adapters.kafka_admin import check_topics
from service.adapters.prometheus import PrometheusInstruments
from service.commands.run import _loop_factory
from service.domain.time import DAY, Micros
from service.life import LoopGuard, run_watched
from service.logs import configure_logs
from service.processing.garbage import calm_collector
from service.processing.options import Ports
from service.processing.ports import Log, ViewStore
from service.processing.values import Checkpoint, Commit, Record, Seen, TopicPartition
from service.processing.worker import Worker
from service.settings import load_settings
from tests.benchmarks.sampling import Sampler

Json = dict[str, Any]

WORKER, CONSUME, PARSE, CLOSE, RESTART = "worker", "consume", "parse", "close", "restart"
SHARE = "share"

Offsets = dict[int, int]

_AGAIN_S = 0.05
"""Seconds between two looks at a log that is not open yet."""


@dataclass(frozen=True, slots=True)
class Task:
    """
    What to do.

    `what`: WORKER folds the log from its beginning, and is measured from the offsets `begun` to the offsets
    `ends`; CONSUME and PARSE read the same records and do nothing with them. CLOSE goes on from what is there
    a day later, until every base is in the ledger. SHARE is WORKER for one of several of a group (`shared`),
    told by lines when to begin and when to end. RESTART starts on what is there, until the worker is ready,
    has caught up and knows all `evses`. `spawned`: when the process was started, in monotonic seconds.
    """

    what: str
    topic: str
    bootstrap_servers: str
    begun: Offsets
    ends: Offsets
    evses: int
    spawned: float
    shares: bool = False

    def to_json(self) -> bytes:
        """Write it for the process."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: str) -> Task:
        """Read it in the process."""
        plain: Json = json.loads(text)
        for name in ("begun", "ends"):
            plain[name] = {int(number): offset for number, offset in plain[name].items()}
        return cls(**plain)


@dataclass(frozen=True, slots=True)
class Moment:
    """When something was reached: CPU seconds of the process, and monotonic seconds."""

    cpu: float
    wall: float

    @classmethod
    def now(cls) -> Moment:
        """Give this one."""
        return cls(cpu_s(), time.monotonic())


def cpu_s() -> float:
    """Give the user and system seconds of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def memory_mb() -> float:
    """Give what is resident, after what is free was given back; 0 where the system does not tell."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return 0.0
    return int(statm.read_text().split()[1]) * resource.getpagesize() / 2**20


def peak_memory_mb() -> float:
    """Give the most that was ever resident."""
    status = Path("/proc/self/status")
    if status.exists():
        # What `getrusage` says there begins with the memory of the process that started this one.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def main() -> None:
    """Do what standard input says and tell what it took."""
    task = Task.from_json(sys.stdin.readline())
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        calm_collector()
        told = runner.run(_consume(task) if task.what in (CONSUME, PARSE) else _work(task))
    told["peak_memory_mb"] = peak_memory_mb()
    _say(told)
    os._exit(0)  # what the client still has to say about its end is nobody's time


class _Instruments(PrometheusInstruments):
    """The worker's own instruments, which also tell the measurement what went by."""

    def __init__(self) -> None:
        super().__init__()
        self.on_turn: Callable[[], None] = lambda: None
        self.batches = self.records = self.touched = self.bases = self.came_back = 0

    def batch_done(self, records: int, evses: int, seconds: float) -> None:
        super().batch_done(records, evses, seconds)
        self.batches += 1
        self.records += records
        self.touched += evses

    def based(self, evses: int) -> None:
        super().based(evses)
        self.bases += evses

    def restored(self, evses: int, seconds: float) -> None:
        super().restored(evses, seconds)
        self.came_back += evses

    def turned(self, now: Micros, seconds: float) -> None:
        super().turned(now, seconds)
        self.on_turn()


class _Measure:
    """What each measurement has: a worker in the making, and what it tells at the end."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.clock = SystemClock()
        self.instruments = _Instruments()
        self.worker: Worker | None = None

    def wrap(self, ports: Ports) -> Ports:
        return ports

    def told(self) -> Json:
        raise NotImplementedError

    def done(self) -> None:
        if self.worker is not None:
            self.worker.stop()


class _Log:
    """
    The log, which tells what is committed of it, and gives nothing from `begun` on before it is opened.

    Without that a partition could be at its end while another one has not begun what is measured.
    """

    def __init__(
        self, log: Log, begun: Offsets, on_commit: Callable[[Mapping[TopicPartition, Commit]], None]
    ) -> None:
        self._log = log
        self._begun = begun
        self._on_commit = on_commit
        self.on_opened_records: Callable[[], None] = lambda: None
        self.opens_at_once = False
        """Whether records are to come as soon as it is opened: a client is slow to resume what was paused."""
        self._is_open = False
        self._waiting: set[TopicPartition] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def open(self) -> None:
        """Give all from now on."""
        self._is_open = True
        self._log.resume(self._waiting)

    async def fetch(self, timeout_s: float, max_records: int) -> list[Record]:
        records = await self._log.fetch(timeout_s, max_records)
        if self._is_open:
            if records:
                self.on_opened_records()
            return records
        for place in {TopicPartition(record.topic, record.partition) for record in records}:
            if (self._log.position(place) or 0) > self._begun[place.partition]:
                self._log.seek(place, self._begun[place.partition])
                if not self.opens_at_once:
                    self._log.pause([place])
                    self._waiting.add(place)
        if self.opens_at_once:
            await asyncio.sleep(_AGAIN_S)
        return [record for record in records if record.offset < self._begun[record.partition]]

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._log.seek(partition, offset)
        if not self._is_open and partition in self._waiting:  # the worker wants to read it from elsewhere
            self._waiting.discard(partition)
            self._log.resume([partition])

    async def commit(self, commits: Mapping[TopicPartition, Commit]) -> None:
        await self._log.commit(commits)
        self._on_commit(commits)


class _Throughput(_Measure):
    """From the moment at which the inventory is done with to the last commit."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._sampler = Sampler() if task.shares else None
        self._reached: Offsets = dict.fromkeys(task.ends, 0)
        self._log: _Log | None = None
        self._begun: tuple[Moment, int, int] | None = None
        self._told: Json = {}

    def wrap(self, ports: Ports) -> Ports:
        self._log = _Log(ports.log, self.task.begun, self._committed)
        return replace(ports, log=cast("Log", self._log))

    def told(self) -> Json:
        return self._told

    def _committed(self, commits: Mapping[TopicPartition, Commit]) -> None:
        self._reached |= {place.partition: each.next_offset for place, each in commits.items()}
        if self._begun is None and self._log is not None and self._is_at(self.task.begun):
            self._begun = Moment.now(), self.instruments.batches, self.instruments.touched
            self._log.open()
            if self._sampler is not None:
                self._sampler.start()
        if self._begun is not None and not self._told and self._is_at(self.task.ends):
            self._end(Moment.now(), *self._begun)

    def _is_at(self, offsets: Offsets) -> bool:
        return all(self._reached[number] >= offsets[number] for number in self._mine())

    def _mine(self) -> Iterable[int]:
        """Give the partitions that are measured here."""
        return self.task.ends

    def _end(self, now: Moment, since: Moment, batches: int, touched: int) -> None:
        if self._sampler is not None:
            self._sampler.stop()
        records = sum(self.task.ends[number] - self.task.begun[number] for number in self._mine())
        batches, touched = self.instruments.batches - batches, self.instruments.touched - touched
        self._told = {
            "records": records,
            "cpu_s": now.cpu - since.cpu,
            "wall_s": now.wall - since.wall,
            "whole_cpu_s": now.cpu,
            "batches": batches,
            "records_a_batch": records / batches if batches else 0.0,
            "evses_a_batch": touched / batches if batches else 0.0,
        }
        if self._sampler is not None:
            self._told["shares"] = self._sampler.shares()
        # The batch in hand is no part of what is held: wait until it is let go.
        self.instruments.on_turn = self._weigh

    def _weigh(self) -> None:
        self._told["memory_mb"] = memory_mb()
        self.done()


class _Share(_Throughput):
    """
    The same for one of several workers of a group: from its first records to its end.

    Says on a line which partitions it has and has read up to `begun`, as often as that changes; after the
    word to begin, that it is done. It stays in the group until its standard input ends: one that left would
    make the others wait.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.instruments.on_turn = self._look
        self._has: list[int] | None = None
        self._words = asyncio.ensure_future(self._hear())

    def wrap(self, ports: Ports) -> Ports:
        wrapped = super().wrap(ports)
        assert self._log is not None
        self._log.opens_at_once, self._log.on_opened_records = True, self._begin
        return wrapped

    def _look(self) -> None:
        ready = self.worker is not None and self.worker.health.ready(self.clock.monotonic()).ok
        has = sorted(self._mine()) if ready else []
        if has != self._has and self._log is not None and all(map(self._stands, has)):
            self._has = has
            _say({"has": has})

    def _mine(self) -> Iterable[int]:
        return () if self._log is None else [place.partition for place in self._log.assignment()]

    def _stands(self, number: int) -> bool:
        position = self._log.position(TopicPartition(self.task.topic, number)) if self._log else None
        return (position or 0) >= self.task.begun[number]

    async def _hear(self) -> None:
        await asyncio.to_thread(sys.stdin.readline)
        assert self._log is not None
        self._log.open()
        await asyncio.to_thread(sys.stdin.read)
        self.done()

    def _begin(self) -> None:
        if self._begun is None:
            self._begun = Moment.now(), self.instruments.batches, self.instruments.touched

    def _committed(self, commits: Mapping[TopicPartition, Commit]) -> None:
        self._reached |= {place.partition: each.next_offset for place, each in commits.items()}
        if self._begun is not None and not self._told and self._is_at(self.task.ends):
            now = Moment.now()
            self._end(now, *self._begun)
            self._told |= {"begun_at": self._begun[0].wall, "ended_at": now.wall}

    def _weigh(self) -> None:
        self.instruments.on_turn = lambda: None
        self._told["memory_mb"] = memory_mb()
        _say({"done": True})


def _say(line: Json) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class _Tomorrow(SystemClock):
    """The clock a day ahead: every UTC day that was open is closed."""

    def now(self) -> Micros:
        return super().now() + DAY


class _Closing(_Measure):
    """Until the bases of all partitions are in the ledger, which their marks in the view tell."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.clock = _Tomorrow()
        self.marked: set[int] = set()

    def wrap(self, ports: Ports) -> Ports:
        return replace(ports, store=cast("ViewStore", _MarkedStore(ports.store, self)))

    def saved(self, checkpoints: Mapping[TopicPartition, Checkpoint]) -> None:
        today = self.clock.now() // DAY
        for place, each in checkpoints.items():
            if each.mark is not None and each.mark.day >= today:
                self.marked.add(place.partition)
        if self.marked >= set(self.task.ends):
            self.done()

    def told(self) -> Json:
        return {"bases": self.instruments.bases, "cpu_s": cpu_s(), "wall_s": _since(self.task)}


def _since(task: Task) -> float:
    return time.monotonic() - task.spawned


class _MarkedStore:
    """The view, which tells what checkpoints are saved in it."""

    def __init__(self, store: ViewStore, closing: _Closing) -> None:
        self._store = store
        self._closing = closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def save_checkpoints(self, checkpoints: Mapping[TopicPartition, Checkpoint]) -> None:
        await self._store.save_checkpoints(checkpoints)
        self._closing.saved(checkpoints)


class _Restart(_Measure):
    """From the start of the process until it is ready, has caught up, and knows everyone."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.known: set[str] = set()
        self._marks: dict[str, Moment] = {}
        self._log: Log | None = None
        self._memory_mb = 0.0
        self.instruments.on_turn = self._look

    def wrap(self, ports: Ports) -> Ports:
        self._log = ports.log
        return replace(ports, store=cast("ViewStore", _LookedAtStore(ports.store, self)))

    def _look(self) -> None:
        """Look after each turn, when no batch is in hand: whatever was fetched is committed by then."""
        if self.worker is not None and self.worker.health.ready(self.clock.monotonic()).ok:
            self._marks.setdefault("ready", Moment.now())
            if self._has_caught_up():
                self._marks.setdefault("caught_up", Moment.now())
                if len(self.known) >= self.task.evses:
                    self._marks.setdefault("knows_all", Moment.now())
                    self._memory_mb = memory_mb()
                    self.done()

    def _has_caught_up(self) -> bool:
        if self._log is None:
            return False
        places = (TopicPartition(self.task.topic, number) for number in self.task.ends)
        positions = {place.partition: self._log.position(place) or 0 for place in places}
        return all(positions[number] >= end for number, end in self.task.ends.items())

    def told(self) -> Json:
        spent = {f"{name}_cpu_s": at.cpu for name, at in self._marks.items()}
        passed = {f"{name}_s": at.wall - self.task.spawned for name, at in self._marks.items()}
        return {
            **passed,
            **spent,
            "records": self.instruments.records,
            "restored": self.instruments.came_back,
            "memory_mb": self._memory_mb,
        }


class _LookedAtStore:
    """The view, which tells who was looked at."""

    def __init__(self, store: ViewStore, restart: _Restart) -> None:
        self._store = store
        self._restart = restart

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def look(self, uids: Sequence[str]) -> dict[str, Seen]:
        found = await self._store.look(uids)
        self._restart.known |= found.keys()
        return found


_MEASURES: dict[str, type[_Measure]] = {
    WORKER: _Throughput,
    SHARE: _Share,
    CLOSE: _Closing,
    RESTART: _Restart,
}


async def _work(task: Task) -> Json:
    settings = load_settings(None)
    configure_logs(settings.log_level, settings.log_format)
    report = await check_topics(app.topics_settings(settings))
    report.require()
    measure = _MEASURES[task.what](task)
    measure.worker = app.build_worker(
        settings,
        measure.clock,
        measure.instruments,
        topics=report,
        wrap=measure.wrap,
    )
    with LoopGuard():
        await run_watched(measure.worker, measure.clock)
    return measure.told()


async def _consume(task: Task) -> Json:
    """Read the measured part of the log with the client alone; PARSE reads the JSON, too."""
    ends = {KafkaPartition(task.topic, number): end for number, end in task.ends.items()}
    consumer = AIOKafkaConsumer(bootstrap_servers=task.bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign(list(ends))
    reached = {place: task.begun[place.partition] for place in ends}
    for place, offset in reached.items():
        consumer.seek(place, offset)
    since, count, parse = Moment.now(), 0, task.what == PARSE
    while any(reached[place] < end for place, end in ends.items()):
        # As many at once as the worker takes by default, so that the difference is the worker's own.
        for place, records in (await consumer.getmany(timeout_ms=500, max_records=1000)).items():
            reached[place] = records[-1].offset + 1
            count += len(records)
            if parse:
                for record in records:
                    orjson.loads(record.value or b"")
    now = Moment.now()
    await consumer.stop()
    return {
        "records": count,
        "cpu_s": now.cpu - since.cpu,
        "wall_s": now.wall - since.wall,
        "whole_cpu_s": now.cpu,
        "memory_mb": memory_mb(),
    }


if __name__ == "__main__":
    main()
