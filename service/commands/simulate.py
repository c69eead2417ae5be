"""`simulate`: a fleet to look at, in your own Kafka."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from service.commands.console import ConfigOption, notices
from service.logs import configure_logs
from service.settings import load_settings
from service.simulating import Simulated
from service.simulating import simulate as write_fleet


def simulate(
    evses: Annotated[int, typer.Option(min=1, max=100_000, help="Simulated EVSEs.")] = 300,
    seed: Annotated[int, typer.Option(help="What everything random is drawn from.")] = 7,
    heartbeat: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=3600,
            help="Seconds between two heartbeats of a charger. Default: 10 to 20, by charger.",
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """
    Write a simulated fleet to the first input topic, as it lives, until Ctrl-C.

    To have something to look at; never in production. Its EVSEs stay when it ends: silent, and so offline.
    """
    settings = load_settings(config)
    configure_logs(settings.log_level, settings.log_format)

    def tell(topic: str, partitions: int) -> None:
        notices().print(
            f"{evses} simulated EVSEs speak in {topic} ({partitions} partitions); Ctrl-C ends it."
        )

    asyncio.run(write_fleet(settings, Simulated(evses, seed, heartbeat), tell))
