"""Kafka that hangs, is gone or loses a node, under a worker in a process of its own: shown, and got over."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka.admin import NewTopic

from service.adapters.clock import SystemClock
from service.adapters.kafka import KafkaLog, KafkaLogSettings
from service.processing.values import TopicPartition
from service.supervision.supervisor import STOP_BUDGET_S
from tests.acceptance.processes import Running, until_committed, worker
from tests.builders import status_reported
from tests.contract.brokers import SESSION, Member
from tests.local_kafka import JarsMissing, KafkaProcess, start_kafka
from tests.pages import Pages, pages_of
from tests.processes import free_port
from tests.services import Kafka
from tests.topics import committed, of_event, write

pytestmark = [pytest.mark.slow, pytest.mark.allow_error_logs]

PREFIX, GROUP = "evse.", "evse-status"
EVENTS = PREFIX + "events"
RETRIES = 'evse_status_retries_total{part="log"}'
SHOWN_WITHIN = 6.0
"""Seconds until readiness tells: two from question to question, two for an answer, and a busy machine."""


@pytest.fixture
def process() -> Iterator[KafkaProcess]:
    """Give a broker of this test's own."""
    try:
        process = start_kafka()
    except JarsMissing as missing:
        pytest.skip(f"no broker of our own to stop: {missing}")
    yield process
    process.close()


@pytest.fixture
async def kafka(process: KafkaProcess) -> Kafka:
    """Give it with an input topic of one partition and one event in it."""
    kafka = Kafka(process.bootstrap_servers)
    await kafka.create_topic(EVENTS)
    await write(kafka, EVENTS, [of_event(status_reported("AVAILABLE", "12:00"))])
    return kafka


@asynccontextmanager
async def started(kafka: Kafka, redis_url: str) -> AsyncIterator[tuple[Running, Pages]]:
    """Run a worker on a broker."""
    port = free_port()
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "REDIS_URL": redis_url,
        "HTTP_PORT": str(port),
        "SESSION_TIMEOUT": "6s",
    }
    async with worker(settings=settings) as running, pages_of(port) as pages:
        yield running, pages


async def hang(process: KafkaProcess) -> None:
    """Stand still with all connections open."""
    process.signal(signal.SIGSTOP)


async def go_on(process: KafkaProcess) -> None:
    """Move again."""
    process.signal(signal.SIGCONT)


async def die(process: KafkaProcess) -> None:
    """Crash."""
    process.signal(signal.SIGKILL)
    process.wait()


async def come_back(process: KafkaProcess) -> None:
    """Start again with the log there is."""
    process.run()


Act = Callable[[KafkaProcess], Awaitable[None]]


@pytest.mark.parametrize(("begin", "end"), [(hang, go_on), (die, come_back)], ids=["hung", "gone"])
async def test_an_outage_of_kafka_is_shown_and_ends_by_itself(
    process: KafkaProcess, kafka: Kafka, redis7_url: str, begin: Act, end: Act
) -> None:
    """Readiness names the part, liveness stays, retries count, the log is not flooded; then it goes on."""
    async with started(kafka, redis7_url) as (running, pages):
        await until_committed(running, kafka, GROUP, {0: 1})
        await pages.until_ready()

        await begin(process)
        await pages.until_unready("log does not answer: Kafka", SHOWN_WITHIN)
        await pages.until_more(RETRIES, await pages.metric(RETRIES) + 1)
        assert await pages.live() == ()
        await end(process)
        await write(kafka, EVENTS, [of_event(status_reported("CHARGING", "12:30"))])

        await until_committed(running, kafka, GROUP, {0: 2})
        await pages.until_ready()
        assert await running.stop() == 0
    said = [line["logger"] for line in running.lines if line["logger"].startswith("aiokafka")]
    assert len(said) < 40


async def test_a_worker_ends_in_time_while_kafka_hangs(
    process: KafkaProcess, kafka: Kafka, redis7_url: str
) -> None:
    """What is in hand has its time, and then each part next to none: whoever stops it waits no longer."""
    clock = SystemClock()
    async with started(kafka, redis7_url) as (running, pages):
        await until_committed(running, kafka, GROUP, {0: 1})
        await pages.until_ready()
        await hang(process)
        await pages.until_unready("log does not answer: Kafka", SHOWN_WITHIN)

        began = clock.monotonic()
        assert await running.stop() == 0
        assert clock.monotonic() - began < STOP_BUDGET_S - 5.0
    assert [line for line in running.lines if line["logger"] == "asyncio"] == []


