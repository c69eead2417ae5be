"""Where the horizon, the kept history, `as_of` and a removal meet."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from schemas.vocabulary import Status, Verdict
from service.domain.events import Event
from service.domain.fold import fold
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.domain.summary import Summary, summarize
from service.domain.time import DAY, HOUR, micros_from, rfc3339
from service.domain.time import datetime_from as moment
from service.processing.rendering import snapshot
from tests.property.folding import decoded
from tests.unit.domain.told import Evse, when

RULES = Rules()


def said(kind: str, at: str, received: str | None = None, **body: Any) -> dict[str, Any]:
    """Write an event of one EVSE; its id is its content."""
    return {
        "type": kind,
        "event_id": f"{kind} {at} {body}",
        "evse_uid": "e1",
        "occurred_at": at,
        "received_at": received or at,
        **body,
    }


def status(word: str, at: str, received: str | None = None, connector: str = "c1") -> dict[str, Any]:
    """Write a status."""
    return said("connector.status", at, received, connector_uid=connector, status=word)


def folded(*log: dict[str, Any], rules: Rules = RULES, cap: str | None = None) -> EvseState:
    """Fold a log, up to a time."""
    state = EvseState("e1")
    until = None if cap is None else time(cap)
    for event in events(*log):
        fold(state, event, rules, cap=until)
    return state


def events(*log: dict[str, Any]) -> list[Event]:
    """Decode a log."""
    return decoded(log)


def time(text: str) -> int:
    """Read a time."""
    return micros_from(moment(0).fromisoformat(text))


def summary(state: EvseState, as_of: int | None = None) -> Summary:
    """Summarize, by default as of the newest time."""
    return summarize(state, state.as_of if as_of is None else as_of, RULES)


def test_what_was_received_long_after_as_of_adds_no_time_beyond_it() -> None:
    """The receipt moves the horizon, and the window still ends at as_of."""
    as_of = "2026-01-02T00:00:00Z"
    state = folded(
        status("AVAILABLE", "2025-11-01T00:00:00Z"),
        said("evse.heartbeat", "2026-01-01T01:00:00Z", "2026-01-11T00:00:00Z"),
        cap=as_of,
    )

    read = summary(state, time(as_of))

    window = read.connectors[0].windows[0]
    assert (window.up, window.unobserved) == (30 * DAY, 0)
    assert (read.windows[0].up, read.windows[0].unobserved) == (30 * DAY, 0)
    assert read.connectors[0].reliability.observed == 62 * DAY


def test_an_exclusion_of_time_no_longer_kept_is_not_taken_out_of_what_is() -> None:
    """Observed time is that of the days kept, less what is excluded of those days."""
    log = [status("OUTOFORDER", "2024-01-01T00:00:00Z"), status("AVAILABLE", "2024-02-01T00:00:00Z")]
    start = time("2024-02-02T00:00:00Z")
    log += [said("evse.heartbeat", moment(start + half * 12 * HOUR).isoformat()) for half in range(2 * 384)]
    span = {"from": "2024-01-01T00:00:00Z", "until": "2024-02-01T00:00:00Z", "reason": "other"}
    excluded = said("exclusion.declared", "2024-02-01T12:00:00Z", exclusion_id="x", **span)

    without = summary(folded(*log)).connectors[0].reliability
    with_it = summary(folded(log[0], log[1], excluded, *log[2:])).connectors[0].reliability

    days_down = (time("2024-02-01T00:00:00Z") - time("2024-01-01T00:00:00Z")) // DAY
    lost = without.observed - with_it.observed
    assert 0 < lost < days_down * DAY
    assert with_it.observed == summary(folded(*log[1:])).connectors[0].reliability.observed


def test_the_latest_inventory_gives_the_order_of_the_connectors() -> None:
    """Whichever arrives first; a mere change of order is a change."""
    first, second = (
        said("evse.upserted", at, evse={"uid": "e1", "connectors": [{"uid": uid} for uid in uids]})
        for at, uids in (("2026-01-01T00:00:00Z", ("c1", "c2")), ("2026-01-01T01:00:00Z", ("c2", "c1")))
    )

    states = folded(first, second), folded(second, first)

    assert [state.connector_uids() for state in states] == [["c2", "c1"]] * 2
    assert states[0].revision == 2


def test_a_burst_beyond_the_limit_makes_nothing_late_that_comes_in_order() -> None:
    """The horizon moves up to what is kept, never past the newest event."""
    start = time("2026-01-01T00:00:00Z")
    words = ("AVAILABLE", "CHARGING")
    burst = [status(words[n % 2], moment(start + n * 5_000).isoformat()) for n in range(500)]

    state = folded(*burst, status("OUTOFORDER", "2026-01-01T00:01:00Z"), rules=Rules(recent_limit=50))

    assert state.tip.tracks["c1"].status is Status.OUTOFORDER
    assert state.reports <= 50 + 1
    assert state.overflows > 0


def test_what_is_dropped_for_its_age_does_not_depend_on_the_order_of_arrival() -> None:
    """Days go by what is closed."""
    log = [
        status("AVAILABLE", "2024-06-01T00:00:00Z"),
        status("OUTOFORDER", "2024-12-01T12:00:00Z"),
        status("AVAILABLE", "2024-12-01T13:00:00Z"),
    ]
    notes = [
        said("evse.status", at, status="AVAILABLE") for at in ("2026-01-05T00:10:00Z", "2026-01-06T00:05:00Z")
    ]

    one, other = folded(*log, *notes), folded(*log, *reversed(notes))

    assert summary(one).connectors[0].reliability == summary(other).connectors[0].reliability
    assert one.history["c1"].days == other.history["c1"].days


def test_a_transition_at_the_horizon_is_told_as_of_the_horizon() -> None:
    """A removal from before it lasts no negative time."""
    state = folded(
        status("AVAILABLE", "2026-01-01T00:00:00Z"),
        status("CHARGING", "2026-01-02T00:00:00Z"),
        said("evse.heartbeat", "2026-01-08T00:00:00Z"),
    )
    (removal,) = events(said("evse.removed", "2026-01-01T12:00:00Z"))

    (transition,) = fold(state, removal, RULES).transitions

    assert (transition.at, transition.lasted) == (time("2026-01-06T00:00:00Z"), 4 * DAY)


def test_a_connector_that_is_taken_out_moves_no_revision() -> None:
    """It is not in the published EVSE; what is said of it beside that follows under the same revision."""
    both, one = ([{"uid": "c1"}, {"uid": "c2", "status": "AVAILABLE"}], [{"uid": "c1"}])
    state = folded(
        said("evse.upserted", "2026-01-01T00:00:00Z", evse={"uid": "e1", "connectors": both}),
        said("evse.upserted", "2026-01-01T01:00:00Z", evse={"uid": "e1", "connectors": one}),
    )
    (online,) = events(said("connector.online", "2026-01-01T02:00:00Z", connector_uid="c2", online=True))

    outcome = fold(state, online, RULES)

    assert (outcome.verdict, outcome.publish, outcome.moved) == (Verdict.APPLIED, True, False)


def test_what_was_declared_after_a_removal_is_ignored_though_the_removal_comes_late() -> None:
    """Only the effect on status waits for the horizon."""
    span = {"from": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z", "reason": "other"}
    renamed = {"uid": "e1", "evse_id": "new"}
    state = folded(
        status("OUTOFORDER", "2026-01-01T00:00:00Z"),
        said("evse.heartbeat", "2026-01-08T00:00:00Z"),
        said("evse.removed", "2026-01-03T00:00:00Z", "2026-01-08T00:00:01Z"),
        said("exclusion.declared", "2026-01-04T00:00:00Z", "2026-01-08T00:00:02Z", exclusion_id="x", **span),
        said(
            "evse.upserted",
            "2026-01-05T00:00:00Z",
            "2026-01-08T00:00:03Z",
            evse=renamed,
        ),
    )

    value = orjson.loads(snapshot(state, state.as_of, RULES))

    assert "evse_id" not in value["evse"]
    assert value["connectors"][0]["windows"][0]["excluded_seconds"] == 0
    assert value["connectors"][0]["status_since"] == "2026-01-06T00:00:01Z"
    assert state.removal_key is not None
    assert state.removal_key[0] == time("2026-01-03T00:00:00Z")


def test_a_removal_before_the_horizon_takes_back_what_a_later_inventory_named() -> None:
    """The inventory truly applied after the removal: neither its connector nor its status stands."""
    connectors = [{"uid": "c1", "status": "AVAILABLE"}]
    state = folded(
        said(
            "evse.upserted", "2026-01-05T00:00:01Z", "2026-01-05T00:00:02Z", evse={"connectors": connectors}
        ),
        said("evse.removed", "2026-01-05T00:00:00Z"),
        rules=Rules(allowed_lateness=0),
    )

    assert state.connector_uids() == []
    assert state.reports == 2  # the inventory's, which is about nobody now, and the removal's
    assert orjson.loads(snapshot(state, state.as_of, RULES))["connectors"] == []


def test_what_an_inventory_said_before_the_horizon_outlives_a_removal_dated_before_it() -> None:
    """The removal's effect on status begins at the horizon; the connector is known by a report, too."""
    connectors = [{"uid": "c1", "status": "AVAILABLE"}]
    state = folded(
        said("evse.upserted", "2026-01-05T23:59:31Z", evse={"connectors": connectors}),
        status("AVAILABLE", "2026-01-05T23:59:41Z"),
        said("evse.heartbeat", "2026-01-08T00:00:00Z"),
        said("evse.removed", "2026-01-04T00:00:00Z", "2026-01-08T00:00:01Z"),
    )

    window = orjson.loads(snapshot(state, state.as_of, RULES))["connectors"][0]["windows"][0]
    assert window["up_seconds"] == 30  # from the inventory on, and not from the report


