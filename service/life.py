"""
The life of one worker process, as signals, probes and the watchdog see it.

This module builds nothing and knows no part outside.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

import structlog

from service.processing.health import Health, Report, Stuck, watch
from service.processing.ports import Clock
from service.processing.worker import Worker

_log = structlog.get_logger()

_LAST_CHANCE_S = 5.0
"""Seconds that a worker without progress gets to end in order, before the process ends without it."""


class Life:
    """
    What a process is about from its start to its end, as probes and signals see it.

    Before there is a worker it is live and not ready.
    """

    def __init__(self) -> None:
        self.stopped = asyncio.Event()
        self._worker: Worker | None = None
        self._health: Health | None = None
        self._reason = "the topics are not checked yet"

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

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)


async def run_watched(
    worker: Worker,
    clock: Clock,
    *,
    last_chance_s: float = _LAST_CHANCE_S,
    end_process: Callable[[], None] = lambda: os._exit(1),
) -> None:
    """
    Run a worker and end it when it makes no progress.

    Raises what ends it. If it cannot even be ended, since it is in a call that never comes back,
    `end_process` is called, so that the process is started anew.
    """
    working = asyncio.create_task(worker.run(), name="worker")
    watching = asyncio.create_task(watch(worker.health, clock), name="watchdog")
    await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
    if working.done():
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        working.result()
        return
    stuck = watching.exception() or Stuck("the watchdog ended")
    working.cancel()
    done, _ = await asyncio.wait((working,), timeout=last_chance_s)
    if not done:
        _log.critical(f"The worker makes no progress: {stuck}. The process ends.", action="worker_stuck")
        end_process()
    raise stuck
