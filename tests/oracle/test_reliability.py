"""The oracle against the table of domain 5, and against a real charger's log where there is one."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.oracle import run
from tests.oracle.reliability import Reliability

START = datetime(2026, 1, 1, tzinfo=UTC)
REAL_LOG = Path(__file__).resolve().parents[3] / "shared" / "data" / "ocpp16_charger_a.csv"

STATUSES = {
    "Available": "AVAILABLE",
    "Preparing": "PREPARING",
    "Charging": "CHARGING",
    "Finishing": "FINISHING",
    "Unavailable": "INOPERATIVE",
    "Faulted": "OUTOFORDER",
}

Trace = list[tuple[float, str | bool]]


def session(start: float, charging: float = 1_800) -> Trace:
    """The session of domain 5."""
    return [
        (start, "PREPARING"),
        (start + 60, "CHARGING"),
        (start + 60 + charging, "FINISHING"),
        (start + 1_980, "AVAILABLE"),
    ]


def sessions(days: int, failing: int = 0) -> Trace:
    """Three sessions a day, each `failing`-th one too short."""
    starts = [day * 86_400 + hour * 3_600 for day in range(days) for hour in (6, 12, 18)]
    trace: Trace = [(0, "AVAILABLE")]
    for number, start in enumerate(starts, start=1):
        trace += session(start, 60 if failing and number % failing == 0 else 1_800)
    return trace


def flapping(days: int) -> Trace:
    """Offline for two minutes in every ten."""
    trace: Trace = [(0, "AVAILABLE")]
    for start in range(0, days * 86_400, 600):
        trace += [(start + 480, False), (start + 600, True)]
    return trace


def stamp(seconds: float) -> str:
    """The time so many seconds after START."""
    return (START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def value_of(trace: Trace, days: int) -> Reliability:
    """The reliability after a trace of so many days."""
    events = []
    for number, (seconds, word) in enumerate(trace):
        event: dict[str, Any] = {"event_id": str(number), "evse_uid": "evse-1", "occurred_at": stamp(seconds)}
        if isinstance(word, bool):
            event |= {"type": "connector.online", "online": word}
        else:
            event |= {"type": "connector.status", "connector_uid": "c1", "status": word}
        events.append(event)
    return run(events, as_of=stamp(days * 86_400)).connectors["c1"].reliability


@pytest.mark.parametrize(
    ("trace", "days", "expected"),
    [
        ([(0, "AVAILABLE")], 30, (8.99, 0.9987, 0.9998, 0.9)),
        (sessions(30), 30, (9.85, 0.9987, 0.9998, 0.9867)),
        (sessions(30, failing=3), 30, (6.95, 0.9987, 0.9998, 0.6962)),
        ([*sessions(30), (30 * 86_400, "OUTOFORDER")], 60, (3.43, 0.3524, 0.9979, 0.9765)),
        (flapping(30), 30, (0.01, 0.8075, 0.0008, 0.9)),
        # The table does not say when: any start between 1 600 s and 6 300 s gives these digits.
        ([(0, "AVAILABLE"), *session(3_600, 60)], 1, (8.06, 0.9849, 0.9979, 0.8198)),
    ],
    ids=["no session", "good sessions", "each third short", "then out of order", "flapping", "one failed"],
)
def test_the_table_of_reliability(trace: Trace, days: int, expected: tuple[float, ...]) -> None:
    """Value to two decimals, terms to four."""
    found = value_of(trace, days)

    assert found.value is not None
    terms = (found.availability, found.continuity, found.success)
    assert expected == (round(found.value, 2), *(round(term, 4) for term in terms))


def outcomes(trace: Trace, days: int = 3) -> dict[str, int]:
    """The outcomes of the attempts of a trace, without those that never were."""
    return {outcome: count for outcome, count in value_of(trace, days).attempts.items() if count}


@pytest.mark.parametrize(
    ("trace", "expected"),
    [
        ([(0, "PREPARING"), (60, "CHARGING"), (360, "FINISHING")], {"succeeded": 1}),
        ([(0, "PREPARING"), (60, "CHARGING"), (359, "FINISHING")], {"failed": 1}),
        ([(0, "PREPARING"), (60, "CHARGING"), (9_999, "OUTOFORDER")], {"failed": 1}),
        ([(0, "PREPARING"), (60, "OUTOFORDER")], {"failed": 1}),
        ([(0, "PREPARING"), (60, "AVAILABLE")], {"abandoned": 1}),
        ([(0, "PREPARING"), (60, "FINISHING")], {"abandoned": 1}),
        ([(0, "PREPARING"), (60, "CHARGING"), (60, "AVAILABLE")], {"abandoned": 1}),
        ([(0, "PREPARING"), (86_400, "AVAILABLE")], {"abandoned": 1}),
        ([(0, "PREPARING"), (86_401, "AVAILABLE")], {"unknown": 1}),
        ([(0, "PREPARING"), (60, "INOPERATIVE")], {"unknown": 1}),
        ([(0, "PREPARING"), (60, "UNKNOWN")], {"unknown": 1}),
        ([(0, "PREPARING"), (60, "CHARGING")], {}),
        ([(0, "FINISHING"), (60, "CHARGING"), (999, "AVAILABLE")], {"succeeded": 1}),
        ([(0, "CHARGING"), (999, "PREPARING"), (1_000, "AVAILABLE")], {"succeeded": 1, "abandoned": 1}),
        ([(0, "PREPARING"), (60, "PREPARING"), (70, "FINISHING"), (80, "PREPARING")], {"abandoned": 1}),
        ([(0, "PREPARING"), (60, False), (120, "CHARGING"), (999, "AVAILABLE")], {"succeeded": 1}),
    ],
)
def test_outcomes_of_attempts(trace: Trace, expected: dict[str, int]) -> None:
    """By domain 5 and reading 18; an attempt still open says nothing."""
    assert expected == outcomes(trace)


@pytest.mark.parametrize(
    ("raws", "outcome"),
    [
        (["SuspendedEV"], "abandoned"),
        (["SuspendedEVSE", "Charging"], "succeeded"),
        (["Charging", "SuspendedEV"], "succeeded"),
        ([None], "succeeded"),
    ],
)
def test_suspended_before_the_first_charging_has_not_charged(raws: list[str | None], outcome: str) -> None:
    """Afterwards the transaction goes on (domain 6)."""
    words = [("PREPARING", None), *(("CHARGING", raw) for raw in raws), ("AVAILABLE", None)]
    events = [
        {
            "event_id": str(number),
            "type": "connector.status",
            "connector_uid": "c1",
            "status": word,
            "raw_status": raw,
            "occurred_at": stamp(number * 400),
        }
        for number, (word, raw) in enumerate(words)
    ]

    found = run(events).connectors["c1"].reliability.attempts

    assert {outcome: 1} == {name: count for name, count in found.items() if count}


@pytest.mark.parametrize(
    ("trace", "outages"),
    [
        ([(0, "AVAILABLE"), (60, "OUTOFORDER"), (70, "OUTOFORDER")], 1),
        ([(0, "UNKNOWN"), (60, "OUTOFORDER")], 0),
        ([(0, "INOPERATIVE"), (60, "OUTOFORDER")], 0),
        ([(0, "OUTOFORDER")], 0),
        ([(0, "AVAILABLE"), (60, False), (120, True)], 0),
        ([(0, "AVAILABLE"), (60, False), (121, True)], 1),
        ([(0, "AVAILABLE"), (60, False), (100, False), (121, True)], 1),
        ([(0, "AVAILABLE"), (60, False)], 1),
        ([(0, "PLANNED"), (60, False)], 1),
    ],
)
def test_onsets_of_outages(trace: Trace, outages: int) -> None:
    """From an operational status to OUTOFORDER, and offline for longer than a minute, whatever the status."""
    assert outages == value_of(trace, 3).outages


def test_an_onset_while_offline_counts() -> None:
    """Two onsets: the disconnect, and the fault that was reported with its own time afterwards."""
    late_report = {
        "event_id": "late",
        "type": "connector.status",
        "connector_uid": "c1",
        "status": "OUTOFORDER",
        "occurred_at": stamp(200),
        "received_at": stamp(900),
    }
    opening = {
        "event_id": "first",
        "type": "connector.status",
        "connector_uid": "c1",
        "status": "AVAILABLE",
        "occurred_at": stamp(0),
    }
    offline = {"event_id": "off", "type": "connector.online", "online": False, "occurred_at": stamp(100)}

    assert run([opening, offline, late_report]).connectors["c1"].reliability.outages == 2


def test_reliability_is_null_until_a_day_was_observed_but_has_its_terms() -> None:
    """Unknown time is not observed."""
    short = value_of([(0, "AVAILABLE"), (86_399, "UNKNOWN")], 3)
    enough = value_of([(0, "AVAILABLE"), (86_400, "UNKNOWN")], 3)

    assert (short.value, short.observed) == (None, 86_399_000_000)
    assert short.availability > 0.97
    assert enough.value is not None


def real_events() -> list[tuple[int, dict[str, Any]]]:
    """The real charger's rows as events: statuses at the device's time, connects at receipt."""
    events = []
    with REAL_LOG.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            event: dict[str, Any] = {
                "event_id": f"{row['cp']}:{row['seq']}",
                "evse_uid": row["cp"],
                "received_at": row["received_at"],
            }
            if row["kind"] == "status":
                event |= {
                    "status": STATUSES[row["status"]],
                    "raw_status": row["status"],
                    "error_code": row["error_code"],
                    "occurred_at": row["device_ts"],
                }
                if row["connector_id"] == "0":
                    event["type"] = "evse.status"
                else:
                    event |= {
                        "type": "connector.status",
                        "connector_uid": f"{row['cp']}-{row['connector_id']}",
                    }
            else:
                event |= {"type": "connector.online", "online": row["kind"] != "offline"}
            events.append((int(row["seq"]), event))
    return events


@pytest.mark.skipif(not REAL_LOG.exists(), reason="the real charger's log is not beside the checkout")
def test_a_real_chargers_log() -> None:
    """The last row of the table, and uptime from the first status to the last row (domain 5)."""
    events = real_events()
    first = next(event["occurred_at"] for _, event in events if event["type"] == "connector.status")
    window = (first, events[-1][1]["received_at"])
    without_online = [(seq, event) for seq, event in events if event["type"] != "connector.online"]

    found = run(events, window=window).connectors["cp-A-1"]
    ignoring_online = run(without_online, window=window).connectors["cp-A-1"]

    assert found.window.uptime is not None
    assert ignoring_online.window.uptime is not None
    assert found.reliability.value is not None
    assert round(found.window.uptime, 5) == 0.98755
    assert round(ignoring_online.window.uptime, 5) == 0.98899
    terms = (found.reliability.availability, found.reliability.continuity, found.reliability.success)
    assert (round(found.reliability.value, 2), *(round(term, 4) for term in terms)) == (
        5.55,
        0.9826,
        0.8593,
        0.6568,
    )
