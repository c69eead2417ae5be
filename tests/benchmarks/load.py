"""
The open-loop load of the latency measurement: a process that sends each event when it is due, come what may.

When an event is due is laid down beforehand and stands in it as the time at which it occurred. Whatever
delays it from then on, this process included, counts as latency: nothing slow thins out its own measurement.
"""

from __future__ import annotations

import gc
import json
import random
import sys
import time
from array import array
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from confluent_kafka import Producer

from service.domain.time import SECOND, Micros
from tests.benchmarks.jobs import CONNECTORS, WALK, Entry, entry, status

Json = dict[str, Any]

_IDLE_S = 0.0005
_QUEUE = 1_000_000


@dataclass(frozen=True, slots=True)
class Load:
    """What is offered: `rate` events a second for `seconds`; `begin` in microseconds since 1970."""

    topic: str
    bootstrap_servers: str
    rate: int
    seconds: float
    evses: int
    begin: Micros
    seed: int = 1

    @property
    def events(self) -> int:
        """How many events there are."""
        return int(self.rate * self.seconds)

    def due(self, number: int) -> Micros:
        """Say when an event is due."""
        return self.begin + number * SECOND // self.rate

    def evse_numbers(self) -> Iterator[int]:
        """Give which EVSE each event is of, drawn uniformly."""
        draw = random.Random(self.seed)
        for _ in range(self.events):
            yield draw.randrange(self.evses)

    def entries(self) -> Iterator[Entry]:
        """Give the events: statuses that walk on, so that each changes its EVSE's snapshot."""
        steps = bytearray(self.evses)
        for number, evse in enumerate(self.evse_numbers()):
            steps[evse] = (steps[evse] + 1) % (len(WALK) * len(CONNECTORS))
            # One connector walks on, then the other one.
            connector, word = steps[evse] % len(CONNECTORS), steps[evse] // len(CONNECTORS)
            body = status(f"load-{number:09d}", CONNECTORS[connector], WALK[word])
            yield entry(evse, self.due(number), body)

    def due_times(self) -> dict[int, array[int]]:
        """Give when the events of each EVSE are due, in order."""
        times: dict[int, array[int]] = {}
        for number, evse in enumerate(self.evse_numbers()):
            times.setdefault(evse, array("q")).append(self.due(number))
        return times

    def to_json(self) -> str:
        """Write it for another process, on one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Load:
        """Read it in that process."""
        return cls(**json.loads(text))


def now() -> Micros:
    """Give the clock that events are due by, in microseconds since 1970."""
    return time.time_ns() // 1000


def send(load: Load) -> Json:
    """Send all, each as soon as it is due and possible; say by how much the latest left late."""
    # A small linger, as producers have it that care for latency.
    producer = Producer(
        {
            "bootstrap.servers": load.bootstrap_servers,
            "linger.ms": 1,
            "enable.idempotence": True,
            "queue.buffering.max.messages": _QUEUE,
        }
    )
    producer.list_topics(load.topic)  # connected before the first is due
    # Made beforehand, though it takes memory: made when due it would take a core from what is measured.
    entries = list(load.entries())
    gc.freeze()
    latest = 0
    for number, each in enumerate(entries):
        due = load.due(number)
        while (at := now()) < due:
            producer.poll(0)
            time.sleep(min(_IDLE_S, (due - at) / SECOND))
        latest = max(latest, at - due)
        _produce(producer, load.topic, each)
    left = producer.flush(60)
    return {"latest_ms": latest / 1000, "unsent": left}


def _produce(producer: Producer, topic: str, each: Entry) -> None:
    while True:
        try:
            producer.produce(topic, each.value, each.key, each.partition, timestamp=each.timestamp // 1000)
        except BufferError:
            producer.poll(0.01)  # the broker does not keep up; what that costs is latency, too
        else:
            return


if __name__ == "__main__":
    sys.stdout.write(json.dumps(send(Load.from_json(sys.stdin.readline()))))
