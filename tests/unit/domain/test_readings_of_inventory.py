"""The settled readings 12 to 15: inventory, removal and the EVSE's one status."""

from __future__ import annotations

import pytest

from schemas.vocabulary import Status, Verdict
from service.domain.time import HOUR
from tests.unit.domain.told import Evse

H = 3_600

# 12: an inventory's status


def test_an_inventorys_status_counts_where_none_is_known() -> None:
    """Reading 12: from its effective time on."""
    evse = Evse()
    taken = evse.inventory("10:00", statuses={"c1": "AVAILABLE"})

    assert taken.verdict is Verdict.APPLIED
    assert evse.now() == ("AVAILABLE", None)
    assert evse.window("09:00", "11:00") == (H, 0, 0, H)
    assert [(step.to_status, step.from_status) for step in taken.transitions] == [("AVAILABLE", None)]


def test_later_statuses_of_inventories_never_count() -> None:
    """Reading 12: the earliest upsert that carries one."""
    evse = Evse()
    evse.inventory("10:00", "c1")
    evse.inventory("11:00", statuses={"c1": "AVAILABLE"})
    evse.inventory("12:00", statuses={"c1": "OUTOFORDER"})

    assert evse.now() == ("AVAILABLE", None)


def test_an_earlier_inventory_that_arrives_later_gives_the_first_status() -> None:
    """Reading 12: by effective time, not arrival."""
    evse = Evse()
    evse.inventory("11:00", statuses={"c1": "AVAILABLE"})
    evse.inventory("10:00", statuses={"c1": "OUTOFORDER"})

    assert evse.now() == ("OUTOFORDER", None)
    assert evse.since()[0] == "10:00:00Z"


def test_an_inventorys_status_gives_way_to_an_earlier_report() -> None:
    """Reading 12: also to one that arrives later."""
    evse = Evse()
    evse.inventory("10:00", statuses={"c1": "AVAILABLE"})
    evse.status("OUTOFORDER", "09:00")

    assert evse.now() == ("OUTOFORDER", None)
    assert evse.window("09:00", "12:00") == (0, 3 * H, 0, 0)


def test_a_first_status_from_before_the_horizon_begins_at_the_horizon() -> None:
    """Reading 3: closed history stays."""
    evse = Evse(allowed_lateness=HOUR)
    evse.heartbeat("12:00")
    evse.inventory("05:00", statuses={"c1": "AVAILABLE"})

    assert evse.since()[0] == "11:00:00Z"


# 13: removal


