"""The nursery and its workers, as the harness sees them: by what they log, and by how they end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tests.fault.striking import KILL, NO_PAUSE, PAUSE, Strike

_LONGEST_LINE = 1 << 22


class Worker:
    """
    One process of `run`.

    `wanted`: the harness brought its end about. `armed`: it may end at one of its next calls.
    """

    def __init__(self, pid: int, name: str) -> None:
        self.pid = pid
        self.name = name
        self.lines: list[dict[str, Any]] = []
        self.code: int | None = None
        self.ended = asyncio.Event()
        self.wanted = False
        self.armed = False
        self._said = asyncio.Condition()

    async def hear(self, stderr: asyncio.StreamReader, end: Callable[[], Any]) -> None:
        """Keep what it says to its last word, then learn how it ended."""
        while text := await stderr.readline():
            self.lines.append(_read(text))
            async with self._said:
                self._said.notify_all()
        self.code = await end()
        self.ended.set()
        async with self._said:
            self._said.notify_all()

    async def says(self, action: str, *, after: int = 0) -> None:
        """Wait for a line with this action, from the line number `after` on, or for the end."""
        async with self._said:
            await self._said.wait_for(lambda: self.ended.is_set() or self.said(action, after))

    def said(self, action: str, after: int = 0) -> bool:
        """Tell whether there was such a line."""
        return any(line.get("action") == action for line in self.lines[after:])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if not self.ended.is_set():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def kill(self) -> None:
        """End it between any two instructions."""
        self.wanted = True
        self.signal(signal.SIGKILL)
        await self.ended.wait()

    async def stop(self, within_s: float) -> bool:
        """End it in order; tell whether that came within the time, and kill it otherwise."""
        self.wanted = True
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)  # a pause may have come when nobody waited for it any more
        try:
            async with asyncio.timeout(within_s):
                await self.ended.wait()
        except TimeoutError:
            await self.kill()
            return False
        return True

    def arm_kill(self) -> None:
        """Let it end at one of its next calls, as its next strike says."""
        self.armed = True
        self.signal(KILL)

    async def pause_in_call(self, within_s: float) -> str | None:
        """Let it stop at one of its next calls and give that; None if none came within the time."""
        heard = len(self.lines)
        self.signal(PAUSE)
        try:
            async with asyncio.timeout(within_s):
                await self.says("struck", after=heard)
        except TimeoutError:
            self.signal(NO_PAUSE)
        return next((str(line["call"]) for line in self.lines[heard:] if "call" in line), None)

    def last_words(self, count: int = 3) -> list[str]:
        """Give what it said last, short."""
        return [json.dumps(line)[:600] for line in self.lines[-count:]]


def _read(text: bytes) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except ValueError:
        return {"text": text.decode(errors="replace").rstrip()}
    return line if isinstance(line, dict) else {"text": text.decode()}


@dataclass(frozen=True)
class Birth:
    """
    What a worker is given: settings (names without the prefix), and where it will end or stop when told to.

    Its clock is ahead of the machine's by so many microseconds.
    """

    settings: Mapping[str, str]
    kills: Sequence[Strike]
    pauses: Sequence[Strike]
    ahead_us: int

    def written(self) -> dict[str, Any]:
        """Write it for the nursery."""
        return {
            "settings": dict(self.settings),
            "kills": [(one.at, one.when) for one in self.kills],
            "pauses": [(one.at, one.when) for one in self.pauses],
            "ahead_us": self.ahead_us,
        }


class Nursery:
    """Starts workers."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._asking = asyncio.Lock()
        self._hearing: set[asyncio.Task[None]] = set()

    async def start(self, name: str, birth: Birth) -> Worker:
        """Start a worker."""
        ours, its = os.pipe()
        answer = await self._ask(birth.written(), [its])
        os.close(its)
        stderr = asyncio.StreamReader(limit=_LONGEST_LINE)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stderr), os.fdopen(ours, "rb", 0)
        )
        worker = Worker(answer["pid"], name)
        hearing = asyncio.ensure_future(self._hear(worker, stderr, transport))
        self._hearing.add(hearing)
        hearing.add_done_callback(self._hearing.discard)
        return worker

    async def _hear(
        self, worker: Worker, stderr: asyncio.StreamReader, transport: asyncio.ReadTransport
    ) -> None:
        await worker.hear(stderr, lambda: self._wait(worker.pid))
        transport.close()

    async def _wait(self, pid: int) -> int:
        code: int = (await self._ask({"wait": pid}, []))["code"]
        return code

    async def _ask(self, request: Mapping[str, Any], descriptors: list[int]) -> dict[str, Any]:
        async with self._asking:
            socket.send_fds(self._control, [json.dumps(request).encode()], descriptors)
            answer = await asyncio.get_running_loop().sock_recv(self._control, 4096)
        if not answer:
            raise RuntimeError("the nursery ended")
        said: dict[str, Any] = json.loads(answer)
        return said


@asynccontextmanager
async def nursery() -> AsyncIterator[Nursery]:
    """Hold a nursery open; its workers end with it."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, its:
        ours.setblocking(False)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.fault.nursery",
            str(its.fileno()),
            pass_fds=[its.fileno()],
            stdin=asyncio.subprocess.DEVNULL,
        )
        its.close()
        try:
            yield Nursery(ours)
        finally:
            ours.close()
            await process.wait()
