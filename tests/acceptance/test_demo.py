"""The demonstration as its user starts, looks at and ends it; nothing of it outlives it, however it ends."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable

import httpx
import pytest

from tests.acceptance.demonstration import A_MINUTE, ADDRESS, PAST_IS_IN, Demo, Process, demo, until_gone
from tests.acceptance.processes import Running, environment

pytest.importorskip("confluent_kafka", reason="the extra `demo` is not installed")


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


async def _worker_of(shown: Demo) -> Process:
    """Wait for its worker, which starts as it begins to write the past."""
    await shown.says(ADDRESS)
    while True:
        for part in await shown.parts():
            if "service.demo.worker" in part.command:
                return part
        await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_nothing_outlives_a_demonstration_that_was_killed() -> None:
    """The worker and Valkey notice that whoever started them is gone."""
    async with demo("--evses", "3", "--days", "60") as shown:
        await _worker_of(shown)
        parts = await shown.parts()
        shown.process.kill()
        await until_gone(parts)

    assert any("valkey" in part.command for part in parts)
    assert any("service.demo.worker" in part.command for part in parts)


@pytest.mark.slow
async def test_a_worker_that_dies_ends_the_demonstration_with_one_line() -> None:
    """It names the exit code and where the log is; nothing is left running."""
    async with demo("--evses", "3", "--days", "60") as shown:
        worker = await _worker_of(shown)
        parts = await shown.parts()
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
