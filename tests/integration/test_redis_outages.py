"""Redis that refuses, hangs or is gone, under a worker in a process of its own: shown, waited for, over."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.acceptance.processes import until_committed, worker
from tests.builders import status_reported
from tests.local_redis import RedisProcess, redis_binary, start_redis
from tests.pages import pages_of
from tests.processes import free_port
from tests.services import Kafka
from tests.topics import committed, of_event, write

pytestmark = pytest.mark.slow

SHOWN_WITHIN = 6.0
"""Seconds until readiness tells: two from question to question, two for an answer, and a busy machine."""
RETRIES = 'evse_status_retries_total{part="store"}'
KEYS = 128 * 1024
KEY_LOAD_DELAY_US = 500
"""While it loads, a server looks at its connections once in 1 024 keys: twice a second, over a minute."""


class Server:
    """A Redis of one's own that keeps what it acknowledged, and one connection to it."""

    def __init__(self, process: RedisProcess) -> None:
        self.process = process
        self.client = Redis.from_url(process.url)

    async def follow_nobody(self) -> None:
        await self.client.replicaof("127.0.0.1", 1)

    async def lead(self) -> None:
        await self.client.replicaof("NO", "ONE")

    async def fill_up(self) -> None:
        await self.client.config_set("maxmemory", "1")

    async def empty(self) -> None:
        await self.client.config_set("maxmemory", "0")

    async def fail_to_dump(self) -> None:
        self.process.dump.mkdir()
        await self.client.config_set("save", "3600 1")
        await self._dump("err")

    async def dump(self) -> None:
        self.process.dump.rmdir()
        await self._dump("ok")

    async def _dump(self, status: str) -> None:
        await self.client.bgsave()
        while (await self.client.info("persistence"))["rdb_last_bgsave_status"] != status:  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # the server tells nobody

    async def pause_writes(self) -> None:
        await self.client.client_pause(600_000, all=False)

    async def unpause(self) -> None:
        await self.client.client_unpause()

    async def hang(self) -> None:
        self.process.signal(signal.SIGSTOP)

    async def go_on(self) -> None:
        self.process.signal(signal.SIGCONT)

    async def die(self) -> None:
        self.process.signal(signal.SIGKILL)
        self.process.wait()

    async def come_back(self) -> None:
        self.process.run()

    async def load(self) -> None:
        """Start again with so much that it takes until it is told to hurry."""
        # A base of commands, not a dump: a server that loads looks at its connections only between those.
        await self.client.config_set("aof-use-rdb-preamble", "no")
        client: Any = self.client  # not all of it is annotated
        await client.execute_command("DEBUG", "POPULATE", KEYS)
        await self.client.bgrewriteaof()
        while await self._is_rewriting():  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.05)
        await self.die()
        self.process._command += ["--key-load-delay", str(KEY_LOAD_DELAY_US)]
        self.process.begin()

    async def _is_rewriting(self) -> bool:
        now = await self.client.info("persistence")
        return bool(now["aof_rewrite_in_progress"] or now["aof_rewrite_scheduled"])

    async def have_loaded(self) -> None:
        async with Redis.from_url(self.process.url) as client:  # the other one's server was killed
            await client.config_set("key-load-delay", 0)
        self.process.until_serving()


@pytest.fixture
def process() -> Iterator[RedisProcess]:
    """Give a Redis of this test's own."""
    binary = redis_binary()
    if binary is None:
        pytest.skip("no redis-server to stop")
    process = start_redis(binary, "--appendonly", "yes", "--appendfsync", "always")
    yield process
    process.close()


@pytest.fixture
async def server(process: RedisProcess) -> AsyncIterator[Server]:
    """Give it with a connection."""
    server = Server(process)
    yield server
    await server.client.aclose()


Act = Callable[[Server], Awaitable[None]]

OUTAGES: dict[str, tuple[Act, Act, str]] = {
    "a replica": (Server.follow_nobody, Server.lead, "this is a replica: name the primary"),
    "out of memory": (Server.fill_up, Server.empty, "out of memory: raise maxmemory"),
    "no dump": (Server.fail_to_dump, Server.dump, "does not take writes now: MISCONF"),
    "writes paused": (Server.pause_writes, Server.unpause, "Timeout"),
    "hung": (Server.hang, Server.go_on, "Timeout"),
    "gone": (Server.die, Server.come_back, "connecting to 127.0.0.1"),
    "loading": (Server.load, Server.have_loaded, "loading the dataset in memory"),
}


UNREADY = "unready"
KINDS = {"Timeout": "timed_out", "connecting to 127.0.0.1": "unanswered"}
"""How an outage is counted, by the words for it; any other is an answer that it cannot now."""


@pytest.mark.parametrize(("begin", "end", "words"), OUTAGES.values(), ids=OUTAGES)
async def test_an_outage_of_redis_is_shown_and_ends_by_itself(
    kafka: Kafka, server: Server, begin: Act, end: Act, words: str
) -> None:
    """Readiness names the part soon, liveness stays, retries count, nothing is committed; then it goes on."""
    port = free_port()
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "REDIS_URL": server.process.url,
        "TOPIC_PREFIX": kafka.unique("evse") + ".",
        "GROUP_ID": kafka.unique("group"),
        "HTTP_PORT": str(port),
    }
    topic = await kafka.create_topic(settings["TOPIC_PREFIX"] + "events")
    await write(kafka, topic, [of_event(status_reported("AVAILABLE", "12:00"))])
    async with worker(settings=settings) as running, pages_of(port) as pages:
        await until_committed(running, kafka, settings["GROUP_ID"], {0: 1})
        await pages.until_ready()
        before = await pages.metric(RETRIES)

        await begin(server)
        await pages.until_unready("store does not answer", SHOWN_WITHIN)
        await pages.until_unready(words, SHOWN_WITHIN)
        await write(kafka, topic, [of_event(status_reported("CHARGING", "12:30"))])
        # By the probe and by the loop.
        await pages.until_more(RETRIES, before + 2)
        assert await pages.metric(
            f'evse_status_errors_total{{kind="{KINDS.get(words, UNREADY)}",part="store"}}'
        )
        assert await pages.live() == ()
        assert await pages.metric('evse_status_blocked{part="store"}') == 1
        assert await committed(kafka, settings["GROUP_ID"]) == {0: 1}
        await end(server)

        await until_committed(running, kafka, settings["GROUP_ID"], {0: 2})
        await pages.until_ready()
        assert await pages.metric('evse_status_blocked{part="store"}') == 0
        assert await running.stop() == 0
