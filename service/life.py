"""
The life of one worker process, as signals, probes and the watchdog see it.

This module builds nothing and knows no part outside.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Collection
from types import TracebackType
from typing import Self, TypeVar

import structlog

from service.first_process import end_at_sigterm
from service.processing.health import Health, Report, Stuck, watch
from service.processing.ports import Clock
from service.processing.worker import Worker

Result = TypeVar("Result")

_log = structlog.get_logger()

_LAST_CHANCE_S = 5.0
"""Seconds that a worker without progress gets to end in order, before the process ends without it."""

_LAST_WORD_S = 2.0
"""Seconds that the last word gets to be written: a log that nobody reads must not keep the process alive."""


def _end_process() -> None:
    os._exit(1)


class Life:
    """
    What a process is about from its start to its end, as probes and signals see it.

    Before there is a worker it is live and not ready.
    """

    def __init__(self) -> None:
        self.stopped = asyncio.Event()
        self._worker: Worker | None = None
        self._health: Health | None = None
        self._reason = "Kafka has not answered yet whether the topics are as they must be"

    def live(self, now: float) -> Report:
        return Report(ok=True, reasons=()) if self._health is None else self._health.live(now)

    def ready(self, now: float) -> Report:
        return Report(ok=False, reasons=(self._reason,)) if self._health is None else self._health.ready(now)

    def waits(self, reason: str) -> None:
        """Show why there is no worker yet."""
        self._reason = reason

    def works(self, worker: Worker) -> None:
        """Let the worker answer from now on."""
        self._worker, self._health = worker, worker.health
        if self.stopped.is_set():
            worker.stop()

    async def pause(self, seconds: float) -> None:
        """Wait, but not beyond `stop`."""
        try:
            async with asyncio.timeout(seconds):
                await self.stopped.wait()
        except TimeoutError:
            return

    async def unless_stopped(self, work: Awaitable[Result]) -> Result | None:
        """Do what may take long and can be cancelled; None if it was, since the life ended."""
        working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self.stopped.wait())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        for one in (working, stopping):
            if not one.done():
                one.cancel()
                await asyncio.wait((one,))
        return None if working.cancelled() else working.result()

    def stop(self) -> None:
        """End in order: the worker finishes the batch in hand and commits it."""
        self.stopped.set()
        if self._worker is not None:
            self._worker.stop()


def stop_at_signals(life: Life) -> None:
    """Let SIGTERM and SIGINT end a life in order; the second one ends the process."""
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        _log.info(
            "Stopping: the batch in hand is finished and committed.", action="stopping", signal=number.name
        )
        life.stop()
        loop.remove_signal_handler(number)
        if number is signal.SIGTERM:
            end_at_sigterm()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)


class LoopGuard:
    """
    A thread that ends the process when the event loop itself stands still, which nothing in it can notice.

    It counts its own turns between two beats of the loop, not the time: a process that was stopped and goes
    on is not taken for one that hangs. Code that never lets go of the interpreter's lock stops it, too.
    """

    def __init__(
        self, limit_s: float = 60.0, every_s: float = 1.0, end_process: Callable[[], None] = _end_process
    ) -> None:
        self._every_s = every_s
        self._most_missed = limit_s / every_s
        self._end_process = end_process
        self._missed = 0
        self._left = threading.Event()
        self._thread_of_loop = 0
        self._beating: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        """Begin to watch the running loop."""
        self._thread_of_loop = threading.get_ident()
        self._beat(asyncio.get_running_loop())
        threading.Thread(target=self._watch, name="loop guard", daemon=True).start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        self._left.set()
        if self._beating is not None:
            self._beating.cancel()

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._missed = 0
        self._beating = loop.call_later(self._every_s, self._beat, loop)

    def _watch(self) -> None:
        while not self._left.wait(self._every_s):
            self._missed += 1
            if self._missed > self._most_missed:
                # In a thread of its own, for the loop may stand still within the log.
                saying = threading.Thread(target=self._say, daemon=True)
                saying.start()
                saying.join(_LAST_WORD_S)
                self._end_process()
                return

    def _say(self) -> None:
        frame = sys._current_frames().get(self._thread_of_loop)  # noqa: SLF001 - documented, for debuggers
        _log.critical(
            f"The event loop stands still for {self._missed * self._every_s:.0f} s. The process ends.",
            action="worker_stuck",
            stack="".join(traceback.format_stack(frame)),
        )


async def run_watched(
    worker: Worker,
    clock: Clock,
    beside: Collection[asyncio.Task[None]] = (),
    *,
    last_chance_s: float = _LAST_CHANCE_S,
    end_process: Callable[[], None] = _end_process,
) -> None:
    """
    Run a worker and end it when it makes no progress, or when a task that must go on beside it ended.

    Raises what ends it. If it cannot even be ended, since it is in a call that never comes back,
    `end_process` is called, so that the process is started anew.
    """
    working = asyncio.create_task(worker.run(), name="worker")
    watching = asyncio.create_task(watch(worker.health, clock), name="watchdog")
    ended, _ = await asyncio.wait((working, watching, *beside), return_when=asyncio.FIRST_COMPLETED)
    watching.cancel()
    await asyncio.wait((watching,))
    if working in ended and not working.cancelled():
        working.result()
        return
    stuck = _reason_of(ended.pop())
    worker.health.broke(str(stuck))
    working.cancel()
    done, _ = await asyncio.wait((working,), timeout=last_chance_s)
    if not done:
        _log.critical(f"The worker makes no progress: {stuck}. The process ends.", action="worker_stuck")
        end_process()
    raise stuck


def _reason_of(task: asyncio.Task[None]) -> Stuck:
    """Say why a task ended that should not have."""
    failure = None if task.cancelled() else task.exception()
    if isinstance(failure, Stuck):
        return failure
    stuck = Stuck(f"the task {task.get_name()} ended, which the worker cannot do without ({failure!r})")
    stuck.__cause__ = failure
    return stuck
