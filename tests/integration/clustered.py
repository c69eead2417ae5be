"""A store on a cluster of one's own, for the tests that do the cluster harm."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from schemas.view import CHECKPOINTS, Keys
from service.adapters.redis_cluster import RedisClusterViewStore
from service.adapters.redis_connection import RedisSettings
from service.adapters.redis_topology import slot_of
from service.processing.ports import Unavailable
from service.processing.values import SaveOutcome, TopicPartition
from tests.contract.stores import position, write
from tests.local_cluster import ClusterNode, LocalCluster

Result = TypeVar("Result")

_ATTEMPTS = 50

PLACE = TopicPartition("evse.events", 0)
UIDS = [f"charger-{i}" for i in range(60)]


@asynccontextmanager
async def started(cluster: LocalCluster) -> AsyncIterator[RedisClusterViewStore]:
    """Hold a store open."""
    store = RedisClusterViewStore(RedisSettings(cluster.url, cluster=True))
    try:
        await store.start()
        yield store
    finally:
        await store.stop()


def slot_with(uid: str) -> int:
    """Give the slot of an EVSE."""
    return slot_of(Keys().document(uid))


def neighbour(cluster: LocalCluster, node: ClusterNode) -> ClusterNode:
    """Give another primary."""
    return cluster.primaries[cluster.primaries.index(node) - 1]


def living_at(cluster: LocalCluster, node: ClusterNode) -> list[str]:
    """Give the EVSEs whose slots a node has."""
    return [uid for uid in UIDS if cluster.owner_of(slot_with(uid)) is node]


def trails_of(cluster: LocalCluster) -> list[tuple[ClusterNode, int]]:
    """Give where the trails lie that stand for their nodes, and in which slots."""
    return [
        (node, slot_of(key.decode()))
        for node in cluster.primaries
        for key in node.client.keys("*:trail:*")
        if CHECKPOINTS.encode() not in key
    ]


async def answered(call: Callable[[], Awaitable[Result]]) -> Result:
    """Make a call, and again while the cluster does not take it, as the worker does, but not for ever."""
    for _ in range(_ATTEMPTS):
        with suppress(Unavailable):
            return await call()
    return await call()


async def saved(store: RedisClusterViewStore, offset: int, uids: list[str] = UIDS) -> list[SaveOutcome]:
    """Save EVSEs at an offset, as soon as the cluster takes it."""
    return await answered(lambda: store.save([write(uid, position(offset), str(offset)) for uid in uids]))
