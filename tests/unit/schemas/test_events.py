"""The union of events as it stands on the wire."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from schemas.events import EVENT, MODELS, ConnectorStatus, EvseStatus, ExclusionDeclared
from schemas.examples import DEAD_LETTER_HEADERS_EXAMPLE, EVENTS, SNAPSHOT_EXAMPLE, TRANSITION_EXAMPLE
from schemas.generate import PUBLIC
from schemas.snapshot import DeadLetterHeaders, Snapshot, TransitionRecord
from schemas.vocabulary import EventType, ExclusionReason, Status


@pytest.mark.parametrize("kind", EventType)
def test_every_type_of_event_has_its_model(kind: EventType) -> None:
    """The word `type` alone chooses it."""
    assert type(EVENT.validate_python(EVENTS[kind])) is MODELS[kind]


@pytest.mark.parametrize("kind", EventType)
def test_an_event_is_written_as_it_was_read(kind: EventType) -> None:
    """What a producer builds with these models is what a worker takes."""
    event = EVENT.validate_python(EVENTS[kind])

    assert EVENT.validate_json(EVENT.dump_json(event, by_alias=True)) == event


@pytest.mark.parametrize("model", PUBLIC, ids=lambda model: model.__name__)
def test_every_field_of_every_model_is_described(model: type[BaseModel]) -> None:
    """The generated documents are read without the source beside them."""
    assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_an_event_cannot_be_changed() -> None:
    """What was reported stays what was reported."""
    event = EVENT.validate_python(EVENTS[EventType.EVSE_REMOVED])

    with pytest.raises(ValidationError, match="frozen"):
        event.event_id = "other"  # type: ignore[misc]


@pytest.mark.parametrize("kind", [EventType.CONNECTOR_STATUS, EventType.EVSE_STATUS])
@pytest.mark.parametrize(
    ("given", "kept"), [({}, "Blocked"), ({"raw_status": None}, "Blocked"), ({"raw_status": "B"}, "B")]
)
def test_an_unknown_status_becomes_unknown_and_its_word_is_kept(
    kind: EventType, given: dict[str, Any], kept: str
) -> None:
    """Unless the producer gave the raw word itself."""
    body = {name: value for name, value in EVENTS[kind].items() if name != "raw_status"}

    event = EVENT.validate_python({**body, "status": "Blocked", **given})

    assert isinstance(event, ConnectorStatus | EvseStatus)
    assert (event.status, event.raw_status) == (Status.UNKNOWN, kept)


def test_an_unknown_reason_becomes_other_and_its_word_is_kept() -> None:
    """As the note, unless there is one."""
    event = EVENT.validate_python({**EVENTS[EventType.EXCLUSION_DECLARED], "reason": "locusts", "note": None})

    assert isinstance(event, ExclusionDeclared)
    assert (event.reason, event.note) == (ExclusionReason.OTHER, "locusts")


def test_the_examples_of_what_goes_out_are_valid() -> None:
    """They stand in the generated documents."""
    assert Snapshot.model_validate(SNAPSHOT_EXAMPLE).revision == 17
    assert TransitionRecord.model_validate(TRANSITION_EXAMPLE).position.offset == 1289
    assert DeadLetterHeaders.model_validate(DEAD_LETTER_HEADERS_EXAMPLE).dl_field == "status"


def test_the_example_of_a_snapshot_adds_up() -> None:
    """A reader may check the rules on it by hand."""
    window = Snapshot.model_validate(SNAPSHOT_EXAMPLE).windows[0]
    observed = window.up_seconds + window.down_seconds + window.excluded_seconds
    total = observed + window.unobserved_seconds

    assert total == (window.until - window.from_).total_seconds()
    assert window.uptime == window.up_seconds / (window.up_seconds + window.down_seconds)
    assert window.coverage == pytest.approx(observed / total)
