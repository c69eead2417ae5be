"""The view in a cluster of three servers, and what can happen to it there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from redis.asyncio.cluster import RedisCluster

from schemas.view import Keys
from service.adapters.redis_topology import slot_of
from tests.fault.view import View
from tests.local_cluster import ClusterNode, LocalCluster
from tests.proxy import Proxy

_SLOTS = 6
"""Slots that move, one after the other."""

_ON_ITS_WAY_S = 0.15
"""Seconds at most that a slot stays half here, half there."""


class Cluster:
    """
    The port `View` on a cluster; each of its servers has a replica.

    Workers come to the servers by no detour: a cluster tells its clients where its servers are.
    """

    ways: tuple[Proxy, ...] = ()

    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster = cluster
        self._dumps: dict[ClusterNode, bytes] = {}
        self._lagging: ClusterNode | None = None

    def settings(self, place: int) -> dict[str, str]:  # noqa: ARG002 - all places come in by one door
        return {"REDIS_URL": self._cluster.url, "REDIS_CLUSTER": "true"}

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Any]:
        client: Any = RedisCluster.from_url(self._cluster.url)
        try:
            yield client
        finally:
            await client.aclose()

    async def checkpoint(self, topic: str, partition: int) -> int | None:
        """Of the copies that stand beside each server's data the one that is least far holds."""
        async with self.client() as client:
            tags, *offsets = await client.hmget(Keys().checkpoint(topic, partition), "tags", "next_offset")
            for tag in (tags or b"").decode().split(","):
                offsets.append(await client.hget(Keys().checkpoint(topic, partition, tag), "next_offset"))
        return None if None in offsets else min(map(int, offsets))

    def _node(self, which: int) -> ClusterNode:
        return self._cluster.primaries[which % len(self._cluster.primaries)]

    async def keep_dump(self, which: int) -> None:
        node = self._node(which)
        self._dumps[node] = await asyncio.to_thread(self._cluster.dump_of, node)

    async def restart(self, which: int, *, with_dump: bool) -> None:
        node = self._node(which)
        if with_dump and self._dumps:
            node = next((one for one in self._cluster.primaries if one in self._dumps), node)
        dump = self._dumps.get(node, b"") if with_dump else b""
        await asyncio.to_thread(self._cluster.restart, node, dump)

    @property
    def is_lagging(self) -> bool:
        return self._lagging is not None

    async def lag(self) -> None:
        if self._cluster.replicas:
            # The last: replicas are named by the place of their primary.
            self._lagging = self._cluster.primaries[len(self._cluster.replicas) - 1]
            await asyncio.to_thread(self._cluster.catch_up, self._lagging)
            await asyncio.to_thread(self._cluster.lag, self._lagging)

    async def fail_over(self) -> None:
        if self._lagging is not None:
            node, self._lagging = self._lagging, None
            await asyncio.to_thread(self._cluster.fail_over, node)

    async def fill_up(self, which: int, for_s: float) -> None:
        node = self._node(which)
        await asyncio.to_thread(node.client.config_set, "maxmemory", "1mb")
        await asyncio.sleep(for_s)
        await asyncio.to_thread(node.client.config_set, "maxmemory", "0")

    async def refuse_writes(self, for_s: float) -> None:
        """Do nothing: a server of a cluster is made a replica by a failover alone."""

    async def be_slow(self, which: int, for_s: float) -> None:
        await asyncio.to_thread(self._node(which).client.execute_command, "DEBUG", "SLEEP", str(for_s))

    async def move_slots(self, seed: int) -> None:
        await asyncio.to_thread(self._move_slots, Random(seed))

    def _move_slots(self, random: Random) -> None:
        source, target = random.sample(self._cluster.primaries, 2)
        slots = sorted({slot_of(key.decode()) for key in source.client.scan_iter(count=1000)})
        for slot in random.sample(slots, min(_SLOTS, len(slots))):
            self._cluster.begin_move(slot, source, target)
            time.sleep(random.uniform(0.0, _ON_ITS_WAY_S))
            self._cluster.move_keys(slot, source, target, most=random.randint(1, 4))
            time.sleep(random.uniform(0.0, _ON_ITS_WAY_S))
            self._cluster.move_keys(slot, source, target)
            self._cluster.end_move(slot, source, target)


@asynccontextmanager
async def three_servers(binary: Path) -> AsyncIterator[View]:
    """Start a cluster with nothing in it."""
    cluster = await asyncio.to_thread(LocalCluster, binary, with_replicas=True)
    try:
        await asyncio.to_thread(cluster.until_up)
        yield Cluster(cluster)
    finally:
        cluster.close()
