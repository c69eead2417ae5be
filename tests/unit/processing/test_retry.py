"""Calls made again until a part outside answers."""

from __future__ import annotations

from random import Random

import pytest

from service.processing.health import Health, HealthLimits
from service.processing.instruments import Part
from service.processing.ports import ErrorKind, Unavailable, Unusable
from service.processing.retry import Backoff, Retrying, Stopping
from service.processing.tracing import NoTracing
from tests.driver import ImpatientClock
from tests.recording import RecordingInstruments


class Part1:
    """A part that does not answer at first; counts what it is asked and what goes on meanwhile."""

    def __init__(self, silent: int) -> None:
        self.silent = silent
        self.asked = 0
        self.held = 0

    async def ask(self) -> str:
        self.asked += 1
        if self.asked <= self.silent:
            raise Unavailable("no answer")
        return "yes"

    async def hold(self) -> None:
        self.held += 1


def retrying(part: Part1) -> tuple[Retrying, Health, RecordingInstruments, ImpatientClock]:
    """Give what makes calls to the part."""
    clock, instruments = ImpatientClock(), RecordingInstruments()
    health = Health(HealthLimits(), clock.monotonic())
    health.assigned([], 0)
    retry = Retrying(clock, health, instruments, Backoff(1, 8), part.hold, NoTracing())
    return retry, health, instruments, clock


async def test_an_answer_is_given_at_once() -> None:
    """No wait, no word."""
    part = Part1(silent=0)
    retry, _, instruments, clock = retrying(part)

    assert await retry(Part.STORE, part.ask) == "yes"
    assert (clock.monotonic(), instruments.retries[Part.STORE], part.held) == (0, 0, 0)


async def test_the_same_call_is_made_until_it_is_answered() -> None:
    """Counted, with growing waits in which the worker goes on being a member of its group."""
    part = Part1(silent=5)
    retry, health, instruments, clock = retrying(part)

    assert await retry(Part.STORE, part.ask) == "yes"
    assert (part.asked, instruments.retries[Part.STORE]) == (6, 5)
    assert instruments.errors == {(Part.STORE, ErrorKind.UNANSWERED): 5}
    assert 11.5 <= clock.monotonic() <= 23
    assert part.held >= clock.monotonic()
    assert health.ready(clock.monotonic()).ok
    assert instruments.waiting == set()


async def test_waiting_is_shown() -> None:
    """While it waits, readiness and metrics say for whom."""
    part = Part1(silent=1)
    retry, health, instruments, clock = retrying(part)
    seen = []

    async def look() -> None:
        seen.append((health.ready(clock.monotonic()).reasons, set(instruments.waiting)))

    part.hold = look  # type: ignore[method-assign]
    retry._hold = look
    await retry(Part.LOG, part.ask)

    assert seen[0] == (("log does not answer: no answer",), {Part.LOG})


async def test_what_waiting_does_not_heal_is_raised() -> None:
    """Only `Unavailable` is waited for."""
    part = Part1(silent=0)
    retry, _, instruments, _ = retrying(part)

    async def refuse() -> None:
        raise Unusable("evicts")

    with pytest.raises(Unusable):
        await retry(Part.STORE, refuse)
    assert instruments.retries[Part.STORE] == 0
    assert instruments.errors == {(Part.STORE, ErrorKind.REFUSED): 1}


async def test_a_stop_ends_the_waiting() -> None:
    """What goes on meanwhile may raise, and that comes out."""
    part = Part1(silent=10**9)
    retry, health, instruments, _ = retrying(part)

    async def stop() -> None:
        raise Stopping

    retry._hold = stop
    with pytest.raises(Stopping):
        await retry(Part.STORE, part.ask)
    assert part.asked == 1
    # Nobody waits any more: a worker whose partition went would else never be ready again.
    assert health.ready(0).ok
    assert instruments.waiting == set()


async def test_many_slow_answers_are_no_standstill() -> None:
    """Each answer shows that the loop goes on, however long the batch takes in all."""
    part = Part1(silent=0)
    retry, health, _, clock = retrying(part)

    for _ in range(10):
        await clock.sleep(40)
        await retry(Part.STORE, part.ask)
        assert health.live(clock.monotonic()).ok


def test_backoff_doubles_to_its_bound_with_jitter() -> None:
    """Between half and all of 1, 2, 4, 8, 8, … seconds; never an overflow."""
    backoff, random = Backoff(1, 8), Random(1)

    for attempt, longest in enumerate([1, 2, 4, 8, 8, 8]):
        waits = {backoff.wait_s(attempt, random) for _ in range(50)}
        assert longest / 2 <= min(waits) <= max(waits) <= longest
        assert len(waits) > 1
    assert backoff.wait_s(10**6, random) <= 8
