"""
Runs the demonstration: parts, workers, fleet and page, until Ctrl-C.

The worker is a process of its own, as in production; everything else lives in this one. One worker takes the
past in, another one the present.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from schemas.view import DEFAULT_PREFIX
from service.adapters.clock import SystemClock
from service.adapters.redis import RedisViewStore
from service.adapters.redis_connection import RedisSettings
from service.demo.feeder import Feeder, days_before, whole
from service.demo.orders import HELP, Orders, lines_of
from service.demo.parts import EmbeddedBroker, EmbeddedValkey, WorkFolder
from service.domain.time import datetime_from
from service.page import page_server
from service.processing.ports import PortError
from service.settings import PREFIX, environment_with
from service.simulation import Fleet

_TOPIC = "evse.events"
_LOG = "worker.log"
_WORKER_ENDS_S = 20.0
_LAST_LINES = 12

_PAST = {"GROUP_ID": "evse-status-past", "OFFLINE_AFTER": "0"}
"""
The past goes through a worker of its own, which declares nobody offline: silence is told by the wall clock,
and by it all of the past is long over. Its group is its own, too: after a member has left, the embedded
broker lets no other into a group for half a minute.
"""


@dataclass(frozen=True, slots=True)
class Demo:
    """
    What is shown: how many EVSEs, how many days of past, and where.

    `heartbeat_s`: between two heartbeats of a charger, None: each has its own; `gap_after_s`: after so long
    without a record the time is unobserved.
    """

    evses: int
    days: int
    host: str
    port: int
    seed: int
    heartbeat_s: int | None
    gap_after_s: int


async def show(demo: Demo, console: Console) -> None:
    """Run until cancelled; raise `PortError` where a part cannot be had or the worker ends."""
    clock = SystemClock()
    with WorkFolder() as folder, EmbeddedValkey() as valkey:
        broker = EmbeddedBroker(_TOPIC)
        parts = {"REDIS_URL": valkey.url, "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_server}
        redis = Redis.from_url(valkey.url, decode_responses=False)
        page = page_server(redis, DEFAULT_PREFIX, demo.host, demo.port)
        store = RedisViewStore(RedisSettings(valkey.url))
        log = folder / _LOG
        try:
            await page.start()
            await whole(store.start())
            address = _address(demo.host, page.port)
            now = datetime_from(clock.now())
            start = days_before(now, demo.days)
            fleet = Fleet(demo.seed, demo.evses, start, now, demo.heartbeat_s)
            feeder = Feeder(fleet, broker, _TOPIC, store, clock)
            _announce(console, demo, address, parts)
            async with _worker(parts | _PAST, log) as worker:
                await _while_it_runs(worker, log, _feed(feeder, start, now, console))
            async with _worker(parts | {"INGEST_SILENT_AFTER": str(demo.gap_after_s)}, log) as worker:
                say = partial(_say, console)
                orders = Orders(fleet, feeder, address, demo.gap_after_s, say)
                await _while_it_runs(worker, log, _live(feeder, orders))
        finally:
            await page.stop()
            await store.stop()
            await redis.aclose()


def _address(host: str, port: int) -> str:
    shown = "localhost" if host in {"127.0.0.1", "0.0.0.0"} else host  # noqa: S104 - a comparison
    return f"http://{shown}:{port}/"


def _announce(console: Console, demo: Demo, address: str, parts: Mapping[str, str]) -> None:
    console.print(f"\n  [bold]The page is at {address}[/bold]   (Ctrl-C stops everything)\n")
    console.print("  For other commands (evse-status list, show, explain) in another terminal:")
    _say(console, "export " + " ".join(f"{PREFIX}{name}={value}" for name, value in parts.items()))
    past = f"their last {demo.days} days go" if demo.days else "their first minutes go"
    console.print(f"\n  {demo.evses} simulated chargers; {past} through the worker first:")


def _say(console: Console, text: str) -> None:
    console.print(f"  {text}", markup=False, highlight=False, soft_wrap=True)


async def _feed(feeder: Feeder, start: datetime, until: datetime, console: Console) -> None:
    columns = (TextColumn("  {task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(
        *columns, TextColumn("{task.fields[events]} events"), TimeElapsedColumn(), console=console
    ) as bar:
        task = bar.add_task(f"{start:%d %b} to today", total=(until - start).total_seconds(), events=0)

        def tell(arrival: datetime, events: int) -> None:
            bar.update(task, completed=(arrival - start).total_seconds(), events=events)

        await feeder.write_past(until, tell)


async def _live(feeder: Feeder, orders: Orders) -> None:
    orders.say("The past is in. From now on the fleet lives in real time; the page updates by itself.")
    with lines_of(sys.stdin.fileno() if sys.stdin else None, orders.obey) as can_be_told:
        if can_be_told:
            orders.say(HELP)
        await feeder.live()


@contextlib.asynccontextmanager
async def _worker(environment: dict[str, str], log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the worker as a process of its own, its log in a file; end it as an orchestrator would."""
    own = environment | {"HTTP_PORT": "0", "LOG_FORMAT": "json"}
    with log.open("ab") as output:
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


async def _while_it_runs(
    worker: asyncio.subprocess.Process, log: Path, work: Coroutine[Any, Any, None]
) -> None:
    """Do a work to its end; raise `PortError` where the worker ends before, which it must not do."""
    working, ending = asyncio.ensure_future(work), asyncio.ensure_future(worker.wait())
    try:
        await asyncio.wait((working, ending), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise await _ended(ending.result(), log)
        working.result()
    finally:
        for task in (working, ending):
            task.cancel()
        await asyncio.wait((working, ending))


async def _ended(code: int, log: Path) -> PortError:
    words = await asyncio.to_thread(log.read_text, encoding="utf-8", errors="replace")
    last = words.splitlines()[-_LAST_LINES:]
    return PortError(f"the worker ended with {code}; its last words, whole in {log}: {' | '.join(last)}")
