"""The window of an EVSE as a port, with the connectors that make it so."""

from __future__ import annotations

from schemas.explanation import Explanation, PortExplanation
from schemas.vocabulary import TimeClass
from service.domain.time import DAY, HOUR, micros_from
from tests.builders import MIDNIGHT, Json, event, heartbeat, online_reported, status_reported, time_of
from tests.evidence import explanation

DAY_ONE = (micros_from(MIDNIGHT), micros_from(MIDNIGHT) + DAY)


def of_day_one(*events: Json) -> Explanation:
    """Explain the first day."""
    return explanation(*events, heartbeat("00:00", day=1), period=DAY_ONE)


def port_of(found: Explanation) -> PortExplanation:
    """Give the port."""
    assert found.port is not None
    return found.port


TWO = (status_reported("AVAILABLE", "00:00"), status_reported("AVAILABLE", "00:00", connector="c2"))


def test_a_port_is_up_while_any_connector_is() -> None:
    """The connectors that make it so are named with how long each did, and why."""
    found = of_day_one(
        *TWO,
        status_reported("OUTOFORDER", "06:00"),
        status_reported("OUTOFORDER", "08:00", connector="c2", error_code="HighTemperature"),
        status_reported("AVAILABLE", "10:00"),
    )

    before, down, after = port_of(found).intervals
    assert [each.time_class for each in (before, down, after)] == [
        TimeClass.UP,
        TimeClass.DOWN,
        TimeClass.UP,
    ]
    assert [(each.connector_uid, each.seconds) for each in before.connectors] == [
        ("c1", 6 * 3600),
        ("c2", 8 * 3600),
    ]
    assert down.cause == "c1 (out of order), c2 (out of order with error HighTemperature)"
    assert before.cause == "c1, c2 (working)"
    assert [each.connector_uid for each in after.connectors] == ["c1"]


def test_a_turn_of_the_port_names_the_event_and_its_connector() -> None:
    """The one that made the last working connector stop, and the one that brought one back."""
    found = of_day_one(
        *TWO,
        status_reported("OUTOFORDER", "06:00"),
        status_reported("OUTOFORDER", "08:00", connector="c2"),
        status_reported("AVAILABLE", "10:00"),
    )

    before, down, after = port_of(found).intervals
    assert (before.ended_by, down.ended_by) == (down.began_by, after.began_by)
    assert down.began_by is not None
    assert down.ended_by is not None
    assert (down.began_by.connector_uid, down.began_by.offset) == ("c2", 3)
    assert (down.ended_by.connector_uid, down.ended_by.offset) == ("c1", 4)


def test_an_exclusion_of_one_connector_counts_for_the_port_only_alone() -> None:
    """While another connector is down and not excused, the port is down."""
    terms: Json = {"exclusion_id": "x", "from": time_of("07:00"), "until": time_of("09:00")}
    found = of_day_one(
        *TWO,
        online_reported(False, "06:00"),
        event("exclusion.declared", "00:00", **terms, reason="vandalism", connector_uids=["c1"]),
        status_reported("REMOVED", "08:00", connector="c2", received_at=time_of("23:00")),
    )

    classes = [(f"{each.from_:%H}", str(each.time_class)) for each in port_of(found).intervals]
    assert classes[:5] == [("00", "up"), ("06", "down"), ("08", "excluded"), ("09", "down"), ("23", "up")]
    [use] = port_of(found).exclusions
    assert use.counted_seconds == 3600
    assert use.rest_seconds == {TimeClass.DOWN: 3600}
    assert use.remark == "counts only where no connector that it is not about was down, too"
    assert port_of(found).intervals[2].exclusion_ids == ("x",)


def test_an_exclusion_of_what_is_not_down_changes_nothing_for_the_port() -> None:
    """Another may exclude all that was down."""
    terms: Json = {"from": time_of("07:00"), "until": time_of("09:00"), "reason": "vandalism"}
    found = of_day_one(
        status_reported("OUTOFORDER", "00:00"),
        status_reported("UNKNOWN", "00:00", connector="c2"),
        event("exclusion.declared", "00:00", **terms, exclusion_id="x", connector_uids=["c1"]),
        event("exclusion.declared", "00:00", **terms, exclusion_id="y", connector_uids=["c2"]),
    )

    remarks = {use.exclusion_id: use.remark for use in port_of(found).exclusions}
    assert remarks == {
        "x": "counts in full: it was down all the time",
        "y": "changes nothing: what was down meanwhile is excluded by another",
    }
    assert [use.remark for use in found.connectors[1].exclusions] == [
        "does not count here: it is about other connectors",
        "changes nothing: it was never down meanwhile",
    ]


def test_an_evse_without_connectors_is_unobserved() -> None:
    """There is nothing that could be up."""
    found = of_day_one(online_reported(True, "00:00"))

    [only] = port_of(found).intervals
    assert (only.time_class, only.cause, only.connectors) == (
        TimeClass.UNOBSERVED,
        "no connector is known yet",
        (),
    )
    assert found.connectors == ()


def test_a_port_after_the_newest_time_is_unobserved() -> None:
    """Where nothing later is known of any connector."""
    found = explanation(*TWO, heartbeat("12:00"), period=(DAY_ONE[0], DAY_ONE[0] + 13 * HOUR))

    last = port_of(found).intervals[-1]
    assert (last.time_class, last.begins_with, last.ends_with) == (TimeClass.UNOBSERVED, "as_of", "window")
    assert last.began_by is None


def test_one_connector_alone_is_explained_without_the_port() -> None:
    """Who asks for one connector is not told of the others."""
    found = explanation(*TWO, heartbeat("12:00"), connector="c2")

    assert [each.connector_uid for each in found.connectors] == ["c2"]
    assert found.port is None
    assert found.agrees is True


def test_another_window_is_compared_with_nothing() -> None:
    """The snapshot says nothing of it."""
    found = of_day_one(*TWO)

    assert (found.is_published, found.agrees, port_of(found).published) == (False, None, None)
