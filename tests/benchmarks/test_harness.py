"""Tiny jobs through the real worker, so that the harness works when it is needed. Times are asked nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.benchmarks.compare import checked_out
from tests.benchmarks.jobs import PARTITIONS, Size
from tests.benchmarks.measured import CONSUME, PARSE, WORKER
from tests.benchmarks.parts import Bench, begin_of
from tests.benchmarks.results import THROUGHPUT, table, throughput
from tests.benchmarks.shared import run_shared
from tests.services import Kafka

# The client logs at ERROR that the broker has not learnt of a new topic yet, and tries again.
pytestmark = [pytest.mark.slow, pytest.mark.allow_error_logs]


def test_a_job_is_measured_beside_its_floor(kafka: Kafka, redis7_url: str) -> None:
    """All of its records, by the client alone, by the worker, with shares that sum to one, and by two."""
    bench = Bench(kafka, redis7_url)
    log = bench.write_job("storm", Size(2_000, 40, begin_of(2_000)))

    floor = [bench.run_anew(log, what) for what in (CONSUME, PARSE)]
    worker = bench.run_anew(log, WORKER, shares=True)
    both = run_shared(bench, log, 2)

    assert sum(log.begun.values()) == 40
    assert [one["records"] for one in floor] == [2_000, 2_000]
    assert worker["records"] == 2_000
    assert (both["what"], both["records"]) == ("2 workers", 2_000)
    assert sum(worker["shares"].values()) == pytest.approx(1)
    assert worker["memory_mb"] > 10
    assert throughput(worker)["us_per_evse"] > 0
    assert "| worker  |" in table(THROUGHPUT, map(throughput, [*floor, worker]))


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
