"""The constants are those of the results that are kept, and the benchmarks that they name exist."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

from service.sizing import constants
from service.sizing.constants import Constant
from tests.benchmarks.results import FOLDER

CONSTANTS = {name: each for name, each in vars(constants).items() if isinstance(each, Constant)}


@pytest.mark.parametrize("name", [name for name, each in CONSTANTS.items() if each.source.result])
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
    [row] = [row for row in result["medians"] if row["what"] == constant.name]
    figures = {"µs": round(row["us_per_record"], 2), "MB": row["peak_memory_mb"]}
    assert constant.value == figures[constant.unit]


def test_a_machine_is_described_as_its_result_does() -> None:
    """Its processor and versions; a reader must not take one machine's speed for another's."""
    for source in {each.source for each in CONSTANTS.values() if each.source.result}:
        machine = json.loads((FOLDER / source.result).read_text(encoding="utf-8"))["machine"]
        assert "Intel" in machine["cpu"]
        assert "Intel" in source.machine
        assert f"{machine['cores']} cores" in source.machine
        assert machine["python"] in source.machine
        assert machine["store"] in source.machine


def test_every_benchmark_that_is_named_exists() -> None:
    """Whoever wants to measure anew can."""
    commands = {each.source.benchmark for each in CONSTANTS.values()}
    modules = {command.split()[-1] for command in commands if " -m " in command}

    assert modules
    assert [module for module in modules if find_spec(module) is None] == []


def test_no_two_constants_are_of_one_figure() -> None:
    """Each is named once."""
    names = [each.name for each in CONSTANTS.values()]

    assert sorted(names) == sorted(set(names))
