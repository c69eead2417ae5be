"""The view on a server that real Sentinels watch, through real failovers."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from schemas.view import Keys
from service.adapters.memory import MemoryLedger, MemoryLog, MemoryPublisher
from service.adapters.redis import RedisViewStore
from service.adapters.redis_connection import RedisProbe, RedisSettings, connect_to_read
from service.dashboard.reach import OutOfReach
from service.dashboard.reading import RedisView
from service.domain.rules import Rules
from service.processing.options import Ports
from service.processing.ports import Behind, Unavailable, Unusable
from service.processing.values import SaveOutcome
from service.processing.worker import Worker
from service.settings import micros_of
from tests.acceptance.processes import Settings, command, until_committed, worker
from tests.builders import status_reported
from tests.contract.stores import position, write
from tests.driver import GROUP, OUTPUTS, ImpatientClock, with_options
from tests.fault.comparing import Published, topic_differences, view_differences
from tests.fault.told import LATENESS
from tests.fault.undisturbed import undisturbed
from tests.integration.clustered import answered
from tests.integration.test_worker_on_cluster import filled, written
from tests.local_sentinel import ASKER, SENTINEL_PASSWORD, LocalSentinels
from tests.pages import pages_of
from tests.processes import free_port
from tests.recording import RecordingInstruments
from tests.services import Kafka
from tests.topics import of_event
from tests.topics import write as write_records

_NEVER = 1 << 60
_LOST_WITHIN_S = 15.0
"""Seconds from a failover to the first word of what was lost: ten are promised, and a busy machine."""


def settings_of(watched: LocalSentinels) -> RedisSettings:
    """Give what the worker takes from its settings."""
    return RedisSettings(watched.url, sentinel_password=SENTINEL_PASSWORD, socket_timeout=1.0)


@asynccontextmanager
async def started(settings: RedisSettings) -> AsyncIterator[RedisViewStore]:
    """Hold a store open."""
    store = RedisViewStore(settings)
    try:
        await store.start()
        yield store
    finally:
        await store.stop()


async def test_the_store_goes_on_with_the_new_primary(sentinels: LocalSentinels) -> None:
    """Nothing was lost, so nothing is said."""
    async with started(settings_of(sentinels)) as store:
        await store.save([write(at=position(6))])
        await asyncio.to_thread(sentinels.catch_up)
        await asyncio.to_thread(sentinels.fail_over)

        assert await answered(lambda: store.save([write(at=position(7))])) == [SaveOutcome.SAVED]
        assert (await store.load(["charger-1"]))["charger-1"].position == position(7)


async def test_what_a_failover_lost_is_noticed(sentinels: LocalSentinels) -> None:
    """The new primary never had the last write: the next one says so, and the store can begin anew."""
    async with started(settings_of(sentinels)) as store:
        await store.save([write(at=position(6))])
        await asyncio.to_thread(sentinels.catch_up)
        await asyncio.to_thread(sentinels.lag)
        await store.save([write(at=position(7))])
        await asyncio.to_thread(sentinels.fail_over)

        with pytest.raises(Behind):
            await answered(store.ping)
        await store.begin()
        assert (await store.load(["charger-1"]))["charger-1"].position == position(6)


async def test_a_primary_that_hung_is_left_though_it_comes_back(sentinels: LocalSentinels) -> None:
    """No connection to it is used any more, although it takes writes for some seconds more."""
    async with started(settings_of(sentinels)) as store:
        # Several connections: those that are idle meanwhile are the ones that would be used again.
        await asyncio.gather(*(store.load([f"charger-{i}"]) for i in range(8)))
        await store.save([write(at=position(6))])
        await asyncio.to_thread(sentinels.catch_up)
        old = await asyncio.to_thread(sentinels.fail_over, signal.SIGSTOP)
        assert await answered(lambda: store.save([write(at=position(7))])) == [SaveOutcome.SAVED]
        # It does now what it was sent meanwhile; of the next write it hears nothing.
        old.signal(signal.SIGCONT)
        await store.save([write(at=position(8))])

        found = await asyncio.gather(*(store.load(["charger-1"]) for _ in range(8)))
        assert {each["charger-1"].position for each in found} == {position(8)}


async def test_a_sentinel_that_is_gone_is_passed_over(sentinels: LocalSentinels) -> None:
    """Two of three know it as well."""
    sentinels.sentinels[0].signal(signal.SIGKILL)
    sentinels.sentinels[1].signal(signal.SIGSTOP)
    async with started(settings_of(sentinels)) as store:
        await store.ping()


async def test_the_probe_asks_the_primary(quiet_sentinels: LocalSentinels) -> None:
    """Readiness is about whoever takes the writes."""
    probe = RedisProbe(settings_of(quiet_sentinels))
    await probe.ask()
    await probe.stop()


async def test_at_sentinels_one_right_is_enough(quiet_sentinels: LocalSentinels) -> None:
    """A user of its own may ask where the primary is."""
    async with started(replace(settings_of(quiet_sentinels), sentinel_username=ASKER)) as store:
        await store.ping()


async def test_a_name_that_no_sentinel_knows_is_told(quiet_sentinels: LocalSentinels) -> None:
    """With the setting to look at; it is waited for, since they may be told of it later."""
    url = quiet_sentinels.url.replace("/main/", "/mian/")
    with pytest.raises(Unavailable, match=r"no Sentinel names a primary mian .*EVSE_STATUS_REDIS_URL"):
        async with started(RedisSettings(url, sentinel_password=SENTINEL_PASSWORD)):
            pass


@pytest.mark.parametrize("password", [None, "s3cret"])
async def test_sentinels_that_refuse_are_told_by_their_settings(
    quiet_sentinels: LocalSentinels, password: str | None
) -> None:
    """Not by those of the server, and without the password."""
    with pytest.raises(Unusable, match="EVSE_STATUS_REDIS_SENTINEL_PASSWORD") as refused:
        async with started(RedisSettings(quiet_sentinels.url, sentinel_password=password)):
            pass

    assert "s3cret" not in str(refused.value)


async def test_a_server_in_place_of_a_sentinel_is_one_line(redis7_url: str) -> None:
    """The port of the data is the mistake that is made first; every command names it and the setting."""
    place = redis7_url.removeprefix("redis://").partition("/")[0]
    settings: Settings = {
        "REDIS_URL": f"redis+sentinel://{place}/main/0",
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    }

    for words in (("list",), ("show", "a"), ("check",)):
        said = await command(*words, settings=settings)
        assert said.code == 1
        [line] = [line for line in (said.out + said.err).splitlines() if "no Sentinel" in line]
        assert f"Redis at {place} is no Sentinel" in line
        assert "EVSE_STATUS_REDIS_URL" in line
        assert "Traceback" not in said.err


async def test_the_page_takes_a_server_in_place_of_a_sentinel_for_silence(redis7_url: str) -> None:
    """It shows that the view is out of reach, and does not fail."""
    place = redis7_url.removeprefix("redis://").partition("/")[0]
    client = connect_to_read(RedisSettings(f"redis+sentinel://{place}/main/0"))
    with pytest.raises(OutOfReach):
        await RedisView(client, "evse").counts()
    await client.aclose()


async def test_the_commands_read_it_there(quiet_sentinels: LocalSentinels) -> None:
    """By the same settings."""
    async with started(settings_of(quiet_sentinels)) as store:
        await store.save([write("a")])
    settings: Settings = {"REDIS_URL": quiet_sentinels.url, "REDIS_SENTINEL_PASSWORD": SENTINEL_PASSWORD}

    listed = await command("list", settings=settings)

    assert (listed.code, listed.out.split("\t")[0]) == (0, "a")


async def test_the_page_reads_it_there(quiet_sentinels: LocalSentinels) -> None:
    """And takes Sentinels that refuse it for a view out of reach, as it does a server that does."""
    async with started(settings_of(quiet_sentinels)) as store:
        await store.save([write("a")])
    client = connect_to_read(settings_of(quiet_sentinels))
    assert (await RedisView(client, "evse").counts()).evses == 1
    await client.aclose()

    client = connect_to_read(RedisSettings(quiet_sentinels.url))
    with pytest.raises(OutOfReach):
        await RedisView(client, "evse").counts()
    await client.aclose()


@pytest.mark.slow
async def test_a_worker_ends_as_if_no_failover_had_been(sentinels: LocalSentinels) -> None:
    """The replica that takes over lagged: view and topics are as ever."""
    clock, instruments = ImpatientClock(), RecordingInstruments()
    clock.advance(timedelta(days=30).total_seconds())
    broker = filled(clock)
    log = written(broker, "evse.events")
    options = with_options(
        max_batch_records=40, tick_interval_s=0.0, states_limit=8, ingest_silent_after=_NEVER
    )
    ports = Ports(
        MemoryLog(broker, options.topics, GROUP),
        MemoryPublisher(broker, 1 << 21),
        RedisViewStore(settings_of(sentinels)),
        clock,
        MemoryLedger(broker, "evse.ledger"),
        MemoryLedger(broker, "evse.snapshots"),
    )
    worker = Worker(ports, options, Rules(allowed_lateness=micros_of(LATENESS)), instruments)
    await worker.start()
    turn = 0
    while await worker.turn() or turn < 20:
        turn += 1
        clock.advance(options.survey_interval_s)
        if turn == 6:
            await asyncio.to_thread(sentinels.lag)
        if turn == 9:
            await asyncio.to_thread(sentinels.fail_over)
    worker.stop()
    await worker.close()

    expected = await asyncio.to_thread(undisturbed, log, "evse.")
    async with Redis(port=sentinels.primary.port) as client:
        differences = await view_differences(client, Keys(), expected)
    published = Published(*(written(broker, topic) for topic in OUTPUTS))
    assert differences + topic_differences(published, expected) == []
    assert instruments.behinds > 0


@pytest.mark.slow
async def test_a_worker_process_finds_the_new_primary(kafka: Kafka, sentinels: LocalSentinels) -> None:
    """It notices what was lost without any new record, puts it back, and goes on."""
    port = free_port()
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "REDIS_URL": sentinels.url,
        "REDIS_SENTINEL_PASSWORD": SENTINEL_PASSWORD,
        "TOPIC_PREFIX": kafka.unique("evse") + ".",
        "GROUP_ID": kafka.unique("group"),
        "HTTP_PORT": str(port),
    }
    topic = await kafka.create_topic(settings["TOPIC_PREFIX"] + "events")
    await write_records(kafka, topic, [of_event(status_reported("AVAILABLE", "12:00"))])
    async with worker(settings=settings) as running, pages_of(port) as pages:
        await until_committed(running, kafka, settings["GROUP_ID"], {0: 1})
        await asyncio.to_thread(sentinels.catch_up)
        await asyncio.to_thread(sentinels.lag)
        await write_records(kafka, topic, [of_event(status_reported("CHARGING", "12:30"))])
        await until_committed(running, kafka, settings["GROUP_ID"], {0: 2})
        await asyncio.to_thread(sentinels.fail_over)

        await pages.until_more("evse_status_view_behind_total", 0, _LOST_WITHIN_S)
        await pages.until_ready()
        await write_records(kafka, topic, [of_event(status_reported("OUTOFORDER", "12:40"))])
        await until_committed(running, kafka, settings["GROUP_ID"], {0: 3})
        assert await running.stop() == 0

    listed = await command("list", "--status", "OUTOFORDER", settings=settings)
    assert len(listed.out.splitlines()) == 1
