"""Verdicts, transitions and revisions: what is said of each event."""

from __future__ import annotations

import pytest

from schemas.vocabulary import Status, Verdict
from service.domain.outcomes import Folded, Transition
from service.domain.time import HOUR, MINUTE, SECOND
from tests.unit.domain.told import Evse, when


@pytest.fixture
def evse() -> Evse:
    """Give a charger with one connector that has been available since 09:00 and is online."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.online(True, "09:00")
    return evse


def test_a_change_in_order_is_applied_and_makes_a_transition(evse: Evse) -> None:
    """It says from what to what, and how long it had lasted."""
    folded = evse.status("PREPARING", "09:20", event_id="p", position=77)

    expected = Transition(
        "c1",
        Status.AVAILABLE,
        Status.PREPARING,
        when("09:20"),
        20 * MINUTE,
        Verdict.APPLIED,
        "p",
        77,
    )
    assert folded == Folded(Verdict.APPLIED, publish=True, moved=True, transitions=(expected,))


def test_the_first_status_comes_from_nowhere() -> None:
    """Nothing lasted before it."""
    [transition] = Evse().status("AVAILABLE", "09:00").transitions

    assert (transition.from_status, transition.lasted) == (None, None)


def test_a_repeat_is_refreshed() -> None:
    """In order or not: nothing is published, nothing is a transition."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")

    assert evse.status("AVAILABLE", "10:00") == Folded(Verdict.REFRESHED)
    assert evse.status("AVAILABLE", "09:30") == Folded(Verdict.REFRESHED)
    assert evse.online(None, "11:00") == Folded(Verdict.REFRESHED)
    assert evse.since()[0] == "09:00:00Z"


def test_a_repeat_with_other_words_is_applied(evse: Evse) -> None:
    """Raw status and error code are content; it is no transition all the same."""
    folded = evse.status("AVAILABLE", "10:00", error_code="OtherError")

    assert (folded.verdict, folded.moved, folded.transitions) == (Verdict.APPLIED, True, ())
    assert evse.track().error_code == "OtherError"


def test_a_repeat_after_a_disconnect_is_applied_for_it_brings_the_connector_back(evse: Evse) -> None:
    """Online is content."""
    evse.online(False, "10:00")
    folded = evse.status("AVAILABLE", "09:00", received="11:00")

    assert (folded.moved, folded.transitions) == (True, ())
    assert evse.now() == ("AVAILABLE", True)


def test_a_late_arrival_corrects_history_and_overwrites_nothing_newer(evse: Evse) -> None:
    """It makes a transition with its own verdict; what is now stays."""
    evse.status("CHARGING", "12:00")

    folded = evse.status("OUTOFORDER", "10:00")

    assert (folded.verdict, folded.publish, folded.moved) == (Verdict.CORRECTED, True, True)
    assert [(step.from_status, step.to_status, step.lasted) for step in folded.transitions] == [
        (Status.AVAILABLE, Status.OUTOFORDER, HOUR)
    ]
    assert folded.transitions[0].verdict is Verdict.CORRECTED
    assert evse.now() == ("CHARGING", True)
    assert evse.window("09:00", "13:00") == (2 * 3_600, 2 * 3_600, 0, 0)


def test_a_late_arrival_of_the_newest_status_is_applied(evse: Evse) -> None:
    """Online may be newer than it."""
    evse.online(True, "12:00")

    folded = evse.status("CHARGING", "11:00")

    assert folded.verdict is Verdict.APPLIED
    assert evse.since() == ("11:00:00Z", "09:00:00Z")


def test_a_late_disconnect_that_was_over_corrects_history(evse: Evse) -> None:
    """The sign of life that ended it had come already."""
    evse.status("AVAILABLE", "11:00")

    assert evse.online(False, "10:00").verdict is Verdict.CORRECTED
    assert evse.window("09:00", "11:00") == (3_600, 3_600, 0, 0)


def test_a_duplicate_changes_nothing_at_all(evse: Evse) -> None:
    """Not even when the EVSE was last heard."""
    evse.status("CHARGING", "10:00", event_id="twice")
    before = evse.state.revision, evse.state.as_of, evse.state.last_seen_at

    assert evse.status("CHARGING", "12:00", event_id="twice") == Folded(Verdict.DUPLICATE)
    assert before == (evse.state.revision, evse.state.as_of, evse.state.last_seen_at)


def test_a_late_event_is_late(evse: Evse) -> None:
    """Without a sign of life in time it does nothing."""
    evse.status("CHARGING", "3 00:00")

    assert evse.status("OUTOFORDER", "10:00") == Folded(Verdict.LATE)
    assert evse.online(False, "10:00", received="3 01:00") == Folded(Verdict.LATE)


def test_a_removal_is_applied_once(evse: Evse) -> None:
    """What follows is refreshed."""
    removed = evse.remove("10:00")

    assert (removed.verdict, removed.removed_now, removed.publish) == (Verdict.APPLIED, True, True)
    assert evse.remove("11:00") == Folded(Verdict.REFRESHED)


