"""
Writes a simulated fleet to a real Kafka, as its gateways would, until it is told to stop.

Something to look at in a new installation. Knows nothing of workers, and reads nothing back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import orjson
import structlog

from service.adapters.clock import SystemClock
from service.adapters.kafka_partitioner import PARTITIONERS
from service.app import kafka_publisher, kafka_reader
from service.domain.time import datetime_from, micros_from
from service.life import Life, stop_at_signals
from service.processing.ports import Publisher, Unavailable, Unusable
from service.processing.values import Message
from service.settings import Settings
from service.simulation import Fleet

_log = structlog.get_logger()

Home = Callable[[bytes], int]
"""Gives the partition of a key."""

_COMING = timedelta(minutes=2)
"""In this time a fleet comes into service."""
_STEP_S = 1.0
_AGAIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Simulated:
    """How many EVSEs, what all is drawn from, and seconds between heartbeats (None: each has its own)."""

    evses: int
    seed: int
    heartbeat_s: int | None


async def simulate(settings: Settings, simulated: Simulated, tell: Callable[[str, int], None]) -> None:
    """
    Write the fleet to the first input topic until SIGTERM or SIGINT; `tell` is told topic and partitions.

    Raises `Unusable` where the topic is missing, and what a broker says that waiting does not heal.
    """
    clock, life = SystemClock(), Life()
    stop_at_signals(life)
    topic = settings.input_topics[0]
    partitions = await _partitions_of(topic, settings)
    tell(topic, partitions)
    partitioner = PARTITIONERS[settings.input_partitioner]

    def home(key: bytes) -> int:
        return partitioner(key, partitions)

    now = datetime_from(clock.now())
    fleet = Fleet(simulated.seed, simulated.evses, now - _COMING, now, simulated.heartbeat_s)
    publisher = kafka_publisher(settings)
    try:
        messages = [_message(topic, home, event) for event in fleet.inventory()]
        while not life.stopped.is_set():
            messages += _said(fleet.until(datetime_from(clock.now())), topic, home)
            await _write(publisher, messages, life)
            messages = []
            await life.pause(_STEP_S)
    finally:
        await publisher.stop()


async def _partitions_of(topic: str, settings: Settings) -> int:
    reader = kafka_reader(settings)
    try:
        await reader.start()
        partitions = (await reader.topics()).get(topic)
    finally:
        await reader.stop()
    if partitions is None:
        raise Unusable(f"the topic {topic} does not exist: create it, then simulate")
    return partitions


def _said(arrivals: Iterable[tuple[datetime, dict[str, object]]], topic: str, home: Home) -> list[Message]:
    return [
        replace(_message(topic, home, event), timestamp=micros_from(arrival)) for arrival, event in arrivals
    ]


def _message(topic: str, home: Home, event: dict[str, object]) -> Message:
    key = str(event["evse_uid"]).encode()
    return Message(topic, home(key), key, orjson.dumps(event))


async def _write(publisher: Publisher, messages: list[Message], life: Life) -> None:
    """Write, and try again while the broker does not answer; what chargers say meanwhile comes after."""
    while not life.stopped.is_set():
        try:
            await publisher.publish(messages)
        except Unavailable as error:
            _log.warning(
                "Kafka does not take the fleet's events; they are sent again.",
                action="retry_scheduled",
                error=str(error),
            )
            await life.pause(_AGAIN_S)
        else:
            return
