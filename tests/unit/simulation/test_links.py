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


def test_heartbeats_of_the_present_come_several_times_a_minute(present: list[dict[str, Any]]) -> None:
    """With the interval they come in, so that silence is noticed within a minute."""
    beats: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in present:
        if event["type"] == "evse.heartbeat":
            beats[event["evse_uid"]].append(event)
    assert {e["heartbeat_interval_s"] for events in beats.values() for e in events} <= {10, 15, 20}
    assert len(beats) > 15
    in_time = 0
    for events in beats.values():
        interval = events[0]["heartbeat_interval_s"]
        in_time += received(events[0]) <= START + timedelta(days=1, seconds=interval)
        gaps = [(received(after) - received(before)).total_seconds() for before, after in pairwise(events)]
        assert min(gaps) >= interval - 2
        assert sorted(gaps)[len(gaps) // 2] <= interval + 2
    assert in_time > 0.8 * len(beats)  # the others are not linked at that time


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


def of_evse(events: list[dict[str, Any]], uid: str) -> list[dict[str, Any]]:
    """Keep what one EVSE said."""
    return [event for event in events if event["evse_uid"] == uid]


def test_a_charger_loses_its_power_soon_after_the_present_begins(present: list[dict[str, Any]]) -> None:
    """Without a word, alone at its site, and it boots some minutes later."""
    uids = [event["evse_uid"] for event in Fleet(7, 40, START).inventory()]
    second_site = next(uid for uid in uids if uid.rsplit("-", 1)[0] != uids[0].rsplit("-", 1)[0])
    neighbour = next(uid for uid in uids if uid != second_site and uid.startswith(second_site[:-2]))
    lost_at = START + timedelta(days=1, minutes=2)
    said = [event for event in of_evse(present, second_site) if received(event) > lost_at]
    lasted = received(said[0]) - lost_at
    assert timedelta(minutes=5) <= lasted <= timedelta(minutes=20)
    assert (said[0]["type"], said[0]["reason"]) == ("connector.online", "boot")
    heard = [event for event in of_evse(present, neighbour) if lost_at < received(event) < lost_at + lasted]
    assert len([event for event in heard if event["type"] == "evse.heartbeat"]) > 10


def test_chargers_lose_their_power_now_and_then_in_the_present_only() -> None:
    """Some every hour in a fleet of two hundred, never in the past, where nobody would notice."""
    live_from = START + timedelta(days=1)
    fleet = Fleet(7, 200, START, live_from, heartbeat_interval_s=600)
    past = [event for _, event in fleet.history()]
    present = [event for _, event in fleet.until(live_from + timedelta(hours=3))]
    boots = [[e for e in part if e.get("reason") == "boot"] for part in (past, present)]
    silent = [
        boot
        for boot in boots[1]
        if not (
            before := [
                e for e in of_evse(present, boot["evse_uid"]) if e["received_at"] < boot["received_at"]
            ]
        )
        or before[-1].get("online") is not False
    ]
    assert 10 <= len({boot["evse_uid"] for boot in silent}) <= 60
    assert all(received(boot) < START + timedelta(days=1) for boot in boots[0])


@pytest.fixture
def live() -> Fleet:
    """Make a fleet that has been watched for a minute."""
    fleet = Fleet(7, 12, START, NOW - timedelta(minutes=1))
    for _ in fleet.until(NOW):
        pass
    return fleet


NOW = START + timedelta(hours=10)


def test_a_charger_falls_silent_when_told(live: Fleet) -> None:
    """From that moment until it boots nothing comes of it, while its neighbours go on."""
    uid = live.can_fall_silent()[-1]
    cut = live.cut_power(NOW, uid)
    arrivals = list(live.until(cut.until - timedelta(seconds=1)))
    assert arrivals
    assert uid not in {event["evse_uid"] for _, event in arrivals}
    assert uid not in live.can_fall_silent()
    (_, first), *_ = [each for each in live.until(cut.until) if each[1]["evse_uid"] == uid]
    assert (first["type"], first["online"], first["reason"]) == ("connector.online", True, "boot")
    assert cut.heartbeat_interval_s in {10, 15, 20}


def test_any_charger_falls_silent_where_none_is_named(live: Fleet) -> None:
    """One that is linked, and another the next time."""
    linked = live.can_fall_silent()
    first = live.cut_power(NOW)
    list(live.until(NOW + timedelta(seconds=1)))
    second = live.cut_power(NOW + timedelta(seconds=2))
    assert {first.uid, second.uid} <= set(linked)
    assert first.uid != second.uid


def test_silence_that_nobody_could_see_is_refused(live: Fleet) -> None:
    """Of a uid that is none, and of a charger that is not heard anyway."""
    silent = live.can_fall_silent()[0]
    live.cut_power(NOW, silent)
    list(live.until(NOW + timedelta(seconds=1)))
    with pytest.raises(ValueError, match="there is no EVSE nobody"):
        live.cut_power(NOW, "nobody")
    with pytest.raises(ValueError, match=f"{silent} is not heard anyway"):
        live.cut_power(NOW, silent)


def test_what_chargers_say_while_nobody_listens_is_lost() -> None:
    """Then all that are linked connect anew and report; what people declared meanwhile is told."""
    fleet = Fleet(7, 12, START, START, heartbeat_interval_s=3600)
    list(fleet.until(NOW))
    later = NOW + timedelta(days=10)
    linked = fleet.can_fall_silent()
    kept = list(fleet.unheard_until(later))
    assert {event["type"] for _, event in kept} <= {
        "evse.upserted", "evse.removed", "exclusion.declared", "exclusion.withdrawn"
    }  # fmt: skip
    assert {arrival for arrival, _ in kept} == {later}
    anew = [event for _, event in fleet.until(later + timedelta(seconds=4))]
    connects = [event for event in anew if event["type"] == "connector.online" and event["online"]]
    assert len({event["evse_uid"] for event in connects}) >= len(linked) - 3
    assert all(received(event) >= later for event in anew)
    assert {event["evse_uid"] for event in connects} <= {
        event["evse_uid"] for event in anew if event["type"] == "connector.status"
    }


def test_all_chargers_may_have_one_interval() -> None:
    """So that whoever watches need not wait long."""
    fleet = Fleet(7, 6, START, START, heartbeat_interval_s=2)
    events = [event for _, event in fleet.until(START + timedelta(minutes=2))]
    beats = [event for event in events if event["type"] == "evse.heartbeat"]
    assert {event["heartbeat_interval_s"] for event in beats} == {2}
    assert len(beats) > 6 * 20
