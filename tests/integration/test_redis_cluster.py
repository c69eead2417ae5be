"""What a real cluster does to the store: slots move, nodes die, and come back with less than they had."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from schemas.view import CHECKPOINTS, Keys
from service.adapters.redis_cluster import RedisClusterProbe, RedisClusterViewStore
from service.adapters.redis_connection import RedisSettings
from service.adapters.redis_topology import slot_of
from service.processing.ports import (
    Behind,
    Checkpoint,
    SaveOutcome,
    Seen,
    TopicPartition,
    Unavailable,
    Unusable,
)
from tests.contract.stores import position, write
from tests.local_cluster import ClusterNode, LocalCluster, local_cluster
from tests.local_redis import redis_binary

pytestmark = pytest.mark.services

SAVED, ALREADY = SaveOutcome.SAVED, SaveOutcome.ALREADY
PLACE = TopicPartition("evse.events", 0)
UIDS = [f"charger-{i}" for i in range(60)]


def _own(*, with_replicas: bool) -> Iterator[LocalCluster]:
    server = redis_binary()
    if server is None:
        pytest.skip("no redis-server is installed")
    with local_cluster(server, with_replicas=with_replicas) as cluster:
        yield cluster


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """Give a cluster of one's own."""
    yield from _own(with_replicas=False)


@pytest.fixture
def replicated() -> Iterator[LocalCluster]:
    """Give a cluster of one's own, in which each primary has a replica."""
    yield from _own(with_replicas=True)


@asynccontextmanager
async def started(cluster: LocalCluster, **settings: Any) -> AsyncIterator[RedisClusterViewStore]:
    """Hold a store open."""
    store = RedisClusterViewStore(RedisSettings(cluster.url, cluster=True, **settings))
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


async def saved(store: RedisClusterViewStore, offset: int, uids: list[str] = UIDS) -> list[SaveOutcome]:
    """Save EVSEs at an offset, and again while the cluster does not take it, as the worker does."""
    while True:
        try:
            return await store.save([write(uid, position(offset), str(offset)) for uid in uids])
        except Unavailable:
            continue


async def test_saves_go_on_while_slots_move(cluster: LocalCluster) -> None:
    """Those of the EVSEs, of the lists and of the trails; nothing is lost, taken for lost, or refused."""
    trails = [slot_of(tag) for tag in ("lists", CHECKPOINTS)]
    done = threading.Event()

    def move() -> None:
        for number, slot in enumerate([*map(slot_with, UIDS), *trails] * 2):
            cluster.move(slot, cluster.primaries[number % 3])
        done.set()

    async with started(cluster) as store:
        moving = asyncio.create_task(asyncio.to_thread(move))
        offset = 0
        while not done.is_set():
            offset += 1
            assert set(await saved(store, offset)) <= {SAVED, ALREADY}
            loaded = await store.load(UIDS)
            assert {uid: str(offset).encode() for uid in UIDS} == {
                uid: stored.state.split()[-1] for uid, stored in loaded.items()
            }
            await store.save_checkpoints({PLACE: Checkpoint(offset, 0)})
            await store.ping()
        await moving
        assert offset > 3
        assert await store.load_checkpoint(PLACE) == Checkpoint(offset, 0)
        assert sorted(UIDS) == await store.members(0)


async def test_a_slot_that_is_half_moved_is_waited_for(cluster: LocalCluster) -> None:
    """While an EVSE's keys lie in two nodes it is unavailable; then it goes on as if nothing had been."""
    slot = slot_with("charger-1")
    source = cluster.owner_of(slot)
    target = neighbour(cluster, source)
    others = [uid for uid in UIDS if slot_with(uid) != slot]
    async with started(cluster) as store:
        await store.save([write("charger-1", position(1), closed_days={"c1/2026-01-01": b"{}"})])
        cluster.begin_move(slot, source, target)
        cluster.move_keys(slot, source, target, most=1)

        with pytest.raises(Unavailable, match="moves slots"):
            await store.save([write(uid, position(2)) for uid in UIDS])
        with pytest.raises(Unavailable, match="moves slots"):
            await store.load(["charger-1"])
        assert set(await store.save([write(uid, position(2)) for uid in others])) == {ALREADY}

        cluster.move_keys(slot, source, target)
        cluster.end_move(slot, source, target)
        assert await store.save([write("charger-1", position(2))]) == [SAVED]
        assert (await store.load(["charger-1"]))["charger-1"].days == {"c1/2026-01-01": b"{}"}


