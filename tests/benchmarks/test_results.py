"""Figures come out as they went in: medians, tables, files, ratios of pairs, and shares of steps."""

from __future__ import annotations

import json
import platform
import time
from pathlib import Path

import pytest

from tests.benchmarks.compare import COLUMNS, Pair, compared, in_pairs
from tests.benchmarks.machine import machine
from tests.benchmarks.micro import DECODE, FOLD, NOTHING, PLAN, SPELL_OUT, TOGETHER, Micro
from tests.benchmarks.parts import ROOT
from tests.benchmarks.results import (
    Column,
    keep,
    medians,
    medians_by,
    shares_table,
    table,
    throughput,
)
from tests.benchmarks.sampling import REST, STEPS, Sampler, step_of
from tests.benchmarks.shared import is_shared, named, together

RUN = {
    "what": "worker",
    "records": 1_000,
    "cpu_s": 0.05,
    "wall_s": 0.1,
    "whole_cpu_s": 0.75,
    "batches": 2,
    "records_a_batch": 500.0,
    "evses_a_batch": 450.0,
    "memory_mb": 80.0,
    "peak_memory_mb": 90.0,
}


def test_a_run_is_told_by_the_record() -> None:
    """Microseconds of CPU a record, and records per second of CPU and of time."""
    told = throughput(RUN)

    assert told["us_per_record"] == pytest.approx(50)
    assert told["records_per_cpu_s"] == pytest.approx(20_000)
    assert told["records_per_s"] == pytest.approx(10_000)
    assert told["us_per_evse"] == pytest.approx(0.05 / 900 * 1e6)


def test_a_run_too_short_for_a_clock_has_no_rate() -> None:
    """Nothing is divided by nothing."""
    assert throughput(RUN | {"cpu_s": 0.0})["records_per_cpu_s"] is None


def test_workers_that_share_a_job_make_one_run() -> None:
    """CPU and memory are sums; the time is that from the first beginning to the last end."""
    one = RUN | {"begun_at": 10.0, "ended_at": 10.4}
    other = RUN | {"begun_at": 10.1, "ended_at": 10.5, "batches": 6, "evses_a_batch": 50.0}

    run = together([one, other])

    assert (run["records"], run["cpu_s"], run["memory_mb"]) == (2_000, 0.1, 160.0)
    assert run["wall_s"] == pytest.approx(0.5)
    assert (run["records_a_batch"], run["evses_a_batch"]) == (250, (2 * 450 + 6 * 50) / 8)
    assert throughput({"what": named(2), **run})["what"] == "2 workers"


@pytest.mark.parametrize(
    ("has", "shared"),
    [
        ({1: [0, 1, 2, 3]}, False),
        ({1: [0, 1, 2, 3], 2: []}, False),
        ({1: [0, 1, 2, 3], 2: [2, 3]}, False),
        ({1: [0, 1], 2: [2]}, False),
        ({1: [0, 1], 2: [2, 3]}, True),
    ],
)
def test_a_job_is_shared_when_each_has_its_part(has: dict[int, list[int]], shared: bool) -> None:
    """Before that one worker would be measured for two, or a partition in both."""
    assert is_shared(has, 2, {0, 1, 2, 3}) == shared


def test_medians_are_taken_by_kind() -> None:
    """Figure by figure, kinds in their order; what is missing once is the first row's."""
    rows = [{"what": "b", "us": 3, "n": None}, {"what": "a", "us": 9, "n": 1}, {"what": "b", "us": 5, "n": 2}]

    assert medians_by(rows, "what") == [{"what": "b", "us": 4, "n": None}, {"what": "a", "us": 9, "n": 1}]
    assert medians([{"us": 1.0}, {"us": 100.0}, {"us": 2.0}]) == {"us": 2.0}


