"""
Runs the demonstration: parts, worker, fleet and page, until Ctrl-C.

The worker is a process of its own, as in production; everything else lives in this one.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from redis.asyncio import Redis
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from schemas.view import DEFAULT_PREFIX
from service.adapters.clock import SystemClock
from service.adapters.redis import RedisViewStore
from service.adapters.redis_connection import RedisSettings
from service.app import page_server
from service.demo.feeder import Feeder, month_before, whole
from service.demo.parts import EmbeddedBroker, EmbeddedValkey, WorkFolder
from service.domain.time import datetime_from
from service.processing.ports import PortError
from service.settings import environment_with
from service.simulation import Fleet

_TOPIC = "evse.events"
_LOG = "worker.log"
_WORKER_ENDS_S = 20.0
_LAST_LINES = 12


@dataclass(frozen=True, slots=True)
class Demo:
    """What is shown: how many EVSEs, how many days of past, and where."""

    evses: int
    days: int
    host: str
    port: int
    seed: int


async def show(demo: Demo, console: Console) -> None:
    """Run until cancelled; raise `PortError` where a part cannot be had or the worker ends."""
    clock = SystemClock()
    with WorkFolder() as folder, EmbeddedValkey() as valkey:
        broker = EmbeddedBroker(_TOPIC)
        environment = {"REDIS_URL": valkey.url, "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_server}
        redis = Redis.from_url(valkey.url, decode_responses=False)
        page = page_server(redis, DEFAULT_PREFIX, demo.host, demo.port)
        store = RedisViewStore(RedisSettings(valkey.url))
        try:
            await page.start()
            await whole(store.start())
            async with _worker(environment, folder / _LOG) as worker:
                now = datetime_from(clock.now())
                start = month_before(now, demo.days)
                fleet = Fleet(demo.seed, demo.evses, start, live_from=now)
                feeder = Feeder(fleet, broker, _TOPIC, store, clock)
                _announce(console, demo, page.port)
                await _first_of(_feed(feeder, start, now, console), _ends(worker, folder / _LOG))
        finally:
            await page.stop()
            await store.stop()
            await redis.aclose()


def _announce(console: Console, demo: Demo, port: int) -> None:
    shown = "localhost" if demo.host in {"127.0.0.1", "0.0.0.0"} else demo.host  # noqa: S104 - a comparison
    console.print(f"\n  [bold]The page is at http://{shown}:{port}/[/bold]   (Ctrl-C stops everything)\n")
    console.print(
        f"  {demo.evses} simulated chargers; their last {demo.days} days go through the worker first:"
    )


async def _feed(feeder: Feeder, start: datetime, until: datetime, console: Console) -> None:
    columns = (TextColumn("  {task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(
        *columns, TextColumn("{task.fields[events]} events"), TimeElapsedColumn(), console=console
    ) as bar:
        task = bar.add_task(f"{start:%d %b} to today", total=(until - start).total_seconds(), events=0)

        def tell(arrival: datetime, events: int) -> None:
            bar.update(task, completed=(arrival - start).total_seconds(), events=events)

        await feeder.write_past(start, until, tell)
    console.print("  The past is in. From now on the fleet lives in real time; the page updates by itself.")
    await feeder.live()


@contextlib.asynccontextmanager
async def _worker(environment: dict[str, str], log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the worker as a process of its own, its log in a file; end it as an orchestrator would."""
    own = environment | {"HTTP_PORT": "0", "LOG_FORMAT": "json"}
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "service.demo.worker",
            env=environment_with(own),
            stdin=subprocess.PIPE,  # closed when this process is gone, however it went: the worker ends then
            stdout=output,
            stderr=output,
            # Ctrl-C reaches the whole group: the worker is told by us, once, and in order.
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _WORKER_ENDS_S)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _ends(worker: asyncio.subprocess.Process, log: Path) -> None:
    """Wait for the worker to end, which it must not do."""
    code = await worker.wait()
    words = await asyncio.to_thread(log.read_text, encoding="utf-8", errors="replace")
    last = words.splitlines()[-_LAST_LINES:]
    raise PortError(f"the worker ended with {code}; its last words, whole in {log}: {' | '.join(last)}")


async def _first_of(*works: object) -> None:
    """Run several works; the first failure ends all of them and is raised alone."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)  # type: ignore[arg-type]
    except* PortError as errors:
        failure = errors.exceptions[0]
    else:
        return
    raise failure
