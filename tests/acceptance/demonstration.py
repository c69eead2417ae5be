"""The demonstration in a process of its own, as its user starts it, types and looks."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from service.settings import PREFIX
from tests.acceptance.processes import environment

ELSEWHERE = {
    PREFIX + "REDIS_URL": "redis://127.0.0.1:1/0",
    PREFIX.lower() + "redis_prefix": "somebody-elses",
    PREFIX + "NO_SUCH_SETTING": "1",
}
"""What a user may have set for a worker of his own; the demonstration must not touch it."""

PAST_IS_IN = re.compile("The past is in")
ADDRESS = re.compile(r"http://localhost:\d+/")
A_MINUTE = 60.0


@dataclass(frozen=True)
class Process:
    """One line of the process table."""

    pid: int
    parent: int
    command: str


async def running() -> list[Process]:
    """Give the process table, without those that have ended and whose parent has not looked yet."""
    ps = await asyncio.create_subprocess_exec(
        "ps", "-A", "-o", "pid=,ppid=,stat=,command=", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await ps.communicate()
    rows = [line.split(None, 3) for line in out.decode(errors="replace").splitlines()]
    return [Process(int(row[0]), int(row[1]), row[3]) for row in rows if len(row) == 4 and row[2][0] != "Z"]


class Demo:
    """A running demonstration."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = ""

    async def says(self, pattern: re.Pattern[str]) -> str:
        """Wait until it has printed something, and give it."""
        stream = self.process.stderr
        assert stream is not None
        while not (found := pattern.search(self.said)):
            some = await stream.read(4096)
            assert some, f"ended with {await self.process.wait()}: {self.said}"
            self.said += some.decode(errors="replace")
        return found[0]

    def type(self, line: str) -> None:
        """Type a line."""
        stream = self.process.stdin
        assert stream is not None
        stream.write(f"{line}\n".encode())

    async def parts(self) -> list[Process]:
        """Give all processes below it."""
        table, below = await running(), {self.process.pid}
        for _ in range(4):
            below |= {one.pid for one in table if one.parent in below}
        return [one for one in table if one.pid in below - {self.process.pid}]

    async def ends(self) -> int:
        """Wait for its end, reading all it says, and give the exit code."""
        stream = self.process.stderr
        assert stream is not None
        self.said += (await stream.read()).decode(errors="replace")
        return await self.process.wait()


@asynccontextmanager
async def demo(*options: str, within_s: float = A_MINUTE) -> AsyncIterator[Demo]:
    """Start the demonstration as the leader of a group, as a shell does; nothing of it outlives the block."""
    with tempfile.TemporaryDirectory() as folder:
        async with _started(folder, within_s, *options) as shown:
            yield shown


@asynccontextmanager
async def _started(folder: str, within_s: float, *options: str) -> AsyncIterator[Demo]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from service.cli import main; main()",
        "demo",
        "--port",
        "0",
        *options,
        env=environment({}) | ELSEWHERE | {"TMPDIR": folder},
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    shown = Demo(process)
    parts: list[Process] = []
    try:
        async with asyncio.timeout(within_s):
            yield shown
    finally:
        parts = await shown.parts()
        for pid in [process.pid, *(part.pid for part in parts)]:
            if process.returncode is None or pid != process.pid:
                os.kill(pid, signal.SIGKILL)
        await process.wait()


async def until_gone(parts: list[Process]) -> None:
    """Wait until none of these processes is left."""
    assert parts
    pids = {part.pid for part in parts}
    while pids & {one.pid for one in await running()}:
        pass