async def test_a_node_that_gets_slots_gets_copies_of_the_checkpoints(cluster: LocalCluster) -> None:
    """So whoever comes later finds that it has everything, and notices when it does not any more."""
    async with started(cluster) as store:
        await store.save_checkpoints({PLACE: Checkpoint(7, 0)})
        node = await asyncio.to_thread(cluster.add_primary)
        for slot in range(100):
            cluster.move(slot, node)
        await store.ping()

        async with started(cluster) as other:
            assert await other.load_checkpoint(PLACE) == Checkpoint(7, 0)
        node.client.flushall()
        async with started(cluster) as other:
            assert await other.load_checkpoint(PLACE) is None


async def test_what_has_gone_ahead_to_another_node_is_found_there(cluster: LocalCluster) -> None:
    """Also by many calls at once, while the slot itself is still on its way."""
    slot = slot_with("charger-1")
    source = cluster.owner_of(slot)
    target = neighbour(cluster, source)
    async with started(cluster) as store:
        await store.save([write("charger-1", position(1))])
        cluster.begin_move(slot, source, target)
        cluster.move_keys(slot, source, target)

        looks = await asyncio.gather(*(store.look(["charger-1", "charger-1"]) for _ in range(20)))
        assert looks == [{"charger-1": Seen(position(1), b"vitals a")}] * 20


async def test_a_trail_whose_slot_is_on_its_way_is_given_up(cluster: LocalCluster) -> None:
    """What is written there says nothing of the node any more; another slot of it takes its place."""
    async with started(cluster) as store:
        node, slot = trails_of(cluster)[0]
        cluster.begin_move(slot, node, neighbour(cluster, node))
        cluster.move_keys(slot, node, neighbour(cluster, node))

        await store.ping()

        assert (node, slot) not in trails_of(cluster)
        assert len(trails_of(cluster)) == 4


async def test_a_save_is_done_when_its_node_shows_that_it_is(replicated: LocalCluster) -> None:
    """A trail that is on its way shows nothing: the save is noticed when lost nevertheless."""
    async with started(replicated) as store:
        lost, slot = trails_of(replicated)[0]
        replicated.catch_up(lost)
        replicated.begin_move(slot, lost, neighbour(replicated, lost))
        replicated.move_keys(slot, lost, neighbour(replicated, lost))
        replicated.lag(lost)
        await saved(store, 1, living_at(replicated, lost))
        await asyncio.to_thread(replicated.fail_over, lost)

        with pytest.raises(Behind):
            await store.ping()


async def test_a_trail_whose_slot_moves_is_given_up_for_another(cluster: LocalCluster) -> None:
    """The marks of a node stay with it, and with them what is known of it."""
    async with started(cluster) as store:
        await store.save_checkpoints({PLACE: Checkpoint(7, 0)})
        for node, slot in trails_of(cluster):
            cluster.move(slot, neighbour(cluster, node))

        assert set(await saved(store, 1)) == {SAVED}
        await store.ping()

        async with started(cluster) as other:
            assert await other.load_checkpoint(PLACE) == Checkpoint(7, 0)
        cluster.primaries[1].client.flushall()
        with pytest.raises(Behind):
            await store.ping()


async def test_a_failover_that_loses_nothing_is_no_going_back(replicated: LocalCluster) -> None:
    """The store finds the replica that took over, by itself, and goes on."""
    async with started(replicated) as store:
        await saved(store, 1)
        await store.save_checkpoints({PLACE: Checkpoint(1, 0)})
        replicated.catch_up(replicated.primaries[0])
        await asyncio.to_thread(replicated.fail_over, replicated.primaries[0])

        assert set(await saved(store, 2)) <= {SAVED, ALREADY}
        await store.ping()
        assert await store.load_checkpoint(PLACE) == Checkpoint(1, 0)


