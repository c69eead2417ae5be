"""The command `make test-faults`: many seeds, in several processes, and a table of what came of them."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from tests.fault.run import Outcome
from tests.fault.scenario import Kind
from tests.fault.stage import stage
from tests.fault.suite import play

_LONGEST_LINE = 1 << 26
_SHOWN = 20
"""Differences of one seed that are printed; all of them stand in its file."""


@dataclass
class Total:
    """What all seeds came to."""

    seeds: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    differences: int = 0
    differing: list[int] = field(default_factory=list)

    def add(self, answer: dict[str, Any]) -> None:
        self.seeds += 1
        self.faults.update(answer["faults"])
        self.differences += len(answer["differences"])
        if answer["differences"]:
            self.differing.append(answer["seed"])

    def table(self) -> str:
        """Write how many faults of each kind were injected, and how many differences were found."""
        rows = [f"{kind.value:28}{self.faults[kind.value]:6}" for kind in Kind]
        total = f"{'faults injected':28}{self.faults.total():6}"
        rows += [total, f"{'seeds':28}{self.seeds:6}", f"{'differences':28}{self.differences:6}"]
        if self.differing:
            rows.append(f"seeds with differences: {' '.join(map(str, sorted(self.differing)))}")
        return "\n".join(rows)


def main() -> None:
    """Play the seeds; exit with 1 if anything differed."""
    arguments = _arguments()
    kinds = _kinds(arguments.kinds)
    if arguments.serve:
        asyncio.run(_serve(kinds, arguments.folder, history=arguments.history))
        return
    folder = Path(arguments.folder or tempfile.mkdtemp(prefix="evse-status-faults-"))
    seeds = iter(range(arguments.start, arguments.start + arguments.seeds))
    total = Total()
    asyncio.run(_play_all(seeds, total, arguments, folder))
    sys.stdout.write(f"\n{total.table()}\n")
    complete = total.seeds == arguments.seeds
    sys.exit(0 if complete and not total.differing else 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fault", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="how many seeds")
    parser.add_argument("--start", type=int, default=1, help="the first seed")
    parser.add_argument(
        "--jobs", type=int, default=1, help="seeds at a time, each job with a broker of its own"
    )
    parser.add_argument(
        "--kinds", default="", help="kinds of faults, comma-separated, by their names in the code"
    )
    parser.add_argument("--history", action="store_true", help="say and keep what was done in every seed")
    parser.add_argument("--folder", default="", help="where to write what differed, with the workers' logs")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _kinds(names: str) -> frozenset[Kind]:
    if names == "NONE":
        return frozenset()
    wanted = [name.strip().upper() for name in names.split(",") if name.strip()]
    return frozenset(Kind[name] for name in wanted) or frozenset(Kind)


async def _play_all(seeds: Iterator[int], total: Total, arguments: argparse.Namespace, folder: Path) -> None:
    await asyncio.gather(*(_job(seeds, total, arguments, folder) for _ in range(arguments.jobs)))


async def _job(seeds: Iterator[int], total: Total, arguments: argparse.Namespace, folder: Path) -> None:
    """Hand seeds to a process, one after the other, and print what it answers."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.fault",
        "--serve",
        f"--kinds={arguments.kinds}",
        f"--folder={folder}",
        *(["--history"] if arguments.history else []),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for seed in seeds:
        process.stdin.write(f"{seed}\n".encode())
        answer = await process.stdout.readline()
        if not answer:
            sys.stdout.write(f"seed {seed}: the harness itself failed, see above\n")
            break
        outcome = json.loads(answer)
        total.add(outcome)
        sys.stdout.write(_told(outcome, history=arguments.history))
        sys.stdout.flush()
    process.stdin.close()
    await process.wait()


def _told(answer: dict[str, Any], *, history: bool) -> str:
    differences = answer["differences"]
    line = f"seed {answer['seed']}: {sum(answer['faults'].values())} faults, {len(differences)} differences"
    text = f"{line}, {answer['seconds']:.1f} s\n"
    told = answer["history"] if differences or history else []
    if differences:
        told += [*differences[:_SHOWN], f"all of it: {answer['file']}"]
    return text + "".join(f"    {one}\n" for one in told)


async def _serve(kinds: Collection[Kind], folder: str, *, history: bool) -> None:
    """Play each seed that comes in, on one stage."""
    # The harness's own clients have much to say of faults that are meant.
    logging.basicConfig(level=logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    async with stage() as ours:
        while seed := await asyncio.to_thread(sys.stdin.readline):
            began = time.monotonic()
            outcome = await play(int(seed), ours, kinds)
            answer = _answer(outcome, time.monotonic() - began, Path(folder), history=history)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


def _answer(outcome: Outcome, seconds: float, folder: Path, *, history: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "seed": outcome.seed,
        "faults": {kind.value: count for kind, count in outcome.faults.items()},
        "history": outcome.history,
        "differences": outcome.differences,
        "seconds": seconds,
    }
    if outcome.differences or history:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"seed-{outcome.seed}.json"
        path.write_text(json.dumps({**answer, "workers": outcome.lines}, indent=1))
        answer["file"] = str(path)
    return answer


if __name__ == "__main__":
    main()
