"""What outlives a scenario: the broker with a door for each worker's place, and the nursery."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from tests.fault.workers import Nursery, nursery
from tests.local_kafka import KafkaProcess, start_kafka
from tests.proxy import Proxy, listening
from tests.services import Kafka

PLACES = 4
"""Workers at most; each has proxies of its own before the broker and before the view."""

NOWHERE = ("127.0.0.1", 1)
"""Where nobody listens."""


@dataclass(frozen=True)
class Stage:
    """The broker, the ways to it (a proxy and the port it listens on, for each place), and the nursery."""

    broker: KafkaProcess
    ways: tuple[Proxy, ...]
    ports: tuple[int, ...]
    nursery: Nursery

    @property
    def kafka(self) -> Kafka:
        """The broker without a detour."""
        return Kafka(self.broker.bootstrap_servers)

    async def restart_broker(self) -> None:
        """Start the broker again and wait until it serves groups."""
        # Begun here, since a process dies with the thread that started it.
        self.broker.begin()
        await asyncio.to_thread(self.broker.until_serving)


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    """Start it all; raise `JarsMissing` where there is no Kafka to be had."""
    async with AsyncExitStack() as stack:
        ways = tuple(Proxy(*NOWHERE) for _ in range(PLACES))
        ports = tuple([await stack.enter_async_context(listening(way)) for way in ways])
        broker = start_kafka(behind=ports)
        stack.callback(broker.close)
        for way, door in zip(ways, broker.doors, strict=True):
            way.target = ("127.0.0.1", door)
        yield Stage(broker, ways, ports, await stack.enter_async_context(nursery()))
