"""
The read-only page over the view in Redis, as an ASGI application.

It writes nothing, signs nobody in and reads no clock: put it behind the proxy that knows your users. That may
show it a token, so that nobody gets round the proxy.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext

from redis.asyncio import Redis, RedisCluster
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.view import DEFAULT_PREFIX
from service.dashboard.feed import Feed
from service.dashboard.gate import LIVE, Gate, GateMiddleware
from service.dashboard.pages import Pages
from service.dashboard.poller import INTERVAL_S, Poller
from service.dashboard.reading import RedisView, View
from service.dashboard.templating import STATIC

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""No inline script or style, nothing from elsewhere: a charger's text that got through would do nothing."""

HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
)


class _Headers:
    """Adds the headers of every answer; what lives is never cached, static files are asked for anew."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name for name, _ in message["headers"]}
                caching = b"no-cache" if b"etag" in names else b"no-store"
                message["headers"] = [*message["headers"], *HEADERS, (b"cache-control", caching)]
            await send(message)

        await self._app(scope, receive, send_with_headers)


_OPEN = Gate()


def create_app(
    redis: Redis | RedisCluster,
    prefix: str = DEFAULT_PREFIX,
    *,
    clock: Callable[[], int],
    gate: Gate = _OPEN,
    explained: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Starlette:
    """
    Make the page over the view that `redis` holds under `prefix`. `clock` gives microseconds since 1970.

    `explained` is what `RedisView` takes: it turns the client's errors into those that name what helps.
    The client stays the caller's: give it timeouts, and close it after the server has stopped. Streams stay
    open as long as browsers do, so call `close_streams` when the server is told to stop, or let it
    limit its graceful shutdown.
    """
    return app_over(RedisView(redis, prefix, explained), clock=clock, gate=gate)


def app_over(
    view: View, *, clock: Callable[[], int], interval_s: float = INTERVAL_S, gate: Gate = _OPEN
) -> Starlette:
    """Make the page over any view; the lifespan starts and stops the one poller."""
    feed = Feed(epoch=clock())
    poller = Poller(view, clock, interval_s=interval_s)
    pages = Pages(view, poller, feed, clock)
    poller.publish = pages.publish

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        polling = asyncio.create_task(poller.run())
        try:
            yield
        finally:
            feed.close()
            poller.stop()
            await polling

    async def live(_: Request) -> Response:
        if poller.broken:
            return PlainTextResponse("a bug of this program ended the reading of the list\n", 503)
        return PlainTextResponse("ok\n")

    async def not_found(request: Request, _: Exception) -> Response:
        return pages.not_found(request)

    async def failed(request: Request, _: Exception) -> Response:
        return pages.failed(request)

    routes = [
        Route("/", pages.index),
        Route("/evse/{uid:path}", pages.evse),
        Route("/events", pages.events),
        Route(LIVE, live),
        Route("/api/totals", pages.api_totals),
        Route("/api/evses", pages.api_evses),
        Route("/api/evses/{uid:path}", pages.api_evse),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(_Headers), Middleware(GateMiddleware, gate=gate, routes=routes)],
        exception_handlers={404: not_found, 500: failed},
        lifespan=lifespan,
    )
    app.state.feed = feed
    app.state.poller = poller
    return app


def close_streams(app: Starlette) -> None:
    """End the open streams of changes, so that a server that waits for its connections can stop."""
    app.state.feed.close()
