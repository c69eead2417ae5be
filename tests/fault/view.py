"""Where the view of one scenario lives, and everything that can happen to it there."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from schemas.view import Keys
from tests.fault.stage import NOWHERE, PLACES
from tests.local_redis import RedisProcess, start_redis
from tests.proxy import Proxy, listening

# A replica takes over at once, whatever it is told to wait for.
_OPTIONS = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")


class View(Protocol):
    """
    The server of a view, or a cluster of three; of those `which` says whom it is about.

    Workers come in by the proxies `ways`, each by its own, where there are any.
    """

    ways: tuple[Proxy, ...]

    def settings(self, place: int) -> dict[str, str]:
        """Give what the worker at a place is told of it."""

    def client(self) -> AbstractAsyncContextManager[Any]:
        """Hold a connection to who takes writes now."""

    async def checkpoint(self, topic: str, partition: int) -> int | None:
        """Give how far the view is in a partition, as it knows itself."""

    async def keep_dump(self, which: int) -> None:
        """Keep the data as it is now, to be put back later."""

    async def restart(self, which: int, *, with_dump: bool) -> None:
        """Kill the server and start it again, empty or with the dump that was kept last."""

    @property
    def is_lagging(self) -> bool:
        """Whether a replica to fail over to lags."""

    async def lag(self) -> None:
        """Let a replica hear no more of what is written from now on."""

    async def fail_over(self) -> None:
        """Kill the server whose replica lags, and let the replica take over."""

    async def fill_up(self, which: int, for_s: float) -> None:
        """Take no more data for a while, for want of memory."""

    async def refuse_writes(self, for_s: float) -> None:
        """Take no writes for a while."""

    async def be_slow(self, which: int, for_s: float) -> None:
        """Answer nobody for a while."""

    async def move_slots(self, seed: int) -> None:
        """Move some of the data to another server of the cluster, a slot after the other."""


class OneServer:
    """
    One server that takes writes, and now and then a replica of it; workers come in by the proxies `ways`.

    Its data is gone with a kill, unless a dump is put back before it starts again.
    """

    def __init__(
        self, binary: Path, ways: tuple[Proxy, ...], ports: tuple[int, ...], link: Proxy, link_port: int
    ) -> None:
        self.ways = ways
        self._ports = ports
        self._binary = binary
        self._link, self._link_port = link, link_port
        self._primary = start_redis(binary, *_OPTIONS)
        self._replica: RedisProcess | None = None
        self._dump = b""
        self._lead_here()

    def settings(self, place: int) -> dict[str, str]:
        return {"REDIS_URL": f"redis://127.0.0.1:{self._ports[place]}/0"}

    def _lead_here(self) -> None:
        for way in self.ways:
            way.target = ("127.0.0.1", self._primary.port)

    @property
    def is_lagging(self) -> bool:
        return self._replica is not None

    def close(self) -> None:
        """End the servers."""
        self._primary.close()
        if self._replica is not None:
            self._replica.close()

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Any]:
        client: Any = Redis.from_url(self._primary.url, socket_timeout=30)
        try:
            yield client
        finally:
            await client.aclose()

    async def checkpoint(self, topic: str, partition: int) -> int | None:
        async with self.client() as client:
            offset = await client.hget(Keys().checkpoint(topic, partition), "next_offset")
        return None if offset is None else int(offset)

    async def keep_dump(self, which: int) -> None:  # noqa: ARG002 - there is one
        async with self.client() as client:
            while not await _saved(client):  # noqa: ASYNC110 - the server tells nobody when the other is done
                await asyncio.sleep(0.02)
        self._dump = self._primary.dump.read_bytes()
        self._primary.dump.unlink()

    async def restart(self, which: int, *, with_dump: bool) -> None:  # noqa: ARG002 - there is one
        self._primary.signal(signal.SIGKILL)
        await asyncio.to_thread(self._primary.wait)
        self._primary.dump.unlink(missing_ok=True)
        if with_dump:
            self._primary.dump.write_bytes(self._dump)
        self._primary.begin()
        await asyncio.to_thread(self._primary.until_serving)

    async def lag(self) -> None:
        """Start a replica, and let it hear no more once it follows."""
        self._link.target = ("127.0.0.1", self._primary.port)
        self._link.thaw()
        self._replica = start_redis(self._binary, *_OPTIONS)
        client: Any = Redis.from_url(self._replica.url)
        try:
            # Not as an option of its start: once it is promoted it may be started again.
            await client.execute_command("REPLICAOF", "127.0.0.1", self._link_port)
            # Another process tells nobody when it is ready.
            while (await client.info("replication"))["master_link_status"] != "up":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        finally:
            await client.aclose()
        self._link.freeze()

    async def fail_over(self) -> None:
        """Kill the server, promote its replica, and lead the workers there."""
        assert self._replica is not None
        old, self._primary, self._replica = self._primary, self._replica, None
        old.close()
        await self._link.cut()
        self._link.target = NOWHERE
        async with self.client() as client:
            await client.execute_command("REPLICAOF", "NO", "ONE")
        self._lead_here()
        for way in self.ways:
            await way.cut()

    async def fill_up(self, which: int, for_s: float) -> None:  # noqa: ARG002 - there is one
        async with self.client() as client:
            await client.config_set("maxmemory", "1mb")
            await asyncio.sleep(for_s)
            await client.config_set("maxmemory", "0")

    async def refuse_writes(self, for_s: float) -> None:
        """Be a replica for a while, of a server that is not there: all is kept, nothing is taken."""
        async with self.client() as client:
            await client.execute_command("REPLICAOF", *NOWHERE)
            await asyncio.sleep(for_s)
            await client.execute_command("REPLICAOF", "NO", "ONE")

    async def be_slow(self, which: int, for_s: float) -> None:  # noqa: ARG002 - there is one
        async with self.client() as client:
            await client.execute_command("DEBUG", "SLEEP", str(for_s))

    async def move_slots(self, seed: int) -> None:
        """Do nothing: one server has no slots."""


@asynccontextmanager
async def one_server(binary: Path) -> AsyncIterator[View]:
    """Start one server with nothing in it."""
    async with AsyncExitStack() as stack:
        ways = tuple(Proxy(*NOWHERE) for _ in range(PLACES))
        ports = tuple([await stack.enter_async_context(listening(way)) for way in ways])
        link = Proxy(*NOWHERE)
        kept = OneServer(binary, ways, ports, link, await stack.enter_async_context(listening(link)))
        stack.callback(kept.close)
        yield kept


async def _saved(client: Any) -> bool:
    """Have a dump written; not while the server writes one for its replica."""
    try:
        await client.save()
    except ResponseError as error:
        if "already in progress" not in str(error):
            raise
        return False
    return True
