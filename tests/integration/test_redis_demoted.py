"""A failover behind a fixed address: connections lead to the demoted primary, new ones to its successor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from redis.exceptions import ReadOnlyError

from service.adapters.redis import RedisViewStore
from service.adapters.redis_calls import call
from service.adapters.redis_connection import RedisProbe, RedisSettings, connect
from service.adapters.redis_nodes import Nodes
from service.adapters.redis_topology import Node
from service.processing.ports import Unavailable
from service.processing.values import SaveOutcome
from tests.contract.stores import position, write
from tests.local_redis import RedisProcess, redis_binary, start_redis
from tests.processes import wait_until
from tests.proxy import Proxy, proxy_before


@pytest.fixture
def pair() -> Iterator[tuple[RedisProcess, RedisProcess]]:
    """Give a primary and its replica, which has all that the primary has."""
    binary = redis_binary()
    if binary is None:
        pytest.skip("no redis-server to demote")
    options = ("--repl-diskless-sync-delay", "0")
    with closing(start_redis(binary, *options)) as primary, closing(start_redis(binary, *options)) as replica:
        with redis.Redis(port=replica.port) as client:
            client.replicaof("127.0.0.1", str(primary.port))
        wait_until(lambda: _is_behind_by(primary, replica) == 0, lambda: None)
        yield primary, replica


def _is_behind_by(primary: RedisProcess, replica: RedisProcess) -> int | None:
    """Give the bytes that a replica has not had yet, None where it does not follow yet."""
    with redis.Redis(port=primary.port) as leader, redis.Redis(port=replica.port) as follower:
        led: Any = leader.info("replication")
        told: Any = follower.info("replication")
    if told["master_link_status"] != "up":
        return None
    return int(led["master_repl_offset"]) - int(told["slave_repl_offset"])


@dataclass(frozen=True, slots=True)
class Address:
    """An address that leads to the primary of the moment."""

    url: str
    proxy: Proxy
    primary: RedisProcess
    replica: RedisProcess

    @property
    def settings(self) -> RedisSettings:
        return RedisSettings(self.url)

    def fail_over(self) -> None:
        """Promote the replica, demote the primary, and lead there whoever connects from now on."""
        wait_until(lambda: _is_behind_by(self.primary, self.replica) == 0, lambda: None)
        with redis.Redis(port=self.replica.port) as client:
            client.replicaof("NO", "ONE")
        with redis.Redis(port=self.primary.port) as client:
            client.replicaof("127.0.0.1", str(self.replica.port))
        self.proxy.target = ("127.0.0.1", self.replica.port)


@pytest.fixture
async def address(pair: tuple[RedisProcess, RedisProcess]) -> AsyncIterator[Address]:
    """Give the fixed address of a primary with a replica."""
    primary, replica = pair
    async with proxy_before(primary.url) as (proxy, url):
        yield Address(url, proxy, primary, replica)


async def test_a_store_comes_to_the_new_primary_behind_its_address(address: Address) -> None:
    """The first call is refused by the demoted one; the next connects anew, and finds what was written."""
    store = RedisViewStore(address.settings)
    await store.start()
    await store.save([write(at=position(6))])
    address.fail_over()

    with pytest.raises(Unavailable, match="this is a replica"):
        await store.save([write(at=position(7))])

    assert await store.save([write(at=position(7))]) == [SaveOutcome.SAVED]
    await store.stop()


async def test_a_probe_comes_to_the_new_primary_behind_its_address(address: Address) -> None:
    """Readiness shows the outage no longer than it lasts."""
    probe = RedisProbe(address.settings)
    await probe.ask()
    address.fail_over()

    with pytest.raises(Unavailable, match="this is a replica"):
        await probe.ask()

    await probe.ask()
    await probe.stop()


async def test_the_connections_to_a_node_lead_to_who_has_its_address(address: Address) -> None:
    """In a cluster, too, where errors are replies of a pipeline."""
    nodes = Nodes(address.settings)
    host, _, port = address.url.removeprefix("redis://").removesuffix("/0").partition(":")
    node, calls = Node("it", host, int(port)), [call("set", "{a}1", b""), call("set", "{a}2", b"")]
    await nodes.send(node, calls)
    address.fail_over()

    refused = await nodes.send(node, calls)
    taken = await nodes.send(node, calls)

    assert [type(reply) for reply in refused] == [ReadOnlyError, ReadOnlyError]
    assert taken == [True, True]
    await nodes.close()


async def test_one_refusal_renews_all_idle_connections(address: Address) -> None:
    """Else each of a pool's connections would be refused once, one after the other."""
    client = connect(address.settings)
    await asyncio.gather(*(client.set("key", b"before") for _ in range(4)))
    address.fail_over()

    with pytest.raises(ReadOnlyError):
        await client.set("key", b"refused")

    assert await asyncio.gather(*(client.set("key", b"after") for _ in range(4))) == [True] * 4
    await client.aclose()
