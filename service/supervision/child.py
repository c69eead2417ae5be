"""
One worker as a process of its own, with a socket to ask it on; what it is asked stands in `adapters.parent`.

Decides nothing about when it is started or stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from service.adapters.parent import Place
from service.processing.ports import Clock

Json = dict[str, Any]

_LARGEST = 1 << 24
"""Bytes of an answer at most: metrics have a series for each partition."""


@dataclass(frozen=True, slots=True)
class Command:
    """How a worker is started: its place goes after the arguments."""

    arguments: Sequence[str]
    environment: Callable[[int], Mapping[str, str]]
    """The environment of the worker of a number."""


@dataclass(frozen=True, slots=True)
class Ended:
    """
    How a worker ended: its exit code (that of a signal is negative), and how many seconds it ran.

    With a `last_word` starting it again does not help.
    """

    code: int
    lived_s: float
    last_word: str | None

    def in_words(self) -> str:
        """Say it for people."""
        if self.code >= 0:
            return f"ended with exit code {self.code}"
        return f"was ended by {signal.Signals(-self.code).name}"


class Child:
    """A worker that was started."""

    def __init__(
        self,
        number: int,
        clock: Clock,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.number = number
        self.began_at: float | None = None
        """When it began to answer, in monotonic seconds; None: it has not come up yet."""
        self.said = 0
        """How often it said anything, late answers among it."""
        self.started_at = clock.monotonic()
        self._clock = clock
        self._process = process
        self._writer = writer
        self._asked: dict[int, asyncio.Future[Json | None]] = {}
        self._numbers = itertools.count(1)
        self._last_word: str | None = None
        self._hearing = asyncio.create_task(self._hear(reader), name=f"link to worker {number}")

    @classmethod
    async def start(cls, command: Command, number: int, of: int, clock: Clock) -> Self:
        """Start the worker of a number; raise OSError where the system gives no process."""
        ours, its = socket.socketpair()
        with its:
            process = await asyncio.create_subprocess_exec(
                *command.arguments,
                str(Place(number, of, its.fileno())),
                env=dict(command.environment(number)),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[its.fileno()],
                # Ctrl-C reaches the whole group of a terminal: the parent tells its workers, once.
                start_new_session=True,
            )
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=_LARGEST)
        return cls(number, clock, process, reader, writer)

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    @property
    def is_silent(self) -> bool:
        """Whether it answers no more: it ends, or has ended and nobody has noticed yet."""
        return self._hearing.done()

    async def ask(self, what: str, within_s: float) -> Json | None:
        """Ask for "live", "ready" or a form of metrics; None where no answer comes in time, or any more."""
        if self.is_silent:
            return None
        number, answer = next(self._numbers), asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        self._say({"ask": what, "number": number})
        await asyncio.wait((answer,), timeout=within_s)
        del self._asked[number]
        return answer.result() if answer.done() else None

    def stop(self) -> None:
        """Tell it to finish the batch in hand, commit it and end."""
        # Not by a signal: whoever stops all processes of this service has sent one, and the second one kills.
        self._say({"ask": "stop"})

    def kill(self) -> None:
        """End it between any two instructions, if it has not ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def ended(self) -> Ended:
        """Wait for its end."""
        code = await self._process.wait()
        lived_s = self._clock.monotonic() - self.started_at
        await self._hearing
        self._writer.close()
        return Ended(code, lived_s, self._last_word)

    def _say(self, what: Json) -> None:
        self._writer.write(json.dumps(what).encode() + b"\n")

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):  # killed with a question unread
            while (line := await reader.readline()).endswith(b"\n"):  # else one that was killed in an answer
                self._take(json.loads(line))
        for answer in self._asked.values():
            if not answer.done():
                answer.set_result(None)

    def _take(self, said: Json) -> None:
        self.said += 1
        if "began" in said:
            self.began_at = self._clock.monotonic()
        elif "last_word" in said:
            self._last_word = said["last_word"]
        elif (answer := self._asked.get(said["number"])) is not None:
            answer.set_result(said)
