"""
Writes a simulated fleet to the log: a month of its past at the worker's pace, then its present.

The broker keeps little, so the past waits for the worker; how far the worker is, it says in its checkpoints.
Records of the past are as old as they are: appended now. Only the present has record times by which silence
can be told; with times of the past, a worker that keeps pace would take all the fleet for silent since then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import orjson

from service.demo.parts import EmbeddedBroker
from service.domain.time import Micros, datetime_from, micros_from
from service.processing.ports import Clock, ViewStore
from service.processing.values import TopicPartition
from service.simulation import Fleet

_AHEAD = 2_000
"""Records of a partition that may wait for the worker: well below what the broker keeps."""
_CHUNK = 500
_STEP_S = 0.05
_LIVE_STEP_S = 1.0
_COMING = timedelta(minutes=2)
"""In this time a fleet comes into service."""

Answer = TypeVar("Answer")

Progress = Callable[[datetime, int], None]
"""Told how far the past is written, as a time and a count of events."""


class Feeder:
    """Writes what a fleet does into the embedded broker."""

    def __init__(
        self, fleet: Fleet, broker: EmbeddedBroker, topic: str, store: ViewStore, clock: Clock
    ) -> None:
        self._fleet = fleet
        self._broker = broker
        self._topic = topic
        self._store = store
        self._clock = clock
        self._paused_at: datetime | None = None
        self.events = 0

    async def write_past(self, until: datetime, progress: Progress) -> None:
        """Write the inventory and everything that arrived until `until`."""
        for event in self._fleet.inventory():
            self._write(event)
        for arrival, event in self._fleet.history(until):
            self._write(event)
            if self.events % _CHUNK == 0:
                progress(arrival, self.events)
                await self._wait_for_worker(_AHEAD)
        await self._wait_for_worker(0)
        progress(until, self.events)

    async def live(self) -> None:
        """Write what arrives, second by second, until cancelled; nothing while it is paused."""
        while True:
            if self._paused_at is None:
                self._write_present(self._fleet.until(self.now))
            await asyncio.sleep(_LIVE_STEP_S)

    @property
    def now(self) -> datetime:
        """The time of the present."""
        return datetime_from(self._clock.now())

    def pause(self) -> None:
        """Let nothing arrive until `resume`: the collection stands still, the chargers do not."""
        self._paused_at = self._paused_at or self.now

    def resume(self) -> timedelta | None:
        """Collect again; what chargers said meanwhile is lost. Gives how long it stood still, if it did."""
        if self._paused_at is None:
            return None
        lasted, self._paused_at = self.now - self._paused_at, None
        self._write_present(self._fleet.unheard_until(self.now))
        return lasted

    def _write_present(self, arrivals: Iterable[tuple[datetime, dict[str, object]]]) -> None:
        for arrival, event in arrivals:
            self._write(event, micros_from(arrival))
        self._broker.settle()

    def _write(self, event: dict[str, object], at: Micros | None = None) -> None:
        self._broker.write(str(event["evse_uid"]), orjson.dumps(event), at)
        self.events += 1

    async def _wait_for_worker(self, ahead: int) -> None:
        self._broker.settle()
        while True:
            waiting = 0
            for partition, end in self._broker.ends.items():
                place = TopicPartition(self._topic, partition)
                checkpoint = await whole(self._store.load_checkpoint(place))
                done = checkpoint.next_offset if checkpoint is not None else 0
                waiting = max(waiting, end - done)
            if waiting <= ahead:
                return
            await asyncio.sleep(_STEP_S)


async def whole(call: Coroutine[Any, Any, Answer]) -> Answer:
    """
    Await a call to Redis to its end, even if cancelled meanwhile; only then obey.

    Its client awaits `wait_for`, which before Python 3.12 loses a cancellation that comes at the wrong
    moment: Ctrl-C would do nothing.
    """
    calling = asyncio.ensure_future(call)
    try:
        return await asyncio.shield(calling)
    except asyncio.CancelledError:
        await asyncio.gather(calling, return_exceptions=True)
        raise


def days_before(now: datetime, days: int) -> datetime:
    """Give the midnight from which the past is written; without days just enough for a fleet to be there."""
    if not days:
        return now - _COMING
    return (now - timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0)
