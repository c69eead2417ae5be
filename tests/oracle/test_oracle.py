"""The oracle against cases worked out by hand: times, verdicts, inventories, removals, the EVSE."""

from __future__ import annotations

import pytest

from tests.oracle.builders import at, day_one, event, heartbeat, online, status, sums, upserted
from tests.oracle.log import parse, times
from tests.oracle.oracle import run


@pytest.mark.parametrize(
    ("occurred", "received", "expected"),
    [
        (at("10:00"), at("11:00"), (at("10:00"), at("11:00"))),
        (None, at("11:00"), (at("11:00"), at("11:00"))),
        (at("10:00"), None, (at("10:00"), at("10:00"))),
        (at("11:05"), at("11:00"), (at("11:05"), at("11:00"))),
        (at("11:05:01"), at("11:00"), (at("11:00"), at("11:00"))),
        ("2009-12-31T23:59:59Z", at("11:00"), (at("11:00"), at("11:00"))),
        ("0001-01-01T00:00:00", at("11:00"), (at("11:00"), at("11:00"))),
        (at("10:00"), "1970-01-01T00:00:00Z", (at("10:00"), at("10:00"))),
        ("2026-01-05T10:00:00", at("11:00"), (at("10:00"), at("11:00"))),
        ("2026-01-05T12:00:00+02:00", at("11:00"), (at("10:00"), at("11:00"))),
    ],
)
def test_effective_and_received_time_follow_p3(
    occurred: str | None, received: str | None, expected: tuple[str, str]
) -> None:
    """A clock ahead by more than five minutes or before 2010 gives way to the receipt."""
    found = times({"occurred_at": occurred, "received_at": received})

    assert (parse(expected[0]), parse(expected[1])) == found


def test_an_event_without_a_credible_time_is_rejected() -> None:
    """There is no record time to fall back to."""
    nowhere = {"event_id": "a", "type": "evse.heartbeat", "occurred_at": "1970-01-01T00:00:00Z"}

    result = run([nowhere])

    assert result.verdicts == ["rejected"]
    assert not result.exists


# Verdicts


def test_an_event_older_than_the_horizon_is_late_and_counts_as_a_heartbeat() -> None:
    """It names no connector and writes no status, but ends an offline span from its receipt's minute on."""
    result = run(
        [
            status("AVAILABLE", at("00:00", 3)),
            online(False, at("10:00", 3)),
            status("OUTOFORDER", at("00:00"), at("10:05:30", 3), connector="c2"),
        ]
    )

    assert result.verdicts == ["accepted", "accepted", "late"]
    assert list(result.connectors) == ["c1"]
    assert result.connectors["c1"].online is True
    assert result.connectors["c1"].online_since == parse(at("10:05", 3))
    assert result.last_seen_at == parse(at("10:05:30", 3))


def test_at_the_horizon_an_event_is_not_late() -> None:
    """Late is older than the horizon."""
    result = run([status("AVAILABLE", at("00:00", 2)), status("CHARGING", at("00:00"))])

    assert result.verdicts == ["accepted", "accepted"]


def test_of_one_id_the_first_in_the_log_counts_while_it_is_remembered() -> None:
    """Within the lateness a second event of the same id is a duplicate whatever it says."""
    first = status("AVAILABLE", at("10:00"))
    other = {**status("OUTOFORDER", at("11:00")), "event_id": first["event_id"]}
    much_later = {**status("CHARGING", at("11:00", 3)), "event_id": first["event_id"]}

    result = run([first, other, heartbeat(at("10:30", 3)), much_later])

    assert result.verdicts == ["accepted", "duplicate", "accepted", "accepted"]
    assert result.connectors["c1"].status == "CHARGING"


def test_what_applies_after_as_of_is_ignored() -> None:
    """Also a sign of life of an event that applies before it."""
    result = run(
        [
            status("AVAILABLE", at("08:00")),
            online(False, at("09:00")),
            status("CHARGING", at("08:30"), at("11:00")),
            status("OUTOFORDER", at("10:00:01")),
        ],
        as_of=at("10:00"),
    )

    assert result.verdicts == ["accepted", "accepted", "accepted", "ignored"]
    assert result.connectors["c1"].status == "CHARGING"
    assert result.connectors["c1"].online is False
    assert result.last_seen_at == parse(at("08:00"))


def test_the_first_inventory_status_counts_where_none_is_known() -> None:
    """The earliest that carries one, unless a status event applies earlier."""
    result = run(
        [
            upserted(at("03:00"), c1="PLANNED", c2="CHARGING"),
            upserted(at("02:00"), c1="AVAILABLE", c2="AVAILABLE"),
            upserted(at("01:00"), c1=None),
            status("OUTOFORDER", at("01:30"), connector="c2"),
        ]
    )

    assert (result.connectors["c1"].status, result.connectors["c1"].status_since) == (
        "AVAILABLE",
        parse(at("02:00")),
    )
    assert result.connectors["c2"].status == "OUTOFORDER"
    assert result.last_seen_at == parse(at("01:30"))


