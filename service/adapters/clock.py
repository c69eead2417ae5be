"""
The only place that reads a clock.

What a test advances by hand stands beside what the machine runs, so that both keep one contract.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time

_MICROS_PER_SECOND = 1_000_000


class SystemClock:
    """The machine's clocks: wall time for what is published, a monotonic one for what is measured."""

    def now(self) -> int:
        return time.time_ns() // 1_000

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that stands still until `advance` moves it; who sleeps wakes when its time has come."""

    def __init__(self, now: int = 1_767_571_200_000_000) -> None:
        """Begin at `now`, microseconds since 1970 (2026-01-05T00:00:00Z unless told)."""
        self._began = now
        self._now = now
        self._order = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now(self) -> int:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._began) / _MICROS_PER_SECOND

    async def sleep(self, seconds: float) -> None:
        """Wait for `advance`; a span of nothing lets others run once."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + _micros(seconds), next(self._order), woken))
        await woken

    def jump(self, micros: int) -> None:
        """Set the calendar forwards or back; no time passes."""
        self._now, self._began = self._now + micros, self._began + micros
        self._sleepers = [(at + micros, order, woken) for at, order, woken in self._sleepers]

    def advance(self, seconds: float) -> None:
        """
        Let `seconds` pass and wake those whose time has come, in order.

        They run when the caller next awaits something.
        """
        self._now += _micros(seconds)
        while self._sleepers and self._sleepers[0][0] <= self._now:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)


def _micros(seconds: float) -> int:
    return round(seconds * _MICROS_PER_SECOND)
