"""How the command line is called in tests: in this process, with an environment of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.cli import app
from service.settings import PREFIX

Call = Callable[..., Result]
"""Calls the command with arguments; keywords are environment variables without the prefix."""


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Give a function that runs the command in an empty folder, without settings of this machine."""
    for name in list(os.environ):
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, stdin: str | bytes | None = None, **variables: str) -> Result:
        environment = {PREFIX + name: value for name, value in variables.items()}
        return CliRunner().invoke(app, list(arguments), input=stdin, env=environment)

    return run
