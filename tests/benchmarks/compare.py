"""
Two commits side by side, in pairs: `python -m tests.benchmarks.compare OLD NEW`.

Both are checked out into a temporary folder and measured by the harness of this tree, against the same parts
and over the same log, one after the other and in turns first. What drifts meanwhile meets both. `.` stands
for the tree as it is, changes that are not committed included.
"""

from __future__ import annotations

import argparse
import compileall
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.jobs import JOBS, Size
from tests.benchmarks.machine import git
from tests.benchmarks.measured import WORKER
from tests.benchmarks.parts import ROOT, begin_of, bench
from tests.benchmarks.results import Column, table, throughput

Json = dict[str, Any]

_HERE = "."
_CODE = ("service", "schemas")

Measure = Callable[[Path], dict[str, float]]
"""Measures the code in a tree: figures by name, of which less is better."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What the two trees took, measured one right after the other."""

    old: dict[str, float]
    new: dict[str, float]


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Give a tree with the code of a commit and the harness of this one; it goes with the block."""
    with tempfile.TemporaryDirectory(prefix="evse-status-compare-") as folder:
        tree = Path(folder) / "tree"
        if commit == _HERE:
            for name in _CODE:
                shutil.copytree(ROOT / name, tree / name)
            (tree / "tests").mkdir()
            shutil.copy(ROOT / "tests" / "__init__.py", tree / "tests")
        else:
            git(ROOT, "worktree", "add", "--detach", "--force", str(tree), commit)
        try:
            shutil.copytree(ROOT / "tests" / "benchmarks", tree / "tests" / "benchmarks", dirs_exist_ok=True)
            # Now, since the first of a pair would else pay for it.
            compileall.compile_dir(tree, quiet=2)
            yield tree
        finally:
            if commit != _HERE:
                git(ROOT, "worktree", "remove", "--force", str(tree))


def in_pairs(measure: Measure, old: Path, new: Path, pairs: int) -> Iterator[Pair]:
    """Measure two trees so many times, each of them first every other time."""
    for number in range(pairs):
        if number % 2:
            after, before = measure(new), measure(old)
        else:
            before, after = measure(old), measure(new)
        yield Pair(before, after)


def compared(pairs: Sequence[Pair]) -> list[Json]:
    """
    Give a row for each figure: both medians, their ratio (new / old), and how far the pairs' ratios spread.

    A ratio is only worth as much as its spread: where `low` to `high` holds 1, nothing is shown.
    """
    rows = []
    for name in pairs[0].old:
        old = statistics.median(pair.old[name] for pair in pairs)
        new = statistics.median(pair.new[name] for pair in pairs)
        ratios = [pair.new[name] / pair.old[name] for pair in pairs if pair.old[name]]
        rows.append(
            {
                "what": name,
                "old": old,
                "new": new,
                "ratio": new / old if old else None,
                "low": min(ratios, default=None),
                "high": max(ratios, default=None),
            }
        )
    return rows


COLUMNS = (
    Column("what", ""),
    Column("old", "old", 2),
    Column("new", "new", 2),
    Column("ratio", "new/old", 3),
    Column("low", "lowest pair", 3),
    Column("high", "highest pair", 3),
)


def _by_micro(arguments: argparse.Namespace) -> Measure:
    """Measure by the micro benchmark, which needs no parts."""
    sizes = ["--job", arguments.job]
    if arguments.records:
        sizes += ["--records", str(arguments.records)]
    if arguments.evses:
        sizes += ["--evses", str(arguments.evses)]
    if arguments.instructions:
        sizes += ["--instructions"]

    def measure(tree: Path) -> dict[str, float]:
        command = [sys.executable, "-m", "tests.benchmarks.micro", "--json", *sizes]
        done = subprocess.run(command, cwd=tree, check=True, stdout=subprocess.PIPE)  # noqa: S603 - built here
        told: Json = json.loads(done.stdout)
        figures = {f"{step}, µs": took for step, took in told["times"].items()}
        return figures | {f"{step}, instructions": count for step, count in told["instructions"].items()}

    return measure


@contextmanager
def _by_worker(arguments: argparse.Namespace) -> Iterator[Measure]:
    """Measure by whole workers against real parts."""
    size = Size(arguments.records or 200_000, arguments.evses or 10_000, 0)
    with bench() as parts:
        log = parts.write_job(arguments.job, Size(size.records, size.evses, begin_of(size.records)))

        def measure(tree: Path) -> dict[str, float]:
            took = throughput(parts.run_anew(log, WORKER, tree=tree))
            return {
                "CPU µs a record": took["us_per_record"],
                "wall µs a record": 1e6 / took["records_per_s"],
                "peak MB": took["peak_memory_mb"],
            }

        yield measure


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.compare", description=__doc__)
    parser.add_argument("old", help="a commit, or . for the tree as it is")
    parser.add_argument("new", help="a commit, or . for the tree as it is")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--job", choices=sorted(JOBS), default="reference")
    parser.add_argument("--records", type=int)
    parser.add_argument("--evses", type=int)
    parser.add_argument("--micro", action="store_true", help="the micro benchmark instead of a whole worker")
    parser.add_argument(
        "--instructions",
        action="store_true",
        help="with --micro: count instructions, too; minutes a pair, and one tells all",
    )
    arguments = parser.parse_args()
    with ExitStack() as stack:
        old = stack.enter_context(checked_out(arguments.old))
        new = stack.enter_context(checked_out(arguments.new))
        measure = _by_micro(arguments) if arguments.micro else stack.enter_context(_by_worker(arguments))
        pairs = []
        for pair in in_pairs(measure, old, new, arguments.pairs):
            pairs.append(pair)
            first = next(iter(pair.old))
            sys.stderr.write(f"{first}: {pair.old[first]:.2f} -> {pair.new[first]:.2f}\n")
    sys.stdout.write(table(COLUMNS, compared(pairs)))


if __name__ == "__main__":
    main()
