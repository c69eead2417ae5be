"""README.md agrees with the code it speaks of."""

from __future__ import annotations

import re

from typer.testing import CliRunner

from service.cli import app
from tests.readme import README, with_tables

TEXT = README.read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_code() -> None:
    """Settings and metrics are generated: `python -m tests.readme` writes them."""
    assert with_tables(TEXT) == TEXT


def test_every_command_the_readme_names_exists() -> None:
    """A stranger who types what stands there gets the command, not an error."""
    commands = set(re.findall(r"evse-status ([a-z-]+)", TEXT))

    answers = {name: CliRunner().invoke(app, [name, "--help"]).exit_code for name in commands}

    assert answers == dict.fromkeys(commands, 0)


def test_every_file_the_readme_points_to_exists() -> None:
    """Links and pictures lead somewhere."""
    targets = re.findall(r"\]\(([^)#:]+)\)", TEXT) + re.findall(r'src="([^"]+)"', TEXT)

    assert targets
    assert [target for target in targets if not (README.parent / target).exists()] == []


def test_who_runs_it_finds_the_way_on_the_first_screen() -> None:
    """Before anything has to be scrolled."""
    first = "\n".join(TEXT.splitlines()[:20])

    assert "](deploy/README.md)" in first
