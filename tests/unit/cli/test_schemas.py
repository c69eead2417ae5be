"""`schemas`: list, print, write and check the contracts."""

from __future__ import annotations

import json
from pathlib import Path

from schemas import generate
from tests.unit.cli.conftest import Call


def test_the_names_are_listed(call: Call) -> None:
    """One a line, for a pipe."""
    result = call("schemas")

    assert result.exit_code == 0
    assert {"asyncapi", "snapshot", "event"} <= set(result.stdout.split())


def test_one_document_is_printed(call: Call) -> None:
    """As JSON and nothing else."""
    document = json.loads(call("schemas", "asyncapi").stdout)

    assert document["asyncapi"].startswith("3.")


def test_an_unknown_document_is_wrong_usage(call: Call) -> None:
    """The message says where the names are."""
    result = call("schemas", "nobody")

    assert result.exit_code == 2
    assert "`evse-status schemas` lists" in result.stderr


def test_what_was_written_is_not_stale(call: Call, tmp_path: Path) -> None:
    """Write, check, change one, check again."""
    folder = tmp_path / "json"
    assert call("schemas", "--output", str(folder)).exit_code == 0
    assert {path.name for path in folder.iterdir()} == set(generate.documents())
    assert call("schemas", "--check", "--output", str(folder)).exit_code == 0

    (folder / "snapshot.json").write_text("{}")
    (folder / "gap.json").unlink()

    result = call("schemas", "--check", "--output", str(folder))
    assert result.exit_code == 1
    assert "(gap.json, snapshot.json)" in result.stderr


def test_a_strangers_files_are_left_alone(call: Call, tmp_path: Path) -> None:
    """Other JSON in the folder is neither removed nor called stale."""
    other = tmp_path / "package.json"
    other.write_text("{}")

    assert call("schemas", "--output", str(tmp_path)).exit_code == 0

    assert other.read_text() == "{}"
    assert call("schemas", "--check", "--output", str(tmp_path)).exit_code == 0


def test_a_folder_that_cannot_be_written_is_one_line(call: Call, tmp_path: Path) -> None:
    """A file is no folder."""
    file = tmp_path / "file"
    file.write_text("")

    result = call("schemas", "--output", str(file / "json"))

    assert result.exit_code == 1
    assert "choose another --output" in result.stderr
