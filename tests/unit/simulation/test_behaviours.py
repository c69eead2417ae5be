"""What a month of the fleet shows of sessions, faults, clocks and inventory, as real chargers have it."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

from service.simulation.traits import Clock, draw_traits
from tests.unit.simulation.month import MONTH_END, START, Month, changes, received

HOUR = timedelta(hours=1)
RIGHT_YEARS = {"2025", "2026"}


def spells(month: Month, raw_status: str) -> list[tuple[dict[str, Any], timedelta, dict[str, Any]]]:
    """All times in which a connector had a raw status: first report, how long, the report that ended it."""
    return [
        (report, received(following) - received(report), following)
        for reports in month.by_connector.values()
        for report, following in pairwise(changes(reports))
        if report["raw_status"] == raw_status
    ]


def test_drivers_come_by_the_hours_of_the_place(month: Month) -> None:
    """Offices fill in the morning of weekdays, homes in the evening, highways all day."""
    kinds = month.kind_of()
    hours: dict[str, Counter[int]] = defaultdict(Counter)
    weekend: Counter[str] = Counter()
    for report, _, _ in spells(month, "Preparing"):
        kind = kinds[report["evse_uid"]]
        hours[kind][(received(report).hour + 1) % 24] += 1
        weekend[kind] += received(report).weekday() >= 5
    total = {kind: counter.total() for kind, counter in hours.items()}
    share = {
        kind: {span: sum(hours[kind][h] for h in range(*span)) / total[kind] for span in ((7, 11), (16, 21))}
        for kind in hours
    }
    assert share["office"][7, 11] > 0.4
    assert share["residential"][16, 21] > 0.45
    assert share["highway"][7, 11] < 0.35
    assert share["highway"][16, 21] < 0.4
    assert weekend["office"] / total["office"] < 0.12
    assert weekend["highway"] / total["highway"] > 0.2


def test_a_session_runs_through_its_statuses(month: Month) -> None:
    """Preparing, Charging, often SuspendedEV, Finishing, Available; some are skipped or reserved."""
    steps: Counter[tuple[str, str]] = Counter()
    for reports in month.by_connector.values():
        steps.update(pairwise(report["raw_status"] for report in changes(reports)))
    for step in (
        ("Available", "Preparing"),
        ("Preparing", "Charging"),
        ("Charging", "SuspendedEV"),
        ("SuspendedEV", "Finishing"),
        ("Finishing", "Available"),
        ("Available", "Charging"),
        ("Available", "Reserved"),
        ("Reserved", "Preparing"),
        ("Charging", "SuspendedEVSE"),
        ("SuspendedEVSE", "Charging"),
        ("Preparing", "Available"),
    ):
        assert steps[step] > 0, step


def test_some_sessions_fail_within_minutes(month: Month) -> None:
    """They charge for less than five minutes and end with an error code."""
    failed = [
        following
        for _, lasted, following in spells(month, "Charging")
        if lasted < timedelta(minutes=5) and following["raw_status"] == "Finishing"
    ]
    assert len([report for report in failed if "error_code" in report]) > 20


def test_faults_have_codes_and_are_repaired_after_hours(month: Month) -> None:
    """Some heal within minutes, most wait for somebody; one of the codes is none of OCPP's."""
    faults = spells(month, "Faulted")
    assert len(faults) > 30
    assert all("error_code" in report for report, _, _ in faults)
    assert {report["status"] for report, _, _ in faults} == {"OUTOFORDER"}
    assert sum(lasted > HOUR for _, lasted, _ in faults) > len(faults) / 3
    assert any(lasted < HOUR for _, lasted, _ in faults)
    assert {"Available", "Unavailable"} <= {following["raw_status"] for _, _, following in faults}
    assert "MID_METER_E7" in {report["error_code"] for report, _, _ in faults}


def test_error_codes_come_with_statuses_that_are_no_fault(month: Month) -> None:
    """A warning changes no status."""
    warned = [
        e for e in month.of_type("connector.status") if "error_code" in e and e["status"] == "FINISHING"
    ]
    assert {e.get("vendor_error_code") for e in warned} >= {"StopReason:UserRequestedStop"}


def test_the_whole_charger_speaks_of_itself(month: Month) -> None:
    """At a boot, and when the emergency button is pressed and released."""
    words = {event["raw_status"] for event in month.of_type("evse.status")}
    assert words == {"Available", "Faulted"}


def test_maintenance_is_declared_before_after_and_open_ended(month: Month) -> None:
    """Declarations come early, late and without an end, which is added later; some are taken back."""
    declared = [e for e in month.of_type("exclusion.declared") if e["reason"] == "scheduled_maintenance"]
    ids = Counter((event["evse_uid"], event["exclusion_id"]) for event in declared)
    assert any(event["received_at"] < event["from"] and "until" in event for event in declared)
    assert any(event["received_at"] > event.get("until", "9") for event in declared)
    opened = {event["exclusion_id"] for event in declared if "until" not in event}
    assert opened
    assert any(count == 2 and exclusion_id in opened for (_, exclusion_id), count in ids.items())
    withdrawn = {event["exclusion_id"] for event in month.of_type("exclusion.withdrawn")}
    assert withdrawn
    assert withdrawn <= {event["exclusion_id"] for event in declared}