@pytest.mark.timeout(20)
@pytest.mark.parametrize("late", ["heartbeat", "receipt"])
def test_a_sign_of_life_in_the_minute_up_to_which_the_limit_closed_ends_nothing(late: str) -> None:
    """What closed with the repeat of that minute cannot be taken back, and nobody waits for it to be."""
    evse = Evse(recent_limit=2)
    evse.status("AVAILABLE", "9:59")
    for minute in (0, 5, 6, 7):
        evse.online(False, f"10:0{minute}")
    assert rfc3339(evse.state.closed)[11:16] == "10:05"

    if late == "heartbeat":
        evse.heartbeat("10:05:30")
    else:
        evse.status("AVAILABLE", "9:00", received="10:05:30")
    evse.online(False, "10:08")

    assert evse.now() == ("AVAILABLE", False)
    assert evse.since()[1] == "10:00:00Z"


def test_at_the_end_of_the_calendar_last_updated_stands_still() -> None:
    """A year 9999 is what some write for never: a millisecond after it there is none."""
    log = [status(word, "9999-12-31T23:59:59.999999Z") for word in ("AVAILABLE", "CHARGING", "AVAILABLE")]
    log = [{**each, "event_id": str(number)} for number, each in enumerate(log)]

    state = folded(*log)

    assert state.revision == 3
    assert b"9999-12-31T23:59:59.999999Z" in snapshot(state, state.as_of, RULES)


