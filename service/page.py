"""
Builds the read-only page over the view, and serves it.

Apart from the worker, which starts sooner without its templates. Knows neither the command line nor the
environment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis.asyncio import Redis, RedisCluster

from service.adapters.clock import SystemClock
from service.adapters.http import HttpServer, Served
from service.adapters.redis_connection import connect_to_read, translated
from service.dashboard.app import close_streams, create_app
from service.dashboard.gate import Gate
from service.dashboard.reach import OutOfReach, Trouble
from service.life import Life, stop_at_signals
from service.processing.ports import ErrorKind, PortError
from service.reading import redis_settings
from service.settings import Settings

_TROUBLES = {ErrorKind.UNREADY: Trouble.UNREADY, ErrorKind.REFUSED: Trouble.REFUSED}


@contextmanager
def explained() -> Iterator[None]:
    """Raise as `OutOfReach` why Redis cannot be read, with the remedy that the commands name, too."""
    try:
        with translated():
            yield
    except PortError as error:
        raise OutOfReach(str(error), _TROUBLES.get(error.kind, Trouble.SILENT)) from error


def page_server(
    client: Redis | RedisCluster, prefix: str, host: str, port: int, gate: Gate | None = None
) -> HttpServer:
    """Build the server of the read-only page over the view; the client stays the caller's to close."""
    page = create_app(client, prefix, clock=SystemClock().now, gate=gate or Gate(), explained=explained)
    served = Served(
        "the page",
        other_port="choose another port with --port",
        other_host="name an address of this machine with --host",
        has_lifespan=True,
        before_stop=lambda: close_streams(page),
    )
    return HttpServer(page, host, port, served)


async def serve_page(settings: Settings, host: str, port: int, listening: Callable[[int], None]) -> None:
    """Serve the page until SIGTERM or SIGINT; `listening` is told the port."""
    life = Life()
    stop_at_signals(life)
    client = connect_to_read(redis_settings(settings))
    token = settings.dashboard_token
    gate = Gate(settings.dashboard_root_path, "" if token is None else token.get_secret_value())
    server = page_server(client, settings.redis_prefix, host, port, gate)
    try:
        await server.start()
        listening(server.port)
        await life.stopped.wait()
        await server.stop()
    finally:
        await client.aclose()
