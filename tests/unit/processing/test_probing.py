"""Asking a part beside the loop whether it answers."""

from __future__ import annotations

import asyncio

import pytest

from service.adapters.clock import ManualClock
from service.processing.health import Health, HealthLimits, Witness
from service.processing.instruments import Part
from service.processing.ports import PortError, Unavailable, Unusable
from service.processing.probing import Probe, keep_asking, stop_asking
from service.processing.retry import Outages
from tests.recording import RecordingInstruments


class Asked:
    """A part that answers the way it is told to."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    async def ask(self) -> None:
        if self.error is not None:
            raise self.error


async def _later(clock: ManualClock, seconds: float) -> None:
    """Let time pass and everybody run."""
    clock.advance(seconds)
    for _ in range(4):
        await asyncio.sleep(0)


@pytest.mark.parametrize("error", [Unavailable("no answer"), Unusable("no answer")])
async def test_an_outage_shows_until_it_is_over(error: PortError) -> None:
    """Readiness names the part, each further question is counted, and the end is seen without the loop."""
    clock, instruments, part = ManualClock(), RecordingInstruments(), Asked()
    health = Health(HealthLimits(), 0)
    health.assigned([], 0)
    outages = Outages(clock, health, instruments, Witness.PROBE)
    asking = asyncio.create_task(keep_asking(Probe(Part.LOG, part.ask), outages, clock, every_s=2))
    await _later(clock, 0)
    assert health.ready(0).ok

    part.error = error
    for _ in range(3):
        await _later(clock, 2)
    assert health.ready(6).reasons == ("log does not answer: no answer",)
    assert (instruments.retries[Part.LOG], instruments.waiting) == (3, {Part.LOG})
    assert instruments.errors == {(Part.LOG, error.kind): 3}

    part.error = None
    await _later(clock, 2)
    assert health.ready(8).ok
    assert instruments.waiting == set()
    asking.cancel()


async def test_a_question_that_fails_otherwise_is_a_bug() -> None:
    """It ends the asking, so that whoever watches it ends the process."""
    clock, part = ManualClock(), Asked()
    part.error = ValueError("ours")
    outages = Outages(clock, Health(HealthLimits(), 0), RecordingInstruments(), Witness.PROBE)

    with pytest.raises(ValueError, match="ours"):
        await keep_asking(Probe(Part.LOG, part.ask), outages, clock)


async def test_a_question_that_takes_no_notice_of_the_end_is_told_again() -> None:
    """As a client does that is cancelled within a call: else the process would never end."""
    told = 0

    async def deaf() -> None:
        nonlocal told
        while told < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                told += 1

    asking = [asyncio.create_task(deaf()), asyncio.create_task(deaf())]
    await asyncio.sleep(0)

    await stop_asking(asking)

    assert all(task.done() for task in asking)
