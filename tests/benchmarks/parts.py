"""A real Kafka and a real Valkey of one's own, logs in the one, and processes that are measured over them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from aiokafka.errors import KafkaError

from service.domain.time import SECOND, Micros
from tests.acceptance.processes import environment
from tests.benchmarks.filling import fill
from tests.benchmarks.jobs import JOBS, PARTITIONS, STEP, Entry, Size, inventory, size_for
from tests.benchmarks.measured import Offsets, Task
from tests.local_kafka import start_kafka
from tests.local_redis import redis_binary, start_redis, valkey_binary
from tests.services import Kafka

Json = dict[str, Any]

ROOT = Path(__file__).parents[2]

_HOUR: Micros = 3600 * SECOND

NOBODY_MISSED: Mapping[str, str] = {"OFFLINE_AFTER": "0", "INGEST_SILENT_AFTER": "4000d"}
"""Settings under which a log that has ended asks nothing of a worker, however long ago that was."""

MEASURED = (sys.executable, "-m", "tests.benchmarks.measured")
"""The process that is measured; it is told a `Task`."""

_OUTPUTS = ("snapshots", "transitions", "dead-letters", "ledger")


@dataclass(frozen=True, slots=True)
class Written:
    """A log that is there: what is measured of it lies from `begun` to `ends`, offsets by partition."""

    topic: str
    begun: Offsets
    ends: Offsets
    evses: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker writes and as whom it reads; two that follow each other have the same."""

    prefix: str
    group: str
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bench:
    """The parts that measurements run against."""

    kafka: Kafka
    redis_url: str

    def write(self, before: Iterator[Entry], entries: Iterator[Entry], evses: int) -> Written:
        """Write a log: what comes before the measurement, then what is measured."""
        return asyncio.run(self._write(before, entries, evses))

    async def _write(self, before: Iterator[Entry], entries: Iterator[Entry], evses: int) -> Written:
        topic = await self.kafka.create_topic(partitions=PARTITIONS)
        begun = await fill(self.kafka.bootstrap_servers, topic, before)
        done = await fill(self.kafka.bootstrap_servers, topic, entries)
        return Written(topic, begun, {number: begun[number] + done[number] for number in begun}, evses)

    def write_job(self, job: str, size: Size) -> Written:
        """Write the inventory of all, then a job."""
        size = size_for(job, size)
        return self.write(inventory(size), JOBS[job](size), size.evses)

    def place(self, **settings: str) -> Place:
        """Give a place that nobody has worked at, with further settings by their names without the prefix."""
        return Place(self.kafka.unique("bench") + ".", self.kafka.unique("bench"), settings)

    def empty_view(self) -> None:
        """Forget everything that any worker kept in the view."""
        with redis.Redis.from_url(self.redis_url) as client:
            client.flushdb()

    def run(self, log: Written, what: str, place: Place, *, shares: bool = False, tree: Path = ROOT) -> Json:
        """Measure one process over a log, with the code in `tree`; say what it told."""
        done = subprocess.run(  # noqa: S603 - one of ours
            MEASURED,
            input=self.task(log, what, shares=shares).to_json(),
            env=environment(self.settings(log.topic, place)),
            cwd=tree,
            stdout=subprocess.PIPE,
            check=True,
        )
        told: Json = json.loads(done.stdout)
        return {"what": what, **told}

    def task(self, log: Written, what: str, *, shares: bool = False) -> Task:
        """Say what a process that is started now is to do over a log."""
        return Task(
            what,
            log.topic,
            self.kafka.bootstrap_servers,
            log.begun,
            log.ends,
            log.evses,
            time.monotonic(),
            shares,
        )

    def settings(self, topic: str, place: Place) -> dict[str, str]:
        """Give the settings of a worker at a place, by their names without the prefix."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "REDIS_URL": self.redis_url,
            "INPUT_TOPICS": topic,
            "TOPIC_PREFIX": place.prefix,
            "GROUP_ID": place.group,
            "HTTP_PORT": "0",
            "LOG_LEVEL": "error",
            **place.settings,
        }

    def run_anew(
        self,
        log: Written,
        what: str,
        *,
        shares: bool = False,
        tree: Path = ROOT,
        settings: Mapping[str, str] | None = None,
    ) -> Json:
        """Measure one process that starts with nothing, and leave nothing of it."""
        with self.anew(**(settings or {})) as place:
            return self.run(log, what, place, shares=shares, tree=tree)

    @contextmanager
    def anew(self, **settings: str) -> Iterator[Place]:
        """Give a place with nothing in the view, and forget what was put out there."""
        place = self.place(**settings)
        self.empty_view()
        try:
            yield place
        finally:
            self.forget([place.prefix + name for name in _OUTPUTS])

    def forget(self, topics: Sequence[str]) -> None:
        """Delete topics: what a million records put out is gigabytes, and no disk holds it for every run."""
        asyncio.run(self._forget(topics))

    async def _forget(self, topics: Sequence[str]) -> None:
        async with self.kafka.admin() as admin:
            with suppress(KafkaError):  # a client alone wrote none
                await admin.delete_topics(list(topics))


def begin_of(records: int) -> Micros:
    """Give the time at which a job of so many records begins, so that it ended an hour ago."""
    return int(time.time()) * SECOND - records * STEP - _HOUR


@contextmanager
def bench(*, on_redis: bool = False) -> Iterator[Bench]:
    """Start Kafka and Valkey (or Redis) for measurements; they go with the block."""
    binary = redis_binary() if on_redis else valkey_binary()
    if binary is None:
        raise SystemExit(f"no {'Redis' if on_redis else 'Valkey'} is installed")
    kafka = start_kafka()
    try:
        store = start_redis(binary)
        try:
            yield Bench(Kafka(kafka.bootstrap_servers), store.url)
        finally:
            store.close()
    finally:
        kafka.close()
