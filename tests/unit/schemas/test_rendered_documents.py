"""What the worker renders is what the published models and the documented view say."""

from __future__ import annotations

import json
import re
from datetime import date

import jsonschema
import orjson
import pytest

from schemas import generate, view
from schemas.examples import EVENTS
from schemas.snapshot import Snapshot
from schemas.vocabulary import EventType
from service.domain.events import Event
from service.domain.fold import fold
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.domain.time import DAY, HOUR, MINUTE, SECOND, rfc3339
from service.processing.decoding import decode
from service.processing.rendering import RenderedEvse, document

START = 1_767_614_400 * SECOND
"""2026-01-05T12:00:00Z"""

LEFT_OUT = {EventType.EVSE_REMOVED, EventType.EXCLUSION_WITHDRAWN}


@pytest.fixture(scope="module")
def rendered() -> RenderedEvse:
    """Render an EVSE that had an event of nearly every type on each of six days."""
    state, rules = EvseState("charger-1", partition=3), Rules()
    working = {**EVENTS[EventType.CONNECTOR_STATUS], "status": "AVAILABLE"}
    events = [event for kind, event in EVENTS.items() if kind not in LEFT_OUT]
    moments = [START + day * DAY + number * MINUTE for day in range(6) for number in range(len(events))]
    moments += [START + day * DAY + HOUR for day in range(6)]
    for position, moment in enumerate(sorted(moments)):
        body = working if (moment - START) % DAY == HOUR else events[(moment - START) % DAY // MINUTE]
        times = {"event_id": f"e{position}", "occurred_at": rfc3339(moment), "received_at": rfc3339(moment)}
        event = decode(
            orjson.dumps({**body, **times}), key=b"charger-1", position=position, record_time=moment
        )
        assert isinstance(event, Event)
        fold(state, event, rules)
    return document(state, state.as_of, rules)


def test_a_snapshot_is_valid_by_its_model_and_its_schema(rendered: RenderedEvse) -> None:
    """Nothing is missing, nothing is of another type."""
    schema = json.loads((generate.FOLDER / "snapshot.json").read_text(encoding="utf-8"))

    jsonschema.Draft202012Validator(schema).validate(json.loads(rendered.snapshot))
    assert Snapshot.model_validate_json(rendered.snapshot).status == "AVAILABLE"


def test_a_snapshot_has_no_field_that_is_not_documented(rendered: RenderedEvse) -> None:
    """What is published is named in the models."""
    value = json.loads(rendered.snapshot)
    model = Snapshot.model_validate(value).model_dump(mode="json", by_alias=True)

    def undocumented(said: object, known: object) -> set[str]:
        if isinstance(said, dict) and isinstance(known, dict):
            deeper = [undocumented(said[name], known[name]) for name in said.keys() & known.keys()]
            return set().union(said.keys() - known.keys(), *deeper)
        if isinstance(said, list) and isinstance(known, list):
            return set().union(*(undocumented(a, b) for a, b in zip(said, known, strict=True)))
        return set()

    assert undocumented(value, model) == set()


def test_the_document_has_the_documented_fields(rendered: RenderedEvse) -> None:
    """All of them, and no other."""
    assert tuple(rendered.fields) == view.DOCUMENT_FIELDS
    assert rendered.fields["status"] == b"AVAILABLE"
    assert rendered.fields["online"] == b"true"
    assert rendered.fields["removed_at"] == b""
    assert rendered.fields["partition"] == b"3"


def test_a_partition_that_is_not_known_is_empty() -> None:
    """What was folded from a file lives in none."""
    assert document(EvseState("charger-1"), START, Rules()).fields["partition"] == b""


def test_a_day_stands_whole_in_one_place(rendered: RenderedEvse) -> None:
    """Closed days in their hash, the others in the recent history."""
    recent = view.parse_recent(rendered.fields["recent"]).connectors["c1"]
    closed = {view.parse_day_field(field): view.parse_day(day) for field, day in rendered.closed_days.items()}
    of_connector = {day: seconds for (uid, day), seconds in closed.items() if uid == "c1"}

    assert sorted([*of_connector, *recent.days]) == [date(2026, 1, day) for day in range(5, 11)]
    assert set(of_connector) & set(recent.days) == set()
    whole = of_connector[date(2026, 1, 6)]
    assert sum(seconds for state, seconds in whole.items() if view.state_of(state)) == 86_400


def test_the_ports_day_holds_the_classes_that_are_documented() -> None:
    """All of them and no other: what is not observed is what they leave of the day."""
    state, rules = EvseState("charger-1"), Rules()
    for position, status in enumerate(["PLANNED", "AVAILABLE", "OUTOFORDER", "UNKNOWN", "REMOVED"]):
        moment = START + position * HOUR
        body = {**EVENTS[EventType.CONNECTOR_STATUS], "status": status, "event_id": f"e{position}"}
        times = {"occurred_at": rfc3339(moment), "received_at": rfc3339(moment)}
        event = decode(
            orjson.dumps({**body, **times}), key=b"charger-1", position=position, record_time=moment
        )
        assert isinstance(event, Event)
        fold(state, event, rules)
    recent = view.parse_recent(document(state, START + 5 * HOUR, rules).fields["recent"])
    schema = json.loads((generate.FOLDER / "recent.json").read_text(encoding="utf-8"))
    said = schema["$defs"]["RecentPort"]["properties"]["days"]["description"]

    assert set(recent.port.days[date(2026, 1, 5)]) == set(re.findall(r"`(\w+)`", said))


def test_spans_are_scored_by_their_end(rendered: RenderedEvse) -> None:
    """So a range from a time on gives all that reach beyond it."""
    outages = view.parse_outages(value for _, value in rendered.closed_outages)
    gaps = view.parse_gaps(value for _, value in rendered.gaps)

    assert outages
    assert gaps
    ends = [*(outage.until for outage in outages), *(gap.until for gap in gaps)]
    assert [rfc3339(score) for score, _ in (*rendered.closed_outages, *rendered.gaps)] == [
        end and end.isoformat().replace("+00:00", "Z") for end in ends
    ]


def test_exclusions_are_read_back(rendered: RenderedEvse) -> None:
    """Under the id they were declared with."""
    values = {name: value for name, value in rendered.exclusions.items() if value is not None}

    exclusion = view.parse_exclusions(values)["outage-2026-01"]

    assert exclusion.connector_uids == ("c1",)
    assert exclusion.note == "Grid operator's notice 4711"
