"""The demonstration as its user starts, looks at and ends it; nothing of it outlives it, however it ends."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from service.settings import PREFIX
from tests.acceptance.processes import Running, environment

pytest.importorskip("confluent_kafka", reason="the extra `demo` is not installed")

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
async def demo(*options: str) -> AsyncIterator[Demo]:
    """Start the demonstration as the leader of a group, as a shell does; it does not outlive the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from service.cli import main; main()",
        "demo",
        "--port",
        "0",
        *options,
        env=environment({}) | ELSEWHERE,
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    shown = Demo(process)
    parts: list[Process] = []
    try:
        async with asyncio.timeout(A_MINUTE):
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


@pytest.mark.slow
async def test_the_page_shows_a_fleet_with_its_past_within_a_minute() -> None:
    """Twelve EVSEs with two days of history, a drawn timeline for each, and changes as they come."""
    async with demo("--evses", "12", "--days", "2") as shown:
        address = await shown.says(ADDRESS)
        async with httpx.AsyncClient(base_url=address) as browser:
            change = await _first_change(browser)
            await shown.says(PAST_IS_IN)
            index = (await browser.get("/")).text
            uids = re.findall(r'data-uid="([^"]+)"', index)
            page = await browser.get(f"/evse/{uids[0]}")
            told = (await browser.get(f"/api/evses/{uids[0]}")).json()

    assert change.startswith("event: ")
    assert len(set(uids)) == 12
    assert page.status_code == 200
    assert re.search(r'<svg[^>]*role="img".*<rect class="t-up"', page.text, re.DOTALL)
    assert told["evse"]["uid"] == uids[0]
    assert told["windows"][0]["coverage"] > 0.02


async def _first_change(browser: httpx.AsyncClient) -> str:
    """Listen until something changes."""
    async with browser.stream("GET", "/events", timeout=A_MINUTE) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        async for line in stream.aiter_lines():
            if line.startswith("event: ") and line != "event: resync":
                return line
    raise AssertionError("the stream ended without a change")


def _ctrl_c(process: asyncio.subprocess.Process) -> None:
    # A terminal tells the whole group.
    os.killpg(process.pid, signal.SIGINT)


def _terminated(process: asyncio.subprocess.Process) -> None:
    process.terminate()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "when"),
    [(_ctrl_c, ADDRESS), (_terminated, ADDRESS), (_ctrl_c, PAST_IS_IN)],
    ids=["filling-ctrl-c", "filling-terminated", "living-ctrl-c"],
)
async def test_it_stops_when_told_and_leaves_nothing_running(
    end: Callable[[asyncio.subprocess.Process], None], when: re.Pattern[str]
) -> None:
    """By Ctrl-C and by SIGTERM, while the past goes in and afterwards: exit code 0 and a last word."""
    async with demo("--evses", "3", "--days", "1" if when is PAST_IS_IN else "60") as shown:
        await shown.says(when)
        parts = await shown.parts()
        end(shown.process)
        code = await shown.ends()
        await until_gone(parts)

    assert len(parts) >= 2
    assert (code, shown.said.splitlines()[-1].strip()) == (0, "Stopped.")
    assert "Traceback" not in shown.said


@pytest.mark.slow
async def test_a_second_ctrl_c_ends_it_at_once_without_a_trace() -> None:
    """While it stops in order it can still be cut short, and nothing outlives it then either."""
    async with demo("--evses", "3", "--days", "60") as shown:
        await shown.says(ADDRESS)
        parts = await shown.parts()
        _ctrl_c(shown.process)
        await asyncio.sleep(0.1)  # of the second that the orderly end takes
        _ctrl_c(shown.process)
        code = await shown.ends()
        await until_gone(parts)

    assert (code, shown.said.splitlines()[-1]) == (130, "evse-status: stopped, nothing more was done")
    assert "Traceback" not in shown.said


@pytest.mark.slow
async def test_nothing_outlives_a_demonstration_that_was_killed() -> None:
    """The worker and Valkey notice that whoever started them is gone."""
    async with demo("--evses", "3", "--days", "1") as shown:
        await shown.says(PAST_IS_IN)
        parts = await shown.parts()
        shown.process.kill()
        await until_gone(parts)

    assert any("valkey" in part.command for part in parts)
    assert any("service.demo.worker" in part.command for part in parts)


@pytest.mark.slow
async def test_a_worker_that_dies_ends_the_demonstration_with_one_line() -> None:
    """It names the exit code and where the log is; nothing is left running."""
    async with demo("--evses", "3", "--days", "1") as shown:
        await shown.says(PAST_IS_IN)
        parts = await shown.parts()
        (worker,) = [part for part in parts if "service.demo.worker" in part.command]
        os.kill(worker.pid, signal.SIGKILL)
        code = await shown.ends()
        await until_gone(parts)

    assert code == 1
    assert shown.said.splitlines()[-1].startswith("evse-status: the worker ended with -9; its last words")
    assert "Traceback" not in shown.said


@pytest.mark.slow
async def test_its_worker_ends_in_order_when_told() -> None:
    """It waits for the end of its standard input meanwhile, which must not make its end a crash."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "service.demo.worker",
        env=environment({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "HTTP_PORT": "0"}),
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    worker = Running(process)
    try:
        await worker.logs("retry_scheduled")
        code = await worker.stop()
    finally:
        await worker.kill()

    assert code == 0
