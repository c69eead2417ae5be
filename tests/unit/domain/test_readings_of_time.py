"""The settled readings 1 to 5: time and order."""

from __future__ import annotations

import pytest

from schemas.vocabulary import Verdict
from service.domain.time import HOUR
from tests.unit.domain.told import Evse, when

# 1: position, and ties within one instant


def test_of_one_instant_the_later_position_decides_whichever_arrives_first() -> None:
    """Reading 1: the same time, another status."""
    evse = Evse()
    evse.status("OUTOFORDER", "10:00", position=7)
    evse.status("AVAILABLE", "10:00", position=3)

    assert evse.now() == ("OUTOFORDER", None)


@pytest.mark.parametrize(("position", "online"), [(1, False), (9, True)])
def test_a_sign_of_life_ends_an_offline_span_only_if_it_is_later(position: int, online: bool) -> None:
    """Reading 1: later by (time, position), in the very second of the disconnect too."""
    evse = Evse()
    evse.online(False, "10:00", position=5)
    evse.status("AVAILABLE", "10:00", position=position)

    assert evse.track().online is online


def test_a_disconnect_and_a_connect_in_one_second_count_in_the_order_of_the_log() -> None:
    """Reading 1: both ways."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.online(False, "10:00")
    evse.online(True, "10:00")
    assert evse.track().online is True

    evse.online(True, "11:00")
    evse.online(False, "11:00")
    assert evse.track().online is False


# 2: identity


def test_of_one_id_the_first_in_the_log_counts() -> None:
    """Reading 2: later ones are duplicates, whatever they say."""
    evse = Evse()
    evse.status("AVAILABLE", "10:00", event_id="a")

    again = evse.status("OUTOFORDER", "11:00", event_id="a")

    assert again.verdict is Verdict.DUPLICATE
    assert evse.now() == ("AVAILABLE", None)
    assert evse.state.as_of == when("10:00")


def test_an_id_is_forgotten_when_both_its_times_are_before_the_horizon() -> None:
    """Reading 2: within the lateness, by the later of effect and receipt."""
    evse = Evse(allowed_lateness=HOUR)
    evse.status("AVAILABLE", "10:00", received="10:30", event_id="a")
    evse.heartbeat("11:30")
    assert evse.status("CHARGING", "11:30", event_id="a").verdict is Verdict.DUPLICATE

    evse.heartbeat("11:30:01")
    assert evse.status("CHARGING", "11:30", event_id="a").verdict is Verdict.APPLIED


def test_ids_of_heartbeats_are_not_compared() -> None:
    """Reading 2: two of one id are two heartbeats, and one with another event's id is one too."""
    evse = Evse()
    evse.status("AVAILABLE", "10:00", event_id="a")
    evse.online(False, "10:30")

    assert evse.heartbeat("10:05", event_id="a").verdict is Verdict.REFRESHED
    evse.heartbeat("11:00", event_id="a")

    assert evse.track().online is True
    assert evse.status("CHARGING", "12:00", event_id="b").verdict is Verdict.APPLIED


# 3: lateness


def test_an_event_older_than_the_horizon_changes_no_history() -> None:
    """Reading 3: it is late, whatever it says of whom."""
    evse = Evse()
    evse.status("AVAILABLE", "3 00:00")

    late = evse.status("OUTOFORDER", "0 23:59:59", connector_uid="c2")

    assert late.verdict is Verdict.LATE
    assert list(evse.state.tip.tracks) == ["c1"]
    assert evse.now() == ("AVAILABLE", None)


def test_at_the_horizon_an_event_is_not_late() -> None:
    """Reading 3: late is older."""
    evse = Evse()
    evse.status("AVAILABLE", "3 00:00")

    assert evse.status("OUTOFORDER", "1 00:00").verdict is Verdict.CORRECTED


def test_a_late_event_counts_as_a_heartbeat_at_its_receipt() -> None:
    """Reading 3: of the minute of its receipt; it ends the offline span."""
    evse = Evse()
    evse.status("AVAILABLE", "3 00:00")
    evse.online(False, "3 10:00")

    late = evse.status("OUTOFORDER", "00:00", received="3 10:05:30")

    assert late.verdict is Verdict.LATE
    assert late.moved
    assert evse.now() == ("AVAILABLE", True)
    assert evse.since()[1] == "10:05:00Z"
    assert evse.state.last_seen_at == when("3 10:05:30")


