"""The rules that conftest.py lays on every test are themselves tried, each in a test run of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import free_port

ROOT = Path(__file__).parents[2]

LOGS_AN_ERROR = """
import logging, pytest, structlog

def test_by_logging():
    logging.getLogger("worker").error("the roof is on fire")

def test_by_structlog():
    structlog.get_logger().error("the roof is on fire")

@pytest.mark.allow_error_logs
def test_asked():
    logging.getLogger("worker").error("as expected")

def test_warns():
    structlog.get_logger().warning("smoke")
"""
NEEDS_SERVICES = """
def test_kafka(kafka):
    assert False

def test_redis(redis7_url):
    assert False
"""


def run(folder: Path, text: str, *options: str, **environment: str) -> str:
    """Run a file of tests under our rules, on a machine without services, and return what is printed."""
    file = folder / "test_it.py"
    file.write_text(text)
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder)]
    command += ["-p", "tests.conftest", "-p", "no:cacheprovider", *options, str(file)]
    # Nothing of this machine: neither its services nor the addresses of others.
    alone = {
        name: value
        for name, value in os.environ.items()
        if name not in {"CI", "KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL", "VALKEY_URL"}
    }
    alone |= {"PATH": str(folder), "EVSE_STATUS_TEST_CACHE": str(folder), **environment}
    done = subprocess.run(command, check=False, cwd=ROOT, env=alone, capture_output=True, text=True)  # noqa: S603 - fixed
    return done.stdout + done.stderr


def test_an_error_in_the_log_fails_a_test_that_did_not_ask_for_it(tmp_path: Path) -> None:
    """Both ways of logging are watched, and the marker lifts the rule."""
    printed = run(tmp_path, LOGS_AN_ERROR)
    assert "4 passed, 2 errors" in printed
    assert "teardown of test_by_logging" in printed
    assert "teardown of test_by_structlog" in printed


def test_a_missing_service_skips_and_says_why(tmp_path: Path) -> None:
    """On a machine without the services the rest still passes, and the summary names what was missing."""
    printed = run(tmp_path, NEEDS_SERVICES)
    assert "2 skipped" in printed
    assert "Kafka is missing: KAFKA_BOOTSTRAP_SERVERS is not set, no container, no java" in printed
    assert "Redis is missing: REDIS_URL is not set, no container, no server installed" in printed


def test_a_missing_service_fails_in_ci(tmp_path: Path) -> None:
    """Where everything should be there, a skip would be a lie."""
    printed = run(tmp_path, NEEDS_SERVICES, CI="true")
    assert "2 errors" in printed
    assert "CI is set and Kafka is missing" in printed


def test_tests_that_need_services_can_be_left_out(tmp_path: Path) -> None:
    """The marker is set by the fixtures a test asks for, in time for -m."""
    assert "2 deselected" in run(tmp_path, NEEDS_SERVICES, "-m", "not services")


def test_a_redis_that_was_given_is_not_shared_by_processes(tmp_path: Path) -> None:
    """Each would empty it under the tests of the other: nothing is run, and the remedy is named."""
    printed = run(tmp_path, NEEDS_SERVICES, "-n", "2", REDIS_URL="redis://127.0.0.1:1/0")
    assert "REDIS_URL would be emptied by each process" in printed
    assert "make test PROCESSES=0" in printed
    assert "passed" not in printed


def test_no_two_processes_draw_the_same_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """The port of a server that is down for a moment stays its own."""
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "2")
    drawn = []
    for name in ("gw0", "gw1"):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", name)
        drawn.append([free_port() for _ in range(50)])

    assert max(drawn[0]) < min(drawn[1])
