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
from service.processing.values import Checkpoint, Epochs, TopicPartition
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


@pytest.fixture
async def filled(urls: dict[str, str]) -> None:
    """Let the worker write an EVSE."""
    store = RedisViewStore(RedisSettings(urls["worker"]))
    await store.start()
    await store.save([write("a", closed_days={"c1/2026-01-01": b"{}"}, coordinates=(4.35, 50.85))])
    await store.stop()


async def refused(url: str, *commands: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Give those of some commands that a user may not run."""
    client, found = Redis.from_url(url), []
    for words in commands:
        try:
            await do(client, *words)
        except NoPermissionError:
            found.append(words)
    await client.aclose()
    return found


NOBODYS = (
    ("KEYS", "*"),
    ("FLUSHALL",),
    ("SWAPDB", "0", "1"),
    ("CONFIG", "SET", "maxmemory", "1"),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("CLIENT", "PAUSE", "1"),
    ("MONITOR",),
    ("SET", "somebody-elses", "x"),
    ("GET", "somebody-elses"),
)
"""What neither needs: it would stop, empty or overhear others."""


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("name", ["page", "report"])
async def test_page_and_reports_read_the_view_and_write_nothing(urls: dict[str, str], name: str) -> None:
    """All that is documented, and nothing that is the worker's own."""
    settings: Settings = {"REDIS_URL": urls[name]}
    listed = await command("list", settings=settings)
    assert (listed.code, listed.out.split("\t")[0]) == (0, "a")
    reader = ViewReader(RedisSettings(urls[name]))
    try:
        assert set(await reader.documents(["a"])) == set(await reader.documents(["a"], ["status"])) == {"a"}
        assert (await reader.page(status="AVAILABLE", online="true")).total == 1
        assert len(await reader.updated_since(0, 10)) == 1
        assert set(await reader.days("a")) == {"c1/2026-01-01"}
        assert await reader.exclusions("a") == {}
        assert [*await reader.outages("a"), *await reader.gaps("a"), *await reader.verdicts("a")] == []
        assert await reader.kept("a", 0) is not None
    finally:
        await reader.close()
    page = Redis.from_url(urls[name])
    await do(
        page, "GEOSEARCH", "evse-index:{lists}:place", "FROMLONLAT", "4.35", "50.85", "BYRADIUS", "1", "km"
    )
    await page.aclose()

    others = (
        *NOBODYS,
        ("SET", "evse:{a}", "x"),
        ("DEL", "evse:{a}"),
        ("HSET", "evse:{a}", "status", "x"),
        ("EVAL", "return 1", "0"),
        ("SCAN", "0"),
        ("CONFIG", "GET", "*"),
        ("CLIENT", "LIST"),
        ("HGETALL", "evse:{a}:private"),
        ("HGETALL", "evse-index:{lists}:states"),
        ("HGETALL", "evse-worker:{checkpoints}:evse.events:0"),
    )
    assert await refused(urls[name], *others) == list(others)


async def test_the_worker_may_not_empty_the_server(urls: dict[str, str]) -> None:
    """It knows its own keys, and touches nobody else's connection."""
    assert await refused(urls["worker"], *NOBODYS) == list(NOBODYS)


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
    """The worker writes, probes and looks again at who has which slot; page and reports read."""
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

    for name in ("page", "report"):
        reader = ViewReader(RedisSettings(cluster_urls[name], cluster=True))
        try:
            assert set(await reader.documents(["a", "b"])) == {"a", "b"}
            assert (await reader.page()).total == 2
            assert await reader.kept("a", 0) is not None
        finally:
            await reader.close()
