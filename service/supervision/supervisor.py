"""
The parent of several workers: starts each, starts those anew that end, and stops all of them.

What ends one worker for good stops the others in order: nobody can do its share, and the last word of a
process that goes on without it is read by nobody. This module knows neither signals nor HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import structlog

from service.adapters.prometheus_formats import Form
from service.adapters.prometheus_workers import WorkersMetrics
from service.processing.health import HealthLimits, Report, Stuck
from service.processing.ports import Clock
from service.supervision.child import Child, Ended
from service.supervision.restarts import Restarts

Told = TypeVar("Told")

_log = structlog.get_logger()

STOP_BUDGET_S = 25.0
"""Seconds that workers get to end in order; what runs containers commonly kills all of it after 30."""

ANSWER_S = 0.9
"""Seconds that a worker may take to answer; its loop may be busy with a batch."""

ASKED_EVERY_S = 5.0
"""Seconds between two questions whether a worker answers at all."""

SILENT_AFTER_S = 150.0
"""Seconds after which a worker that answers nothing is killed; see `silent_after`."""

_MARGIN_S = 30.0

_COMING_UP_S = 60.0
"""Seconds that a worker may take from its start until it answers."""

Start = Callable[[int], Awaitable[Child]]
"""Starts the worker of a number."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it came to an end; `worker` and `last_word` where one worker ended for good."""

    ok: bool
    worker: int | None = None
    last_word: str | None = None


