"""What a parent says of all its workers, and how it starts them."""

from __future__ import annotations

import os
import sys

import pytest

from service.processing.health import HealthLimits, Report
from service.settings import PREFIX, Settings
from service.supervision.running import worker_command
from service.supervision.supervisor import SILENT_AFTER_S, coming_up, joined, silent_after

GOOD = Report(ok=True, reasons=())


def test_all_are_well_only_if_each_is() -> None:
    """Each reason says whose it is."""
    bad = Report(ok=False, reasons=("the loop has not turned for 61 s", "has not joined"))

    assert joined({1: GOOD, 2: GOOD}) == GOOD
    assert joined({1: GOOD, 2: bad}) == Report(
        ok=False, reasons=("worker 2: the loop has not turned for 61 s", "worker 2: has not joined")
    )


def test_a_worker_that_comes_up_is_live_for_a_minute_and_not_ready() -> None:
    """A start is no reason to restart everything, one that never ends is."""
    assert coming_up("live", 3.0) == GOOD
    assert not coming_up("ready", 3.0).ok
    assert coming_up("live", 61.0).reasons == ("has not come up yet, 61 s after its start",)


def test_a_silent_worker_is_ended_later_than_it_would_be_by_anybody_else() -> None:
    """Its own watch, and the group that waits for its session."""
    limits = HealthLimits(loop_s=60, partition_s=120)

    assert silent_after(30, limits) == SILENT_AFTER_S == 150
    assert silent_after(300, limits) > 300


def test_each_worker_is_a_member_of_its_own_and_serves_no_port() -> None:
    """Names of static members must differ; the parent has the port."""
    command = worker_command(Settings(instance_id="depot-7"), [])

    given = [command.environment(number) for number in (1, 2)]

    assert [one[PREFIX + "INSTANCE_ID"] for one in given] == ["depot-7-1", "depot-7-2"]
    assert {one[PREFIX + "HTTP_PORT"] for one in given} == {"0"}


def test_dynamic_members_stay_dynamic() -> None:
    """A name that was not asked for would outlive the machine's in the group."""
    assert PREFIX + "INSTANCE_ID" not in worker_command(Settings(), []).environment(1)


def test_a_worker_has_the_settings_of_its_parent_in_whatever_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that is replaced, so that there are not two of it."""
    monkeypatch.setenv("evse_status_http_port", "8099")
    monkeypatch.setenv(PREFIX + "GROUP_ID", "mine")

    given = worker_command(Settings(), []).environment(1)

    assert given[PREFIX + "GROUP_ID"] == "mine"
    assert [value for name, value in given.items() if name.upper() == PREFIX + "HTTP_PORT"] == ["0"]
    assert given["PATH"] == os.environ["PATH"]


@pytest.mark.parametrize("found", [True, False])
def test_a_worker_runs_the_code_of_its_parent(monkeypatch: pytest.MonkeyPatch, *, found: bool) -> None:
    """What lies where it was started is only looked at if our code lies there."""
    monkeypatch.setattr(sys, "path", ["", *([os.getcwd()] if found else [])])  # noqa: PTH109 - as in sys.path

    arguments = worker_command(Settings(), ["--skip", "t:0:1"]).arguments

    safely = ["-P"] if found else []
    assert list(arguments) == [
        sys.executable, *safely, "-m", "service.cli", "run", "--skip", "t:0:1", "--as-worker"
    ]  # fmt: skip
