"""`demo`: everything on this machine, to be looked at."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Coroutine
from types import FrameType
from typing import Annotated, Any

import typer

from service.commands.console import CommandError, notices, only_text
from service.logs import configure_logs


def demo(
    evses: Annotated[int, typer.Option(min=1, max=5000, help="Simulated EVSEs.")] = 300,
    days: Annotated[
        int, typer.Option(min=0, max=60, help="Days of past to begin with; 0: a fleet that has just begun.")
    ] = 30,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the page; 0: any that is free.")
    ] = 8000,
    host: Annotated[
        str,
        typer.Option(help="Address of the page; 0.0.0.0 shows it to the network.", callback=only_text),
    ] = "127.0.0.1",
    seed: Annotated[int, typer.Option(help="What everything random is drawn from.")] = 7,
    heartbeat: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=3600,
            help="Seconds between two heartbeats of a charger, which is offline after three. "
            "Default: 10 to 20, by charger.",
        ),
    ] = None,
    gap_after: Annotated[
        int,
        typer.Option(
            min=5, max=3600, help="When nothing arrives for so many seconds, the time is not observed."
        ),
    ] = 60,
) -> None:
    """
    Show it: a simulated fleet, the worker and the page, on parts that are embedded.

    Needs neither Kafka nor Redis, and writes nothing that stays. The worker is the one of `run`. While it
    lives, type `silence`, `pause` or `resume` and Enter.
    """
    try:
        from service.demo.show import Demo, show  # noqa: PLC0415 - its parts are an extra
    except ImportError as error:
        raise CommandError(
            f"the demo needs the extra `demo` ({error.name} is missing): make install"
        ) from error
    configure_logs("warning", "console")
    chosen = Demo(evses, days, host, port, seed, heartbeat, gap_after)
    try:
        asyncio.run(_until_told(show(chosen, notices())))
    except KeyboardInterrupt:  # the second one
        raise typer.Abort from None
    notices().print("\n  Stopped.")


def _end(_number: int, _frame: FrameType | None) -> None:
    # What is cut short now says so, with traces that are no news to whoever cut it.
    logging.disable()
    raise KeyboardInterrupt


async def _until_told(work: Coroutine[Any, Any, None]) -> None:
    """Run until SIGTERM or Ctrl-C cancels it, in order; a second one ends the process at once."""
    loop = asyncio.get_running_loop()
    working = asyncio.ensure_future(work)

    def stop(number: signal.Signals) -> None:
        working.cancel()
        loop.remove_signal_handler(number)
        signal.signal(number, _end)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    with contextlib.suppress(asyncio.CancelledError):
        await working
