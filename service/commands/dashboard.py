"""`dashboard`: the page, over the view in Redis."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from service import page
from service.commands.console import ConfigOption, notices, only_text
from service.logs import configure_logs
from service.settings import load_settings


def dashboard(
    host: Annotated[
        str,
        typer.Option(
            help="Address of the page. It signs nobody in: put a proxy before any other.", callback=only_text
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the page; 0: any that is free.")
    ] = 8000,
    config: ConfigOption = None,
) -> None:
    """
    Serve the page until Ctrl-C: the network, and each EVSE's last 30 days. It only reads Redis.

    Needs no Kafka and no worker on this machine.
    """
    settings = load_settings(config)
    configure_logs(settings.log_level, settings.log_format)

    def tell(listening: int) -> None:
        notices().print(f"The page is at http://{host}:{listening}{settings.dashboard_root_path}/")

    asyncio.run(page.serve_page(settings, host, port, tell))
