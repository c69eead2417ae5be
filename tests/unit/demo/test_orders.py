"""What the user of a demonstration types, and what comes of it."""

from __future__ import annotations

import asyncio
import os
import re
from datetime import timedelta
from pathlib import Path

import pytest

pytest.importorskip("confluent_kafka", reason="the extra `demo` is not installed")

from service.adapters.clock import ManualClock
from service.adapters.memory_view import MemoryViewStore
from service.demo.feeder import Feeder, days_before
from service.demo.orders import Orders, lines_of
from service.demo.parts import EmbeddedBroker
from service.domain.time import datetime_from
from service.simulation import Fleet

TOPIC = "evse.events"


class Stage:
    """A fleet of twelve that lives, and what its user was told."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.said: list[str] = []
        now = datetime_from(self.clock.now())
        self.fleet = Fleet(7, 12, days_before(now, 0), now)
        self.broker = EmbeddedBroker(TOPIC)
        self.feeder = Feeder(self.fleet, self.broker, TOPIC, MemoryViewStore(), self.clock)
        self.orders = Orders(self.fleet, self.feeder, "http://page/", 60, self.said.append)
        for _ in self.fleet.until(now):
            pass

    def obey(self, line: str) -> list[str]:
        """Type a line and give what is answered."""
        self.said.clear()
        self.orders.obey(line)
        return list(self.said)

    def heard(self, seconds: float) -> set[str]:
        """Let time pass and give the uids of those who said something."""
        self.clock.advance(seconds)
        return {event["evse_uid"] for _, event in self.fleet.until(self.feeder.now)}


def test_a_charger_is_silenced_by_its_uid() -> None:
    """The answer says until when, how soon it is offline, and where to look."""
    stage = Stage()
    uid = stage.fleet.can_fall_silent()[-1]
    first, second = stage.obey(f"silence {uid}")
    assert re.fullmatch(
        rf"{uid} says nothing more until [\d:]+ UTC. Offline in some (30|45|60) s, see", first
    )
    assert second == f"http://page/evse/{uid}"
    stage.heard(1)
    assert uid not in stage.heard(60)


def test_any_charger_is_silenced_where_none_is_named() -> None:
    """One of those that are linked."""
    stage = Stage()
    linked = stage.fleet.can_fall_silent()
    first, _ = stage.obey("silence")
    assert first.split()[0] in linked


def test_a_uid_that_is_none_is_refused_in_one_line() -> None:
    """Nobody falls silent, and the line says why."""
    stage = Stage()
    assert stage.obey("silence nobody") == ["Not silenced: there is no EVSE nobody in this fleet."]


def test_what_is_no_word_is_answered_with_the_words() -> None:
    """An empty line is none."""
    stage = Stage()
    assert stage.obey("  \n") == []
    for line in ("stop", "silence a b", "pause now"):
        assert stage.obey(line) == [f"{line!r} is none of the words: silence, silence UID, pause, resume."]


@pytest.mark.parametrize(("seconds", "words"), [(90, "not observed"), (30, "less than 60 s is no gap")])
def test_a_pause_is_a_gap_where_it_was_long_enough(seconds: float, words: str) -> None:
    """What the worker will make of it is said at once."""
    stage = Stage()
    assert "nobody is declared offline" in stage.obey("pause")[0]
    stage.clock.advance(seconds / 2)
    stage.obey("pause")  # no other pause
    stage.clock.advance(seconds / 2)
    assert words in stage.obey("resume")[0]
    assert stage.obey("resume") == ["It is not paused."]


async def test_nothing_is_written_while_it_is_paused() -> None:
    """And what chargers said meanwhile never is."""
    stage = Stage()
    stage.obey("pause")
    living = asyncio.ensure_future(stage.feeder.live())
    await asyncio.sleep(0)
    stage.clock.advance(90)
    stage.obey("resume")
    written = stage.feeder.events
    living.cancel()
    assert written == 0
    arrivals = [arrival for arrival, _ in stage.fleet.until(stage.feeder.now + timedelta(seconds=5))]
    assert min(arrivals) >= stage.feeder.now


async def test_lines_are_handed_over_as_they_are_typed() -> None:
    """Whole ones only, until the input ends."""
    reading, writing = os.pipe()
    lines: asyncio.Queue[str] = asyncio.Queue()
    try:
        with lines_of(reading, lines.put_nowait) as can_be_told:
            os.write(writing, b"pause\nres")
            first = await lines.get()
            os.write(writing, b"ume\n\xff\n")
            rest = [await lines.get(), await lines.get()]
            os.close(writing)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            is_read = asyncio.get_running_loop().remove_reader(reading)
    finally:
        os.close(reading)
    assert can_be_told
    assert not is_read
    assert [first, *rest] == ["pause", "resume", "\ufffd"]


async def test_no_line_comes_from_what_cannot_be_waited_for(tmp_path: Path) -> None:
    """A file, /dev/null, or an input that is closed: the demonstration runs all the same."""
    (tmp_path / "file").write_text("pause\n")
    for path in (tmp_path / "file", Path(os.devnull)):
        with path.open("rb") as opened, lines_of(opened.fileno(), pytest.fail) as can_be_told:
            assert not can_be_told
    with lines_of(None, pytest.fail) as can_be_told:
        assert not can_be_told
