"""
The parent process of a worker, over a socket that both hold an end of: `run --workers` has one for each.

Lines of JSON go both ways. The parent asks (`{"ask": "live", "number": 1}`) and is answered under the
number; `{"ask": "stop"}` has no answer but the end of the worker. The end of the stream means that the parent
is gone, however it went. This module knows nothing of what a parent does with its workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import structlog

from service.adapters.http import Probed
from service.adapters.prometheus_formats import Form
from service.processing.health import Report
from service.processing.ports import Clock

_log = structlog.get_logger()

ALONE_S = 30.0
"""Seconds that a worker without a parent gets to end in order: nobody is left to end it."""

_LAST_WORD_S = 2.0
"""Seconds that a parent may take to take the last word; it may be stopped itself."""


class Place(NamedTuple):
    """Which worker of how many, counted from 1, and the descriptor of its end of the socket."""

    number: int
    of: int
    descriptor: int

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read what `str` writes; raise ValueError for anything else."""
        return cls(*map(int, text.split(":", 2)))

    def __str__(self) -> str:
        return f"{self.number}:{self.of}:{self.descriptor}"


class Parent:
    """The parent, as its worker sees it."""

    def __init__(self, place: Place) -> None:
        """Take over the descriptor; raise OSError where it is no socket."""
        self.number, self.of = place.number, place.of
        self._socket = socket.socket(fileno=place.descriptor)
        self._socket.set_inheritable(False)

    def connection(self) -> socket.socket:
        """Give a socket that a loop may close: what is to be said after the loop has another."""
        return self._socket.dup()

    def compares(self, partitions: int) -> None:
        """Warn, once for all workers, where some of them are to have no partition."""
        if self.number == 1 and self.of > partitions:
            _log.warning(
                f"There are {self.of} workers here and {partitions} partitions: a partition is worked on by "
                "one worker, so the others stand by. Start fewer, or give the topics more partitions.",
                action="too_many_workers",
                partitions=partitions,
            )

    def hears_last_word(self, word: str) -> None:
        """
        Tell the parent why it must not start this worker again: somebody has to do something first.

        For when no loop runs any more. A parent that is gone hears nothing, and need not.
        """
        with contextlib.suppress(OSError):
            self._socket.settimeout(_LAST_WORD_S)
            self._socket.sendall(json.dumps({"last_word": word}).encode() + b"\n")

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()


def _end_process() -> None:
    os._exit(1)


class Answers:
    """
    Answers the parent from the loop that does the work, so a loop that is blocked does not answer.

    Begun and ended like the server of health and metrics, in place of which it stands.
    """

    def __init__(
        self,
        parent: Parent,
        health: Probed,
        clock: Clock,
        exposition: Callable[[Form], bytes],
        stop: Callable[[], None],
        *,
        alone_s: float = ALONE_S,
        end_process: Callable[[], None] = _end_process,
    ) -> None:
        """`stop` ends the worker in order, and may be called more than once."""
        self._parent = parent
        self._health = health
        self._clock = clock
        self._exposition = exposition
        self._stop = stop
        self._ending = threading.Timer(alone_s, end_process)
        self._ending.daemon = True
        self._serving: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def serving(self) -> asyncio.Task[None]:
        """The task that answers; it ends with `stop`, and should not before."""
        if self._serving is None:
            raise RuntimeError("nobody is answered yet")
        return self._serving

    async def start(self) -> None:
        """Answer from now on, and say so."""
        reader, self._writer = await asyncio.open_unix_connection(sock=self._parent.connection())
        self._writer.write(_line({"began": True}))
        self._serving = asyncio.create_task(self._serve(reader, self._writer), name="answers to the parent")

    async def stop(self) -> None:
        """Answer no more; what was said is on its way."""
        self._ending.cancel()
        if self._serving is None or self._writer is None:
            return
        self._serving.cancel()
        await asyncio.wait((self._serving,))
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):  # a parent that was killed in the midst of a question
            while line := await reader.readline():
                question = json.loads(line)
                if question["ask"] == "stop":
                    _log.info(
                        "Stopping: the batch in hand is finished and committed.",
                        action="stopping",
                        asked_by="parent",
                    )
                    self._stop()
                    continue
                writer.write(_line({"number": question["number"], **self._answer(question["ask"])}))
                await writer.drain()
        _log.warning(
            "The parent process is gone; the batch in hand is finished and committed.", action="stopping"
        )
        self._stop()
        self._ending.start()
        await asyncio.Event().wait()  # a task that ends would be taken for one that failed

    def _answer(self, ask: str) -> dict[str, Any]:
        now = self._clock.monotonic()
        match ask:
            case "live":
                return _told(self._health.live(now))
            case "ready":
                return _told(self._health.ready(now))
            case form:
                return {"metrics": self._exposition(Form(form)).decode()}


def _told(report: Report) -> dict[str, Any]:
    return {"ok": report.ok, "reasons": report.reasons}


def _line(said: dict[str, Any]) -> bytes:
    return json.dumps(said).encode() + b"\n"
