"""Tiny jobs through the real worker, so that the harness works when it is needed. Times are asked nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.benchmarks.compare import checked_out
from tests.benchmarks.jobs import PARTITIONS, Size
from tests.benchmarks.latency import Offer, latencies
from tests.benchmarks.measured import CONSUME, PARSE, WORKER
from tests.benchmarks.parts import Bench, begin_of
from tests.benchmarks.restart import restarts
from tests.benchmarks.results import THROUGHPUT, table, throughput
from tests.services import Kafka

# The client logs at ERROR that the broker has not learnt of a new topic yet, and tries again.
pytestmark = [pytest.mark.slow, pytest.mark.allow_error_logs]


def test_a_job_is_measured_beside_its_floor(kafka: Kafka, redis7_url: str) -> None:
    """All of its records, by the client alone and by the worker, with shares that sum to one."""
    bench = Bench(kafka, redis7_url)
    log = bench.write_job("storm", Size(2_000, 40, begin_of(2_000)))

    floor = [bench.run_anew(log, what) for what in (CONSUME, PARSE)]
    worker = bench.run_anew(log, WORKER, shares=True)

    assert sum(log.begun.values()) == 40
    assert [one["records"] for one in floor] == [2_000, 2_000]
    assert worker["records"] == 2_000
    assert sum(worker["shares"].values()) == pytest.approx(1)
    assert worker["memory_mb"] > 10
    assert throughput(worker)["us_per_evse"] > 0
    assert "| worker  |" in table(THROUGHPUT, map(throughput, [*floor, worker]))


def test_starts_are_measured_on_a_full_view_and_on_an_empty_one(kafka: Kafka, redis7_url: str) -> None:
    """The second one has every EVSE back from the ledger."""
    (full, empty), bases = restarts(Bench(kafka, redis7_url), Size(200, 40, begin_of(200)), runs=1)

    assert bases["bases"] == 40
    assert full["restored"] == full["records"] == empty["records"] == 0
    assert empty["restored"] == 40
    assert 0 < full["ready_s"] <= full["caught_up_s"] <= full["knows_all_s"]


def test_every_event_of_a_load_comes_in_a_snapshot(kafka: Kafka, redis7_url: str) -> None:
    """The generator, the command and the listener, each in a process of its own."""
    told = latencies(
        Bench(kafka, redis7_url), rate=200, offer=Offer(seconds=2, warm_up_s=1, patience_s=60, evses=20)
    )

    assert told["counted"] == 200
    assert told["missing"] == told["unsent"] == 0
    assert 0 < told["p50_ms"] <= told["p99_9_ms"] <= told["max_ms"]


def test_a_tree_is_measured_by_its_own_code_and_this_harness() -> None:
    """What is compared comes from the tree, not from where the harness stands."""
    with checked_out(".") as tree:
        (tree / "service" / "domain" / "rules.py").write_text("raise SystemExit('of the tree')\n")
        command = [sys.executable, "-m", "tests.benchmarks.micro", "--json", "--records", "100"]
        broken = subprocess.run(command, cwd=tree, check=False, capture_output=True, text=True)  # noqa: S603 - fixed
    with checked_out(".") as tree:
        whole = subprocess.run(command, cwd=tree, check=True, capture_output=True, text=True)  # noqa: S603 - fixed

    assert "of the tree" in broken.stderr
    assert json.loads(whole.stdout)["times"]["together"] > 0
    assert not tree.exists()
    assert PARTITIONS == 4