async def test_a_failover_that_loses_a_save_is_noticed(replicated: LocalCluster) -> None:
    """By the next write to anywhere, and what another node has forgotten sets the checkpoint back."""
    lost = replicated.primaries[1]
    async with started(replicated) as store:
        await saved(store, 1)
        await store.save_checkpoints({PLACE: Checkpoint(1, 0)})
        replicated.catch_up(lost)
        replicated.lag(lost)
        await saved(store, 2, living_at(replicated, lost))
        await store.save_checkpoints({PLACE: Checkpoint(2, 0)})
        await asyncio.to_thread(replicated.fail_over, lost)

        with pytest.raises(Behind):
            await store.ping()
        with pytest.raises(Behind):
            await saved(store, 3)
        with pytest.raises(Behind):
            await store.load_checkpoint(PLACE)
        with pytest.raises(Behind):
            await store.save_checkpoints({PLACE: Checkpoint(3, 0)})

        await store.begin()
        assert await store.load_checkpoint(PLACE) == Checkpoint(1, 0)
        await store.save_checkpoints({PLACE: Checkpoint(1, 2)})
        assert await store.load_checkpoint(PLACE) == Checkpoint(1, 2)
        assert set(await saved(store, 2)) <= {SAVED, ALREADY}


async def test_nothing_is_saved_that_goes_on_from_a_state_that_came_back(replicated: LocalCluster) -> None:
    """A state that is loaded after the loss lacks what was lost, and a save would hide that for ever."""
    lost = replicated.primaries[2]
    async with started(replicated) as store:
        await saved(store, 1)
        replicated.catch_up(lost)
        replicated.lag(lost)
        uids = living_at(replicated, lost)
        await saved(store, 2, uids)
        await asyncio.to_thread(replicated.fail_over, lost)

        while True:
            try:
                loaded = await store.load(uids)
            except Unavailable:
                continue
            break
        assert {position(1)} == {stored.position for stored in loaded.values()}
        with pytest.raises(Behind):
            await store.save([write(uid, position(3), previous=position(1)) for uid in uids])
        assert {position(1)} == {stored.position for stored in (await store.load(uids)).values()}


async def test_evses_that_had_just_come_to_a_node_that_fails_are_missed(replicated: LocalCluster) -> None:
    """A replica took over that has all the node was told and lacks what moved there; the ledger has it."""
    source, target = replicated.primaries[:2]
    async with started(replicated) as store:
        await saved(store, 1)
        await store.save_checkpoints({PLACE: Checkpoint(1, 0)})
        replicated.catch_up(target)
        replicated.lag(target)
        for uid in living_at(replicated, source)[:3]:
            replicated.move(slot_with(uid), target)
        await asyncio.to_thread(replicated.fail_over, target)

        with pytest.raises(Behind):
            await store.ping()
        await store.begin()
        assert await store.load_checkpoint(PLACE) is None
        await store.save_checkpoints({PLACE: Checkpoint(0, 0)})
        assert await store.load_checkpoint(PLACE) == Checkpoint(0, 0)


async def test_slots_that_moved_while_no_store_looked_are_looked_at(cluster: LocalCluster) -> None:
    """What came whole is taken as it is; where an EVSE is missing only the ledger has it."""
    source, target = cluster.primaries[:2]
    moved, lost = living_at(cluster, source)[:2]
    async with started(cluster) as store:
        await saved(store, 1)
        await store.save_checkpoints({PLACE: Checkpoint(1, 0)})
    cluster.move(slot_with(moved), target)
    async with started(cluster) as store:
        assert await store.load_checkpoint(PLACE) == Checkpoint(1, 0)

    cluster.move(slot_with(lost), target)
    target.client.delete(*target.client.keys(Keys().document(lost) + "*"))
    async with started(cluster) as store:
        assert await store.load_checkpoint(PLACE) is None


