"""How every command fails: in one line, with 1 for a mistake and 2 for wrong usage."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Call


def test_the_version_is_that_of_the_distribution(call: Call) -> None:
    """One line, for a bug report."""
    result = call("--version")

    assert result.exit_code == 0
    assert result.stdout.startswith("evse-status 0.")


def test_without_a_command_the_help_is_shown(call: Call) -> None:
    """It is wrong usage all the same: a script that forgot the command must not go on."""
    result = call()

    assert result.exit_code == 2
    assert "replay" in result.output


def test_help_names_each_command_in_words(call: Call) -> None:
    """A stranger sees what each is for."""
    result = call("--help")

    assert result.exit_code == 0
    assert "Fold events from files" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["reply", "x"],
        ["replay"],
        ["replay", "--no-such-option", "x"],
        ["replay", "--batch-size", "0", "x"],
        ["replay", "--format", "xml", "x"],
        ["replay", "--as-of", "yesterday", "x"],
        ["replay", "--definition", "nobody", "x"],
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(call: Call, arguments: list[str]) -> None:
    """No box, no traceback, and where to read on."""
    result = call(*arguments)

    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("evse-status: ")


NO_TEXT = os.fsdecode(b"a\xff")
"""What Python makes of an argument that is no UTF-8."""


@pytest.mark.parametrize(
    ("arguments", "option", "remedy"),
    [
        (["show", NO_TEXT], "UID", "write it in that encoding"),
        (["show", "--json", NO_TEXT], "UID", "write it in that encoding"),
        (["explain", NO_TEXT], "UID", "write it in that encoding"),
        (["dashboard", "--host", NO_TEXT], "--host", "write it in that encoding"),
        (["demo", "--host", NO_TEXT], "--host", "write it in that encoding"),
        (["rebuild", "--repartition", "--from-prefix", NO_TEXT], "--from-prefix", "write it in that"),
        (
            ["rebuild", "--from-prefix", "a.", "--from-topic", "b", "--from-topic", NO_TEXT],
            "--from-topic",
            "",
        ),
        (["run", "--skip", f"{NO_TEXT}:0:1"], "--skip", "write topic:partition:offset"),
        (["run", "--skip", f"a:0:{'9' * 5000}"], "--skip", "write topic:partition:offset"),
        (["run", "--accept-rejections", f"a:0:1-{'9' * 20}"], "--accept-rejections", "write topic:partition"),
        (
            ["dead-letters", "replay", "--offset", f"a:{'9' * 11}:0"],
            "--offset",
            "write topic:partition:offset",
        ),
        (["dead-letters", "list", "--limit", str(2**63)], "--limit", "less than or equal to 1000000"),
        (["list", "--offset", str(2**63)], "--offset", "less than or equal to 1000000000"),
        (["list", "--offset", str(2**63 - 10)], "--offset", "less than or equal to 1000000000"),
        (["explain", "x", "--until", "9999-12-31T23:59:59-01:00"], "--until", "write 2026-01-05T00:00:00Z"),
        (["explain", "x", "--from", "0001-01-01T00:00:00+01:00"], "--from", "write 2026-01-05T00:00:00Z"),
        (["replay", "-", "--until", "9999-12-31T23:59:59-01:00"], "--until", "write 2026-01-05T00:00:00Z"),
        (["replay", "-", "--as-of", "9999-12-31T23:59:59-01:00"], "--as-of", "write 2026-01-05T00:00:00Z"),
        (["replay", "-", "--from", "9999-12-31T23:59:59-01:00"], "--from", "write 2026-01-05T00:00:00Z"),
        (["size", "--evses", "9", "--peak", "inf"], "--peak", "less than or equal to 1000"),
        (["size", "--evses", "9", "--peak", "1e308"], "--peak", "less than or equal to 1000"),
        (["size", "--evses", "9", "--events-per-day", "inf"], "--events-per-day", "less than or equal to"),
        (["size", "--evses", "9", "--events-per-day", "1e308"], "--events-per-day", "less than or equal to"),
        (["size", "--evses", "9", "--retention-days", "inf"], "--retention-days", "less than or equal to"),
        (["size", "--evses", "9", "--shard-gb", "inf"], "--shard-gb", "less than or equal to 100000"),
    ],
)
def test_what_no_part_outside_could_take_is_refused_with_its_option_and_the_remedy(
    call: Call, arguments: list[str], option: str, remedy: str
) -> None:
    """In one line, before anything is asked: Redis, Kafka and the calendar ended it with a traceback."""
    result = call(*arguments)

    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("evse-status: ")
    assert option in line
    assert remedy in line


def test_the_last_moment_that_can_be_written_is_a_time(call: Call) -> None:
    """Whatever offset it is written with."""
    for until in ("9999-12-31T23:59:59.999999Z", "9999-12-31T22:59:59-01:00", "9999-12-31"):
        assert call("replay", "-", "--until", until, stdin="").exit_code == 0


def test_a_misspelt_command_is_guessed(call: Call) -> None:
    """The message holds what was probably meant."""
    assert "Did you mean 'replay'?" in call("reply", "x").stderr


def test_every_wrong_setting_has_its_line(call: Call) -> None:
    """All at once, so that one round of corrections is enough."""
    result = call("replay", "-", ALLOWED_LATENESS="soon", HTTP_PORT="many")

    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert [line.split(":")[1].strip() for line in lines] == [
        "EVSE_STATUS_ALLOWED_LATENESS",
        "EVSE_STATUS_HTTP_PORT",
    ]


def test_a_missing_settings_file_is_one_line(call: Call, tmp_path: Path) -> None:
    """The path is in it."""
    result = call("replay", "-", "--config", str(tmp_path / "none.toml"))

    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "none.toml" in line


@pytest.mark.parametrize("command", [["list"], ["show", "u"], ["explain", "u"]])
def test_a_redis_that_does_not_answer_is_told_with_the_setting_that_names_it(
    call: Call, command: list[str]
) -> None:
    """One line: where it was looked for, and what to check."""
    result = call(*command, REDIS_URL="redis://127.0.0.1:1/0")

    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("evse-status: Redis does not answer: ")
    assert line.endswith("; check EVSE_STATUS_REDIS_URL")
