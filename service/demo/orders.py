"""
What its user tells the demonstration while it lives: a word and Enter.

Knows neither how the words come nor where the answers go.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import quote

from service.demo.feeder import Feeder
from service.simulation import Fleet

HELP = """\
Type a word and Enter:
    silence [UID]   a charger loses its power without a word: offline after three missing heartbeats
    pause           nothing arrives any more: nobody is declared offline
    resume          it goes on: the time between was not observed"""

_INTERVALS = 3
_READ_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Orders:
    """
    Obeys the user's words.

    `page` is where the page is, `gap_after_s` after how many seconds of nothing the worker takes the time for
    unobserved; `say` is told the answers, a line each.
    """

    fleet: Fleet
    feeder: Feeder
    page: str
    gap_after_s: int
    say: Callable[[str], None]

    def obey(self, line: str) -> None:
        """Do what a line says, and say what is to be seen."""
        match line.split():
            case []:
                pass
            case ["silence", *uids] if len(uids) <= 1:
                self._silence(*uids)
            case ["pause"]:
                self.feeder.pause()
                self.say(
                    "Paused: nothing arrives any more, and nobody is declared offline. `resume` goes on."
                )
            case ["resume"]:
                self._resume()
            case _:
                self.say(f"{line.strip()!r} is none of the words: silence, silence UID, pause, resume.")

    def _silence(self, uid: str | None = None) -> None:
        try:
            cut = self.fleet.cut_power(self.feeder.now, uid)
        except ValueError as error:
            self.say(f"Not silenced: {error}.")
            return
        after = _INTERVALS * cut.heartbeat_interval_s
        self.say(
            f"{cut.uid} says nothing more until {cut.until:%H:%M:%S} UTC. Offline in some {after} s, see"
        )
        self.say(f"{self.page}evse/{quote(cut.uid, safe='')}")

    def _resume(self) -> None:
        lasted = self.feeder.resume()
        if lasted is None:
            self.say("It is not paused.")
        elif lasted.total_seconds() > self.gap_after_s:
            self.say("It goes on. In a moment the time between is a gap on every EVSE's page: not observed.")
        else:
            self.say(f"It goes on. A pause of less than {self.gap_after_s} s is no gap.")


@contextmanager
def lines_of(descriptor: int | None, obey: Callable[[str], None]) -> Iterator[bool]:
    """
    Hand over each line that is typed, as it comes; gives whether there can be any.

    There are none where the input is closed or neither a terminal nor a pipe, and none any more where it ends
    or belongs to another job of the shell.
    """
    if descriptor is None:
        yield False
        return
    loop = asyncio.get_running_loop()
    rest = b""

    def read() -> None:
        nonlocal rest
        some = b""
        with suppress(OSError):  # EIO: the terminal is somebody else's, this job runs in the background
            some = os.read(descriptor, _READ_BYTES)
        if not some:
            loop.remove_reader(descriptor)
            return
        *lines, rest = (rest + some).split(b"\n")
        for line in lines:
            obey(line.decode(errors="replace"))

    # Else reading in the background would stop the process.
    before = signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    try:
        try:
            loop.add_reader(descriptor, read)
        except OSError:  # a file or /dev/null: there is nothing to wait for
            yield False
            return
        yield True
    finally:
        loop.remove_reader(descriptor)
        signal.signal(signal.SIGTTIN, before)
