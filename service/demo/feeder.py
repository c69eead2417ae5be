"""
Writes a simulated fleet to the log: a month of its past at the worker's pace, then its present.

The broker keeps little, so the past waits for the worker; how far the worker is, it says in its checkpoints.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

import orjson

from service.demo.parts import EmbeddedBroker
from service.domain.time import datetime_from, micros_from
from service.processing.ports import Clock, TopicPartition, ViewStore
from service.simulation import Fleet

_AHEAD = 2_000
"""Records of a partition that may wait for the worker: well below what the broker keeps."""
_CHUNK = 500
_STEP_S = 0.05
_LIVE_STEP_S = 1.0

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
        self.events = 0

    async def write_past(self, start: datetime, until: datetime, progress: Progress) -> None:
        """Write the inventory and everything that arrived from `start` until `until`."""
        for event in self._fleet.inventory():
            self._write(start, event)
        for arrival, event in self._fleet.history(until):
            self._write(arrival, event)
            if self.events % _CHUNK == 0:
                progress(arrival, self.events)
                await self._wait_for_worker(_AHEAD)
        await self._wait_for_worker(0)
        progress(until, self.events)

    async def live(self) -> None:
        """Write what arrives, second by second, until cancelled."""
        while True:
            for arrival, event in self._fleet.until(datetime_from(self._clock.now())):
                self._write(arrival, event)
            self._broker.settle()
            await asyncio.sleep(_LIVE_STEP_S)

    def _write(self, arrival: datetime, event: dict[str, object]) -> None:
        self._broker.write(str(event["evse_uid"]), orjson.dumps(event), micros_from(arrival))
        self.events += 1

    async def _wait_for_worker(self, ahead: int) -> None:
        self._broker.settle()
        while True:
            waiting = 0
            for partition, delivered in self._broker.delivered.items():
                place = TopicPartition(self._topic, partition)
                checkpoint = await whole(self._store.load_checkpoint(place))
                done = checkpoint.next_offset if checkpoint is not None else 0
                waiting = max(waiting, delivered - done)
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


def month_before(now: datetime, days: int) -> datetime:
    """Give the midnight from which the past is written."""
    return (now - timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0)