def test_an_inventory_before_the_horizon_takes_effect_at_the_horizon() -> None:
    """Closed history stays closed."""
    result = run([heartbeat(at("06:00", 4)), upserted(at("00:00"), at("06:00", 4), c1="AVAILABLE")])

    assert result.connectors["c1"].status_since == parse(at("06:00", 2))


def test_a_connector_no_longer_named_leaves_the_published_evse_alone() -> None:
    """Its status and its part in windows stay."""
    result = run(
        [
            status("AVAILABLE", at("00:30"), connector="c3"),
            upserted(at("01:00"), c1="AVAILABLE", c2="AVAILABLE"),
            upserted(at("02:00"), c1=None),
            event("evse.upserted", at("03:00"), evse={"uid": "evse-1"}),
        ]
    )

    assert {name: each.published for name, each in result.connectors.items()} == {
        "c1": True,
        "c2": False,
        "c3": True,
    }
    assert result.connectors["c2"].status == "AVAILABLE"
    assert result.inventory == {"uid": "evse-1"}


def test_a_removal_ends_everything_but_what_applies_before() -> None:
    """Later reports are ignored, their signs of life are not; earlier ones still correct history."""
    result = day_one(
        status("AVAILABLE", at("08:00")),
        event("evse.removed", at("12:00")),
        status("CHARGING", at("13:00")),
        status("AVAILABLE", at("13:00"), connector="c2"),
        status("OUTOFORDER", at("10:00"), at("14:00")),
    )

    assert result.removed
    assert list(result.connectors) == ["c1"]
    assert (result.status, result.connectors["c1"].status) == ("REMOVED", "REMOVED")
    assert result.connectors["c1"].status_since == parse(at("12:00"))
    assert sums(result) == (2 * 3_600, 2 * 3_600, 0, 8 * 3_600)
    assert result.last_seen_at == parse(at("14:00"))


def test_a_removal_before_the_horizon_takes_effect_at_the_horizon() -> None:
    """As the horizon was when it arrived."""
    result = run(
        [
            status("AVAILABLE", at("06:00", 4)),
            event("evse.removed", at("00:00"), at("06:00", 4)),
            status("AVAILABLE", at("07:00", 9)),
        ]
    )

    assert result.removed_at == parse(at("06:00", 2))


@pytest.mark.parametrize(
    ("words", "offline", "expected"),
    [
        (["AVAILABLE", "FINISHING"], [], "CHARGING"),
        (["AVAILABLE", "RESERVED"], [], "RESERVED"),
        (["OUTOFORDER", "AVAILABLE"], [], "AVAILABLE"),
        (["OUTOFORDER", "INOPERATIVE"], [], "INOPERATIVE"),
        (["OUTOFORDER", "UNKNOWN"], [], "OUTOFORDER"),
        (["OUTOFORDER", "PLANNED"], [], "OUTOFORDER"),
        (["REMOVED", "PLANNED"], [], "PLANNED"),
        (["REMOVED", "REMOVED"], [], "REMOVED"),
        (["UNKNOWN", "PLANNED"], [], "UNKNOWN"),
        (["CHARGING", "AVAILABLE"], ["c1"], "CHARGING"),
        (["CHARGING", "AVAILABLE"], ["c1", "c2"], "UNKNOWN"),
        (["CHARGING", "PLANNED"], ["c1"], "UNKNOWN"),
    ],
)
def test_one_status_for_the_evse(words: list[str], offline: list[str], expected: str) -> None:
    """In use first; offline connectors keep their last status unless all are offline."""
    reports = [status(word, at("08:00"), connector=f"c{index}") for index, word in enumerate(words, start=1)]
    disconnects = [online(False, at("09:00"), connector_uid=name) for name in offline]

    assert run(reports + disconnects).status == expected


def test_the_note_is_the_last_word_about_the_whole_charger() -> None:
    """It overwrites nothing and is a sign of life."""
    result = run(
        [
            status("AVAILABLE", at("08:00")),
            event("evse.status", at("09:00"), status="OUTOFORDER", error_code="OtherError"),
            event("evse.status", at("08:30"), status="AVAILABLE"),
        ]
    )

    assert result.note is not None
    assert (result.note.status, result.note.at) == ("OUTOFORDER", parse(at("09:00")))
    assert result.connectors["c1"].status == "AVAILABLE"
    assert result.last_seen_at == parse(at("09:00"))
