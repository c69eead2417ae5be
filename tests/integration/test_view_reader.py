"""The reader finds what the store wrote, by the documented keys."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis, RedisCluster

from schemas.view import Judged, Keys
from schemas.vocabulary import Verdict
from service.adapters.redis_connection import RedisSettings
from service.adapters.view_reader import Page, ViewReader
from service.processing.ports import Unavailable, Unusable
from tests.contract.stores import REDIS_SERVERS, position, redis_store, write
from tests.processes import free_port

OUTAGE = (
    b'{"connector_uid":"c1","from":"2026-01-02T08:00:00Z","until":"2026-01-02T08:10:00Z",'
    b'"status":"OUTOFORDER","online":true}'
)
OUTAGE_START = 1_767_340_800_000_000


@pytest.fixture(params=REDIS_SERVERS)
def settings(request: pytest.FixtureRequest) -> RedisSettings:
    """Give where an empty view is, on one server and in a cluster."""
    return RedisSettings(
        request.getfixturevalue(f"{request.param}_url"), cluster=request.param.endswith("_cluster")
    )


@pytest.fixture
async def reader(settings: RedisSettings) -> AsyncIterator[ViewReader]:
    """Give a reader of a view with four EVSEs, updated one after the other."""
    store = redis_store(settings)
    await store.start()
    statuses = ["AVAILABLE", "CHARGING", "CHARGING", "REMOVED"]
    await store.save(
        [
            write(f"charger-{i}", status=status, last_updated_ms=i, removed=status == "REMOVED")
            for i, status in enumerate(statuses)
        ]
    )
    await store.save(
        [
            write(
                "charger-2",
                position(8),
                status="CHARGING",
                online="false",
                last_updated_ms=10,
                closed_days={"c1/2026-01-02": b'{"AVAILABLE/true":85800,"OUTOFORDER/true":600}'},
                closed_outages=[(OUTAGE_START, OUTAGE)],
                exclusions={
                    "x": b'{"from":"2026-01-02T00:00:00Z","until":null,"reason":"vandalism",'
                    b'"connector_uids":null,"note":null}'
                },
                gaps=[(1, b'{"from":"2026-01-03T00:00:00Z","until":"2026-01-03T01:00:00Z"}')],
            )
        ]
    )
    await store.stop()
    reader = ViewReader(settings)
    yield reader
    await reader.close()


async def test_documents_are_text(reader: ViewReader) -> None:
    """One, many or some fields of them; what is not there is left out."""
    assert await reader.document("charger-1") == {
        "snapshot": "snapshot a",
        "status": "AVAILABLE",
        "removed_at": "",
    }
    assert await reader.document("nobody") is None
    assert await reader.documents(["nobody", "charger-0"], ["snapshot", "recent"]) == {
        "charger-0": {"snapshot": "snapshot a"}
    }
    assert await reader.documents([]) == {}


async def test_pages_begin_with_the_latest_update(reader: ViewReader) -> None:
    """All, by status, by online or by both; a page knows how many there are."""
    assert await reader.page(limit=2) == Page(4, ("charger-2", "charger-3"))
    assert await reader.page(offset=2) == Page(4, ("charger-1", "charger-0"))
    assert await reader.page(status="CHARGING") == Page(2, ("charger-2", "charger-1"))
    assert await reader.page(status="CHARGING", offset=1) == Page(2, ("charger-1",))
    assert await reader.page(status="CHARGING", online="true") == Page(1, ("charger-1",))
    assert await reader.page(online="null") == Page(0, ())


async def test_updates_come_in_their_order(reader: ViewReader) -> None:
    """What changed since a time, the earliest first."""
    assert await reader.updated_since(1, 2) == [("charger-1", 1), ("charger-3", 3)]
    assert await reader.updated_since(11, 2) == []


async def test_history_comes_as_the_models_of_the_view(reader: ViewReader) -> None:
    """Days, spans, exclusions and gaps of one EVSE; spans within two times."""
    (outage,) = await reader.outages("charger-2")
    (gap,) = await reader.gaps("charger-2")

    assert await reader.days("charger-2") == {
        "c1/2026-01-02": {"AVAILABLE/true": 85_800.0, "OUTOFORDER/true": 600.0}
    }
    assert outage.connector_uid == "c1"
    assert gap.from_ < gap.until
    assert list(await reader.exclusions("charger-2")) == ["x"]
    assert await reader.outages("charger-2", OUTAGE_START + 1) == ()
    assert await reader.outages("charger-2", 0, OUTAGE_START) == (outage,)
    assert await reader.outages("nobody") == ()


@pytest.mark.parametrize("cluster", [False, True])
async def test_a_view_out_of_reach_is_unavailable(*, cluster: bool) -> None:
    """The reader's errors are those of the ports."""
    settings = RedisSettings(f"redis://127.0.0.1:{free_port()}/0", retries=0, cluster=cluster)
    reader = ViewReader(settings)
    with pytest.raises(Unavailable):
        await reader.document("charger-1")
    with pytest.raises(Unavailable):
        await reader.kept("charger-1", 0)
    await reader.close()


async def test_one_server_is_not_read_as_a_cluster(redis_url: str) -> None:
    """Whoever says that it is one is told what to set."""
    reader = ViewReader(RedisSettings(redis_url, cluster=True))
    with pytest.raises(Unusable, match="EVSE_STATUS_REDIS_CLUSTER=false"):
        await reader.document("charger-1")
    await reader.close()


async def test_a_cluster_is_not_read_as_one_server(redis7_cluster_url: str) -> None:
    """Whoever does not say that it is one is told what to set."""
    reader = ViewReader(RedisSettings(redis7_cluster_url))
    with pytest.raises(Unusable, match="EVSE_STATUS_REDIS_CLUSTER=true"):
        await reader.documents([f"charger-{i}" for i in range(30)])
    await reader.close()


async def test_verdicts_come_by_the_time_of_their_events(reader: ViewReader, settings: RedisSettings) -> None:
    """Each with the position of its event."""
    async with (RedisCluster if settings.cluster else Redis).from_url(settings.url) as client:
        await client.zadd(Keys().verdicts("charger-2"), {"7 late": 20, "9 corrected": 10})

    assert await reader.verdicts("charger-2") == (
        Judged(9, Verdict.CORRECTED, 10),
        Judged(7, Verdict.LATE, 20),
    )
    assert await reader.verdicts("nobody") == ()


async def test_an_evse_is_read_at_one_instant(reader: ViewReader) -> None:
    """All that stands behind its numbers, with the spans since a time."""
    kept = await reader.kept("charger-2", OUTAGE_START)

    assert kept is not None
    assert kept.document == await reader.document("charger-2")
    assert kept.outages == await reader.outages("charger-2")
    assert kept.exclusions == await reader.exclusions("charger-2")
    assert kept.gaps == await reader.gaps("charger-2")
    assert kept.verdicts == ()
    later = await reader.kept("charger-2", OUTAGE_START + 1)
    assert later is not None
    assert later.outages == ()
    assert await reader.kept("nobody", 0) is None
