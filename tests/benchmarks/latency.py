"""
From an event to its acknowledged snapshot, at several offered loads: `python -m tests.benchmarks.latency`.

The worker is the command itself, as its user runs it. The generator is open-loop and a process of its own
(`load`), as is the consumer (`acknowledged`). On few cores all of them and the broker share what there is.
"""

from __future__ import annotations

import argparse
import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from service.domain.time import SECOND
from tests.acceptance.processes import environment
from tests.benchmarks.jobs import Size, inventory
from tests.benchmarks.load import Load, now
from tests.benchmarks.machine import commit, machine
from tests.benchmarks.parts import NOBODY_MISSED, ROOT, Bench, Place, Written, bench
from tests.benchmarks.results import FOLDER, Column, keep, medians_by, table
from tests.processes import free_port

Json = dict[str, Any]

LOADS = (1_000, 10_000, 50_000)
_START_S = 60.0
_LEAD_S = 5.0
_LEAD_PER_EVENT_S = 40e-6
"""Seconds before the first event is due, in which the processes start and the events are made."""

COLUMNS = (
    Column("rate", "events/s"),
    Column("p50_ms", "p50 ms", 1),
    Column("p90_ms", "p90 ms", 1),
    Column("p99_ms", "p99 ms", 1),
    Column("p99_9_ms", "p99.9 ms", 1),
    Column("max_ms", "max ms", 1),
    Column("events_per_s", "done/s"),
    Column("missing", "missing"),
    Column("latest_ms", "sent late ms", 1),
)
"""
`done/s` clearly below the offered load says that this machine does not keep up, and that latencies only tell
how long it was tried. `sent late` is by how much the generator was late at worst, which is in the latencies.
"""


@dataclass(frozen=True, slots=True)
class Offer:
    """How each load is offered, and how long its last snapshot is waited for; spans in seconds."""

    seconds: float
    warm_up_s: float
    patience_s: float
    evses: int


def main() -> None:
    """Measure each load and print the percentiles."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.latency", description=__doc__)
    parser.add_argument("--loads", type=int, nargs="+", default=LOADS, help="events a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each load is offered")
    parser.add_argument("--warm-up", type=float, default=5.0, help="seconds of it that are not counted")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds to wait for the last snapshot")
    parser.add_argument("--evses", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--results", type=Path, default=FOLDER, help="the folder that results are kept in")
    arguments = parser.parse_args()
    offer = Offer(arguments.seconds, arguments.warm_up, arguments.patience, arguments.evses)
    rows: list[Json] = []
    with bench() as parts:
        result: Json = {"commit": commit(ROOT), "job": "latency", "machine": machine(parts.redis_url)}
        for _ in range(arguments.runs):
            for rate in arguments.loads:
                rows.append(latencies(parts, rate, offer))
                sys.stderr.write(f"{rate} events/s: p99 {rows[-1].get('p99_ms', 0):.1f} ms\n")
    middle = medians_by(rows, "rate")
    sys.stdout.write(f"{table(COLUMNS, middle)}\n")
    result["size"] = asdict(offer) | {"runs": arguments.runs}
    result |= {"medians": middle, "runs": rows}
    sys.stdout.write(f"kept in {keep(result, arguments.results).name}\n")


def latencies(parts: Bench, rate: int, offer: Offer) -> Json:
    """Offer a worker `rate` events a second; give the percentiles of their latency, in milliseconds."""
    size = Size(0, offer.evses, now() - 3600 * SECOND)
    log = parts.write(inventory(size), iter(()), size.evses)
    place = parts.place(**NOBODY_MISSED, TICK_INTERVAL="0", HTTP_PORT=str(free_port()))
    parts.empty_view()
    with _worker(parts, log, place):
        lead_s = _LEAD_S + rate * offer.seconds * _LEAD_PER_EVENT_S
        begin = now() + int(lead_s * SECOND)
        load = Load(log.topic, parts.kafka.bootstrap_servers, rate, offer.seconds, offer.evses, begin)
        heard = {
            "load": asdict(load),
            "topic": place.prefix + "snapshots",
            "warm_up_s": offer.warm_up_s,
            "patience_s": offer.patience_s,
        }
        told: Json = {"rate": rate}
        with (
            _asked("acknowledged", json.dumps(heard)) as listener,
            _asked("load", load.to_json()) as generator,
        ):
            for process in (generator, listener):
                assert process.stdout is not None
                told |= json.loads(process.stdout.read())
    parts.forget([place.prefix + "snapshots", place.prefix + "transitions", log.topic])
    return told


def _asked(module: str, question: str) -> subprocess.Popen[str]:
    """Start a process of this harness and give it what it reads."""
    process = subprocess.Popen(  # noqa: S603 - one of ours
        [sys.executable, "-m", f"tests.benchmarks.{module}"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(question + "\n")
    process.stdin.flush()
    return process


@contextmanager
def _worker(parts: Bench, log: Written, place: Place) -> Iterator[None]:
    """Run the command, give it once it has taken the inventory, and end it in order."""
    settings = parts.settings(log.topic, place)
    process = subprocess.Popen(
        [sys.executable, "-c", "from service.cli import main; main()", "run"],
        cwd=ROOT,
        env=environment(settings),
    )
    try:
        _await_lag(process, int(settings["HTTP_PORT"]), len(log.ends))
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _await_lag(process: subprocess.Popen[bytes], port: int, partitions: int) -> None:
    """Wait until nothing waits in any partition, by the worker's own metric."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"the worker ended with {process.returncode}")
        lags = _lags(port)
        if len(lags) == partitions and not any(lags):
            return
        time.sleep(0.2)
    raise SystemExit(f"the worker had not taken the inventory after {_START_S:.0f} s")


def _lags(port: int) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    except OSError:
        return []
    finally:
        connection.close()
    return [
        float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith("evse_status_lag_records{")
    ]


if __name__ == "__main__":
    main()