class Supervisor:
    """Runs workers numbered from 1; asked by probes."""

    def __init__(
        self,
        count: int,
        start: Start,
        clock: Clock,
        *,
        stop_budget_s: float = STOP_BUDGET_S,
        answer_s: float = ANSWER_S,
        silent_after_s: float = SILENT_AFTER_S,
    ) -> None:
        self._numbers = range(1, count + 1)
        self._start = start
        self._clock = clock
        self._stop_budget_s = stop_budget_s
        self._answer_s = answer_s
        self._silent_after_s = silent_after_s
        self._metrics = WorkersMetrics(self._numbers)
        self._children: dict[int, Child] = {}
        self._down: dict[int, str] = {}
        self._stopping = asyncio.Event()
        self._outcome = Outcome(ok=True)

    @property
    def pids(self) -> dict[int, int]:
        """The processes of the workers that run, by their numbers."""
        return {number: child.pid for number, child in self._children.items()}

    def stop(self) -> None:
        """Let all workers end in order, and `run` with them; the second call kills them."""
        if self._stopping.is_set():
            self._kill("They are told a second time.")
        self._stopping.set()

    async def run(self, beside: Collection[asyncio.Task[None]] = ()) -> Outcome:
        """
        Keep all workers running until `stop`, until one ended for good, or a task beside them ended.

        Raises what no end of a worker is the reason of.
        """
        keeping = [
            asyncio.create_task(self._keep(number), name=f"worker {number}") for number in self._numbers
        ]
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((stopping, *keeping, *beside), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            await self._end(keeping)
        for task in keeping:
            task.result()
        for task in beside:
            if task.done():
                failure = None if task.cancelled() else task.exception()
                raise Stuck(f"the task {task.get_name()} ended ({failure!r})") from failure
        return self._outcome

    async def _end(self, keeping: Collection[asyncio.Task[None]]) -> None:
        self._stopping.set()
        for child in self._children.values():
            child.stop()
        _, late = await asyncio.wait(keeping, timeout=self._stop_budget_s)
        if late:
            self._kill(f"They did not end within {self._stop_budget_s:g} s.")
            await asyncio.wait(late)

    def _kill(self, why: str) -> None:
        _log.warning(
            f"Workers are killed. {why} What they had not committed is read again.",
            action="workers_killed",
            workers=sorted(self._children),
        )
        for child in self._children.values():
            child.kill()

    async def _keep(self, number: int) -> None:
        """Start a worker, and again whenever it ended, until all stop or it ended for good."""
        restarts = Restarts()
        while True:
            ended = await self._live(number)
            if self._stopping.is_set():
                if ended.code != 0:
                    self._fail(Outcome(ok=False))
                return
            pause_s = restarts.after(ended.lived_s)
            if ended.last_word is not None or pause_s is None:
                self._give_up(number, ended)
                return
            _log.warning(
                f"Worker {number} {ended.in_words()} and is started again in {pause_s:g} s.",
                action="worker_restarts",
                worker=number,
                lived_s=round(ended.lived_s, 3),
            )
            await self._pause(pause_s)
            if self._stopping.is_set():
                return
            self._metrics.restarted(number)

    def _give_up(self, number: int, ended: Ended) -> None:
        word = ended.last_word or f"Worker {number} {ended.in_words()}, again and again."
        self._fail(Outcome(ok=False, worker=number, last_word=word))
        _log.warning(
            f"Worker {number} {ended.in_words()} and is not started again; the others are stopped.",
            action="worker_lost",
            worker=number,
        )
        self._stopping.set()

    async def _live(self, number: int) -> Ended:
        child = await self._start(number)
        self._children[number] = child
        self._down.pop(number, None)
        _log.info(f"Worker {number} is started.", action="process_started", worker=number, pid=child.pid)
        if self._stopping.is_set():  # meanwhile
            child.stop()
        watching = asyncio.create_task(self._watch(child), name=f"watch over worker {number}")
        ended = await child.ended()
        watching.cancel()
        await asyncio.wait((watching,))
        if not watching.cancelled():
            watching.result()
        del self._children[number]
        self._down[number] = ended.in_words()
        return ended

    async def _watch(self, child: Child) -> None:
        """
        Kill a worker that answers nothing for long: it is stopped, or hangs where it cannot end itself.

        Questions are counted and not time: where this process was stopped, too, all have their time again.
        """
        silent_s = 0.0
        while silent_s < self._silent_after_s:
            heard = child.said
            await self._clock.sleep(ASKED_EVERY_S)
            if self._stopping.is_set():  # whoever does not end then is killed sooner
                return
            await child.ask("live", self._answer_s)
            silent_s = 0.0 if child.said > heard else silent_s + ASKED_EVERY_S
        self._metrics.killed(child.number)
        _log.error(
            f"Worker {child.number} has not answered for {silent_s:.0f} s: it is stopped or hangs, and is "
            "killed. What it had not committed is read again.",
            action="worker_killed",
            worker=child.number,
            pid=child.pid,
        )
        child.kill()

    def _fail(self, outcome: Outcome) -> None:
        # The first reason is the reason: what comes after it was stopped because of it.
        if self._outcome.ok:
            self._outcome = outcome

    async def _pause(self, seconds: float) -> None:
        """Wait, but not beyond `stop`."""
        waking = asyncio.ensure_future(self._clock.sleep(seconds))
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait((waking, stopping), return_when=asyncio.FIRST_COMPLETED)
        for one in (waking, stopping):
            one.cancel()

    async def live(self) -> Report:
        """Tell whether every worker is live; one that ended is not, one that comes up is."""
        return joined(await self._asked(lambda number: self._health(number, "live")))

    async def ready(self) -> Report:
        """Tell whether every worker is ready."""
        return joined(await self._asked(lambda number: self._health(number, "ready")))

    async def exposition(self, form: Form = Form.TEXT) -> bytes:
        """Write the metrics of all workers that answer, and which do."""
        return self._metrics.exposition(await self._asked(partial(self._metrics_of, form)), form)

    async def _asked(self, ask: Callable[[int], Awaitable[Told]]) -> dict[int, Told]:
        told = await asyncio.gather(*(ask(number) for number in self._numbers))
        return dict(zip(self._numbers, told, strict=True))

    async def _health(self, number: int, what: str) -> Report:
        child = self._children.get(number)
        if child is None and number in self._down:
            return Report(ok=False, reasons=(self._down[number],))
        if child is None or child.began_at is None:
            so_far_s = 0.0 if child is None else self._clock.monotonic() - child.started_at
            return coming_up(what, so_far_s)
        told = await child.ask(what, self._answer_s)
        if told is None:
            why = "is ending" if child.is_silent else f"did not answer within {self._answer_s:g} s"
            return Report(ok=False, reasons=(why,))
        return Report(told["ok"], tuple(told["reasons"]))

    async def _metrics_of(self, form: Form, number: int) -> str | None:
        child = self._children.get(number)
        if child is None or child.began_at is None:
            return None
        told = await child.ask(form, self._answer_s)
        return None if told is None else str(told["metrics"])


def silent_after(session_s: float, limits: HealthLimits) -> float:
    """
    Give the seconds after which nobody but the parent will end a worker that answers nothing.

    By then a worker that can has noticed its standstill itself, and the group has given its work to others.
    """
    return max(session_s, limits.loop_s, limits.partition_s) + _MARGIN_S


def coming_up(what: str, so_far_s: float) -> Report:
    """Say how a worker is that has not come up yet, so many seconds after its start: live for a while."""
    if what == "live" and so_far_s <= _COMING_UP_S:
        return Report(ok=True, reasons=())
    return Report(ok=False, reasons=(f"has not come up yet, {so_far_s:.0f} s after its start",))


def joined(told: Mapping[int, Report]) -> Report:
    """Make one answer of those of all workers: good if all are, and each reason with its worker."""
    reasons = (f"worker {number}: {reason}" for number, each in told.items() for reason in each.reasons)
    return Report(all(each.ok for each in told.values()), tuple(reasons))
