"""
Counts the instructions that a command takes, by `perf stat` or valgrind's callgrind, where either works here.

A count hardly depends on what else the machine does, so a regression shows where times are noise. Counts of
the two ways are not to be compared with each other.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SEEDED: Mapping[str, str] = {"PYTHONHASHSEED": "0"}
"""Without it the order of sets differs from run to run, and with it the count."""

_HARMLESS = ("true",)


@dataclass(frozen=True, slots=True)
class Counter:
    """A way to count; the command is run in the folder `tree`."""

    name: str
    count: Callable[[Sequence[str], Path], int]


def find_counter() -> Counter | str:
    """Give a way that works here, or say in words why there is none."""
    reasons = []
    for name, count in (("perf stat", _perf), ("callgrind", _callgrind)):
        try:
            if count(_HARMLESS, Path.cwd()):
                return Counter(name, count)
        except _NotHere as why:
            reasons.append(f"{name}: {why}")
    return "instructions are not counted here; " + ", ".join(reasons)


class _NotHere(Exception):
    """This way does not work on this machine."""


def _perf(command: Sequence[str], tree: Path) -> int:
    # Of the user's side alone: the kernel's share is mostly how often it was interrupted.
    said = _run("perf", ("stat", "-e", "instructions:u", "-x", ",", "-o"), command, tree)
    found = re.search(r"^(\d+),[^,]*,instructions", said, re.MULTILINE)
    if found is None:
        raise _NotHere("the processor's counter cannot be read")
    return int(found[1])


def _callgrind(command: Sequence[str], tree: Path) -> int:
    # The profile itself is not wanted, but nothing else names the sum in a file.
    options = ("--tool=callgrind", "--callgrind-out-file=/dev/null", "--log-file")
    said = _run("valgrind", options, command, tree)
    found = re.search(r"Collected : (\d+)", said)
    if found is None:
        raise _NotHere("callgrind told no sum")
    return int(found[1])


def _run(tool: str, options: Sequence[str], command: Sequence[str], tree: Path) -> str:
    """Run a command under a tool whose last option takes the file that the count is written to."""
    path = shutil.which(tool)
    if path is None:
        raise _NotHere(f"{tool} is not installed")
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said"
        last = f"{options[-1]}={said}" if options[-1].startswith("--") else None
        start = [path, *options[:-1], last] if last else [path, *options, str(said)]
        done = subprocess.run(  # noqa: S603 - the command is built here
            [*start, *command],
            cwd=tree,
            env={**os.environ, **_SEEDED},
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise _NotHere(f"it ended with {done.returncode}: {done.stderr[-500:].strip()}")
        return said.read_text() if said.exists() else ""
