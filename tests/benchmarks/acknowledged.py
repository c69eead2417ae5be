"""
The listening end of the latency measurement: it reads the snapshots and says when each event came in one.

A snapshot names the newest time its EVSE has reached (`as_of`, in the header `ce_time`): every event of the
EVSE that occurred until then is in it. What comes to a consumer was acknowledged before, so the latency told
is the true one or more.
"""

from __future__ import annotations

import json
import math
import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from service.domain.time import SECOND, Micros, micros_of_text
from tests.benchmarks.jobs import PARTITIONS, uid_of
from tests.benchmarks.load import Load, now

Json = dict[str, Any]

PERCENTILES: Mapping[str, float] = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99_9": 0.999, "max": 1.0}


class Awaited:
    """The events that are not in any snapshot yet; tells the latency of each that is, in microseconds."""

    def __init__(self, load: Load, counted_from: Micros) -> None:
        self._due = {uid_of(evse): times for evse, times in load.due_times().items()}
        self._next = dict.fromkeys(self._due, 0)
        self._counted_from = counted_from
        self.left = load.events
        self.latencies = array("q")

    def came(self, uid: str, as_of: Micros, at: Micros) -> None:
        """Note a snapshot that came at `at` and holds all of its EVSE up to `as_of`."""
        due, number = self._due.get(uid, ()), self._next.get(uid, 0)
        while number < len(due) and due[number] <= as_of:
            if due[number] >= self._counted_from:
                self.latencies.append(at - due[number])
            number += 1
            self.left -= 1
        if uid in self._next:
            self._next[uid] = number

    def give_up(self, at: Micros) -> int:
        """Count what never came as if it came now, which is the least it can be; say how many that is."""
        missing = self.left
        for uid in self._due:
            self.came(uid, at, at)
        return missing


def percentiles(latencies: Sequence[int]) -> dict[str, float]:
    """Give the percentiles of latencies in microseconds, in milliseconds: of so many none was longer."""
    ordered = sorted(latencies)
    if not ordered:
        return {}
    last = len(ordered) - 1
    return {
        f"{name}_ms": ordered[min(last, math.ceil(share * len(ordered)) - 1)] / 1000
        for name, share in PERCENTILES.items()
    }


def listen(load: Load, topic: str, warm_up_s: float, patience_s: float) -> Json:
    """
    Read snapshots until every event is in one, or until `patience_s` after the last was due.

    Events that are due in the first `warm_up_s` seconds are not counted.
    """
    awaited = Awaited(load, load.begin + int(warm_up_s * SECOND))
    consumer = Consumer(
        {
            "bootstrap.servers": load.bootstrap_servers,
            "group.id": f"{topic}-listener",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 5,
        }
    )
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])
    deadline = load.due(load.events) + int(patience_s * SECOND)
    last = load.begin
    while awaited.left and now() < deadline:
        messages = consumer.consume(num_messages=2000, timeout=0.002)
        at = now()
        for message in messages:
            uid, as_of = _said(message)
            awaited.came(uid, as_of, at)
            last = at
    consumer.close()
    counted = load.events - awaited.left
    missing = awaited.give_up(now())
    return {
        "counted": len(awaited.latencies),
        "missing": missing,
        "events_per_s": counted / ((last - load.begin) / SECOND) if last > load.begin else 0.0,
        **percentiles(awaited.latencies),
    }


def _said(message: Message) -> tuple[str, Micros]:
    """Give the EVSE of a snapshot and its `as_of`; of what is none, nobody's."""
    if message.error() is not None:
        return "", 0
    headers = dict(message.headers() or ())
    time, key = headers.get("ce_time"), message.key()
    if not isinstance(time, bytes) or not isinstance(key, bytes):
        return "", 0
    return key.decode(), micros_of_text(time.decode())


if __name__ == "__main__":
    asked = json.loads(sys.stdin.readline())
    load = Load.from_json(json.dumps(asked["load"]))
    sys.stdout.write(json.dumps(listen(load, asked["topic"], asked["warm_up_s"], asked["patience_s"])))
