"""What a real Redis or Valkey does to the store: forget scripts, lose replies, refuse writes, evict."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

from schemas.view import Keys
from service.adapters.redis import RedisViewStore
from service.adapters.redis_connection import RedisSettings
from service.processing.ports import Behind, Unavailable, Unusable
from service.processing.values import ClosedHistory, SaveOutcome, ViewWrite
from tests.contract.stores import RedisLook, position, write
from tests.processes import free_port
from tests.proxy import proxy_before


@asynccontextmanager
async def started(url: str, **settings: Any) -> AsyncIterator[RedisViewStore]:
    """Hold a store open."""
    store = RedisViewStore(RedisSettings(url, **settings))
    try:
        await store.start()
        yield store
    finally:
        await store.stop()


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Any]:
    """Give a plain client of the same server."""
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


async def test_a_forgotten_script_is_sent_again(redis_url: str, client: Any) -> None:
    """After SCRIPT FLUSH, as after a restart or a failover, every call goes on as before."""
    async with started(redis_url) as store:
        for i in range(2):
            await client.script_flush()
            assert await store.save([write(at=position(i))]) == [SaveOutcome.SAVED]
            await client.script_flush()
            assert list(await store.load(["charger-1"])) == ["charger-1"]


async def test_a_lost_reply_changes_nothing(redis_url: str) -> None:
    """A save whose reply is lost is made again by the client, and says that it was done already."""
    async with proxy_before(redis_url) as (proxy, through), started(through) as store:
        await store.save([write(at=position(6))])
        proxy.lose_replies = 1

        assert await store.save([write(at=position(7))]) == [SaveOutcome.ALREADY]
        assert (await store.load(["charger-1"]))["charger-1"].position == position(7)


async def test_a_silent_server_is_unavailable_and_then_not(redis_url: str) -> None:
    """Sockets time out, the call fails as `Unavailable`, and the next one after the silence works."""
    patience = {"socket_timeout": 0.1, "retries": 1}
    async with proxy_before(redis_url) as (proxy, through), started(through, **patience) as store:
        await store.save([write(at=position(6))])
        proxy.silent = True
        with pytest.raises(Unavailable):
            await store.save([write(at=position(7))])
        with pytest.raises(Unavailable):
            await store.ping()
        proxy.silent = False

        assert await store.save([write(at=position(7))]) == [SaveOutcome.ALREADY]


async def test_many_calls_share_few_connections(redis_url: str, client: Any) -> None:
    """More calls at once than the pool has connections wait for each other instead of failing."""
    async with started(redis_url, pool_size=2) as store:
        before = (await client.info("clients"))["connected_clients"]

        outcomes = await asyncio.gather(*(store.save([write(f"charger-{i}")]) for i in range(40)))

        assert outcomes == [[SaveOutcome.SAVED]] * 40
        assert (await client.info("clients"))["connected_clients"] <= before + 2


async def test_nobody_at_the_address_is_unavailable() -> None:
    """A server that is not up yet is worth waiting for."""
    with pytest.raises(Unavailable, match="does not answer"):
        async with started(f"redis://127.0.0.1:{free_port()}/0", retries=0):
            pass


async def test_a_refused_password_is_not_waited_for(redis_url: str) -> None:
    """Wrong credentials have to be changed, and the password is not told."""
    with pytest.raises(Unusable, match="check user, password") as refused:
        async with started(redis_url.replace("redis://", "redis://nobody:s3cret@")):
            pass

    assert "s3cret" not in str(refused.value)


async def test_a_replica_is_unavailable(redis_url: str, client: Any) -> None:
    """A server that became a replica answers, but takes no writes: `ping` notices."""
    async with started(redis_url) as store:
        await client.replicaof("127.0.0.1", free_port())
        try:
            with pytest.raises(Unavailable, match="replica"):
                await store.ping()
            with pytest.raises(Unavailable, match="replica"):
                await store.save([write()])
        finally:
            await client.replicaof("NO", "ONE")

        await store.ping()


async def test_a_full_server_takes_nothing_of_a_save(redis_url: str, client: Any) -> None:
    """Out of memory is `Unavailable`, and no part of the save is written."""
    async with started(redis_url) as store:
        await client.config_set("maxmemory", 1)
        try:
            with pytest.raises(Unavailable, match="raise maxmemory"):
                await store.save([write(closed_days={"c1/2026-01-01": b"{}"})])
            with pytest.raises(Unavailable, match="raise maxmemory"):
                await store.ping()
            loaded = await store.load(["charger-1"])
        finally:
            await client.config_set("maxmemory", 0)

        assert loaded == {}
        assert await client.keys(Keys().document("charger-1") + "*") == []


async def test_an_evicting_server_is_refused_with_the_remedy(redis_url: str, client: Any) -> None:
    """A server that may delete state is started on only when that is asked for."""
    await client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(Unusable, match="set maxmemory-policy noeviction"):
            async with started(redis_url):
                pass
        async with started(redis_url, allow_eviction=True) as store:
            assert await store.save([write()]) == [SaveOutcome.SAVED]
            await store.inspect()
    finally:
        await client.config_set("maxmemory-policy", "noeviction")


async def test_a_server_that_begins_to_evict_is_noticed(redis_url: str, client: Any) -> None:
    """The policy is changed while the store is in use."""
    async with started(redis_url) as store:
        await store.inspect()
        await client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            with pytest.raises(Unusable, match="set maxmemory-policy noeviction"):
                await store.inspect()
        finally:
            await client.config_set("maxmemory-policy", "noeviction")


async def test_staged_history_that_is_lost_is_noticed(redis_url: str, client: Any) -> None:
    """A replica that had not received it takes over: what would take its place now would have a hole."""
    async with started(redis_url) as store:
        await store.save([write(at=position(1))])
        [trail] = await client.keys("*:trail:*")
        before = await client.get(trail)
        await store.stage("t", [ClosedHistory("charger-1", {"c1/2026-01-01": b"{}"}, [(5, b"five")])])

        await client.delete(Keys().staged_days("charger-1", "t"), Keys().staged_outages("charger-1", "t"))
        await client.set(trail, before)

        with pytest.raises(Behind):
            await store.save([write(at=position(2), replace=True, staged="t")])


async def test_a_server_that_goes_back_before_a_first_save_is_noticed(redis_url: str, client: Any) -> None:
    """It has lost who lives in the partition, and what asks for them would leave the EVSE out for good."""

    class Unlucky(RedisViewStore):
        async def _save(self, writes: Sequence[ViewWrite]) -> bytes:
            await client.delete(Keys().members(0))
            await client.set(trail, before)
            return await super()._save(writes)

    store = Unlucky(RedisSettings(redis_url))
    await store.start()
    [trail] = await client.keys("*:trail:*")
    before = await client.get(trail)

    try:
        with pytest.raises(Behind):
            await store.save([write(at=position(1))])
    finally:
        await store.stop()


async def test_lists_left_behind_by_a_crash_are_mended(redis_url: str, client: Any) -> None:
    """A new process brings an EVSE's lists up to date with its first save, even if nothing listed changed."""
    async with started(redis_url) as store:
        await store.save([write(at=position(1))])
    await client.delete(Keys().all, Keys().states, Keys().status("AVAILABLE"))

    async with started(redis_url) as store:
        await store.save([write(at=position(2))])

    assert (await RedisLook(client).listed("charger-1")).statuses == {"AVAILABLE"}


