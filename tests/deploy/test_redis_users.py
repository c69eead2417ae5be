"""The users for Redis in `deploy/redis/users.acl`: each may do its work, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import pytest
import redis
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from service.adapters.redis import RedisViewStore
from service.adapters.redis_cluster import RedisClusterProbe, RedisClusterViewStore
from service.adapters.redis_connection import RedisSettings
from service.adapters.view_reader import ViewReader
from service.processing.ports import Checkpoint, Epochs, TopicPartition
from tests.acceptance.processes import Settings, command
from tests.contract.stores import write
from tests.deploy.files import DEPLOY

LINES = (DEPLOY / "redis" / "users.acl").read_text(encoding="utf-8").splitlines()


async def do(client: Redis, *words: str) -> None:
    """Run a command as it is spelled."""
    await client.execute_command(*words)  # type: ignore[no-untyped-call]  # not annotated there


@pytest.fixture
async def urls(redis7_url: str) -> AsyncIterator[dict[str, str]]:
    """Let the users be known to a real Redis, and give their URLs."""
    parts = urlsplit(redis7_url)
    admin = Redis.from_url(redis7_url)
    found = {}
    for line in LINES:
        _, name, *rules = line.split()
        [password] = [rule[1:] for rule in rules if rule.startswith(">")]
        await do(admin, "ACL", "SETUSER", name, "reset", *rules)
        found[name] = f"redis://{name}:{password}@{parts.hostname}:{parts.port}/0"
    yield found
    await do(admin, "ACL", "DELUSER", *found)
    await admin.aclose()


async def test_the_worker_can_do_all_that_its_store_does(urls: dict[str, str]) -> None:
    """Start, save with lists and history, restore, checkpoints, epochs and the proof that it can write."""
    store = RedisViewStore(RedisSettings(urls["worker"]))
    place = TopicPartition("evse.events", 0)
    await store.start()
    try:
        whole = write("a", closed_days={"c1/2026-01-01": b"{}"}, coordinates=(4.35, 50.85))
        await store.save([whole, write("b", status="REMOVED", removed=True)])
        await store.save_checkpoints({place: Checkpoint(8, 0)})
        await store.save_epochs(Epochs(1))
        await store.ping()

        assert set(await store.load(["a", "b"])) == {"a", "b"}
        assert set(await store.look(["a"])) == {"a"}
        assert await store.members(0) == ["a", "b"]
        assert set(await store.standings(["a", "b"])) == {"a", "b"}
        assert (await store.load_checkpoint(place)) == Checkpoint(8, 0)
        assert await store.staged("token", ["a"]) is not None
    finally:
        await store.stop()


async def test_the_page_reads_and_writes_nothing(urls: dict[str, str]) -> None:
    """Nor does it see what is not the view's."""
    store = RedisViewStore(RedisSettings(urls["worker"]))
    await store.start()
    await store.save([write("a")])
    await store.stop()

    settings: Settings = {"REDIS_URL": urls["page"]}
    listed = await command("list", settings=settings)
    assert (listed.code, listed.out.split("\t")[0]) == (0, "a")

    page = Redis.from_url(urls["page"])
    for words in (
        ("SET", "evse:{a}", "x"),
        ("DEL", "evse:{a}"),
        ("HSET", "evse:{a}", "status", "x"),
        ("EVAL", "return 1", "0"),
        ("KEYS", "*"),
        ("FLUSHALL",),
        ("CONFIG", "GET", "*"),
        ("GET", "somebody-elses"),
        ("HGETALL", "evse-worker:{checkpoints}:evse.events:0"),
    ):
        with pytest.raises(NoPermissionError):
            await do(page, *words)
    await page.aclose()


async def test_the_worker_may_not_empty_the_server(urls: dict[str, str]) -> None:
    """It knows its own keys."""
    worker = Redis.from_url(urls["worker"])
    for words in (
        ("FLUSHALL",),
        ("KEYS", "*"),
        ("SET", "somebody-elses", "x"),
        ("CONFIG", "SET", "maxmemory", "1"),
    ):
        with pytest.raises(NoPermissionError):
            await do(worker, *words)
    await worker.aclose()


@pytest.fixture
def cluster_urls(redis7_cluster_url: str) -> Iterator[dict[str, str]]:
    """Let the users be known to all nodes of a cluster, under names that it lacks, and give their URLs."""
    found = {}
    with redis.RedisCluster.from_url(redis7_cluster_url) as admin:
        for line in LINES:
            _, name, *rules = line.split()
            [password] = [rule[1:] for rule in rules if rule.startswith(">")]
            words = ("ACL", "SETUSER", f"{name}-of-file", "reset", *rules)
            admin.execute_command(*words, target_nodes=redis.RedisCluster.ALL_NODES)
            parts = urlsplit(redis7_cluster_url)
            found[name] = f"redis://{name}-of-file:{password}@{parts.hostname}:{parts.port}/0"
        yield found
        for name in found:
            words = ("ACL", "DELUSER", f"{name}-of-file")
            admin.execute_command(*words, target_nodes=redis.RedisCluster.ALL_NODES)


async def test_the_users_do_their_work_in_a_cluster(cluster_urls: dict[str, str]) -> None:
    """The worker writes, probes and looks again at who has which slot; the page reads."""
    of_worker = RedisSettings(cluster_urls["worker"], cluster=True)
    store, probe = RedisClusterViewStore(of_worker), RedisClusterProbe(of_worker)
    try:
        await store.start()
        await store.save([write("a", closed_days={"c1/2026-01-01": b"{}"}), write("b")])
        await store.save_checkpoints({TopicPartition("evse.events", 0): Checkpoint(8, 0)})
        await store.ping()
        await probe.ask()
    finally:
        await store.stop()
        await probe.stop()

    reader = ViewReader(RedisSettings(cluster_urls["page"], cluster=True))
    try:
        assert set(await reader.documents(["a", "b"])) == {"a", "b"}
        assert (await reader.page()).total == 2
        assert await reader.kept("a", 0) is not None
    finally:
        await reader.close()
