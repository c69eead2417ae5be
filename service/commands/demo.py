"""`demo`: everything on this machine, to be looked at."""

from __future__ import annotations

import asyncio
import signal
from typing import Annotated

import typer

from service.commands.console import CommandError, notices
from service.logs import configure_logs


def demo(
    evses: Annotated[int, typer.Option(min=1, max=5000, help="Simulated EVSEs.")] = 300,
    days: Annotated[int, typer.Option(min=0, max=60, help="Days of past to begin with.")] = 30,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the page; 0: any that is free.")
    ] = 8000,
    host: Annotated[
        str, typer.Option(help="Address of the page; 0.0.0.0 shows it to the network.")
    ] = "127.0.0.1",
    seed: Annotated[int, typer.Option(help="What everything random is drawn from.")] = 7,
) -> None:
    """
    Show it: a simulated fleet, the worker and the page, on parts that are embedded.

    Needs neither Kafka nor Redis, and writes nothing that stays. The worker is the one of `run`.
    """
    try:
        from service.demo.show import Demo, show  # noqa: PLC0415 - its parts are an extra
    except ImportError as error:
        raise CommandError(
            f"the demo needs the extra `demo` ({error.name} is missing): make install"
        ) from error
    configure_logs("warning", "console")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops everything, as Ctrl-C does
    try:
        asyncio.run(show(Demo(evses, days, host, port, seed), notices()))
    except KeyboardInterrupt:
        notices().print("\n  Stopped.")