async def test_lists_left_behind_by_another_worker_are_mended(redis_url: str) -> None:
    """It saved what this one had saved before, and went before the lists followed."""
    async with started(redis_url) as store, started(redis_url) as other:
        await store.save([write(at=position(1))])
        other._follow = _goes  # type: ignore[method-assign]
        with pytest.raises(Unavailable):
            await other.save([write(at=position(2), status="CHARGING", last_updated_ms=2_000)])

        await store.load(["charger-1"])
        await store.save([write(at=position(3), status="CHARGING", last_updated_ms=2_000)])

        assert (await store.standings(["charger-1"]))["charger-1"].status == "CHARGING"


async def _goes(writes: Sequence[ViewWrite]) -> None:
    raise Unavailable(f"the worker went before the lists of {len(writes)} EVSEs")


async def test_readers_never_see_half_a_save(redis_url: str, client: Any) -> None:
    """Document, days and outages of one EVSE change together, whoever writes and reads at the same time."""
    keys = Keys()
    seen: set[str] = set()

    async def read() -> None:
        while len(seen) < 5:
            pipeline = client.pipeline(transaction=True)
            pipeline.hget(keys.document("charger-1"), "snapshot")
            pipeline.hget(keys.days("charger-1"), "c1/2026-01-01")
            pipeline.hget(keys.private("charger-1"), "state")
            words = {str(one or b"-").strip("b'").split()[-1] for one in await pipeline.execute()}
            assert len(words) == 1
            seen.update(words)

    async def save(store: RedisViewStore) -> None:
        for i in range(10_000):
            word = str(i)
            if reading.done():
                return
            await store.save([write(at=position(i), word=word, closed_days={"c1/2026-01-01": word.encode()})])

    async with started(redis_url) as one, started(redis_url) as other:
        reading = asyncio.ensure_future(read())
        await asyncio.gather(save(one), save(other))
        await reading


async def test_another_prefix_is_another_view(redis_url: str) -> None:
    """Two installations share a server without seeing each other."""
    async with started(redis_url, prefix="test") as test, started(redis_url) as live:
        await live.save([write()])

        assert await test.load(["charger-1"]) == {}