@pytest.mark.parametrize("kind", ["status", "note", "heartbeat"])
def test_a_word_after_a_removal_is_refreshed(kind: str) -> None:
    """Whatever it is, though its sign of life still ends being offline."""
    evse = Evse()
    evse.status("AVAILABLE", "10:00")
    evse.online(False, "10:10")
    evse.remove("10:20")

    if kind == "status":
        told = evse.status("AVAILABLE", "10:30")
    else:
        told = evse.note("AVAILABLE", "10:30") if kind == "note" else evse.heartbeat("10:30")

    assert told.verdict is Verdict.REFRESHED
    assert evse.track().online is True


def test_a_gap_that_is_too_old_when_it_is_told_leaves_nothing_to_write() -> None:
    """Its tombstone is the last that the ledger says of it."""
    evse = Evse()
    evse.status("AVAILABLE", "10:00")
    evse.gap("-500 10:00", "-499 10:00", at="12:00")

    assert evse.state.unsaved.gaps == []
    assert [gap.from_ for gap in evse.state.unsaved.dropped_gaps] == [when("-500 10:00")]


def test_an_inventory_that_corrects_history_moves_its_connectors_last_updated() -> None:
    """As a late status that does the same."""
    evse = Evse()
    evse.inventory("8:00", "c1")
    evse.status("AVAILABLE", "10:00")
    before = evse.state.connectors_updated["c1"]

    evse.inventory("9:00", statuses={"c1": "OUTOFORDER"})

    assert evse.window("8:00", "10:00")[1] == 3_600
    assert evse.state.connectors_updated["c1"] > before