@pytest.mark.parametrize("what", ["offline", "exclusion", "gap"])
def test_a_late_offline_and_what_is_not_from_the_charger_are_no_sign_of_life(what: str) -> None:
    """Reading 3: a late `online: false`, exclusions and gaps leave the connector offline."""
    evse = Evse()
    evse.status("AVAILABLE", "3 00:00")
    evse.online(False, "3 10:00")
    match what:
        case "offline":
            assert evse.online(False, "00:00", received="3 11:00").verdict is Verdict.LATE
        case "exclusion":
            evse.exclude("x", "00:00", "01:00", at="3 11:00")
        case _:
            evse.gap("00:00", "01:00", at="3 11:00")

    assert evse.track().online is False
    assert evse.state.last_seen_at == when("3 00:00")


def test_exclusions_gaps_and_inventories_obey_no_lateness() -> None:
    """Reading 3: however old they are, and however long ago they were declared."""
    evse = Evse(allowed_lateness=HOUR)
    evse.statuses("00:00 AVAILABLE, 01:00 OUTOFORDER, 02:00 AVAILABLE, 9 00:00 CHARGING")

    assert evse.exclude("x", "01:00", "01:30", at="02:00").verdict is Verdict.APPLIED
    assert evse.gap("03:00", "04:00", at="05:00").verdict is Verdict.APPLIED
    assert evse.inventory("05:00", "c1").verdict is Verdict.APPLIED
    assert evse.window("00:00", "05:00") == (3 * 3_600, 1_800, 1_800, 3_600)


def test_the_latest_inventory_stands_whichever_arrives_first() -> None:
    """Reading 3: by (effective time, position)."""
    evse = Evse()
    evse.inventory("12:00", "c1", evse={"evse_id": "new"})
    older = evse.inventory("11:00", "c1", evse={"evse_id": "old"})

    assert evse.state.declarations.evse == {"evse_id": "new"}
    assert older.verdict is Verdict.REFRESHED


def test_a_removal_from_before_the_horizon_begins_at_the_horizon() -> None:
    """Reading 3: history that is closed stays as it is."""
    evse = Evse(allowed_lateness=HOUR)
    evse.status("AVAILABLE", "00:00")
    evse.heartbeat("12:00")

    evse.remove("05:00")

    assert evse.now() == ("REMOVED", None)
    assert evse.since()[0] == "11:00:00Z"
    assert evse.window("00:00", "12:00") == (11 * 3_600, 0, 0, 0)


# 4: what holds for all connectors


def test_what_names_no_connector_holds_for_those_named_later_too() -> None:
    """Reading 4: also for one first named after it in the log."""
    evse = Evse()
    evse.online(False, "10:00")
    evse.status("AVAILABLE", "09:00", connector_uid="c2")

    assert evse.track("c2").online is False
    assert evse.window("09:00", "11:00", "c2") == (3_600, 3_600, 0, 0)


def test_a_sign_of_life_holds_for_all_connectors() -> None:
    """Reading 4: the status of one ends the offline span of the other, and of one named later."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.online(False, "10:00")
    evse.status("CHARGING", "11:00", connector_uid="c2")
    evse.status("AVAILABLE", "09:30", connector_uid="c3")

    assert [evse.track(uid).online for uid in ("c1", "c2", "c3")] == [True, True, True]
    assert evse.since("c3") == ("09:30:00Z", "11:00:00Z")


def test_the_receipt_of_a_report_resent_is_a_sign_of_life() -> None:
    """Reading 4: even if its own time lies before the disconnect."""
    evse = Evse()
    evse.status("CHARGING", "09:00")
    evse.online(False, "10:00")
    evse.status("CHARGING", "09:00", received="12:00")

    assert evse.now() == ("CHARGING", True)
    assert evse.since() == ("09:00:00Z", "12:00:00Z")


def test_a_report_of_one_connector_online_is_a_sign_of_life_of_the_others() -> None:
    """Reading 4: of all."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.online(False, "10:00")
    evse.online(True, "11:00", connector_uid="c2")

    assert evse.track("c1").online is True


# 5: online null


def test_true_or_false_replace_null_and_null_is_a_report_itself() -> None:
    """Reading 5: the newest report holds."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    assert evse.now() == ("AVAILABLE", None)
    evse.online(True, "10:00")
    assert evse.track().online is True
    evse.online(None, "11:00")
    assert evse.now() == ("AVAILABLE", None)
    evse.online(False, "12:00")
    evse.online(None, "13:00")
    assert evse.now() == ("AVAILABLE", None)


def test_a_null_of_one_connector_is_a_sign_of_life_of_the_others() -> None:
    """Reading 5: it came from the charger."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00", connector_uid="c2")
    evse.online(False, "10:00")
    evse.online(None, "11:00", connector_uid="c1")

    assert evse.track("c1").online is None
    assert evse.track("c2").online is True


def test_a_sign_of_life_turns_no_null_into_true() -> None:
    """P4: not supported stays not supported."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.heartbeat("10:00")
    evse.note("AVAILABLE", "11:00")

    assert evse.now() == ("AVAILABLE", None)