def test_an_exclusion_covers_the_time_out_of_order(month: Month) -> None:
    """What is declared about a maintenance is when its charger is unavailable."""
    down: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for report, lasted, _ in spells(month, "Unavailable"):
        down[report["evse_uid"]].append((received(report), received(report) + lasted))
    declared = [
        (event["evse_uid"], datetime.fromisoformat(event["from"]), datetime.fromisoformat(event["until"]))
        for event in month.of_type("exclusion.declared")
        if event["reason"] == "scheduled_maintenance" and "until" in event
    ]
    past = [(uid, begin, until) for uid, begin, until in declared if until < MONTH_END]
    matched = [
        any(begin < ends and starts < until for starts, ends in down[uid]) for uid, begin, until in past
    ]
    assert len(past) > 15
    assert sum(matched) > 0.9 * len(past)


def test_power_cuts_are_excluded_after_the_fact(month: Month) -> None:
    """Nobody declares a grid loss before it happens."""
    cuts = [e for e in month.of_type("exclusion.declared") if e["reason"] == "utility_interruption"]
    assert cuts
    assert all(event["received_at"] > event["until"] for event in cuts)


def test_a_connector_is_available_for_less_than_a_second_before_maintenance(month: Month) -> None:
    """A session that is ended for it leaves a moment of AVAILABLE."""
    blinks = [
        following
        for _, lasted, following in spells(month, "Available")
        if lasted < timedelta(seconds=1) and following["raw_status"] == "Unavailable"
    ]
    assert blinks


def test_statuses_are_sent_again_with_their_original_time_up_to_29_hours_old(month: Month) -> None:
    """The allowed lateness of 48 h has to do with this."""
    ages = [
        received(event) - datetime.fromisoformat(event["occurred_at"])
        for event in month.of_type("connector.status")
        if event.get("occurred_at", "")[:4] in RIGHT_YEARS
    ]
    assert timedelta(hours=24) < max(ages) < timedelta(hours=30)
    assert sum(age > HOUR for age in ages) > 100


def test_a_third_of_the_statuses_repeat_the_one_before(month: Month) -> None:
    """Of 553 real reports 41 % did."""
    total = sum(len(reports) for reports in month.by_connector.values())
    changed = sum(len(changes(reports)) for reports in month.by_connector.values())
    assert 0.28 < 1 - changed / total < 0.45


def test_clocks_are_wrong_in_every_known_way(month: Month) -> None:
    """Some were never set, some show local time as UTC, some give no time at all; most are right."""
    statuses = month.of_type("connector.status")
    years = Counter(event.get("occurred_at", "none")[:4] for event in statuses)
    assert years["1970"] > 100
    assert years["0001"] > 100
    assert years["none"] > 100
    ahead = [
        event
        for event in statuses
        if event.get("occurred_at", "")[:4] in RIGHT_YEARS
        and datetime.fromisoformat(event["occurred_at"]) - received(event) > timedelta(minutes=30)
    ]
    assert len(ahead) > 100
    assert years["2026"] > 0.8 * len(statuses)


def test_connectors_stick_in_preparing_for_hours(month: Month) -> None:
    """And then are free again, never having charged."""
    stuck = [
        lasted
        for _, lasted, following in spells(month, "Preparing")
        if lasted > 2 * HOUR and following["raw_status"] == "Available"
    ]
    assert len(stuck) > 5


def test_a_removed_evse_is_never_heard_again(month: Month) -> None:
    """The removal is its last event."""
    (removed,) = month.of_type("evse.removed")
    assert month.by_evse[removed["evse_uid"]][-1] == removed
    assert received(removed) < MONTH_END - timedelta(days=2)


def test_a_planned_evse_is_silent_until_it_is_commissioned(month: Month) -> None:
    """Its inventory says PLANNED, and days later it boots."""
    planned = [
        event["evse_uid"]
        for event in month.inventory
        if {connector.get("status") for connector in event["evse"]["connectors"]} == {"PLANNED"}
    ]
    assert len(planned) == 1
    assert received(month.by_evse[planned[0]][0]) > START + timedelta(days=5)


def test_inventories_are_sent_again_changed_and_unchanged(month: Month) -> None:
    """A new tariff moves what is published, a repeat does not."""
    before = {event["evse_uid"]: event["evse"] for event in month.inventory}
    again = month.of_type("evse.upserted")
    assert {event["evse"] == before[event["evse_uid"]] for event in again} == {True, False}


def test_every_odd_clock_has_its_place_in_a_fleet_of_forty() -> None:
    """So that even a small fleet shows all of them."""
    clocks = Counter(draw_traits(Random(place), place).clock for place in range(40))
    assert set(clocks) == set(Clock)
    assert clocks[Clock.RIGHT] == 35
