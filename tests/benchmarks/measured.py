"""
The process that is measured: one worker over a log that is there, or a client that does less, to its end.

Reads what to do as JSON from its standard input and writes what it took to its standard output.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import orjson
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition

from service import app
from service.adapters.clock import SystemClock
from service.adapters.kafka_admin import check_topics
from service.adapters.prometheus import PrometheusInstruments
from service.commands.run import _loop_factory
from service.garbage import calm_collector
from service.life import LoopGuard, run_watched
from service.logs import configure_logs
from service.processing.instruments import Step
from service.processing.options import Ports
from service.processing.ports import Commit, Log, TopicPartition
from service.processing.worker import Worker
from service.settings import load_settings

Json = dict[str, Any]


def main() -> None:
    """Do what standard input says and tell what it took."""
    task: Json = json.loads(sys.stdin.read())
    began = {"cpu": _cpu_s(), "wall": time.monotonic()}
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        calm_collector()
        told = runner.run(_work(task) if task["what"] == "worker" else _consume(task))
    told |= {
        "start_cpu_s": began["cpu"],
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    sys.stdout.write(json.dumps(told))
    sys.stdout.flush()
    os._exit(0)


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class _CpuClock(SystemClock):
    """Counts CPU seconds where others count time that passed, so that a step's share is what it cost."""

    def monotonic(self) -> float:
        return time.process_time()


class _Instruments(PrometheusInstruments):
    """Adds up the steps."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: Counter[str] = Counter()
        self.batches = self.records = 0

    def step_took(self, step: Step, seconds: float) -> None:
        super().step_took(step, seconds)
        self.steps[step.value] += seconds  # type: ignore[assignment]

    def batch_done(self, records: int, evses: int, seconds: float) -> None:
        super().batch_done(records, evses, seconds)
        self.batches += 1
        self.records += records


class _Committed:
    """The log, and how far it is committed: tells when each of several ends is reached."""

    def __init__(self, log: Log, ends: Sequence[Mapping[int, int]]) -> None:
        self._log = log
        self._ends = ends
        self._reached: dict[int, int] = {}
        self.marks: list[tuple[float, float]] = []
        self.worker: Worker | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def commit(self, commits: Mapping[TopicPartition, Commit]) -> None:
        await self._log.commit(commits)
        self._reached |= {place.partition: each.next_offset for place, each in commits.items()}
        while len(self.marks) < len(self._ends) and all(
            self._reached.get(number, 0) >= end for number, end in self._ends[len(self.marks)].items()
        ):
            self.marks.append((_cpu_s(), time.monotonic()))
        if len(self.marks) == len(self._ends) and self.worker is not None:
            self.worker.stop()


async def _work(task: Json) -> Json:
    settings = load_settings(None)
    configure_logs(settings.log_level, settings.log_format)
    report = await check_topics(app.topics_settings(settings))
    report.require()
    instruments = _Instruments()
    ends = [{int(number): end for number, end in each.items()} for each in task["ends"]]
    watched: list[_Committed] = []

    def wrap(ports: Ports) -> Ports:
        log = _Committed(ports.log, ends)
        watched.append(log)
        return replace(ports, log=cast("Log", log))

    clock = _CpuClock() if task.get("shares") else SystemClock()
    worker = app.build_worker(settings, clock, instruments, largest_input=report.max_message_bytes, wrap=wrap)
    watched[0].worker = worker
    at = (_cpu_s(), time.monotonic())
    with LoopGuard():
        await run_watched(worker, clock)
    return {
        "marks": [[cpu, wall - at[1]] for cpu, wall in watched[0].marks],
        "ready_cpu_s": at[0],
        "steps": dict(instruments.steps),
        "batches": instruments.batches,
        "records": instruments.records,
    }


async def _consume(task: Json) -> Json:
    """Read the log to its end with the client alone; `parse` reads the JSON, too."""
    places = [KafkaPartition(task["topic"], int(number)) for number in task["ends"][-1]]
    ends = {KafkaPartition(task["topic"], int(number)): end for number, end in task["ends"][-1].items()}
    consumer = AIOKafkaConsumer(bootstrap_servers=task["bootstrap_servers"], auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign(places)
    at, began = _cpu_s(), time.monotonic()
    reached = dict.fromkeys(places, 0)
    count = 0
    parse = task["what"] == "parse"
    while any(reached[place] < end for place, end in ends.items()):
        for place, records in (await consumer.getmany(timeout_ms=500, max_records=1000)).items():
            reached[place] = records[-1].offset + 1
            count += len(records)
            if parse:
                for record in records:
                    orjson.loads(record.value or b"")
    told = {"marks": [[_cpu_s(), time.monotonic() - began]], "ready_cpu_s": at, "records": count}
    await consumer.stop()
    return told


if __name__ == "__main__":
    main()
