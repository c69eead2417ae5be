"""`run`: what it is called with. What it does is shown by tests/acceptance."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.commands.run import _options
from tests.unit.cli.conftest import Call


def test_each_of_several_workers_gets_what_the_command_was_given() -> None:
    """What may become a dead letter, and where the settings are."""
    assert _options(["t:0:1-2", "t:1:5-5"], ["t:0:9"], Path("own.toml")) == [
        *("--accept-rejections", "t:0:1-2"),
        *("--accept-rejections", "t:1:5-5"),
        *("--skip", "t:0:9"),
        *("--config", "own.toml"),
    ]
    assert _options(None, None, None) == []


@pytest.mark.parametrize("arguments", [["--workers", "0"], ["--workers", "2", "--skip", "t:0"]])
def test_wrong_usage_is_said_before_anybody_is_started(call: Call, arguments: list[str]) -> None:
    """By the command itself, once, and not by each worker."""
    result = call("run", *arguments)

    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
