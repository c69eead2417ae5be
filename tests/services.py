"""
Kafka, Redis and Valkey for the tests, by the first way that works.

Addresses in the environment first (`KAFKA_BOOTSTRAP_SERVERS`, `REDIS_URL`, `VALKEY_URL`), then containers
if an engine answers and has or gets the image, then local processes. Knows nothing of pytest.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.errors import (
    LeaderNotAvailableError,
    NotLeaderForPartitionError,
    PolicyViolationError,
    UnknownTopicOrPartitionError,
)
from docker.errors import DockerException

from tests.local_kafka import JarsMissing, start_kafka
from tests.local_redis import redis_binary, start_redis, valkey_binary

log = logging.getLogger(__name__)

# Seconds. An engine on this machine answers in milliseconds.
ENGINE_TIMEOUT = 5
# Seconds between two questions for a topic.
_AGAIN_S = 0.02


class ServiceMissing(Exception):
    """None of the ways to a service works here; the message names each and its reason."""


@dataclass(frozen=True)
class Service:
    """A service that runs: where it is, and what it said last."""

    address: str
    ours: bool
    """Whether it was started for these tests, so that they may empty it."""
    log_tail: Callable[[], str]
    close: Callable[[], None]


def given(variable: str) -> Service | None:
    """Return the service whose address is in the environment."""
    address = os.environ.get(variable)
    if not address:
        return None
    return Service(address, ours=False, log_tail=lambda: f"(given by {variable})", close=lambda: None)


@functools.cache
def engine_answers() -> bool:
    """Say whether a container engine answers; asked once."""
    command = shutil.which("docker")
    if command is None:
        return False
    try:
        done = subprocess.run(  # noqa: S603 - the command is built here, from no outside input
            [command, "info"],
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=ENGINE_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def in_container(kind: str) -> Service | None:
    """Return a service in a container of its own, if an engine answers and the image can be had."""
    if not engine_answers():
        return None
    from tests.containers import START  # noqa: PLC0415 - costs a third of a second, and most runs need none

    try:
        container = START[kind]()
    except (DockerException, RuntimeError, OSError) as failure:  # testcontainers raises each of these
        log.warning("No %s in a container, going on without: %s", kind, failure)
        return None
    return Service(container.address, ours=True, log_tail=container.log_tail, close=container.close)


def find_kafka() -> Service:
    """Return a Kafka broker; raise ServiceMissing."""
    if service := given("KAFKA_BOOTSTRAP_SERVERS") or in_container("kafka"):
        return service
    try:
        process = start_kafka()
    except JarsMissing as missing:
        raise ServiceMissing(f"KAFKA_BOOTSTRAP_SERVERS is not set, no container, {missing}") from missing
    return Service(process.bootstrap_servers, ours=True, log_tail=process.log_tail, close=process.close)


def find_redis() -> Service:
    """Return a Redis; raise ServiceMissing."""
    return given("REDIS_URL") or in_container("redis") or _local("REDIS_URL", redis_binary())


def find_valkey() -> Service:
    """Return a Valkey; raise ServiceMissing."""
    return given("VALKEY_URL") or in_container("valkey") or _local("VALKEY_URL", valkey_binary())


def _local(variable: str, server: Path | None) -> Service:
    if server is None:
        raise ServiceMissing(f"{variable} is not set, no container, no server installed")
    process = start_redis(server)
    return Service(process.url, ours=True, log_tail=process.log_tail, close=process.close)


class Kafka:
    """A broker and what tests need of it: names nobody else has, and topics."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers

    def unique(self, name: str = "topic") -> str:
        """Return a name for a topic, a prefix or a group that no other test has."""
        return f"{name}-{uuid.uuid4().hex[:8]}"

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        """Hold an administrator's connection open."""
        client = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        await client.start()
        try:
            yield client
        finally:
            await client.close()

    async def create_topic(
        self, name: str | None = None, *, partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> str:
        """Create a topic, under a unique name if none is given; return the name once it can be used."""
        topic = name or self.unique()
        async with self.admin() as admin:
            new = NewTopic(
                topic, num_partitions=partitions, replication_factor=1, topic_configs=dict(config or {})
            )
            response: Any = await admin.create_topics([new])  # its fields are not annotated
            for failed, code, *message in response.topic_errors:
                if code:
                    raise RuntimeError(f"topic {failed} was not created: error {code} {message}")
            # The broker learns of a topic a moment after it exists; a client that asks for it by name before
            # logs an error.
            while topic not in await admin.list_topics():  # noqa: ASYNC110 - the broker tells nobody
                await asyncio.sleep(_AGAIN_S)
            for number in range(partitions):
                while not await _leads(admin, TopicPartition(topic, number)):  # noqa: ASYNC110 - as above
                    await asyncio.sleep(_AGAIN_S)
        return topic

    async def delete_topic(self, name: str) -> None:
        """Delete a topic; return once it is gone."""
        async with self.admin() as admin:
            await admin.delete_topics([name])
            while name in await admin.list_topics():  # noqa: ASYNC110 - the broker tells nobody
                await asyncio.sleep(_AGAIN_S)


async def _leads(admin: AIOKafkaAdminClient, place: TopicPartition) -> bool:
    """
    Say whether the broker that is to lead a partition knows that it does.

    Asked by deleting nothing from it, which only its leader does, or refuses where the topic is compacted.
    """
    try:
        await admin.delete_records({place: RecordsToDelete(0)})
    except PolicyViolationError:
        return True
    except (NotLeaderForPartitionError, LeaderNotAvailableError, UnknownTopicOrPartitionError):
        return False
    return True