def test_an_event_of_all_connectors_steps_the_revision_once() -> None:
    """However many it moves."""
    evse = Evse()
    for uid in ("c1", "c2", "c3"):
        evse.status("AVAILABLE", "09:00", connector_uid=uid)
    revision = evse.state.revision

    evse.online(False, "10:00")

    assert evse.state.revision == revision + 1
    assert len(set(evse.state.connectors_updated.values())) == 1


def test_the_first_event_makes_the_first_revision() -> None:
    """Whatever it is: there is an EVSE now."""
    evse = Evse()

    assert evse.heartbeat("09:00").moved
    assert (evse.state.revision, evse.state.last_updated) == (1, when("09:00"))


def test_last_updated_is_the_newest_time_known_and_never_goes_back(evse: Evse) -> None:
    """P10: where that is no later, a millisecond more than it was."""
    evse.status("CHARGING", "10:00")
    assert evse.state.last_updated == when("10:00")

    evse.status("OUTOFORDER", "09:30")
    assert evse.state.last_updated == when("10:00:00.001")

    evse.heartbeat("11:00")
    assert evse.state.last_updated == when("10:00:00.001")


def test_an_evse_moves_with_its_connector_and_its_siblings_stay(evse: Evse) -> None:
    """P10: a child's change moves the parent's."""
    evse.status("AVAILABLE", "09:30", connector_uid="c2")

    evse.status("CHARGING", "10:00", connector_uid="c2")

    updated = evse.state.connectors_updated
    assert updated["c2"] == evse.state.last_updated == when("10:00")
    assert updated["c1"] < when("09:01")


def test_an_inventory_that_says_something_new_moves_the_evse(evse: Evse) -> None:
    """The same again does not."""
    assert evse.inventory("10:00", "c1").moved
    assert evse.inventory("11:00", "c1") == Folded(Verdict.REFRESHED)
    assert evse.inventory("12:00", "c1", evse={"evse_id": "other"}).moved
    assert evse.inventory("13:00", "c1", "c2", evse={"evse_id": "other"}).moved
    assert evse.state.connector_uids() == ["c1", "c2"]


def test_an_inventory_that_names_what_is_published_already_moves_nothing() -> None:
    """As published, an EVSE of which reports alone are known has its uid and those of its connectors."""
    evse = Evse()
    evse.status("AVAILABLE", "10:00")
    said = evse.inventory("10:01", evse={"uid": "e1"}, connectors={"c1": {"uid": "c1"}})

    assert (said.verdict, said.moved, evse.state.revision) == (Verdict.REFRESHED, False, 1)
    assert evse.inventory("10:02", evse={"uid": "e1"}, connectors={"c1": {}, "c2": {}}).moved


def test_an_inventory_without_connectors_says_as_much_as_one_with_none() -> None:
    """Where none was known: what is published is the same."""
    evse = Evse()
    evse.inventory("10:00", connectors=None)

    assert evse.inventory("11:00", connectors={}) == Folded(Verdict.REFRESHED)


def test_connectors_stand_in_the_inventorys_order_and_then_by_name() -> None:
    """Those that it does not name come last."""
    evse = Evse()
    for uid in ("a", "z", "b"):
        evse.status("AVAILABLE", "09:00", connector_uid=uid)
    evse.inventory("10:00", "z", "m")

    assert evse.state.connector_uids() == ["z", "m", "a", "b"]


def test_online_of_one_connector_touches_that_one(evse: Evse) -> None:
    """Its siblings stay as they are."""
    evse.status("AVAILABLE", "09:30", connector_uid="c2")
    evse.online(False, "10:00", connector_uid="c2")

    assert (evse.track("c1").online, evse.track("c2").online) == (True, False)


def test_who_ever_reported_online_is_remembered() -> None:
    """P5: only they can fall silent; null is no such report."""
    evse = Evse()
    evse.online(None, "09:00")
    before = evse.state.has_reported_online
    evse.online(False, "10:00")

    assert (before, evse.state.has_reported_online) == (False, True)


def test_a_cap_ignores_what_applies_after_it() -> None:
    """And signs of life after it; what was learned later of before it counts."""
    evse = Evse()
    cap = "12:00"
    for event in [
        ("AVAILABLE", "09:00", "09:00"),
        ("OUTOFORDER", "12:00:01", "12:00:01"),
        ("CHARGING", "11:00", "14:00"),
    ]:
        evse.status_capped(*event, cap)

    assert evse.now() == ("CHARGING", None)
    assert evse.state.last_seen_at == when("09:00")
    assert evse.state.last_updated == when("12:00")
    assert evse.heartbeat_capped("11:30", "13:00", cap).verdict is Verdict.REFRESHED
    assert evse.state.last_seen_at == when("09:00")


def test_the_horizon_follows_the_newest_time_received_or_effective() -> None:
    """By the EVSE's own events, whatever they are."""
    evse = Evse(allowed_lateness=HOUR)
    evse.status("AVAILABLE", "09:00", received="10:00")
    assert evse.state.horizon == when("09:00")
    evse.gap("08:00", "08:30", at="12:00")
    assert evse.state.horizon == when("11:00")
    evse.heartbeat("09:00")
    assert (evse.state.horizon, evse.state.as_of) == (when("11:00"), when("12:00"))
    assert evse.state.closed == when("10:00")  # the whole hour before it, less what it takes to settle
    assert evse.state.last_updated >= when("10:00") - SECOND
