"""The constants are those of the results that are kept, and the benchmarks that they name exist."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from typing import Any

import pytest

from service.sizing import constants
from service.sizing.constants import Constant
from tests.benchmarks.results import FOLDER
from tests.readme import DESIGN, README

CONSTANTS = {name: each for name, each in vars(constants).items() if isinstance(each, Constant)}


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_constant_is_what_its_result_says(name: str) -> None:
    """To the digit, with the commit that was measured."""
    constant = CONSTANTS[name]
    result = json.loads((FOLDER / constant.source.result).read_text(encoding="utf-8"))
    assert result["commit"] == constant.source.commit
    if "bytes" in result:
        figure = result["bytes"][constant.name]
        told = (figure["evse"], figure["connector"]) if isinstance(figure, dict) else (figure, 0)
        assert (constant.value, constant.connector) == told
        return
    if constant.name in result:
        assert constant.value == result[constant.name]
        return
    [row] = [row for row in result["medians"] if row["what"] == constant.name]
    figures = {"µs": round(row["us_per_record"], 2), "MB": row["peak_memory_mb"]}
    assert constant.value == figures[constant.unit]


def test_a_machine_is_described_as_its_result_does() -> None:
    """Its processor and versions; a reader must not take one machine's speed for another's."""
    for source in {each.source for each in CONSTANTS.values()}:
        machine = json.loads((FOLDER / source.result).read_text(encoding="utf-8"))["machine"]
        assert "Intel" in machine["cpu"]
        assert "Intel" in source.machine
        assert f"{machine['cores']} cores" in source.machine
        assert machine["python"] in source.machine
        assert machine["store"] in source.machine


def test_every_benchmark_that_is_named_exists() -> None:
    """Whoever wants to measure anew can."""
    commands = {each.source.benchmark for each in CONSTANTS.values()}
    modules = {command.split(" -m ")[1].split()[0] for command in commands if " -m " in command}

    assert modules
    assert [module for module in modules if find_spec(module) is None] == []


def test_no_two_constants_are_of_one_figure() -> None:
    """Each is named once."""
    names = [each.name for each in CONSTANTS.values()]

    assert sorted(names) == sorted(set(names))


def rows(constant: Constant) -> dict[str, Any]:
    """Give the rows of the run that a figure is from, by their names."""
    told = json.loads((FOLDER / constant.source.result).read_text(encoding="utf-8"))
    return {row["what"]: row for row in told["medians"]}


def test_the_readme_tells_the_runs_that_are_reckoned_with() -> None:
    """Who compares `size` with "What it costs" finds the same figures, and their commits."""
    text = README.read_text(encoding="utf-8")

    for constant, name in ((constants.WAITING, "worker"), (constants.WAITING_COMPILED, "worker, compiled")):
        [us] = re.findall(rf"^\| the {name} \| [\d,]+ \| ([\d.]+) \|", text, re.MULTILINE)
        assert us == f"{constant.value:.1f}"
    flat = rows(constants.CPU)
    for name in ("1,000 EVSEs", "10,000 EVSEs", "100,000 EVSEs"):
        figures = (flat[name][each] for each in ("us_per_record", "us_per_evse", "evses_a_batch"))
        assert f"| {name} | {' | '.join(f'{each:.0f}' for each in figures)} |" in text
    assert f"{constants.CPU.name}, {constants.CPU.value:.0f} µs a record (above)" in text
    assert f"an idle one {constants.IDLE.value / 1e3:.1f} kB (20,000 of them, commit " in text
    named = (constants.WAITING, constants.CPU, constants.IDLE)
    assert [each.source.commit for each in named if f"commit {each.source.commit}" not in text] == []


def test_the_design_tells_what_an_idle_evse_takes() -> None:
    """As `size` has it."""
    kilobytes = f"{constants.IDLE.value / 1e3:.1f} kB"

    assert f"are held, {kilobytes} (`tests.benchmarks.flat`)" in DESIGN.read_text(encoding="utf-8")
