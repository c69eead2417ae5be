"""
Asking a part outside, beside the loop, whether it answers.

The loop's own calls are long: they carry a whole batch, and repeat themselves before they give up. A probe's
question is small and its time is short, so that readiness tells of an outage within seconds. This module
knows no part by name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from service.processing.instruments import Part
from service.processing.ports import Clock, PortError, Unavailable
from service.processing.retry import Outages

_HEARD_S = 0.1

PROBE_INTERVAL_S = 2.0
"""Seconds between two questions; a question may take as long, so an outage shows within twice that."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One part, and a question that it answers at once or raises `PortError` within a short time."""

    part: Part
    ask: Callable[[], Awaitable[None]]


async def keep_asking(
    probe: Probe, outages: Outages, clock: Clock, every_s: float = PROBE_INTERVAL_S
) -> None:
    """Ask for ever, and show what came of it; what is no word of the part's is raised, and is a bug."""
    while True:
        try:
            await probe.ask()
        except PortError as error:
            # That it refuses is for the loop to judge: here it is a part that does not do its work now.
            outages.unanswered(probe.part, Unavailable(str(error), error.kind))
        else:
            outages.answered(probe.part)
        await clock.sleep(every_s)


async def stop_asking(asking: Collection[asyncio.Task[None]]) -> None:
    """End the tasks that ask, and tell them again if need be: a client in a call may take no notice."""
    waiting = set(asking)
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=_HEARD_S)
