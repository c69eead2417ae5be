"""
Health and metrics over HTTP: `/health/live`, `/health/ready` and `/metrics` on one port.

Served by the loop that does the work, so a loop that is blocked does not answer. This module knows nothing
of what is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.adapters.prometheus_formats import Form, wanted
from service.processing.health import Report
from service.processing.ports import Clock, PortError

_log = structlog.get_logger()

_GRACE_S = 2
"""Seconds that a probe in flight gets at shutdown."""

_OF_THE_PORT = (errno.EADDRINUSE, errno.EACCES)
_OF_THE_HOST = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL)


class Probed(Protocol):
    """What probes ask, in monotonic seconds."""

    def live(self, now: float) -> Report:
        """Tell whether the process makes progress."""

    def ready(self, now: float) -> Report:
        """Tell whether records are processed now."""


def build_pages(health: Probed, clock: Clock, exposition: Callable[[Form], bytes]) -> Starlette:
    """Make the three pages of one worker; a failing probe answers 503 and says why."""

    async def live() -> Report:
        return health.live(clock.monotonic())

    async def ready() -> Report:
        return health.ready(clock.monotonic())

    async def metrics(form: Form) -> bytes:
        return exposition(form)

    return pages_of(live, ready, metrics)


def pages_of(
    live: Callable[[], Awaitable[Report]],
    ready: Callable[[], Awaitable[Report]],
    exposition: Callable[[Form], Awaitable[bytes]],
) -> Starlette:
    """Make the three pages of what has to ask for its answers; metrics in the form a scraper accepts."""

    async def show_live(_request: Request) -> Response:
        return _answer(await live())

    async def show_ready(_request: Request) -> Response:
        return _answer(await ready())

    async def show_metrics(request: Request) -> Response:
        form = wanted(request.headers.get("accept", ""))
        return Response(await exposition(form), headers={"content-type": form.content_type})

    return Starlette(
        routes=[
            Route("/health/live", show_live),
            Route("/health/ready", show_ready),
            Route("/metrics", show_metrics),
        ]
    )


def _answer(report: Report) -> Response:
    body = {"status": "ok" if report.ok else "failing", "reasons": list(report.reasons)}
    return JSONResponse(body, status_code=200 if report.ok else 503)


class _Server(uvicorn.Server):
    """A uvicorn that leaves the signals to the worker and tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@dataclass(frozen=True, slots=True)
class Served:
    """What an application is, for messages, and whether it begins and ends things of its own."""

    what: str
    other_port: str
    """What helps where the port cannot be had."""
    other_host: str
    """What helps where this machine has no such address."""
    has_lifespan: bool = False
    before_stop: Callable[[], None] | None = None
    """Ends what would else stay open as long as its readers do."""


HEALTH = Served(
    "health and metrics",
    other_port="choose another HTTP_PORT, or 0 for none",
    other_host="set HTTP_HOST to an address of this machine, or to 0.0.0.0 for all of them",
)
"""The worker's own pages."""


class HttpServer:
    """Serves an application on one port, from `start` until `stop`."""

    def __init__(self, pages: Starlette, host: str, port: int, served: Served = HEALTH) -> None:
        self._host = host
        self._port = port
        self._served = served
        # Logging is configured for the whole process; uvicorn would bring its own.
        self._server = _Server(
            uvicorn.Config(
                pages,
                log_config=None,
                access_log=False,
                lifespan="on" if served.has_lifespan else "off",
                server_header=False,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port listened on; where 0 was asked for, the one that was free."""
        return self._port

    @property
    def serving(self) -> asyncio.Task[None]:
        """The task that serves; it ends with `stop`, and should not before."""
        if self._serving is None:
            raise RuntimeError("this server was not started")
        return self._serving

    async def start(self) -> None:
        """Listen; raise `PortError` with the remedy where the port or the host cannot be had."""
        # Bound here: uvicorn would end the process itself.
        try:
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            listener = socket.create_server((self._host, self._port), family=family)
        except OSError as error:
            raise PortError(
                f"cannot serve {self._served.what} on {self._host} port {self._port}: {self._reason(error)}"
            ) from error
        self._port = listener.getsockname()[1]
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]), name="http")
        await self._server.listening.wait()

    def _reason(self, error: OSError) -> str:
        """Say why there is no listening, and what helps where that is known."""
        reason = error.strerror or str(error)
        # A name that is not known comes under its own number, which an error of the system may have, too.
        if isinstance(error.__context__, socket.gaierror) or error.errno in _OF_THE_HOST:
            return f"{reason}; {self._served.other_host}"
        return f"{reason}; {self._served.other_port}" if error.errno in _OF_THE_PORT else reason

    async def stop(self) -> None:
        """Answer what is in flight and close."""
        if self._serving is None:
            return
        if self._served.before_stop is not None:
            self._served.before_stop()
        self._server.should_exit = True
        await asyncio.wait((self._serving,))
        if not self._serving.cancelled() and (failure := self._serving.exception()) is not None:
            # No more than told: what made somebody stop this server must not be hidden by how it ended.
            _log.warning(
                f"The server of {self._served.what} had failed.", action="server_failed", error=repr(failure)
            )
        self._serving = None
