"""What a month of the fleet shows of links, heartbeats and silence."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from service.simulation.fleet import Fleet
from tests.unit.simulation.month import START, Month, received

HOUR = timedelta(hours=1)


def links(month: Month) -> dict[str, list[dict[str, Any]]]:
    """The reports about each EVSE's link."""
    by_evse = defaultdict(list)
    for event in month.of_type("connector.online"):
        by_evse[event["evse_uid"]].append(event)
    return by_evse


def test_links_flap_twelve_times_within_a_minute(month: Month) -> None:
    """Disconnect and connect pairs of one charger, as a real log has them."""
    storms = 0
    for events in links(month).values():
        words = [(received(event), event["online"]) for event in events]
        for at in range(len(words) - 23):
            window = words[at : at + 24]
            alternates = [online for _, online in window] == [False, True] * 12
            storms += alternates and window[-1][0] - window[0][0] < timedelta(minutes=1)
    assert storms > 3


def test_a_disconnect_and_a_connect_share_a_second(month: Month) -> None:
    """Only the order of arrival tells which came last."""
    shared = [
        1
        for events in links(month).values()
        for before, after in pairwise(events)
        if (before["online"], after["online"]) == (False, True)
        and before["received_at"] == after["received_at"]
    ]
    assert len(shared) > 10


def test_the_close_of_an_old_socket_comes_after_the_open_of_the_new_one(month: Month) -> None:
    """The charger is told to be offline while it is not, until it next speaks, within seconds."""
    stale = [
        event for event in month.of_type("connector.online") if event.get("reason") == "old socket closed"
    ]
    assert stale
    for close in stale:
        later = [e for e in month.by_evse[close["evse_uid"]] if received(e) > received(close)]
        assert received(later[0]) - received(close) < timedelta(seconds=10)
        assert later[0]["type"] == "connector.status"


def test_a_site_goes_dark_for_hours(month: Month) -> None:
    """All its chargers go offline within minutes, nothing more is heard, and all come back hours later."""
    sites: dict[str, list[str]] = defaultdict(list)
    for uid in links(month):
        sites[uid.rsplit("-", 1)[0]].append(uid)
    assert any(count_common_darks(month, uids) for uids in sites.values() if len(uids) > 3)


def count_common_darks(month: Month, uids: list[str]) -> int:
    """Count the hours-long silences after a disconnect that all chargers of a site share."""
    begins = [
        [
            received(before)
            for before, after in pairwise(month.by_evse[uid])
            if before.get("online") is False and received(after) - received(before) > 2 * HOUR
        ]
        for uid in uids
    ]
    first, *others = begins
    return sum(
        all(any(abs(begin - other) < timedelta(minutes=3) for other in darks) for darks in others)
        for begin in first
    )


def test_some_operators_never_say_whether_a_charger_is_online(month: Month) -> None:
    """They send no heartbeats either, so that their silence means nothing."""
    types: dict[str, set[str]] = defaultdict(set)
    for event in month.events:
        types[event["source"]].add(event["type"])
    assert {"connector.online", "evse.heartbeat"}.isdisjoint(types["roaming-hub"])
    assert "connector.status" in types["roaming-hub"]
    for source in ("nordlader", "stadtstrom"):
        assert {"connector.online", "evse.heartbeat"} <= types[source]


def test_heartbeats_of_the_past_are_sparse_and_say_so(month: Month) -> None:
    """Silence is three times the interval that is announced, so it must be the true one."""
    beats: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in month.of_type("evse.heartbeat"):
        beats[event["evse_uid"]].append(event)
    assert len(beats) > 30
    for events in beats.values():
        for before, after in pairwise(events):
            assert received(after) - received(before) > HOUR
            assert received(after) - received(before) > timedelta(seconds=before["heartbeat_interval_s"] - 2)
    quiet = [
        received(after) - received(before)
        for uid in beats
        for before, after in pairwise(month.by_evse[uid])
        if before.get("online") is not False
    ]
    limit = timedelta(seconds=3 * 4 * 3600)
    assert max(quiet) < limit


@pytest.fixture(scope="module")
def present() -> list[dict[str, Any]]:
    """Watch a fleet for an hour after a day of past."""
    fleet = Fleet(7, 40, START, START + timedelta(days=1))
    for _ in fleet.history():
        pass
    return [event for _, event in fleet.until(START + timedelta(hours=25))]


def test_heartbeats_of_the_present_come_every_few_minutes(present: list[dict[str, Any]]) -> None:
    """With the interval they come in, so that silence is noticed within minutes."""
    beats: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in present:
        if event["type"] == "evse.heartbeat":
            beats[event["evse_uid"]].append(event)
    assert {e["heartbeat_interval_s"] for events in beats.values() for e in events} <= {60, 120, 180, 300}
    assert len(beats) > 15
    for events in beats.values():
        interval = events[0]["heartbeat_interval_s"]
        assert received(events[0]) <= START + timedelta(days=1, seconds=interval)
        gaps = [(received(after) - received(before)).total_seconds() for before, after in pairwise(events)]
        assert min(gaps) >= interval - 2
        assert sorted(gaps)[len(gaps) // 2] <= interval + 2


def test_a_site_falls_silent_minutes_after_the_present_begins(present: list[dict[str, Any]]) -> None:
    """Nothing says that its chargers are gone: only the watch on silence can tell, and they return."""
    first = next(Fleet(7, 40, START).inventory())["evse_uid"]
    site = first.rsplit("-", 1)[0]
    live_from = START + timedelta(days=1)
    times = [received(e) - live_from for e in present if e["evse_uid"].rsplit("-", 1)[0] == site]
    begin, end = timedelta(minutes=6), timedelta(minutes=29)
    assert [time for time in times if time < begin]
    assert not [time for time in times if begin < time < end]
    assert [time for time in times if time > end]
    offline = [e for e in present if e.get("online") is False and e["evse_uid"].startswith(site)]
    assert not [event for event in offline if received(event) - live_from < end]
