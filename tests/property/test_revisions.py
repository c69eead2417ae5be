"""Revision and `last_updated` move if and only if published content moved by an event (promise P10)."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from schemas.vocabulary import Verdict
from service.domain.events import Event, ExclusionDeclared, ExclusionWithdrawn, GapObserved, HeartbeatReceived
from service.domain.fold import fold
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.processing.rendering import snapshot
from tests.oracle.drawn_events import DAY_S, Nastiness
from tests.oracle.strategies import logs
from tests.property.folding import Json, decoded, ledger, rules, tries

FINE = Nastiness(whole_seconds=False, reused_ids=True, max_events=14)
LONG = Nastiness(span_s=9 * DAY_S, whole_seconds=False, max_events=16, max_delay_s=12 * 3_600)


def content(state: EvseState, using: Rules) -> dict[str, Any]:
    """Give what is content: `evse` without numbers and times, status, raw status and error code."""
    value = orjson.loads(snapshot(state, state.as_of, using))
    evse = {name: field for name, field in value["evse"].items() if name != "last_updated"}
    evse["connectors"] = [
        {
            name: field
            for name, field in connector.items()
            if name not in {"uptime", "reliability", "last_updated"}
        }
        for connector in evse["connectors"]
    ]
    words = {each["connector_uid"]: (each["raw_status"], each["error_code"]) for each in value["connectors"]}
    return {"evse": evse, "status": value["status"], "words": words}


def of_connector(state: EvseState, uid: str) -> tuple[Any, ...] | None:
    """Give what a connector has in the published EVSE, with its words; None where it is not in it."""
    value = content(state, rules())
    published = {each["uid"]: each for each in value["evse"]["connectors"]}
    return (published[uid], value["words"][uid]) if uid in published else None


class Step:
    """One event folded: how the state was and is, and what was said of it."""

    def __init__(self, before: EvseState, event: Event, using: Rules) -> None:
        self.event = event
        self.before = before
        self.after = deepcopy(before)
        self.folded = fold(self.after, event, using)
        self.content_moved = content(before, using) != content(self.after, using)

    def history_moved(self, *causes: str) -> bool:
        """Tell whether the account of the time until now differs from what it would have been."""
        now = self.after.as_of
        one, other = (
            ledger(state, now, causes=causes, nameless=False) for state in (self.before, self.after)
        )
        return one != other


def steps(log: list[Json], using: Rules) -> list[Step]:
    """Fold a log event by event."""
    state, found = EvseState("evse-1"), []
    for event in decoded(log):
        found.append(Step(state, event, using))
        state = found[-1].after
    return found


@given(logs(FINE), st.sampled_from((3_600, 172_800)))
@tries(0.4)
def test_the_revision_is_stepped_by_one_if_and_only_if_content_or_history_moved(
    log: list[Json], lateness_s: int
) -> None:
    """The first event makes the first revision, whatever it is."""
    for step in steps(log, rules(lateness_s)):
        stepped = step.after.revision - step.before.revision
        must = step.before.revision == 0 or step.content_moved or step.history_moved()
        may = must or step.history_moved("event_id", "position")

        assert stepped == step.folded.moved
        assert must <= stepped <= may


@given(logs(LONG), st.sampled_from((3_600, 172_800)))
@tries(0.3)
def test_last_updated_moves_with_the_revision_and_never_back(log: list[Json], lateness_s: int) -> None:
    """To the newest time known, or by a millisecond where that is not later."""
    for step in steps(log, rules(lateness_s)):
        before, after = step.before, step.after

        assert (after.last_updated > before.last_updated) == (after.revision > before.revision)
        assert after.last_updated >= before.last_updated
        if before.revision and after.revision > before.revision:
            assert after.last_updated == max(after.as_of, before.last_updated + 1_000)


@given(logs(FINE))
@tries(0.3)
def test_the_time_of_the_evse_moves_with_those_of_its_connectors(log: list[Json]) -> None:
    """A connector's content moves its own time, and only then is it the EVSE's."""
    for step in steps(log, rules()):
        before, after = step.before, step.after
        assert all(updated <= after.last_updated for updated in after.connectors_updated.values())
        for uid in after.tip.tracks:
            moved = after.connectors_updated.get(uid, 0) > before.connectors_updated.get(uid, 0)
            if step.content_moved and of_connector(after, uid) not in (None, of_connector(before, uid)):
                assert moved
            if moved:
                assert after.connectors_updated[uid] == after.last_updated
                assert step.folded.moved


@given(logs(FINE))
@tries(0.3)
def test_a_verdict_says_whether_anything_moved(log: list[Json]) -> None:
    """But heartbeats and what applies after a removal are refreshed, even where they end an offline span."""
    for step in steps(log, rules()):
        if step.before.revision == 0 or isinstance(step.event, HeartbeatReceived):
            continue
        match step.folded.verdict:
            case Verdict.DUPLICATE:
                assert not step.content_moved
                assert not step.history_moved()
            case Verdict.REFRESHED if not step.before.removed:
                assert not step.content_moved, step.event
                assert not step.history_moved(), step.event
            case Verdict.CORRECTED:
                assert step.folded.moved
            case Verdict.APPLIED:
                assert step.folded.publish, step.event


@given(logs(FINE))
@tries(0.2)
def test_declarations_are_published_under_the_same_revision(log: list[Json]) -> None:
    """Exclusions and gaps change numbers, which are not content."""
    for step in steps(log, rules()):
        if step.before.revision and isinstance(
            step.event, ExclusionDeclared | ExclusionWithdrawn | GapObserved
        ):
            assert not step.folded.moved
            assert step.folded.publish == (step.folded.verdict is Verdict.APPLIED)