async def test_a_replica_that_takes_over_without_the_trail_is_not_trusted(replicated: LocalCluster) -> None:
    """Its slot moved just before, and what the replica lacks nobody knows but the ledger."""
    async with started(replicated) as store:
        lost, slot = trails_of(replicated)[1]
        await saved(store, 1)
        await store.save_checkpoints({PLACE: Checkpoint(1, 0)})
        replicated.catch_up(lost)
        replicated.lag(lost)
        await saved(store, 2)
        await store.save_checkpoints({PLACE: Checkpoint(2, 0)})
        replicated.move(slot, neighbour(replicated, lost))
        await asyncio.to_thread(replicated.fail_over, lost)

        with pytest.raises(Behind):
            await store.ping()
        await store.begin()
        assert await store.load_checkpoint(PLACE) is None


async def test_evses_that_came_after_the_dump_of_a_node_are_missed(cluster: LocalCluster) -> None:
    """What the dump has not, the log from there on has not either: only the ledger has it."""
    source, target = cluster.primaries[:2]
    async with started(cluster) as store:
        await saved(store, 1)
        await store.save_checkpoints({PLACE: Checkpoint(1, 0)})
        dump = cluster.dump_of(target)
        cluster.move(slot_with(living_at(cluster, source)[0]), target)
        await store.ping()
        await store.save_checkpoints({PLACE: Checkpoint(2, 0)})
        await asyncio.to_thread(cluster.restart, target, dump)

        with pytest.raises(Behind):
            await store.ping()
        await store.begin()
        assert await store.load_checkpoint(PLACE) is None


async def test_a_node_that_comes_back_empty_is_noticed(cluster: LocalCluster) -> None:
    """Its checkpoint is gone with everything else, so the partition comes back from the ledger."""
    async with started(cluster) as store:
        await saved(store, 1)
        await store.save_checkpoints({PLACE: Checkpoint(1, 0)})
        await asyncio.to_thread(cluster.restart, cluster.primaries[1])

        with pytest.raises(Behind):
            await saved(store, 2)
        await store.begin()
        assert await store.load_checkpoint(PLACE) is None


async def test_a_node_that_comes_back_with_an_older_dump_is_noticed(cluster: LocalCluster) -> None:
    """The view is as far as this node is, whatever the others say, and all of them say so from then on."""
    node = cluster.primaries[0]
    async with started(cluster) as store:
        await saved(store, 1)
        await store.save_checkpoints({PLACE: Checkpoint(1, 0)})
        dump = cluster.dump_of(node)
        await saved(store, 2)
        await store.save_checkpoints({PLACE: Checkpoint(2, 0)})
        await asyncio.to_thread(cluster.restart, node, dump)

        with pytest.raises(Behind):
            await store.ping()
    async with started(cluster) as other:
        assert await other.load_checkpoint(PLACE) == Checkpoint(1, 0)
        told = Keys().checkpoint(PLACE.topic, PLACE.partition, "*")
        kept = [
            each.client.hget(key, "next_offset")
            for each in cluster.primaries
            for key in each.client.keys(told)
        ]
        assert kept == [b"1"] * 4


async def test_one_server_is_no_cluster(redis_url: str) -> None:
    """Whoever says that it is one is told what to set."""
    store = RedisClusterViewStore(RedisSettings(redis_url, cluster=True))
    with pytest.raises(Unusable, match="EVSE_STATUS_REDIS_CLUSTER=false"):
        await store.start()
    await store.stop()


async def test_a_probe_asks_every_node(cluster: LocalCluster) -> None:
    """One that takes no writes makes the view unavailable, though the others answer."""
    probe = RedisClusterProbe(RedisSettings(cluster.url, cluster=True))
    await probe.ask()
    cluster.primaries[2].client.config_set("maxmemory", 1)
    with pytest.raises(Unavailable, match="raise maxmemory"):
        await probe.ask()
    await probe.stop()
