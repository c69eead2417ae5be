"""
The command `make bench`: a job against a real Kafka and Valkey that it starts itself, beside the floor.

The floor is what the client alone takes for the same records, and the client with the JSON read.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.benchmarks.jobs import JOBS, PARTITIONS, Size, size_for
from tests.benchmarks.machine import commit, machine
from tests.benchmarks.measured import CONSUME, PARSE, WORKER, Json
from tests.benchmarks.parts import ROOT, Bench, begin_of, bench
from tests.benchmarks.restart import COLUMNS, restarts
from tests.benchmarks.results import (
    FOLDER,
    THROUGHPUT,
    keep,
    medians_by,
    shares_table,
    table,
    throughput,
)
from tests.benchmarks.shared import named, run_shared

RESTARTS = "restart"
COMPILED = "compiled worker"


def parser() -> argparse.ArgumentParser:
    """Say what can be asked for."""
    made = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    made.add_argument("--job", choices=[*JOBS, RESTARTS], default="reference")
    made.add_argument("--records", type=int, default=1_000_000)
    made.add_argument("--evses", type=int, default=10_000)
    made.add_argument("--runs", type=int, default=5)
    made.add_argument("--compiled", type=Path, help="a tree with the compiled worker, measured beside it")
    made.add_argument(
        "--workers", type=int, default=1, help="more than 1: so many beside one, on one machine"
    )
    made.add_argument("--redis", action="store_true", help="Redis in place of Valkey")
    made.add_argument("--results", type=Path, default=FOLDER, help="the folder that results are kept in")
    return made


def main() -> None:
    """Measure what is asked for, print it, and keep it."""
    arguments = parser().parse_args()
    if arguments.workers > 1 and arguments.job == RESTARTS:
        parser().error("a restart is that of one worker; leave --workers out")
    size = Size(arguments.records, arguments.evses, begin_of(arguments.records))
    with bench(on_redis=arguments.redis) as parts:
        result: Json = {
            "commit": commit(ROOT),
            "job": arguments.job,
            "machine": machine(parts.redis_url),
            "size": {
                "records": size.records,
                "evses": size_for(arguments.job, size).evses,
                "partitions": PARTITIONS,
                "runs": arguments.runs,
            },
        }
        if arguments.workers > 1:
            result["job"] += f"-{arguments.workers}-workers"
            result |= _shared(parts, arguments.job, size, arguments.runs, arguments.workers)
        elif arguments.job == RESTARTS:
            result |= _restarts(parts, size, arguments.runs)
        else:
            result |= _job(parts, arguments.job, size, arguments.runs, arguments.compiled)
    sys.stdout.write(f"kept in {keep(result, arguments.results).name}\n")


def _job(parts: Bench, job: str, size: Size, runs: int, compiled: Path | None) -> Json:
    log = parts.write_job(job, size)
    measured = [(what, what, ROOT) for what in (CONSUME, PARSE, WORKER)]
    if compiled is not None:
        measured.append((COMPILED, WORKER, compiled.resolve()))
    rows = []
    for number in range(runs):
        # In turns, so that what else the machine does meets all of them.
        for name, what, tree in measured:
            rows.append(throughput(parts.run_anew(log, what, tree=tree)) | {"what": name})
            _say(f"run {number + 1} of {runs}, {name}: {rows[-1]['us_per_record']:.2f} µs a record")
    sampled = parts.run_anew(log, WORKER, shares=True)
    middle = medians_by(rows, "what")
    us = next(row["us_per_record"] for row in middle if row["what"] == WORKER)
    sys.stdout.write(f"{table(THROUGHPUT, middle)}\n{shares_table(sampled['shares'], us)}\n")
    return {"medians": middle, "shares": sampled["shares"], "runs": rows}


def _shared(parts: Bench, job: str, size: Size, runs: int, workers: int) -> Json:
    log = parts.write_job(job, size)
    rows = []
    for number in range(runs):
        for count in (1, workers):
            rows.append(throughput(run_shared(parts, log, count)))
            _say(f"run {number + 1} of {runs}, {named(count)}: {rows[-1]['records_per_s']:,.0f} records/s")
    middle = medians_by(rows, "what")
    one, several = (row["records_per_s"] for row in middle)
    sys.stdout.write(f"{table(THROUGHPUT, middle)}\n{named(workers)}: {several / one:.2f} times one worker\n")
    return {"medians": middle, "times_one_worker": several / one, "runs": rows}


def _restarts(parts: Bench, size: Size, runs: int) -> Json:
    rows, bases = restarts(parts, size, runs)
    middle = medians_by(rows, "what")
    sys.stdout.write(f"{table(COLUMNS, middle)}\n")
    return {"medians": middle, "bases": bases, "runs": rows}


def _say(line: str) -> None:
    """Tell how far it is, apart from the result."""
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    main()