class Lingering(Member):
    """A member that gives nothing up before it is released: who joins has to wait."""

    def __init__(self, log: KafkaLog) -> None:
        super().__init__(log)
        self.released = asyncio.Event()

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        await self.released.wait()
        await super().on_revoked(partitions)


async def test_kafka_may_be_lost_while_a_worker_joins(
    process: KafkaProcess, kafka: Kafka, redis7_url: str
) -> None:
    """It stays alive, says what it waits for, and joins when the broker is back."""
    first = Lingering(
        KafkaLog(KafkaLogSettings([kafka.bootstrap_servers], GROUP, [EVENTS], session_timeout=SESSION))
    )
    await first.log.start(first.on_assigned, first.on_revoked)
    await first.read(1)
    async with started(kafka, redis7_url) as (running, pages):
        await running.logs("worker_started")
        assert await pages.ready() == ("has not joined the consumer group yet",)

        await die(process)
        await pages.until_unready("log does not answer: Kafka", SHOWN_WITHIN)
        await pages.until_more(RETRIES, await pages.metric(RETRIES) + 1)
        assert await pages.live() == ()
        await come_back(process)
        # Not before: a client whose broker is gone leaves its connection to the garbage collector.
        first.released.set()
        await first.log.stop()

        await running.logs("partitions_assigned")
        await until_committed(running, kafka, GROUP, {0: 1})
        await pages.until_ready()
        assert await running.stop() == 0


class SecondNode(KafkaProcess):
    """Another broker in the cluster of a first one, which stays its only controller."""

    def __init__(self, first: KafkaProcess) -> None:
        self._first = first
        java, *_, libraries = first._java[:-1]
        super().__init__(java, Path(libraries.removesuffix("/*")))

    def _settings(self) -> dict[str, str]:
        known = dict(line.split("=", 1) for line in self._first._properties.read_text().splitlines())
        address = f"PLAINTEXT://127.0.0.1:{self.port}"
        return {
            **super()._settings(),
            "process.roles": "broker",
            "node.id": "2",
            "controller.quorum.voters": known["controller.quorum.voters"],
            "listeners": address,
            "advertised.listeners": address,
        }


async def test_a_node_that_is_lost_is_done_without_as_far_as_it_can_be(
    process: KafkaProcess, redis7_url: str
) -> None:
    """A leader that moves is followed; too few replicas in sync are waited for, and nothing is committed."""
    second = SecondNode(process)
    kafka = Kafka(process.bootstrap_servers)
    outputs = {"snapshots": "compact", "transitions": "delete", "dead-letters": "delete", "ledger": "compact"}
    async with kafka.admin() as admin:
        # The node that goes leads all of them; snapshots want both.
        both: dict[int, list[int]] = {0: [2, 1]}
        configs = {name: {"cleanup.policy": policy} for name, policy in outputs.items()} | {"events": {}}
        configs["snapshots"]["min.insync.replicas"] = "2"
        await admin.create_topics(
            [
                NewTopic(PREFIX + name, -1, -1, replica_assignments=both, topic_configs=config)
                for name, config in configs.items()
            ]
        )
    async with started(kafka, redis7_url) as (running, pages):
        await write(kafka, EVENTS, [of_event(status_reported("AVAILABLE", "12:00"))])
        await until_committed(running, kafka, GROUP, {0: 1})

        await die(second)
        await write(kafka, EVENTS, [of_event(status_reported("CHARGING", "12:30"))])
        await pages.until_unready("publisher does not answer: Kafka has not acknowledged", within_s=40.0)
        assert await pages.live() == ()
        assert await committed(kafka, GROUP) == {0: 1}
        await come_back(second)

        await until_committed(running, kafka, GROUP, {0: 2})
        await pages.until_ready()
        assert await running.stop() == 0
    second.close()
