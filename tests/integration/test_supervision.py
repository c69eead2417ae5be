"""A parent and its workers as real processes, small ones: started, asked, ended, started again, stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import structlog

from service.adapters.clock import ManualClock
from service.adapters.prometheus_formats import Form
from service.processing.health import Report, Stuck
from service.supervision.child import Child, Command
from service.supervision.restarts import MOST_IN_A_ROW
from service.supervision.supervisor import ASKED_EVERY_S, SILENT_AFTER_S, Outcome, Supervisor
from tests.integration.small_worker import DEAF, REMEDY, SICK, STOPPABLE, TELLING

GOOD = Report(ok=True, reasons=())


class Family:
    """A parent, with what its workers are, by number."""

    def __init__(
        self,
        *kinds: str,
        stop_budget_s: float = 30.0,
        answer_s: float = 30.0,
        silent_after_s: float = SILENT_AFTER_S,
    ) -> None:
        self.clock = ManualClock()
        self.started: list[int] = []
        self.kinds = dict(enumerate(kinds, start=1))
        self.parent = Supervisor(
            len(kinds),
            self._start,
            self.clock,
            stop_budget_s=stop_budget_s,
            answer_s=answer_s,
            silent_after_s=silent_after_s,
        )

    async def _start(self, number: int) -> Child:
        self.started.append(number)
        kind = self.kinds[number]
        small = (sys.executable, "-m", "tests.integration.small_worker", kind)
        command = Command(small if kind in _SMALL else (sys.executable, "-c", kind), lambda _: os.environ)
        return await Child.start(command, number, len(self.kinds), self.clock)

    @asynccontextmanager
    async def living(self) -> AsyncIterator[asyncio.Task[Outcome]]:
        """Run it; it does not outlive the block."""
        running = asyncio.create_task(self.parent.run())
        try:
            yield running
        finally:
            self.parent.stop()
            self.parent.stop()
            with suppress(Exception):
                await running

    async def until(self, done: Callable[[], Awaitable[bool]]) -> None:
        """Wait until it is so."""
        while not await done():  # noqa: ASYNC110 - a process that comes up tells nobody but its parent
            await asyncio.sleep(0.005)

    async def questioned(self) -> None:
        """Let it be time for the next question to each, and wait until that is answered or given up."""
        self.clock.advance(ASKED_EVERY_S)

        async def over() -> bool:
            return len(self.clock._sleepers) == len(self.kinds)

        await self.until(over)


_SMALL = {DEAF, SICK, STOPPABLE, TELLING}


async def _is_ready(family: Family) -> bool:
    return (await family.parent.ready()).ok


async def test_all_workers_are_asked_and_stopped_together() -> None:
    """One answer of all; the outcome is good when each ended in order."""
    family = Family(STOPPABLE, STOPPABLE)
    async with family.living() as running:
        await family.until(lambda: _is_ready(family))
        assert await family.parent.live() == GOOD
        text, openmetrics = [(await family.parent.exposition(form)).decode() for form in Form]
        family.parent.stop()
        assert await running == Outcome(ok=True)

    for page in (text, openmetrics):
        assert 'm{worker="1"} 1.0\nm{worker="2"} 1.0\n' in page
        assert 'evse_status_worker_up{worker="2"} 1.0' in page
    assert "# EOF" not in text
    assert openmetrics.count("# EOF\n") == 1


async def test_a_worker_that_is_not_live_makes_all_of_it_so() -> None:
    """And it is named."""
    family = Family(SICK, STOPPABLE)
    bad = Report(ok=False, reasons=("worker 1: stands",))
    async with family.living():

        async def told() -> bool:
            return await family.parent.live() == bad

        await family.until(told)


async def test_a_worker_that_does_not_answer_is_not_live() -> None:
    """Its loop stands still, or all of it; its metrics are left out, and one says that it is not up."""
    family = Family(STOPPABLE, STOPPABLE, answer_s=0.2)
    async with family.living():
        await family.until(lambda: _is_ready(family))
        os.kill(family.parent.pids[1], signal.SIGSTOP)

        assert (await family.parent.live()).reasons == ("worker 1: did not answer within 0.2 s",)
        page = (await family.parent.exposition()).decode()

    assert 'm{worker="1"}' not in page
    assert 'evse_status_worker_up{worker="1"} 0.0' in page


async def test_a_worker_that_is_killed_is_started_again_after_a_pause() -> None:
    """The others go on meanwhile; liveness says which one is down."""
    family = Family(STOPPABLE, STOPPABLE)
    async with family.living():
        await family.until(lambda: _is_ready(family))
        first = family.parent.pids
        os.kill(first[2], signal.SIGKILL)

        async def down() -> bool:
            live = await family.parent.live()
            assert live.ok or live.reasons[0] in ("worker 2: is ending", "worker 2: was ended by SIGKILL")
            return live.reasons == ("worker 2: was ended by SIGKILL",)

        await family.until(down)
        assert family.started == [1, 2]
        family.clock.advance(1.0)
        await family.until(lambda: _is_ready(family))
        page = (await family.parent.exposition()).decode()

    assert family.started == [1, 2, 2]
    assert 'evse_status_worker_restarts_total{worker="2"} 1.0' in page
    assert 'evse_status_worker_restarts_total{worker="1"} 0.0' in page


@pytest.mark.allow_error_logs
async def test_a_worker_that_is_stopped_is_killed_and_started_again() -> None:
    """Nobody else would end it. One that answers in between has all its time again."""
    family = Family(STOPPABLE, STOPPABLE, answer_s=0.2, silent_after_s=2 * ASKED_EVERY_S)
    async with family.living():
        await family.until(lambda: _is_ready(family))
        first = family.parent.pids
        with structlog.testing.capture_logs() as lines:
            for number in (signal.SIGSTOP, signal.SIGCONT, signal.SIGSTOP):
                os.kill(first[2], number)
                await family.questioned()
            assert (family.parent.pids, lines) == (first, [])

            async def restarted() -> bool:
                family.clock.advance(1.0)
                return family.started == [1, 2, 2]

            await family.until(restarted)
        await family.until(lambda: _is_ready(family))
        page = (await family.parent.exposition()).decode()

    killed, restarts = (line for line in lines if line["log_level"] != "info")
    assert (killed["action"], killed["worker"], killed["pid"]) == ("worker_killed", 2, first[2])
    assert "has not answered for 10 s" in killed["event"]
    assert (restarts["action"], restarts["worker"]) == ("worker_restarts", 2)
    assert 'evse_status_worker_killed_total{worker="2"} 1.0' in page
    assert 'evse_status_worker_killed_total{worker="1"} 0.0' in page


async def test_a_last_word_stops_the_others_and_starts_nobody_again() -> None:
    """Somebody has to do something first, and it is said at the end."""
    family = Family(TELLING, STOPPABLE)
    async with family.living() as running:
        assert await running == Outcome(ok=False, worker=1, last_word=REMEDY)

    assert family.started == [1, 2]


async def test_a_worker_that_never_gets_going_stops_all() -> None:
    """Whoever started all of it sees that it does not work, in place of a process that tries for ever."""
    family = Family("raise SystemExit(3)", STOPPABLE)
    async with family.living() as running:

        async def over() -> bool:
            # Little at a time: a process that is slow to end is not to have lived for long.
            family.clock.advance(1.0)
            return running.done()

        await family.until(over)
        assert await running == Outcome(
            ok=False, worker=1, last_word="Worker 1 ended with exit code 3, again and again."
        )

    assert family.started.count(1) == MOST_IN_A_ROW + 1
    assert family.started.count(2) == 1


async def test_a_worker_that_does_not_end_in_time_is_killed() -> None:
    """What it had not committed is read again; the outcome says that not all ended in order."""
    family = Family(DEAF, STOPPABLE, stop_budget_s=0.05)
    async with family.living() as running:
        await family.until(lambda: _is_ready(family))
        family.parent.stop()
        assert await running == Outcome(ok=False)


async def test_told_twice_they_are_killed_at_once() -> None:
    """As the second signal ends a single worker."""
    family = Family(DEAF)
    async with family.living() as running:
        await family.until(lambda: _is_ready(family))
        with structlog.testing.capture_logs() as lines:
            family.parent.stop()
            family.parent.stop()
            assert await running == Outcome(ok=False)

    assert [line["action"] for line in lines] == ["workers_killed"]


async def test_a_task_beside_that_ends_stops_all() -> None:
    """Without its port nobody would know how it is."""
    family = Family(STOPPABLE)
    ended = asyncio.create_task(asyncio.sleep(0), name="http")

    with pytest.raises(Stuck, match="the task http ended"):
        await family.parent.run([ended])

    assert family.parent.pids == {}
