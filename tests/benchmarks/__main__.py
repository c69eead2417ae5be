"""The command `make bench`: jobs against a real Kafka and Valkey that it starts itself, beside the floor."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from service.domain.time import SECOND, Micros
from tests.acceptance.processes import environment
from tests.benchmarks.filling import fill
from tests.benchmarks.jobs import JOBS, PARTITIONS, Size, inventory
from tests.local_kafka import start_kafka
from tests.local_redis import redis_binary, start_redis, valkey_binary
from tests.services import Kafka

Json = dict[str, Any]

_FLOOR = ("consume", "parse")
_HOUR: Micros = 3600 * SECOND


@dataclass(frozen=True, slots=True)
class Bench:
    """The parts that a measurement runs against."""

    kafka: Kafka
    redis_url: str

    async def fill(self, job: str, size: Size) -> Json:
        """Write a log: the inventory of all, then the job."""
        topic = await self.kafka.create_topic(partitions=PARTITIONS)
        evses = Size(size.records, 1, size.begin) if job == "hot" else size
        begun = await fill(self.kafka.bootstrap_servers, topic, inventory(evses))
        done = await fill(self.kafka.bootstrap_servers, topic, JOBS[job](size))
        ends = {number: begun[number] + done[number] for number in begun}
        return {"topic": topic, "begun": begun, "ends": ends, "job": job}

    def run(self, log: Json, what: str, *, shares: bool = False) -> Json:
        """Measure one process over a log that is there."""
        with redis.Redis.from_url(self.redis_url) as client:
            client.flushall()
        task = {
            "what": what,
            "topic": log["topic"],
            "bootstrap_servers": self.kafka.bootstrap_servers,
            "ends": [log["begun"], log["ends"]],
            "shares": shares,
        }
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "REDIS_URL": self.redis_url,
            "INPUT_TOPICS": log["topic"],
            "TOPIC_PREFIX": self.kafka.unique("bench") + ".",
            "GROUP_ID": self.kafka.unique("bench"),
            "HTTP_PORT": "0",
            "LOG_LEVEL": "warning",
        }
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.measured"],
            input=json.dumps(task).encode(),
            env=environment(settings),
            stdout=subprocess.PIPE,
            check=True,
        )
        told: Json = json.loads(done.stdout)
        return _summed(told, what, sum(log["ends"].values()) - sum(log["begun"].values()))


def _summed(told: Json, what: str, records: int) -> Json:
    """Say what the records of the job took: after the inventory, and with everything from the start on."""
    whole, wall = told["marks"][-1]
    begun, begun_wall = told["marks"][0] if what == "worker" else (told["ready_cpu_s"], 0.0)
    return {
        "what": what,
        "records": records,
        "us_per_record": (whole - begun) / records * 1e6,
        "records_per_cpu_s": records / (whole - begun),
        "records_per_cpu_s_with_start": records / whole,
        "wall_s": wall - begun_wall,
        "peak_memory_mb": told["peak_memory_mb"],
        "steps": {name: seconds / told["records"] * 1e6 for name, seconds in told.get("steps", {}).items()},
        "batches": told.get("batches"),
    }


def main() -> None:
    """Measure what is asked for and print it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--job", choices=sorted(JOBS), default="reference")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--evses", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--redis", action="store_true", help="Redis in place of Valkey")
    parser.add_argument("--json", type=Path, help="write the results there, too")
    arguments = parser.parse_args()
    results = asyncio.run(_measure(arguments))
    sys.stdout.write(_table(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


async def _measure(arguments: argparse.Namespace) -> list[Json]:
    binary = redis_binary() if arguments.redis else valkey_binary()
    if binary is None:
        raise SystemExit("neither Redis nor Valkey is installed")
    kafka, store = start_kafka(), start_redis(binary)
    try:
        bench = Bench(Kafka(kafka.bootstrap_servers), store.url)
        begin = (int(time.time()) * SECOND) - arguments.records * SECOND // 10 - _HOUR
        size = Size(arguments.records, arguments.evses, begin)
        log = await bench.fill(arguments.job, size)
        results = [await asyncio.to_thread(bench.run, log, what) for what in _FLOOR]
        results += [await asyncio.to_thread(bench.run, log, "worker") for _ in range(arguments.runs)]
        shares = await asyncio.to_thread(bench.run, log, "worker", shares=True)
        return [*results, {**shares, "what": "shares"}]
    finally:
        kafka.close()
        store.close()


def _table(results: list[Json]) -> str:
    lines = [
        f"{'':10} {'records/CPU-s':>14} {'with start':>12} {'µs/record':>10} {'wall s':>8} {'peak MB':>8}"
    ]
    kinds = dict.fromkeys(one["what"] for one in results)
    for kind in kinds:
        ones = [one for one in results if one["what"] == kind]

        def median(name: str, of: list[Json] = ones) -> float:
            return float(statistics.median(one[name] for one in of))

        lines.append(
            f"{kind:10} {median('records_per_cpu_s'):14,.0f} {median('records_per_cpu_s_with_start'):12,.0f}"
            f" {median('us_per_record'):10.1f} {median('wall_s'):8.1f} {median('peak_memory_mb'):8.0f}"
        )
    steps = results[-1]["steps"]
    lines += [f"  {name:10} {took:8.2f} µs a record" for name, took in steps.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
