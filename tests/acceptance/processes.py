"""The command in a process of its own, as its user runs it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from service.settings import PREFIX
from tests.processes import free_port
from tests.services import Kafka
from tests.topics import committed

Settings = Mapping[str, str]
"""Settings by their names without the prefix."""

NONE: Settings = {}

_COMMAND = (sys.executable, "-c", "from service.cli import main; main()")


@dataclass(frozen=True)
class Done:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


def environment(variables: Settings) -> dict[str, str]:
    """Give the environment of a process: this machine's, without settings of ours, and these."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    return kept | {PREFIX + name: value for name, value in variables.items()}


async def command(*arguments: str, settings: Settings = NONE, stdin: bytes = b"") -> Done:
    """Run the command to its end."""
    process = await asyncio.create_subprocess_exec(
        *_COMMAND,
        *arguments,
        env=environment(settings),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(stdin)
    return Done(process.returncode or 0, out.decode(), err.decode())


def unshared(kafka: Kafka, redis_url: str, **more: str) -> dict[str, str]:
    """Give the settings of a worker that no other test shares, and more."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "REDIS_URL": redis_url,
        "TOPIC_PREFIX": kafka.unique("evse") + ".",
        "GROUP_ID": kafka.unique("group"),
        "HTTP_PORT": str(free_port()),
        "HTTP_HOST": "127.0.0.1",
        "SESSION_TIMEOUT": "6s",
        **more,
    }


class Running:
    """A worker in a process, known by what it logs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[dict[str, Any]] = []

    async def logs(self, action: str, **fields: Any) -> dict[str, Any]:
        """Wait for a line with this action and these fields, and give it; raise if the process ends first."""
        stream = self._process.stderr
        assert stream is not None
        while text := await stream.readline():
            line: dict[str, Any] = json.loads(text)
            self.lines.append(line)
            if line.get("action") == action and fields.items() <= line.items():
                return line
        raise AssertionError(f"the worker ended without {action} {fields}: {self.lines[-3:]}")

    async def stop(self) -> int:
        """Send SIGTERM, read what it still has to say, and give the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return await self.end()

    async def end(self) -> int:
        """Wait for the end by itself, reading all it says, and give the exit code."""
        stream = self._process.stderr
        assert stream is not None
        while text := await stream.readline():
            self.lines.append(json.loads(text))
        return await self._process.wait()

    async def kill(self) -> None:
        """End it if it still runs."""
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def worker(*options: str, settings: Settings) -> AsyncIterator[Running]:
    """Start `run`, logging everything as JSON; it does not outlive the block."""
    process = await asyncio.create_subprocess_exec(
        *_COMMAND,
        "run",
        *options,
        env=environment({"LOG_LEVEL": "debug", **settings}),
        stderr=asyncio.subprocess.PIPE,
    )
    running = Running(process)
    try:
        yield running
    finally:
        await running.kill()


async def until_committed(running: Running, kafka: Kafka, group: str, ends: dict[int, int]) -> None:
    """Read what a worker says until its group has committed these next offsets."""
    while await committed(kafka, group) != ends:
        # The commit comes before the line, so the last line finds all of it.
        await running.logs("committed")
