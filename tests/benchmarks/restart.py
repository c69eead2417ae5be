"""
What a start costs: on a full view with nothing to do, and on an empty one that the ledger brings back.

First a worker folds a job into the view, then one a day later writes every EVSE's base into the ledger. From
there on workers start: on the view as it is, and after the view was emptied.
"""

from __future__ import annotations

from tests.benchmarks.jobs import Size
from tests.benchmarks.measured import CLOSE, RESTART, WORKER, Json
from tests.benchmarks.parts import NOBODY_MISSED, Bench
from tests.benchmarks.results import Column

COLUMNS = (
    Column("what", ""),
    Column("ready_s", "ready s", 2),
    Column("ready_cpu_s", "ready CPU-s", 2),
    Column("caught_up_s", "caught up s", 2),
    Column("caught_up_cpu_s", "caught up CPU-s", 2),
    Column("knows_all_s", "knows all s", 2),
    Column("knows_all_cpu_s", "knows all CPU-s", 2),
    Column("restored", "restored"),
    Column("memory_mb", "MB"),
)
"""Seconds and CPU seconds are from the start of the process; memory is what is resident once it knows all."""


def restarts(bench: Bench, size: Size, runs: int) -> tuple[list[Json], Json]:
    """Measure starts, each kind `runs` times, alternating; give them, and what the bases took."""
    log = bench.write_job("reference", size)
    limit = str(max(200_000, size.evses))
    place = bench.place(**NOBODY_MISSED, STATE_LIMIT=limit, TICK_INTERVAL="0")
    bench.empty_view()
    bench.run(log, WORKER, place)
    bases = bench.run(log, CLOSE, place)
    rows: list[Json] = []
    for _ in range(runs):
        rows.append(bench.run(log, RESTART, place) | {"what": "full view"})
        bench.empty_view()
        rows.append(bench.run(log, RESTART, place) | {"what": "empty view"})
    return rows, bases
