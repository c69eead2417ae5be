"""What the store notices of nodes that die, and come back or are replaced with less than they had."""

from __future__ import annotations

import asyncio

import pytest

from schemas.view import Keys
from service.adapters.redis_cluster import RedisClusterViewStore
from service.processing.ports import Behind
from service.processing.values import Checkpoint, SaveOutcome
from tests.contract.stores import position, write
from tests.integration.clustered import (
    PLACE,
    answered,
    living_at,
    neighbour,
    saved,
    slot_with,
    started,
    trails_of,
)
from tests.local_cluster import LocalCluster

SAVED, ALREADY = SaveOutcome.SAVED, SaveOutcome.ALREADY


async def test_a_save_is_done_when_its_node_shows_that_it_is(replicated: LocalCluster) -> None:
    """A trail that is on its way shows nothing: the save is noticed when lost nevertheless."""
    # Asked before the others, and goes on naming the node that fails, as it is getting a slot from it.
    target = min(replicated.primaries, key=lambda node: node.id)
    async with started(replicated) as store:
        lost, slot = next((node, slot) for node, slot in trails_of(replicated) if node is not target)
        replicated.catch_up(lost)
        replicated.begin_move(slot, lost, target)
        replicated.move_keys(slot, lost, target)
        replicated.lag(lost)
        await saved(store, 1, living_at(replicated, lost))
        await asyncio.to_thread(replicated.fail_over, lost)

        with pytest.raises(Behind):
            await answered(store.ping)


async def test_a_failover_that_loses_nothing_is_no_going_back(replicated: LocalCluster) -> None:
    """The store finds the replica that took over, by itself, and goes on."""
    async with started(replicated) as store:
        await saved(store, 1)
        await store.save_checkpoints({PLACE: Checkpoint(1, 0)})
        replicated.catch_up(replicated.primaries[0])
        await asyncio.to_thread(replicated.fail_over, replicated.primaries[0])

        assert set(await saved(store, 2)) <= {SAVED, ALREADY}
        await answered(store.ping)
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
            await answered(store.ping)
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

        loaded = await answered(lambda: store.load(uids))
        assert {position(1)} == {stored.position for stored in loaded.values()}
        with pytest.raises(Behind):
            await store.save([write(uid, position(3), previous=position(1)) for uid in uids])
        assert {position(1)} == {stored.position for stored in (await store.load(uids)).values()}


async def lose_what_just_came(cluster: LocalCluster, store: RedisClusterViewStore, most: int) -> list[str]:
    """Save all, move some to a node whose replica lags, and let that take over; give who was moved."""
    source, target = cluster.primaries[:2]
    await saved(store, 1)
    await store.save_checkpoints({PLACE: Checkpoint(1, 0)})
    cluster.catch_up(target)
    cluster.lag(target)
    moved = living_at(cluster, source)[:most]
    for uid in moved:
        cluster.move(slot_with(uid), target)
    await asyncio.to_thread(cluster.fail_over, target)
    return moved


async def test_evses_that_had_just_come_to_a_node_that_fails_are_missed(replicated: LocalCluster) -> None:
    """A replica took over that has all the node was told and lacks what moved there; the ledger has it."""
    async with started(replicated) as store:
        await lose_what_just_came(replicated, store, 3)

        with pytest.raises(Behind):
            await answered(store.ping)
        await store.begin()
        assert await store.load_checkpoint(PLACE) is None
        await store.save_checkpoints({PLACE: Checkpoint(0, 0)})
        assert await store.load_checkpoint(PLACE) == Checkpoint(0, 0)


async def test_an_evse_that_had_just_come_to_a_node_that_fails_is_not_taken_for_new(
    replicated: LocalCluster,
) -> None:
    """It would be begun anew and saved, and what the ledger brings back would take that for further."""
    async with started(replicated) as store:
        [uid] = await lose_what_just_came(replicated, store, 1)

        with pytest.raises(Behind):
            await answered(lambda: store.load([uid]))


async def test_one_that_is_new_in_a_slot_that_moved_is_new(replicated: LocalCluster) -> None:
    """What had come whole is safe, and who was never there is not missed."""
    source, target = replicated.primaries[:2]
    async with started(replicated) as store:
        uid, *others = living_at(replicated, source)
        await saved(store, 1, others)
        await store.save_checkpoints({PLACE: Checkpoint(1, 0)})
        replicated.move(slot_with(uid), target)

        assert await answered(lambda: store.load([uid])) == {}


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
            await answered(store.ping)
        await store.begin()
        assert await store.load_checkpoint(PLACE) is None


async def test_a_node_that_goes_back_and_loses_its_trail_is_not_trusted(cluster: LocalCluster) -> None:
    """The trail, as it had come back, went to another node; the process left is not the one it was."""
    async with started(cluster) as store:
        node, slot = trails_of(cluster)[0]
        await saved(store, 1)
        await store.save_checkpoints({PLACE: Checkpoint(1, 0)})
        dump = cluster.dump_of(node)
        await saved(store, 2)
        await store.save_checkpoints({PLACE: Checkpoint(2, 0)})
        await asyncio.to_thread(cluster.restart, node, dump)
        cluster.move(slot, neighbour(cluster, node))

        with pytest.raises(Behind):
            await answered(store.ping)
        await store.begin()
        assert await store.load_checkpoint(PLACE) is None


@pytest.mark.parametrize("goes_back", [False, True])
async def test_a_node_whose_copy_went_is_trusted_as_the_process_it_was(
    cluster: LocalCluster, *, goes_back: bool
) -> None:
    """Whoever comes later finds the newest of what is told of a node, and asks whether it is still that."""
    async with started(cluster) as store:
        node, slot = trails_of(cluster)[0]
        await saved(store, 1)
        dump = cluster.dump_of(node)
        await saved(store, 2)
        await store.save_checkpoints({PLACE: Checkpoint(2, 0)})
    cluster.move(slot, neighbour(cluster, node))
    if goes_back:
        await asyncio.to_thread(cluster.restart, node, dump)

    async with started(cluster) as store:
        assert await store.load_checkpoint(PLACE) == (None if goes_back else Checkpoint(2, 0))


async def test_evses_that_came_after_the_dump_of_a_node_are_missed(cluster: LocalCluster) -> None:
    """What the dump has not, the log from there on has not either: only the ledger has it."""
    source, target = cluster.primaries[:2]
    async with started(cluster) as store:
        await saved(store, 1)
        await store.save_checkpoints({PLACE: Checkpoint(1, 0)})
        dump = cluster.dump_of(target)
        cluster.move(slot_with(living_at(cluster, source)[0]), target)
        await answered(store.ping)
        await store.save_checkpoints({PLACE: Checkpoint(2, 0)})
        await asyncio.to_thread(cluster.restart, target, dump)

        with pytest.raises(Behind):
            await answered(store.ping)
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
            await answered(store.ping)
    async with started(cluster) as other:
        assert await other.load_checkpoint(PLACE) == Checkpoint(1, 0)
        told = Keys().checkpoint(PLACE.topic, PLACE.partition, "*")
        kept = [
            each.client.hget(key, "next_offset")
            for each in cluster.primaries
            for key in each.client.keys(told)
        ]
        assert kept == [b"1"] * 4
