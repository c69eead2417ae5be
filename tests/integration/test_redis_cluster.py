"""What moving slots do to the store in a real cluster, and who may take part in it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from schemas.view import CHECKPOINTS, Keys
from service.adapters.redis_cluster import RedisClusterProbe, RedisClusterViewStore
from service.adapters.redis_connection import RedisSettings
from service.adapters.redis_topology import slot_of
from service.processing.ports import Behind, Unavailable, Unusable
from service.processing.values import Checkpoint, SaveOutcome, Seen
from tests.contract.stores import position, write
from tests.integration.clustered import (
    PLACE,
    UIDS,
    living_at,
    neighbour,
    saved,
    slot_with,
    started,
    trails_of,
)
from tests.local_cluster import LocalCluster

SAVED, ALREADY = SaveOutcome.SAVED, SaveOutcome.ALREADY


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
