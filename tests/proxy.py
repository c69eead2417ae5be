"""A proxy between a client and its server that cuts, delays and keeps back, on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from urllib.parse import urlsplit


class Point(StrEnum):
    """Where in a call its connection is cut."""

    REQUEST = "request"
    """Before the server has heard of it."""
    HALF_WAY = "half_way"
    """When the server has half of the request."""
    HELD = "held"
    """Not at all: nothing passes any more, the request with it."""
    REPLY = "reply"
    """When the server has acted, and before the client hears of it."""


Matches = Callable[[bytes], bool]
"""Tells by its bytes whether a request is the one to be cut."""


class Proxy:
    """
    Forwards bytes to `target` (host and port), which may change: connections made from then on go there.

    `lose_replies`: so many connections end when the server answers. `silent`: no reply passes, and none comes
    later. `open` false: who connects is turned away. `delay_s`: all bytes come so much later.
    """

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.lose_replies = 0
        self.silent = False
        self.open = True
        self.delay_s = 0.0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._serving: set[asyncio.Task[None]] = set()
        self._awaited: tuple[Point, Matches, asyncio.Event] | None = None

    def cut_next(self, point: Point, matches: Matches) -> asyncio.Event:
        """Cut the connection of the next request that matches; the event tells that it happened."""
        struck = asyncio.Event()
        self._awaited = point, matches, struck
        return struck

    def freeze_at(self, matches: Matches) -> asyncio.Event:
        """Freeze when the next request that matches is on its way; the event tells that it happened."""
        return self.cut_next(Point.HELD, matches)

    def let_be(self) -> None:
        """Take back `cut_next` or `freeze_at`."""
        self._awaited = None

    def freeze(self) -> None:
        """Let nothing pass, either way, and keep it: a network that lost its way for a while."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Let pass what was kept, and all that follows."""
        self._flowing.set()

    async def cut(self) -> None:
        """End all connections."""
        serving = set(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client in a task of its own."""
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join one client to the server, until either leaves."""
        try:
            await self._flowing.wait()
            if self.open:
                with suppress(OSError):
                    server = await asyncio.open_connection(*self.target)
                    await self._join(_Way(reader, server[1]), _Way(server[0], writer))
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _join(self, there: _Way, back: _Way) -> None:
        doomed = asyncio.Event()
        ways = (
            asyncio.ensure_future(self._forward_requests(there, doomed)),
            asyncio.ensure_future(self._forward_replies(back, doomed)),
        )
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            there.writer.close()
            await asyncio.gather(*ways, return_exceptions=True)
            with suppress(OSError):
                await there.writer.wait_closed()

    async def _forward_requests(self, way: _Way, doomed: asyncio.Event) -> None:
        with suppress(OSError):
            while data := await way.reader.read(65_536):
                point = self._struck_by(data)
                if point is Point.REQUEST:
                    return
                if point is Point.HALF_WAY:
                    await self._pass_on(way, data[: len(data) // 2])
                    return
                if point is Point.REPLY:
                    doomed.set()
                if point is Point.HELD:
                    self.freeze()
                await self._pass_on(way, data)

    async def _forward_replies(self, way: _Way, doomed: asyncio.Event) -> None:
        with suppress(OSError):
            while data := await way.reader.read(65_536):
                if self.silent:
                    continue
                if doomed.is_set():
                    return
                if self.lose_replies:
                    self.lose_replies -= 1
                    return
                await self._pass_on(way, data)

    def _struck_by(self, request: bytes) -> Point | None:
        if self._awaited is None or not self._awaited[1](request):
            return None
        point, _, struck = self._awaited
        self._awaited = None
        struck.set()
        return point

    async def _pass_on(self, way: _Way, data: bytes) -> None:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        await self._flowing.wait()
        way.writer.write(data)
        await way.writer.drain()


class _Way:
    """One direction of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer


@asynccontextmanager
async def listening(proxy: Proxy, port: int = 0) -> AsyncIterator[int]:
    """Let clients come to a proxy, at a free port unless one is named; give the port."""
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await proxy.cut()
        await server.wait_closed()


@asynccontextmanager
async def proxy_before(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """Stand before the server at `url`; give the proxy and the URL to reach the server through it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = Proxy(parts.hostname, parts.port)
    async with listening(proxy) as port:
        yield proxy, url.replace(f"{parts.hostname}:{parts.port}", f"127.0.0.1:{port}")