def test_a_removal_ends_everything() -> None:
    """Reading 13: all connectors are REMOVED from then on."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00", connector_uid="c1")
    evse.status("CHARGING", "09:00", connector_uid="c2")

    removed = evse.remove("10:00")

    assert removed.removed_now
    assert removed.moved
    assert {step.connector_uid: step.to_status for step in removed.transitions} == {
        "c1": Status.REMOVED,
        "c2": Status.REMOVED,
    }
    assert evse.window("09:00", "12:00") == (H, 0, 0, 0)
    assert evse.port("09:00", "12:00") == (H, 0, 0, 0)


def test_what_applies_after_a_removal_is_refreshed_at_most() -> None:
    """Reading 13: its sign of life is not ignored."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.online(False, "09:30")
    evse.remove("10:00")

    evse.heartbeat("10:30")
    verdicts = [
        evse.status("CHARGING", "11:00").verdict,
        evse.status("CHARGING", "11:00", connector_uid="c2").verdict,
        evse.online(False, "11:00").verdict,
        evse.note("AVAILABLE", "11:00").verdict,
        evse.inventory("11:00", "c3", statuses={"c1": "AVAILABLE"}).verdict,
        evse.exclude("x", "08:00", "12:00", at="11:00").verdict,
        evse.withdraw("x", at="11:00").verdict,
        evse.gap("08:00", "09:00", at="11:00").verdict,
        evse.remove("11:00").verdict,
    ]

    assert set(verdicts) == {Verdict.REFRESHED}
    assert list(evse.state.tip.tracks) == ["c1"]
    assert evse.state.tip.note is None
    assert evse.now() == ("REMOVED", True)
    assert evse.window("08:00", "12:00") == (H // 2, H // 2, 0, H)


def test_what_applies_before_a_removal_still_corrects_history() -> None:
    """Reading 13: of a connector known or not."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.remove("12:00")

    assert evse.status("OUTOFORDER", "10:00").verdict is Verdict.CORRECTED
    assert evse.status("OUTOFORDER", "11:00", connector_uid="c2").moved

    assert evse.window("09:00", "13:00") == (H, 2 * H, 0, 0)
    assert evse.track("c2").status is Status.REMOVED
    assert evse.window("09:00", "13:00", "c2") == (0, H, 0, 2 * H)


def test_a_removal_that_arrives_late_takes_back_what_applied_after_it() -> None:
    """Reading 13: connectors, inventories, exclusions and gaps."""
    evse = Evse()
    evse.status("OUTOFORDER", "09:00")
    evse.inventory("09:00", "c1", evse={"evse_id": "before"})
    evse.inventory("11:00", "c1", "c3", evse={"evse_id": "after"})
    evse.status("AVAILABLE", "11:00", connector_uid="c2")
    evse.exclude("x", "09:00", "09:30", at="11:00")
    evse.gap("09:30", "09:40", at="11:00")

    removed = evse.remove("10:00")

    assert removed.removed_now
    assert list(evse.state.tip.tracks) == ["c1"]
    assert evse.state.declarations.evse == {"evse_id": "before"}
    assert evse.window("09:00", "12:00") == (0, H, 0, 0)


def test_an_earlier_removal_that_arrives_later_corrects_the_first() -> None:
    """The earliest holds; a later one changes nothing."""
    evse = Evse()
    evse.status("AVAILABLE", "09:00")
    evse.remove("12:00")

    earlier = evse.remove("10:00")

    assert (earlier.verdict, earlier.removed_now) == (Verdict.CORRECTED, False)
    assert evse.window("09:00", "12:00") == (H, 0, 0, 0)
    assert evse.remove("11:00").verdict is Verdict.REFRESHED


def test_an_evse_without_connectors_can_be_removed() -> None:
    """Its status is REMOVED nowhere, but it is gone; nothing that is published of it moves (promise P10)."""
    evse = Evse()
    evse.heartbeat("09:00")

    removed = evse.remove("10:00")

    assert (removed.removed_now, removed.publish, removed.moved) == (True, True, False)
    assert evse.state.removed


def test_a_connector_that_the_inventory_names_no_more_is_only_not_published() -> None:
    """Reading 13: status, history and its part in windows stay."""
    evse = Evse()
    evse.inventory("08:00", "c1", "c2")
    evse.status("AVAILABLE", "09:00", connector_uid="c2")
    evse.status("AVAILABLE", "09:00", connector_uid="c9")

    assert evse.inventory("10:00", "c1").moved

    published = {each.uid: each.published for each in evse.summary().connectors}
    assert published == {"c1": True, "c2": False, "c9": True}
    assert evse.window("09:00", "10:00", "c2") == (H, 0, 0, 0)
    assert evse.summary().status is Status.AVAILABLE
    assert not evse.inventory("11:00", connectors=None).moved
    assert evse.inventory("12:00", "c2").moved
    assert {each.uid: each.published for each in evse.summary().connectors} == {
        "c1": False,
        "c2": True,
        "c9": True,
    }


def test_an_inventory_that_says_nothing_of_connectors_takes_none_out() -> None:
    """Reading 13: only one in which `connectors` is present does."""
    evse = Evse()
    evse.inventory("08:00", "c1", "c2")

    assert evse.inventory("09:00", connectors=None, evse={"evse_id": "x"}).moved

    assert [each.published for each in evse.summary().connectors] == [True, True]


# 14: one status


@pytest.mark.parametrize(
    ("statuses", "offline", "expected"),
    [
        ([], (), "UNKNOWN"),
        (["PREPARING", "AVAILABLE"], (), "CHARGING"),
        (["CHARGING", "RESERVED"], (), "CHARGING"),
        (["FINISHING", "OUTOFORDER"], (), "CHARGING"),
        (["RESERVED", "AVAILABLE"], (), "RESERVED"),
        (["AVAILABLE", "INOPERATIVE"], (), "AVAILABLE"),
        (["INOPERATIVE", "OUTOFORDER"], (), "INOPERATIVE"),
        (["OUTOFORDER", "UNKNOWN"], (), "OUTOFORDER"),
        (["UNKNOWN", "UNKNOWN"], (), "UNKNOWN"),
        (["PLANNED", "REMOVED"], (), "PLANNED"),
        (["PLANNED", "PLANNED"], (), "PLANNED"),
        (["REMOVED", "REMOVED"], (), "REMOVED"),
        (["PLANNED", "OUTOFORDER"], (), "OUTOFORDER"),
        (["AVAILABLE", "CHARGING"], (0, 1), "UNKNOWN"),
        (["AVAILABLE", "CHARGING"], (1,), "CHARGING"),
        (["AVAILABLE", "PLANNED"], (0,), "UNKNOWN"),
    ],
)
def test_the_table_of_one_status(statuses: list[str], offline: tuple[int, ...], expected: str) -> None:
    """Reading 14: online first, then the order of the rule with each connector's last status."""
    evse = Evse()
    evse.heartbeat("08:00")
    for number, word in enumerate(statuses):
        evse.status(word, "09:00", connector_uid=f"c{number}")
    for number in offline:
        evse.online(False, "10:00", connector_uid=f"c{number}")

    assert expected == evse.summary().status


@pytest.mark.parametrize(
    ("online", "expected"),
    [
        ([None, None], None),
        ([None, True], True),
        ([False, True], True),
        ([False, None], None),
        ([False, False], False),
        ([], None),
    ],
)
def test_an_evse_is_offline_when_all_its_connectors_are(
    online: list[bool | None], expected: bool | None
) -> None:
    """Online if any is; else it is not known."""
    evse = Evse()
    evse.heartbeat("08:00")
    for number, _ in enumerate(online):
        evse.status("AVAILABLE", "09:00", connector_uid=f"c{number}")
    for number, value in sorted(enumerate(online), key=lambda pair: pair[1] is False):
        evse.online(value, "10:00", connector_uid=f"c{number}")

    assert expected is evse.summary().online


# 15: nothing known


def test_without_a_status_it_is_unknown_since_never() -> None:
    """Reading 15: `online_since` is null exactly when `online` is."""
    evse = Evse()
    evse.inventory("08:00", "c1")
    [connector] = evse.summary().connectors
    assert (connector.track.status, connector.track.status_since) == (None, None)
    assert evse.summary().status is Status.UNKNOWN
    assert evse.since() == (None, None)

    evse.online(True, "09:00")
    assert evse.since() == (None, "09:00:00Z")
    evse.online(None, "10:00")
    assert evse.since() == (None, None)
