"""`size`: what a fleet needs, for people, pipes and programs."""

from __future__ import annotations

import json

import pytest

from service.sizing.constants import CPU
from tests.unit.cli.conftest import Call


def test_each_line_names_the_run_it_is_from(call: Call) -> None:
    """A number in brackets, and at the end the benchmark, the commit and the machine of each number."""
    result = call("size", "--evses", "5000000")

    assert result.exit_code == 0
    lines = {tuple(line.split("\t")[:2]): line for line in result.stdout.splitlines() if "\t" in line}
    assert lines["workers", "CPU, busiest hour"].endswith("[1]")
    assert f"\n[1] {CPU.source.benchmark}, commit {CPU.source.commit}, 2 cores" in result.stdout
    assert f"{CPU.meaning}: {CPU.value} µs" in result.stdout


def test_a_program_gets_every_constant_with_its_line(call: Call) -> None:
    """One JSON object: the fleet that was asked for, and the needs in their units."""
    told = json.loads(call("size", "--evses", "1000", "--heartbeat", "0", "--json").stdout)

    assert told["fleet"]["heartbeat_s"] == 0
    [memory] = [each for each in told["needs"] if each["what"] == "memory, primaries"]
    assert memory["unit"] == "bytes"
    assert memory["constants"][0]["source"]["benchmark"].endswith("tests.benchmarks.sizes")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--offline-flaps", "21"), "21 flaps are 42 events a day, more than --events-per-day 40"),
        (("--heartbeat", "often"), "'often' is no duration"),
        (("--evses", "0"), "--evses"),
    ],
)
def test_what_cannot_be_is_wrong_usage(call: Call, options: tuple[str, ...], says: str) -> None:
    """One line that names the option and the remedy."""
    result = call("size", "--evses", "10", *options)

    assert result.exit_code == 2
    assert says in result.stderr


def test_options_change_what_they_name(call: Call) -> None:
    """Each option reaches the arithmetic."""

    def amounts(*options: str) -> dict[str, float]:
        told = json.loads(call("size", "--evses", "100000", *options, "--json").stdout)
        return {each["what"]: each["amount"] for each in told["needs"]}

    plain = amounts()
    for option, value, what in (
        ("--events-per-day", "80", "records, mean"),
        ("--offline-flaps", "2", "memory, primaries"),
        ("--heartbeat", "1m", "records, mean"),
        ("--connectors", "4", "memory, primaries"),
        ("--retention-days", "10", "disk, input"),
        ("--replication", "4", "disk, ledger"),
        ("--headroom", "0.8", "shards"),
        ("--peak", "9", "records, busiest hour"),
    ):
        assert amounts(option, value)[what] > plain[what], option
    assert amounts("--history-days", "30")["memory, primaries"] < plain["memory, primaries"]
    assert amounts("--shard-gb", "64")["shards"] < plain["shards"]
    assert amounts("--compiled")["CPU, busiest hour"] < plain["CPU, busiest hour"]
