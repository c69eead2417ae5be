"""The command as the first process of a container, which no signal ends that it does not handle."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOLD = 128 + signal.SIGTERM
NAMESPACE = (shutil.which("unshare") or "false", "--pid", "--fork", "--kill-child")

# The entry point as the distribution names it, held up where it begins to load what it is made of.
HELD_WHILE_LOADING = """
import signal, sys

class Hold:
    def find_spec(self, name, path=None, target=None):
        if name == "service.cli":
            print("loading", flush=True)
            while True:
                signal.pause()

sys.meta_path.insert(0, Hold())
from {module} import {function}
{function}()
"""
STOPS_SLOWLY = """
import asyncio
from service.life import Life, stop_at_signals

async def stop_slowly():
    life = Life()
    stop_at_signals(life)
    print("runs", flush=True)
    await life.stopped.wait()
    print("stops", flush=True)
    await asyncio.Event().wait()

asyncio.run(stop_slowly())
"""

Started = tuple["subprocess.Popen[str]", int]
"""A namespace's process outside, and the number that its first process has there."""


@pytest.fixture
def start() -> Iterator[Callable[[str], Started]]:
    """Give a function that runs code as the first process of a namespace."""
    if subprocess.run([*NAMESPACE, "true"], check=False).returncode:  # noqa: S603 - fixed
        pytest.skip("no namespace of processes can be made here")
    with ExitStack() as started:

        def run(code: str) -> Started:
            outside = subprocess.Popen(  # noqa: S603 - fixed
                [*NAMESPACE, sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
            )
            started.enter_context(outside)
            started.callback(outside.kill)
            assert outside.stdout is not None
            assert outside.stdout.readline()  # what it says first: it is there
            children = Path(f"/proc/{outside.pid}/task/{outside.pid}/children").read_text(encoding="ascii")
            return outside, int(children)

        yield run


def test_a_container_that_is_stopped_while_it_begins_ends(start: Callable[[str], Started]) -> None:
    """It has nothing in hand yet; else it would run on until it is killed."""
    entry = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    module, function = entry["evse-status"].split(":")
    outside, first = start(HELD_WHILE_LOADING.format(module=module, function=function))

    os.kill(first, signal.SIGTERM)

    assert outside.wait(20) == TOLD


def test_a_container_that_is_stopped_a_second_time_ends(start: Callable[[str], Started]) -> None:
    """As any other process does, whatever it still waits for."""
    outside, first = start(STOPS_SLOWLY)
    os.kill(first, signal.SIGTERM)
    assert outside.stdout is not None
    assert "stops\n" in iter(outside.stdout.readline, "")

    os.kill(first, signal.SIGTERM)

    assert outside.wait(20) == TOLD
