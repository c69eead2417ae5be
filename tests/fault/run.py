"""One scenario on the stage: records are written, workers work, faults happen, and nothing may differ."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random
from typing import Any

from aiokafka import AIOKafkaConsumer

from schemas.view import Keys
from service.adapters.clock import SystemClock
from service.domain.time import DAY
from service.settings import Settings
from tests.fault.comparing import Published, log_differences, topic_differences, view_differences
from tests.fault.input_log import InputLog
from tests.fault.scenario import Kind, Scenario
from tests.fault.stage import PLACES, Stage
from tests.fault.told import LATENESS, PARTITIONS
from tests.fault.undisturbed import undisturbed
from tests.fault.view import View
from tests.fault.workers import Birth, Worker
from tests.topics import Sent, read

_SETTLE_S, _STOP_S = 45.0, 30.0
_BROKER_FAILED = "does not answer: a broker's own code failed (UnknownError)"
"""Of a worker that a broker, just up again, refuses as its own failure: its client is done, and it ends."""

_LEDGER_GONE = "there is no topic evse"
"""Of a worker that starts while the ledger is deleted."""

_SIGKILLED = -9


@dataclass
class Outcome:
    """What a scenario came to. `faults`: how many of each kind did happen; `history`: which, and when."""

    seed: int
    faults: Counter[Kind] = field(default_factory=Counter)
    history: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    lines: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """What each worker logged."""


class Run:
    """The workers of one scenario and what they work on, for those who do them harm."""

    def __init__(self, scenario: Scenario, stage: Stage, view: View) -> None:
        self.scenario = scenario
        self.stage = stage
        self.view = view
        self.outcome = Outcome(scenario.seed)
        self.workers: dict[int, Worker] = {}
        self.busy: set[int] = set()
        self.promised: set[int] = set()
        """Places at which a worker is about to start: two under one instance id would be another scenario."""
        self._prefix = stage.kafka.unique("evse") + "."
        self._group = stage.kafka.unique("group")
        self.log = InputLog(stage.kafka, self._prefix, self._group)
        self._ahead_us = _until_midnight_us() - round(scenario.midnight_s * 1e6)
        self._began = asyncio.get_running_loop().time()
        self._random = Random(f"{scenario.seed}/run")
        self._births = [0] * PLACES
        self._ending = False
        self._keepers: set[asyncio.Task[None]] = set()
        self._faults: set[asyncio.Task[None]] = set()

    # What goes on

    def note(self, what: str) -> None:
        """Add to the history."""
        moment = asyncio.get_running_loop().time() - self._began
        self.outcome.history.append(f"{moment:6.2f} s  {what}")

    def count(self, kind: Kind, detail: str = "") -> None:
        """Count a fault that did happen."""
        self.outcome.faults[kind] += 1
        self.note(f"{kind.value} {detail}".rstrip())

    def differs(self, what: str) -> None:
        """Add to the differences."""
        self.outcome.differences.append(what)

    def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Let a fault last while the scenario goes on; the scenario does not end before it."""
        self._faults.add(asyncio.ensure_future(work))

    # Workers

    def idle_place(self) -> int | None:
        """Give a place without a worker, at which none is about to start."""
        taken = self.workers.keys() | self.promised
        return next((place for place in range(PLACES) if place not in taken), None)

    def pick(self, place: int) -> int | None:
        """Give the place of a worker to whom nothing is being done, the wanted one or the next."""
        order = [(place + i) % PLACES for i in range(PLACES)]
        return next((one for one in order if one in self.workers and one not in self.busy), None)

    def has_company(self, place: int) -> bool:
        """Tell whether another than the worker at a place could take over from it."""
        return any(one != place and one not in self.busy for one in self.workers)

    async def accompany(self, place: int) -> None:
        """See that somebody can take over from the worker at a place."""
        free = self.idle_place()
        if not self.has_company(place) and free is not None:
            await self.start_worker(free)

    async def start_worker(self, place: int) -> None:
        """Let a worker work at a place; one that is not stopped on purpose is started again."""
        self.promised.add(place)
        births = self._births[place]
        self._births[place] += 1
        name = f"{place}.{births}"
        # Each worker at a place begins with another strike.
        kills, pauses = self.scenario.kills[place][births:], self.scenario.pauses[place][births:]
        birth = Birth(self._settings(place), kills, pauses, self._ahead_us)
        worker = await self.stage.nursery.start(name, birth)
        self.workers[place] = worker
        self.promised.discard(place)
        self.outcome.lines[name] = worker.lines
        self.note(f"worker {name} starts, process {worker.pid}")
        self._keepers.add(asyncio.ensure_future(self._keep(place, worker)))

    async def _keep(self, place: int, worker: Worker) -> None:
        """Wait for a worker's end, say what there is to say of it, and start another if it came by itself."""
        await worker.ended.wait()
        if self.workers.get(place) is worker:
            del self.workers[place]
        if worker.wanted:
            return
        self.promised.add(place)
        if worker.armed and worker.code == _SIGKILLED:
            struck = next(line for line in reversed(worker.lines) if line.get("action") == "struck")
            self.count(Kind.KILL_AT_CALL, f"{worker.name} at {struck['call']}")
        else:
            self.note(f"worker {worker.name} ended by itself")
            said = worker.last_words()
            if not any(known in words for words in said for known in (_BROKER_FAILED, _LEDGER_GONE)):
                self.differs(f"worker {worker.name} ended by itself with {worker.code}: {said}")
        if not self._ending:
            await asyncio.sleep(self._random.uniform(0.0, 0.3))
            await self.start_worker(place)

    def _settings(self, place: int) -> dict[str, str]:
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{self.stage.ports[place]}",
            **self.view.settings(place),
            "TOPIC_PREFIX": self._prefix,
            "GROUP_ID": self._group,
            "INSTANCE_ID": f"place-{place}" if self.scenario.static else "",
            "SESSION_TIMEOUT": "6s",
            "ALLOWED_LATENESS": f"{LATENESS.total_seconds():.0f}",
            "BATCH_RECORDS": str(self.scenario.batch_records),
            "STATE_LIMIT": str(self.scenario.state_limit),
            "TICK_INTERVAL": "0",
            "OFFLINE_AFTER": "0",
            "INGEST_SILENT_AFTER": "5m" if self.scenario.gaps else "3650d",
            "HTTP_PORT": "0",
            "LOG_LEVEL": "debug",
        }
        return {name: value for name, value in settings.items() if name.lower() in Settings.model_fields}

    # The way of a scenario

    async def begin(self, first: Sequence[Sent]) -> None:
        """Create the input, write what comes first, and see a worker at it."""
        await self.log.create()
        for place in range(self.scenario.workers):
            await self.start_worker(place)
        await self.write(first)
        working = [asyncio.ensure_future(one.says("batch_processed")) for one in self.workers.values()]
        await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
        for one in working:
            one.cancel()

    async def write(self, records: Sequence[Sent]) -> None:
        """Write records, in chunks with a pause between."""
        await self.log.write(records, self.scenario.chunks, self._random)

    async def end(self) -> None:
        """Wait until faults are over and all is committed, then stop the workers in order."""
        await asyncio.gather(*self._faults)
        self.note("all is written, the faults are over")
        await self._settled()
        self.note("all is committed")
        self._ending = True
        for worker in list(self.workers.values()):
            if not await worker.stop(_STOP_S):
                self.differs(f"worker {worker.name} did not stop within {_STOP_S:g} s: {worker.last_words()}")
            elif worker.code not in ({0, _SIGKILLED} if worker.armed else {0}):
                self.differs(f"worker {worker.name} stopped with {worker.code}: {worker.last_words()}")

    async def _settled(self) -> None:
        """Wait until the group has committed everything and the view knows of it."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + _SETTLE_S
        async with AsyncExitStack() as stack:
            admin = await stack.enter_async_context(self.stage.kafka.admin())
            consumer = await stack.enter_async_context(
                AIOKafkaConsumer(bootstrap_servers=self.stage.kafka.bootstrap_servers)
            )
            while True:
                ends = await self.log.ends(consumer)
                committed, kept = await self.log.committed(admin), await self.checkpoints()
                reached = [(committed.get(one), kept.get(one)) for one in ends]
                if reached == [(end, end) for end in ends.values()]:
                    return
                if clock() > deadline:
                    self.differs(f"not done {_SETTLE_S:g} s after the last fault: {ends} {committed} {kept}")
                    return
                for worker in self.workers.values():
                    worker.signal(signal.SIGCONT)  # a pause may have come when nobody waited for it any more
                await asyncio.sleep(0.25)

    async def checkpoints(self) -> dict[int, int]:
        """Give how far the view is in each partition, as it knows itself."""
        topic = f"{self._prefix}events"
        offsets = [await self.view.checkpoint(topic, number) for number in range(PARTITIONS)]
        return {number: offset for number, offset in enumerate(offsets) if offset is not None}

    async def compare(self, records: Sequence[Sent]) -> None:
        """Compare everything that is left with an undisturbed run of the log."""
        kafka, prefix = self.stage.kafka, self._prefix
        log = await self.log.read()
        self.outcome.differences += log_differences(log, records)
        expected = await asyncio.to_thread(undisturbed, log, prefix)
        topics = ("snapshots", "transitions", "dead-letters", "ledger")
        published = Published(*[await read(kafka, prefix + topic) for topic in topics])
        self.outcome.differences += topic_differences(published, expected)
        async with self.view.client() as client:
            self.outcome.differences += await view_differences(client, Keys(), expected)

    async def clear(self) -> None:
        """End what is left and delete the topics."""
        self._ending = True
        for worker in list(self.workers.values()):
            await worker.kill()
        under_way = self._keepers | self._faults
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        async with self.stage.kafka.admin() as admin:
            topics = [topic for topic in await admin.list_topics() if topic.startswith(self._prefix)]
            await admin.delete_topics(topics)


def _until_midnight_us() -> int:
    """Give the microseconds until the UTC day closes."""
    return DAY - SystemClock().now() % DAY
