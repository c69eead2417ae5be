"""A worker in this process, for work that no other worker does, and the wait until something is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from service.life import run_watched
from service.processing.ports import Clock
from service.processing.worker import Worker

FOLLOW_S = 0.5
"""Seconds between two looks at how far something is."""


class WorkerHere:
    """A worker in this process, from `begin` until `end`."""

    def __init__(self, build: Callable[[], Worker], clock: Clock) -> None:
        self._build, self._clock = build, clock
        self._worker: Worker | None = None
        self._working: asyncio.Future[None] | None = None

    @property
    def begun(self) -> bool:
        return self._working is not None

    @property
    def ended(self) -> bool:
        return self._working is not None and self._working.done()

    def begin(self) -> None:
        self._worker = self._build()
        self._working = asyncio.ensure_future(run_watched(self._worker, self._clock))

    async def end(self) -> None:
        """Stop it, if it was begun; raises what ended it."""
        if self._worker is not None and self._working is not None:
            self._worker.stop()
            await self._working

    async def until(self, is_done: Callable[[], Awaitable[bool]]) -> None:
        """Wait until something is done, or until this worker has ended; then `end` it."""
        try:
            while not self.ended and not await is_done():
                await self._clock.sleep(FOLLOW_S)
        finally:
            await self.end()
