"""A proxy between a client and its server that loses replies, or keeps them back, on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class Proxy:
    """
    Forwards bytes.

    `lose_replies`: so many connections end when the server answers. `silent`: no reply passes.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self.lose_replies = 0
        self.silent = False
        self._serving: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client in a task of its own."""
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def close(self) -> None:
        """Cut all connections."""
        serving = set(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join one client to the server, until either leaves."""
        server_reader, server_writer = await asyncio.open_connection(self._host, self._port)
        ways = (
            asyncio.ensure_future(self._forward(reader, server_writer, replies=False)),
            asyncio.ensure_future(self._forward(server_reader, writer, replies=True)),
        )
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for end in (writer, server_writer):
                end.close()
            await asyncio.gather(
                *ways, writer.wait_closed(), server_writer.wait_closed(), return_exceptions=True
            )

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, replies: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                if replies and self.silent:
                    continue
                if replies and self.lose_replies:
                    self.lose_replies -= 1
                    return
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def proxy_before(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """Stand before the server at `url`; give the proxy and the URL to reach the server through it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = Proxy(parts.hostname, parts.port)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    own = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy, url.replace(f"{parts.hostname}:{parts.port}", own)
    finally:
        server.close()
        await proxy.close()
        await server.wait_closed()
