"""The parent of a worker, over a real socket: what it is told, and what its end brings about."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
import structlog

from service.adapters.clock import ManualClock
from service.adapters.parent import Answers, Parent, Place
from service.adapters.prometheus import PrometheusInstruments
from service.processing.health import Health, HealthLimits


class Ends:
    """A worker with a parent: both ends of the socket, and what was asked of the worker."""

    def __init__(self) -> None:
        self.ours, its = socket.socketpair()
        self.ours.settimeout(10)
        self._lines = self.ours.makefile("rb")
        self.parent = Parent(Place(2, 3, its.detach()))
        self.stopped = asyncio.Event()
        self.killed = asyncio.Event()

    def answers(self, *, alone_s: float = 60.0) -> Answers:
        """Give what answers, for a worker that has not joined its group."""
        loop, clock = asyncio.get_running_loop(), ManualClock()

        def end_process() -> None:
            loop.call_soon_threadsafe(self.killed.set)

        return Answers(
            self.parent,
            Health(HealthLimits(), clock.monotonic()),
            clock,
            PrometheusInstruments().exposition,
            self.stopped.set,
            alone_s=alone_s,
            end_process=end_process,
        )

    async def says(self) -> dict[str, object]:
        """Give the next line of the worker."""
        said: dict[str, object] = json.loads(await asyncio.to_thread(self._lines.readline))
        return said

    def leave(self) -> None:
        """Be a parent that is gone."""
        self._lines.close()
        self.ours.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Give both ends."""
    ends = Ends()
    yield ends
    ends.leave()
    ends.parent.close()


async def test_a_parent_is_answered_under_the_number_of_its_question(ends: Ends) -> None:
    """Health and metrics are those that the worker itself would serve."""
    answers = ends.answers()
    await answers.start()

    assert await ends.says() == {"began": True}
    ends.ours.sendall(b'{"ask": "live", "number": 7}\n')
    assert await ends.says() == {"number": 7, "ok": True, "reasons": []}
    ends.ours.sendall(b'{"ask": "ready", "number": 8}\n')
    assert await ends.says() == {
        "number": 8,
        "ok": False,
        "reasons": ["has not joined the consumer group yet"],
    }
    ends.ours.sendall(b'{"ask": "metrics", "number": 9}\n')
    told = await ends.says()
    assert 'evse_status_events_total{verdict="applied"} 0.0' in str(told["metrics"])
    assert not str(told["metrics"]).endswith("# EOF\n")
    ends.ours.sendall(b'{"ask": "openmetrics", "number": 10}\n')
    assert str((await ends.says())["metrics"]).endswith("# EOF\n")
    await answers.stop()


async def test_a_parent_can_stop_its_worker_and_ask_on(ends: Ends) -> None:
    """While it drains it is asked how it is."""
    answers = ends.answers()
    await answers.start()
    await ends.says()

    ends.ours.sendall(b'{"ask": "stop"}\n{"ask": "live", "number": 1}\n')

    await ends.stopped.wait()
    assert (await ends.says())["number"] == 1
    assert not answers.serving.done()
    await answers.stop()


async def test_a_worker_whose_parent_is_gone_ends_and_not_without_end(ends: Ends) -> None:
    """It drains, and if that takes too long nobody but itself can end it."""
    answers = ends.answers(alone_s=0.01)
    await answers.start()

    ends.leave()

    await ends.stopped.wait()
    await ends.killed.wait()
    assert not answers.serving.done()
    await answers.stop()


async def test_a_worker_that_ended_in_order_is_not_killed_after_it(ends: Ends) -> None:
    """The time that it had is over with it."""
    answers = ends.answers()
    await answers.start()
    ends.leave()
    await ends.stopped.wait()

    await answers.stop()

    assert answers._ending.finished.is_set()


async def test_the_last_word_comes_after_everything_else(ends: Ends) -> None:
    """Also when the loop has closed its end."""
    answers = ends.answers()
    await answers.start()
    await answers.stop()

    ends.parent.hears_last_word("create it")

    assert [await ends.says(), await ends.says()] == [{"began": True}, {"last_word": "create it"}]


def test_a_parent_that_is_gone_need_not_hear_it(ends: Ends) -> None:
    """What it would have been told stands in the log."""
    ends.leave()

    ends.parent.hears_last_word("create it")


@pytest.mark.parametrize(("number", "partitions", "warned"), [(1, 2, 1), (1, 3, 0), (2, 2, 0)])
def test_more_workers_than_partitions_are_named_once(number: int, partitions: int, warned: int) -> None:
    """Of three workers the first one says it, for all."""
    ours, its = socket.socketpair()
    parent = Parent(Place(number, 3, its.detach()))
    with ours, closing(parent), structlog.testing.capture_logs() as lines:
        parent.compares(partitions)

    assert len(lines) == warned
    assert all("3 workers here and 2 partitions" in line["event"] for line in lines)


def test_a_place_is_read_as_it_is_written() -> None:
    """On the command line of a worker."""
    assert Place.parse(str(Place(2, 4, 17))) == Place(2, 4, 17)
    with pytest.raises(ValueError, match="invalid literal"):
        Place.parse("2:x:17")
