"""The unit for systemd: it starts what exists, stops it in order, and has no more rights than it needs."""

from __future__ import annotations

import configparser
import re
import sys
from pathlib import Path

from typer.testing import CliRunner

from service.cli import app
from service.durations import parse_duration
from service.settings import PREFIX, Settings
from service.supervision.supervisor import STOP_BUDGET_S
from tests.deploy.files import DEPLOY, run, tool

UNIT = DEPLOY / "systemd" / "evse-status.service"
FILE = DEPLOY / "systemd" / "evse-status.env"
README = (DEPLOY / "README.md").read_text(encoding="utf-8")


def service() -> dict[str, str]:
    """Give what the unit says of its service."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as the module documents it
    parser.read_string(UNIT.read_text(encoding="utf-8"))
    return dict(parser["Service"])


def variables() -> dict[str, str]:
    """Give what the file of settings holds, as the unit reads it."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_it_runs_a_command_with_options_that_exist() -> None:
    """With what the file of settings, or the unit, gives it."""
    program, command, *words = service()["ExecStart"].split()
    helped = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})

    assert Path(program).name == "evse-status"
    assert helped.exit_code == 0
    assert [word for word in words if word.startswith("--") and word not in helped.output] == []
    given = {pair.split("=")[0] for pair in service()["Environment"].split()}
    assert {word.strip("${}") for word in words if word.startswith("$")} == given


def test_it_sets_settings_that_exist() -> None:
    """A misspelt one would be ignored without a word; so would a file elsewhere."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    own = {pair.split("=")[0] for pair in service()["Environment"].split()}

    assert set(variables()) - known - own == set()
    assert f"{FILE.relative_to(DEPLOY.parent)} {service()['EnvironmentFile']}" in README


def test_the_batch_in_hand_has_its_time() -> None:
    """SIGTERM goes to the parent alone, which gives its workers 25 s; one alone has half a session."""
    stops_after = parse_duration(service()["TimeoutStopSec"]).total_seconds()
    session = parse_duration(variables()["EVSE_STATUS_SESSION_TIMEOUT"]).total_seconds()

    assert service()["KillMode"] == "mixed"
    assert stops_after > STOP_BUDGET_S
    assert stops_after > session / 2


def test_it_is_started_again_unless_that_is_in_vain() -> None:
    """Wrong usage has an exit code of its own."""
    wrong = CliRunner().invoke(app, ["run", "--no-such-option"])

    assert service()["Restart"] == "on-failure"
    assert service()["RestartPreventExitStatus"] == str(wrong.exit_code)


def test_it_may_do_no_more_than_its_work() -> None:
    """A user without rights, and nothing to write to; what tells when it was started stays readable."""
    said = service()

    assert said["DynamicUser"] == said["NoNewPrivileges"] == "yes"
    assert said["CapabilityBoundingSet"] == ""
    assert said["ProtectSystem"] == "strict"
    assert "ProcSubset" not in said


def test_systemd_takes_it(tmp_path: Path) -> None:
    """By its own tool, with a program that is there."""
    analyze = tool("systemd-analyze", "it comes with systemd")
    program = service()["ExecStart"].split()[0]
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text(encoding="utf-8").replace(program, sys.executable), encoding="utf-8")

    verified = run(analyze, "verify", str(unit))

    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


def test_the_page_installs_it_where_it_looks() -> None:
    """The environment of Python, and the name of the unit that is started."""
    folder = Path(service()["ExecStart"].split()[0]).parents[1]

    assert f"python3 -m venv {folder}\n" in README
    assert f"{UNIT.relative_to(DEPLOY.parent)} /etc/systemd/system/" in README
    assert set(re.findall(r"systemctl enable --now (\S+)", README)) == {UNIT.stem}
