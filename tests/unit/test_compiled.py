"""What is compiled is what is meant to be: `make test-compiled` runs this where it must hold."""

from __future__ import annotations

import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from tests.compiled import IS_COMPILED

ROOT = Path(__file__).parents[2]


def _compiled_modules() -> list[str]:
    hook = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    files = [file for pattern in hook["hooks"]["mypyc"]["include"] for file in sorted(ROOT.glob(pattern))]
    return [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]


def test_every_module_that_is_named_for_compiling_is_there() -> None:
    """A module that was renamed would be left out without a word."""
    modules = _compiled_modules()
    assert len(modules) > 30
    assert all(import_module(module) for module in modules)


@pytest.mark.skipif(not IS_COMPILED, reason="this tree is not compiled: `make test-compiled` has one that is")
def test_the_pure_part_runs_compiled() -> None:
    """All that is named, from this tree."""
    for module in _compiled_modules():
        import_module(module)
        origin = Path(str(sys.modules[module].__file__))
        assert origin.suffix in {".so", ".pyd"}, module
        assert origin.is_relative_to(ROOT)