def test_a_table_reads_as_markdown() -> None:
    """Words at the left, figures at the right, a dash where there is none."""
    columns = (Column("what", ""), Column("us", "µs", 1), Column("n", "n"))

    assert table(columns, [{"what": "worker", "us": 12.34, "n": 12_345}, {"what": "floor", "us": 2}]) == (
        "|        |   µs |      n |\n"
        "|--------|-----:|-------:|\n"
        "| worker | 12.3 | 12,345 |\n"
        "| floor  |  2.0 |      - |\n"
    )


def test_shares_are_shown_with_what_they_come_to() -> None:
    """A quarter of 40 µs is 10 µs."""
    assert "| fold | 25.0 |         10.00 |\n" in shares_table({"fold": 0.25}, 40.0)


def test_a_result_is_kept_by_commit_and_job(tmp_path: Path) -> None:
    """One file each, with the digits that say something."""
    file = keep({"commit": "abc123", "job": "storm", "medians": [{"us": 12.3456789}]}, tmp_path / "results")

    assert file == tmp_path / "results" / "abc123-storm.json"
    assert json.loads(file.read_text())["medians"] == [{"us": 12.346}]


def test_the_machine_is_described_without_naming_it() -> None:
    """Processor, cores, kernel and versions; neither host nor paths."""
    told = machine()

    assert {"cpu", "cores", "memory_gb", "kernel", "python", "uvloop"} <= told.keys()
    assert {"aiokafka", "orjson", "pydantic", "redis"} <= told.keys()
    assert platform.node() not in json.dumps(told).split('"')
    assert str(ROOT) not in json.dumps(told)


def test_pairs_alternate_and_are_told_by_their_ratios(tmp_path: Path) -> None:
    """Whoever is first has it easier or harder: it is each in turn."""
    order = []

    def measure(tree: Path) -> dict[str, float]:
        order.append(tree.name)
        return {"µs": 10.0 if tree.name == "old" else 5.0 + len(order) % 2}

    pairs = list(in_pairs(measure, tmp_path / "old", tmp_path / "new", 2))

    assert order == ["old", "new", "new", "old"]
    assert compared(pairs) == [
        {"what": "µs", "old": 10.0, "new": 5.5, "ratio": 0.55, "low": 0.5, "high": 0.6},
    ]
    assert "new/old" in table(COLUMNS, compared([Pair({"µs": 0.0}, {"µs": 1.0})]))


def test_a_frame_belongs_to_the_step_that_claims_its_file() -> None:
    """Ours by their path in the project, packages by theirs."""
    assert step_of("/somewhere/service/domain/recent.py") == "fold"
    assert step_of("/lib/site-packages/aiokafka/producer/sender.py") == "publish"
    assert step_of("/lib/site-packages/aiokafka/consumer/fetcher.py") == "client"
    assert step_of("/lib/asyncio/events.py") is None


@pytest.mark.parametrize("part", [part for parts in STEPS.values() for part in parts if part[0] != "/"])
def test_every_file_that_a_step_claims_exists(part: str) -> None:
    """Else its time would silently go to whoever calls what took its place."""
    assert list(ROOT.glob(f"{part}*"))


def test_samples_go_to_the_step_that_works() -> None:
    """The innermost frame that is claimed has the sample, whatever it calls."""
    work = compile("while busy(): pass", "service/domain/fold.py", "exec")
    until = time.process_time() + 0.2

    with Sampler() as sampler:
        exec(work, {"busy": lambda: time.process_time() < until})  # noqa: S102 - a file of that name

    shares = sampler.shares()
    assert shares["fold"] > 0.8
    assert list(shares) == [*STEPS, REST]
    assert sum(shares.values()) == pytest.approx(1)


def test_the_micro_benchmark_takes_a_job_through_each_step() -> None:
    """As far as it is told, with the names that it tells."""
    micro = Micro("storm", records=60, evses=3, batch=20)

    times, sizes = micro.times()

    assert list(times) == [DECODE, FOLD, PLAN, SPELL_OUT, TOGETHER]
    assert times[TOGETHER] > 0
    assert sizes.keys() == {"state", "document", "messages"}
    assert micro.pass_through(DECODE).took.keys() == {DECODE}
    assert not micro.pass_through(NOTHING).took
