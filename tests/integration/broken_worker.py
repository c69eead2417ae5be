"""
The worker in a test build: `run`, with something that breaks after the first commit and short patience.

Started as a module with what is to break; see `BREAKS`.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from service import app, cli
from service.adapters.kafka import KafkaLog
from service.life import LoopGuard
from service.processing.health import HealthLimits, watch
from service.processing.options import Ports
from service.processing.values import Commit, Record, TopicPartition

PATIENCE_S = 3.0
"""Seconds after which an event loop that stands still counts as such, here."""
TURN_S, PARTITION_S = 4.0, 6.0
"""The same for a turn of the loop, and for a partition with records waiting."""
WATCHED_S = 2.0
"""Seconds from one look at these two to the next, here."""


class Breaking:
    """A log that breaks with the fetch after the first record was committed."""

    def __init__(self, log: KafkaLog, breaks: Callable[[KafkaLog], Awaitable[None]]) -> None:
        self._log = log
        self._breaks: Callable[[KafkaLog], Awaitable[None]] | None = breaks
        self._committed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def commit(self, commits: Mapping[TopicPartition, Commit]) -> None:
        await self._log.commit(commits)
        self._committed = self._committed or any(each.next_offset for each in commits.values())

    async def fetch(self, timeout_s: float, max_records: int) -> list[Record]:
        if self._committed and self._breaks is not None:
            breaks, self._breaks = self._breaks, None
            await breaks(self._log)
        return await self._log.fetch(timeout_s, max_records)


async def fetching(log: KafkaLog) -> None:
    """Let the client's own task for fetching fail."""
    fetcher: Any = log._running._fetcher

    def fail(_assignment: object) -> None:
        raise RuntimeError("a bug of the client")

    fetcher._get_actions_per_node = fail


async def position(log: KafkaLog) -> None:
    """Let the client forget to fetch, without an error: the end moves, the position does not."""
    log.pause(log.assignment())


async def turn(_log: KafkaLog) -> None:
    """Wait in one turn for what never comes."""
    await asyncio.Event().wait()


async def loop(_log: KafkaLog) -> None:
    """Block the loop itself."""
    threading.Event().wait()


async def pages(_log: KafkaLog) -> None:
    """End the task that serves health and metrics."""
    (serving,) = (task for task in asyncio.all_tasks() if task.get_name() == "http")
    serving.cancel()


BREAKS = {one.__name__: one for one in (fetching, position, turn, loop, pages)}


def main() -> None:
    """Run the worker of the command line, but for what breaks."""
    breaks = BREAKS[sys.argv.pop(1)]
    places: Any = app
    places.LoopGuard = partial(LoopGuard, limit_s=PATIENCE_S)
    limits: Any = HealthLimits.__init__
    limits.__defaults__ = (TURN_S, PARTITION_S)
    watching: Any = watch
    watching.__defaults__ = (WATCHED_S,)

    def wrap(ports: Ports) -> Ports:
        assert isinstance(ports.log, KafkaLog)
        return replace(ports, log=Breaking(ports.log, breaks))

    places.run = partial(app.run, wrap=wrap)
    cli.main()


if __name__ == "__main__":
    main()
