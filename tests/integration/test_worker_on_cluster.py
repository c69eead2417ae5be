"""A worker whose view lies in a cluster that moves slots and loses writes, and what it comes to."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from redis.asyncio import RedisCluster

from schemas.view import Keys
from service.adapters.memory import MemoryBroker, MemoryLedger, MemoryLog, MemoryPublisher
from service.adapters.redis_cluster import RedisClusterViewStore
from service.adapters.redis_connection import RedisSettings
from service.adapters.redis_topology import slot_of
from service.domain.rules import Rules
from service.processing.options import Ports
from service.processing.values import Record, TopicPartition
from service.processing.worker import Worker
from service.settings import micros_of
from tests.driver import GROUP, OUTPUTS, ImpatientClock, with_options
from tests.fault.comparing import Published, topic_differences, view_differences
from tests.fault.told import LATENESS, PARTITIONS, told
from tests.fault.undisturbed import undisturbed
from tests.local_cluster import LocalCluster
from tests.recording import RecordingInstruments

_INPUT = "evse.events"
_NEVER = 1 << 60


def written(broker: MemoryBroker, topic: str) -> list[Record]:
    """Give all records of a topic."""
    return [record for place in broker.partitions_of(topic) for record in broker.records(place)]


def filled(clock: ImpatientClock) -> MemoryBroker:
    """Give a broker with what a fleet tells in some days."""
    broker = MemoryBroker(dict.fromkeys((_INPUT, *OUTPUTS), PARTITIONS), clock)
    for one in told(7):
        place = TopicPartition(_INPUT, one.partition)
        broker.append(place, one.key, one.value, one.headers, (one.timestamp_ms or 0) * 1_000)
    return broker


def trouble(cluster: LocalCluster, turn: int) -> None:
    """Do to the cluster what comes at a turn of the worker."""
    source, target = cluster.primaries[turn % 3], cluster.primaries[(turn + 1) % 3]
    if turn % 4 == 0:
        slots = sorted({slot_of(key.decode()) for key in source.client.scan_iter(count=1000)})
        for slot in slots[:: len(slots) // 5 + 1]:
            cluster.move(slot, target)
    if turn == 6:
        cluster.lag(cluster.primaries[1])
    if turn == 13:
        cluster.fail_over(cluster.primaries[1])
    if turn == 21:
        cluster.restart(cluster.primaries[2])


@pytest.mark.slow
async def test_a_worker_ends_as_if_nothing_had_been(replicated: LocalCluster) -> None:
    """Slots move, a replica takes over that lagged, a node comes back empty: view and topics are as ever."""
    clock, instruments = ImpatientClock(), RecordingInstruments()
    clock.advance(timedelta(days=30).total_seconds())
    broker = filled(clock)
    log = written(broker, _INPUT)
    store = RedisClusterViewStore(RedisSettings(replicated.url, cluster=True))
    options = with_options(
        max_batch_records=40, tick_interval_s=0.0, states_limit=8, ingest_silent_after=_NEVER
    )
    ports = Ports(
        MemoryLog(broker, options.topics, GROUP),
        MemoryPublisher(broker, 1 << 21),
        store,
        clock,
        MemoryLedger(broker, "evse.ledger"),
        MemoryLedger(broker, "evse.snapshots"),
    )
    worker = Worker(ports, options, Rules(allowed_lateness=micros_of(LATENESS)), instruments)
    await worker.start()
    turn = 0
    while await worker.turn() or turn < 30:
        turn += 1
        clock.advance(options.survey_interval_s)
        await asyncio.to_thread(trouble, replicated, turn)
    worker.stop()
    await worker.close()

    expected = await asyncio.to_thread(undisturbed, log, "evse.")
    async with RedisCluster.from_url(replicated.url) as client:
        differences = await view_differences(client, Keys(), expected)
    published = Published(*(written(broker, topic) for topic in OUTPUTS))
    assert differences + topic_differences(published, expected) == []
    assert instruments.behinds > 0
