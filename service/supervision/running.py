"""Several workers from their start to their end, with signals, and health and metrics on one port."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

import service
from service.adapters.clock import SystemClock
from service.adapters.http import HttpServer, pages_of
from service.processing.health import HealthLimits
from service.settings import Settings, environment_changed
from service.supervision.child import Child, Command
from service.supervision.supervisor import Outcome, Supervisor, silent_after

_log = structlog.get_logger()

PLACE_OPTION = "--as-worker"
"""The option of `run` that a worker gets its place by."""


async def supervise(settings: Settings, count: int, options: Sequence[str]) -> Outcome:
    """
    Run so many workers until SIGTERM or SIGINT, then let each drain and commit; the second one kills them.

    `options` are those of `run` that each worker gets. Raises `PortError` where the port cannot be had.
    """
    clock, command = SystemClock(), worker_command(settings, options)

    async def start(number: int) -> Child:
        return await Child.start(command, number, count, clock)

    silent_after_s = silent_after(settings.session_timeout.total_seconds(), HealthLimits())
    supervisor = Supervisor(count, start, clock, silent_after_s=silent_after_s)
    _stop_at_signals(supervisor)
    if not settings.http_port:
        return await supervisor.run()
    pages = pages_of(supervisor.live, supervisor.ready, supervisor.exposition)
    server = HttpServer(pages, settings.http_host, settings.http_port)
    await server.start()
    try:
        return await supervisor.run([server.serving])
    finally:
        await server.stop()


def worker_command(settings: Settings, options: Sequence[str]) -> Command:
    """Give how a worker is started: by the interpreter and the code of this process, with its settings."""

    def environment(number: int) -> Mapping[str, str]:
        own = {"HTTP_PORT": "0"}
        if settings.instance_id:
            own["INSTANCE_ID"] = f"{settings.instance_id}-{number}"
        return environment_changed(own)

    # -P: else a folder `service` where this was started would be taken for ours.
    safely = ["-P"] if _finds_code_by_itself() else []
    arguments = (sys.executable, *safely, "-m", "service.cli", "run", *options, PLACE_OPTION)
    return Command(arguments, environment)


def _finds_code_by_itself() -> bool:
    """Tell whether Python has our code where it looks by itself, or else only where this was started."""
    root = Path(service.__path__[0]).resolve().parent
    # The first place is that of the script, or where this was started.
    return root in {Path(folder).resolve() for folder in sys.path[1:]}


def _stop_at_signals(supervisor: Supervisor) -> None:
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        _log.info("Stopping: all workers finish the batch in hand.", action="stopping", signal=number.name)
        supervisor.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
