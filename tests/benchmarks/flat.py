"""
Whether the cost stays flat: `python -m tests.benchmarks.flat`.

CPU time a record for fleets of several sizes and for histories of several lengths, and the memory of an EVSE
that says nothing. With few EVSEs a batch holds several records of each, which are saved and published once:
so the time for each EVSE that a batch touched stands beside that for each record, and `--batch 1000` cuts the
log of every fleet alike.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from service.domain.time import DAY
from tests.benchmarks.jobs import IDLE_WORDS, STEP, Size, history, idle, inventory, reference
from tests.benchmarks.machine import commit, machine
from tests.benchmarks.measured import WORKER, Json
from tests.benchmarks.parts import NOBODY_MISSED, ROOT, Bench, begin_of, bench
from tests.benchmarks.results import FOLDER, Column, keep, medians_by, table, throughput

FLEETS = (1_000, 10_000, 100_000)
LARGEST = 1_000_000
DAYS = (1, 400)
_FEW_IDLE = 1_000

COLUMNS = (
    Column("what", ""),
    Column("us_per_record", "CPU µs/record", 2),
    Column("us_per_evse", "CPU µs/EVSE touched", 2),
    Column("records_a_batch", "records/batch"),
    Column("evses_a_batch", "EVSEs/batch"),
    Column("memory_mb", "MB"),
)


def by_evses(
    bench: Bench, records: int, fleets: Sequence[int], runs: int, settings: Mapping[str, str]
) -> list[Json]:
    """
    Measure the reference job over fleets of these sizes; `settings` are those of the worker.

    Each EVSE was heard before: else a large fleet would be measured by first words and a small one by others.
    """
    rows: list[Json] = []
    for evses in fleets:
        job = Size(records, evses, begin_of(records))
        past = Size(0, evses, job.begin - evses * IDLE_WORDS * STEP)
        log = bench.write(itertools.chain(inventory(past), idle(past)), reference(job), evses)
        told = [throughput(bench.run_anew(log, WORKER, settings=settings)) for _ in range(runs)]
        rows += [one | {"what": f"{evses:,} EVSEs"} for one in told]
        bench.forget([log.topic])
    return rows


def by_days(
    bench: Bench, records: int, evses: int, days: Sequence[int], runs: int, settings: Mapping[str, str]
) -> list[Json]:
    """Measure the reference job over EVSEs with so many days behind them."""
    rows: list[Json] = []
    for count in days:
        job = Size(records, evses, begin_of(records))
        past = Size(0, evses, job.begin - count * DAY)
        before = itertools.chain(inventory(past), history(past, count))
        log = bench.write(before, reference(job), evses)
        told = [throughput(bench.run_anew(log, WORKER, settings=settings)) for _ in range(runs)]
        rows += [one | {"what": f"{evses:,} EVSEs, {count} days"} for one in told]
        bench.forget([log.topic])
    return rows


def evse_bytes(bench: Bench, evses: int, runs: int, idle_after: str) -> float:
    """
    Give the bytes that an EVSE with two connectors takes in the worker: the share of each of many.

    `idle_after` is the setting of that name: "0" for one that is in memory, little for one that is idle. The
    batches are small: what a large one held at once leaves holes behind it, which are no EVSE's.
    """
    resident: dict[int, float] = {}
    for count in (_FEW_IDLE, _FEW_IDLE + evses):
        size = Size(0, count, begin_of(count * IDLE_WORDS))
        log = bench.write(inventory(size), idle(size), count)
        settings = {
            **NOBODY_MISSED,
            "STATE_LIMIT": str(count),
            "STATE_IDLE_AFTER": idle_after,
            "BATCH_RECORDS": "1000",
        }
        told = [bench.run_anew(log, WORKER, settings=settings) for _ in range(runs)]
        resident[count] = statistics.median(one["memory_mb"] for one in told)
        bench.forget([log.topic])
    few, many = resident.values()
    return (many - few) * 2**20 / evses


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.flat", description=__doc__)
    parser.add_argument("--records", type=int, default=200_000, help="measured records of each run")
    parser.add_argument("--fleets", type=int, nargs="+", default=FLEETS, help="numbers of EVSEs")
    parser.add_argument("--all", action="store_true", help=f"a fleet of {LARGEST:,}, too")
    parser.add_argument("--days", type=int, nargs="+", default=DAYS, help="days of history")
    parser.add_argument("--evses", type=int, default=1_000, help="EVSEs that have a history")
    parser.add_argument("--idle", type=int, default=50_000, help="EVSEs that memory is measured over")
    parser.add_argument("--batch", type=int, help="records of a batch at most; else as many as wait")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--results", type=Path, default=FOLDER, help="the folder that results are kept in")
    arguments = parser.parse_args()
    fleets = [*arguments.fleets, *([LARGEST] if arguments.all else [])]
    job, settings = "flat", {}
    if arguments.batch:
        job, settings = f"flat-{arguments.batch}-a-batch", {"BATCH_RECORDS": str(arguments.batch)}
    with bench() as parts:
        result: Json = {"commit": commit(ROOT), "job": job, "machine": machine(parts.redis_url)}
        rows = by_evses(parts, arguments.records, fleets, arguments.runs, settings)
        rows += by_days(parts, arguments.records, arguments.evses, arguments.days, arguments.runs, settings)
        heard = evse_bytes(parts, arguments.idle, arguments.runs, "0")
        each = evse_bytes(parts, arguments.idle, arguments.runs, "0.05")
    middle = medians_by(rows, "what")
    times = [row["us_per_record"] for row in middle]
    sys.stdout.write(table(COLUMNS, middle))
    sys.stdout.write(f"\nhighest to lowest CPU time a record: {max(times) / min(times):.2f}\n")
    sys.stdout.write(f"an EVSE with two connectors that was heard lately: {heard:,.0f} bytes in the worker\n")
    sys.stdout.write(f"one that is idle, whose state is in the view alone: {each:,.0f} bytes\n")
    result["size"] = {"records": arguments.records, "idle_evses": arguments.idle, "runs": arguments.runs}
    result |= {"medians": middle, "heard_evse_bytes": heard, "idle_evse_bytes": each, "runs": rows}
    sys.stdout.write(f"kept in {keep(result, arguments.results).name}\n")


if __name__ == "__main__":
    main()
