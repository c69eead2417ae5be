"""
Several workers of one group over one log, each a process: all begin at once, and the last one ends it.

The time is that from the first beginning to the last end, CPU and memory are sums. Who has done its share
waits for the others, which costs it nothing that is counted.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from queue import Queue
from threading import Thread

from tests.acceptance.processes import environment
from tests.benchmarks.measured import SHARE, Json
from tests.benchmarks.parts import MEASURED, ROOT, Bench, Place, Written

_SUMS = ("records", "cpu_s", "whole_cpu_s", "batches", "memory_mb", "peak_memory_mb")

Process = subprocess.Popen[bytes]


class _Said:
    """What the workers say on lines, each line with the number of its worker."""

    def __init__(self) -> None:
        self._lines: Queue[tuple[int, Json | None]] = Queue()

    def hear(self, number: int, process: Process) -> None:
        """Take all that a worker says; None at its end."""
        assert process.stdout is not None
        for line in process.stdout:
            self._lines.put((number, json.loads(line)))
        self._lines.put((number, None))

    def each(self, workers: int, what: str) -> dict[int, Json]:
        """Give the next line of each worker that tells this; raise where one ends before."""
        told: dict[int, Json] = {}
        while len(told) < workers:
            number, line = self._lines.get()
            if line is not None and what in line:
                told[number] = line
            elif line is None and number not in told:
                raise SystemExit(f"worker {number} ended before it was told to")
        return told

    def until_shared(self, workers: int, partitions: set[int]) -> None:
        """Wait until each worker has partitions that no other has: the first one had all for a while."""
        has: dict[int, Sequence[int]] = {}
        while not is_shared(has, workers, partitions):
            number, line = self._lines.get()
            if line is None:
                raise SystemExit(f"worker {number} ended before it was told to")
            has[number] = line["has"]


def run_shared(bench: Bench, log: Written, workers: int) -> Json:
    """Measure so many workers that start with nothing, and leave nothing of it."""
    said = _Said()
    with bench.anew() as place, ExitStack() as stack:
        processes = [
            stack.enter_context(_worker(bench, log, place, number, said)) for number in range(1, workers + 1)
        ]
        said.until_shared(workers, set(log.ends))
        for process in processes:
            _tell(process, b"begin\n")
        said.each(workers, "done")
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
        return {"what": named(workers), **together(list(said.each(workers, "cpu_s").values()))}


def named(workers: int) -> str:
    """Say how many."""
    return "1 worker" if workers == 1 else f"{workers} workers"


def is_shared(has: Mapping[int, Sequence[int]], workers: int, partitions: set[int]) -> bool:
    """Tell whether each worker has some partitions, and none is had twice."""
    shared = sorted(number for some in has.values() for number in some)
    return sum(map(bool, has.values())) == workers and shared == sorted(partitions)


def together(told: Sequence[Json]) -> Json:
    """Make one run of what several workers told."""
    run: Json = {name: sum(one[name] for one in told) for name in _SUMS}
    touched = sum(one["batches"] * one["evses_a_batch"] for one in told)
    run["wall_s"] = max(one["ended_at"] for one in told) - min(one["begun_at"] for one in told)
    run["records_a_batch"] = run["records"] / run["batches"] if run["batches"] else 0.0
    run["evses_a_batch"] = touched / run["batches"] if run["batches"] else 0.0
    return run


@contextmanager
def _worker(bench: Bench, log: Written, place: Place, number: int, said: _Said) -> Iterator[Process]:
    """Start one of the workers; it does not outlive the block."""
    with subprocess.Popen(  # noqa: S603 - one of ours
        MEASURED,
        env=environment(bench.settings(log.topic, place)),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        _tell(process, bench.task(log, SHARE).to_json() + b"\n")
        hearing = Thread(target=said.hear, args=(number, process), daemon=True)
        hearing.start()
        try:
            yield process
        finally:
            process.kill()
            hearing.join()


def _tell(process: Process, line: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()
