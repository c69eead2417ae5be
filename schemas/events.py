"""
What comes in: the events of the input log, told apart by `type`.

The key of a record is the EVSE's `uid` in UTF-8. The value is one of these events as JSON; CloudEvents 1.0,
binary or structured, may carry what the event lacks: `id` for `event_id`, `type` (a prefix before our name is
dropped), `source`, `time` for `occurred_at`, `subject` for `evse_uid`. Null for an optional field equals
absence, unknown fields are ignored, and an enum value that is not known never costs the event; of a text the
first 255 characters are kept. This module knows no clock: what a time is worth is decided where the event is
received.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from schemas.evse import EVSE
from schemas.fields import Bool, Number, Text, Time, Uid, open_enum
from schemas.vocabulary import MOST_CONNECTORS, EventType, ExclusionReason, Status

_STATUSES = frozenset(status.value for status in Status)
_REASONS = frozenset(reason.value for reason in ExclusionReason)

LONGEST_INTERVAL_S = 31_536_000
"""The longest time between two heartbeats that is believed: a year."""


class EventBase(BaseModel):
    """What every event has."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    event_id: Uid
    """Identifies the event among those of its EVSE, whatever the source; the same id again is a duplicate."""
    evse_uid: Uid
    """`uid` of the EVSE the event is about; equals the record's key."""
    occurred_at: Time | None = None
    """When it happened, by the charger's clock. Where it is missing, before 2010 or more than 5 minutes ahead
    of receipt, the time of receipt counts instead."""
    received_at: Time | None = None
    """When the first of our systems received it. Where it is before 2010 or more than 5 minutes after the
    record's own timestamp, that one counts instead."""
    source: Text | None = None
    """Who says so: a back end, a gateway, an operator. Any text, of which the first 255 characters are
    kept; events of one EVSE may have several."""


def _keep_unknown_word(data: Any) -> Any:
    """Take a status nobody knows for UNKNOWN, and keep its word as the raw status where none is given."""
    word = data.get("status") if isinstance(data, dict) else None
    if not isinstance(word, str) or word in _STATUSES:
        return data
    raw = data.get("raw_status")
    return {**data, "status": Status.UNKNOWN, "raw_status": word if raw is None else raw}


def _check_order(event: ExclusionDeclared | ObservationGap) -> None:
    if event.until is not None and event.until < event.from_:
        error = InitErrorDetails(
            type=PydanticCustomError("before_from", "must not be before `from`"),
            loc=("until",),
            input=event.until.isoformat(),
        )
        raise ValidationError.from_exception_data(type(event).__name__, [error])


class StatusEvent(EventBase):
    """What the two events that carry a status share."""

    status: Annotated[Status, open_enum(Status)]
    """The status now. A word that is not known becomes UNKNOWN and is kept as `raw_status`."""
    raw_status: Text | None = None
    """The status in the words of the charger's own protocol, for example `SuspendedEV`. The first 255
    characters are kept, as of the two below."""
    error_code: Text | None = None
    """Error code of the charger's protocol, for example `GroundFailure`. Any text."""
    vendor_error_code: Text | None = None
    """Error code of the vendor. Any text."""

    @model_validator(mode="before")
    @classmethod
    def _never_costs_the_event(cls, data: Any) -> Any:
        return _keep_unknown_word(data)


class ConnectorStatus(StatusEvent):
    """A report of one connector's status."""

    type: Literal[EventType.CONNECTOR_STATUS]
    """`connector.status`"""
    connector_uid: Uid
    """`uid` of the connector. An EVSE has at most 100: a report about another one is a sign of life alone."""


class ConnectorOnline(EventBase):
    """A report that a connector, or all of an EVSE, can be reached or not."""

    type: Literal[EventType.CONNECTOR_ONLINE]
    """`connector.online`"""
    connector_uid: Uid | None = None
    """`uid` of the connector; absent: all connectors of the EVSE, those first named later included."""
    online: Bool | None
    """true or false; null, which must be written, where the operator does not support it."""
    reason: Text | None = None
    """Why. The word `silence` is the worker's own: nothing was heard for too long."""
    last_seen_at: Time | None = None
    """With the reason `silence`: the last sign of life. One between it and `occurred_at` makes the event
    void."""


class EvseStatus(StatusEvent):
    """A word about the whole charger (OCPP connector 0): kept as a note, overwrites nothing, a sign of
    life.
    """

    type: Literal[EventType.EVSE_STATUS]
    """`evse.status`"""


class EvseHeartbeat(EventBase):
    """A sign of life, of its minute."""

    type: Literal[EventType.EVSE_HEARTBEAT]
    """`evse.heartbeat`"""
    heartbeat_interval_s: Annotated[Number, Field(gt=0, le=LONGEST_INTERVAL_S)] | None = None
    """Seconds between two heartbeats, where known; at most a year."""


class EvseUpserted(EventBase):
    """The EVSE as its operator describes it now."""

    type: Literal[EventType.EVSE_UPSERTED]
    """`evse.upserted`"""
    evse: EVSE
    """The whole EVSE of the published schema; its `uid` equals `evse_uid`. Status, online, uptime,
    reliability and last_updated are ignored, except that a first status is taken where none is known. Where
    `connectors` is present (100 at most), a connector it does not name leaves the published EVSE. A bad
    optional field is left out with a warning; of a list the first 100 elements are kept."""


class EvseRemoved(EventBase):
    """The EVSE is gone for good; nothing brings this uid back."""

    type: Literal[EventType.EVSE_REMOVED]
    """`evse.removed`"""


class ExclusionDeclared(EventBase):
    """A time whose outages are not held against the operator; may lie in the past."""

    type: Literal[EventType.EXCLUSION_DECLARED]
    """`exclusion.declared`"""
    exclusion_id: Uid
    """Identifies the exclusion among those of its EVSE; the same id again replaces it."""
    from_: Time = Field(alias="from")
    """When the exclusion begins."""
    until: Time | None = None
    """When it ends, not before `from`; absent: it is still open."""
    reason: Annotated[ExclusionReason, open_enum(ExclusionReason)]
    """Why the outage does not count. A word that is not known becomes `other`, and is kept as `note` where
    none is given."""
    connector_uids: Annotated[tuple[Uid, ...], Field(max_length=MOST_CONNECTORS)] | None = None
    """The connectors it is about; absent: all of the EVSE."""
    note: Text | None = None
    """Anything more, for people."""

    @field_validator("connector_uids", mode="before")
    @classmethod
    def _no_more_than_an_evse_has(cls, uids: Any) -> Any:
        # Before the field's own validation, which would make an error of each bad element first.
        if isinstance(uids, list) and len(uids) > MOST_CONNECTORS:
            message = "must have at most {most}, has {length}: leave it out where all of the EVSE are meant"
            raise PydanticCustomError("too_many", message, {"most": MOST_CONNECTORS, "length": len(uids)})
        return uids

    @model_validator(mode="before")
    @classmethod
    def _unknown_reason_is_other(cls, data: Any) -> Any:
        word = data.get("reason") if isinstance(data, dict) else None
        if not isinstance(word, str) or word in _REASONS:
            return data
        note = data.get("note")
        return {**data, "reason": ExclusionReason.OTHER, "note": word if note is None else note}

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> ExclusionDeclared:
        _check_order(self)
        return self


class ExclusionWithdrawn(EventBase):
    """An exclusion that no longer holds, for its whole span."""

    type: Literal[EventType.EXCLUSION_WITHDRAWN]
    """`exclusion.withdrawn`"""
    exclusion_id: Uid
    """The id it was declared with."""


class ObservationGap(EventBase):
    """A time in which nothing could be seen of the EVSE, because the collection stood still."""

    type: Literal[EventType.OBSERVATION_GAP]
    """`observation.gap`"""
    from_: Time = Field(alias="from")
    """When the collection stopped."""
    until: Time
    """When it went on, not before `from`."""

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> ObservationGap:
        _check_order(self)
        return self


Event = Annotated[
    ConnectorStatus
    | ConnectorOnline
    | EvseStatus
    | EvseHeartbeat
    | EvseUpserted
    | EvseRemoved
    | ExclusionDeclared
    | ExclusionWithdrawn
    | ObservationGap,
    Field(discriminator="type"),
]
"""One event of the input log."""

EVENT: TypeAdapter[Event] = TypeAdapter(Event)
"""Reads and writes any event: `EVENT.validate_json(value)`."""

MODELS: dict[EventType, type[EventBase]] = {
    EventType.CONNECTOR_STATUS: ConnectorStatus,
    EventType.CONNECTOR_ONLINE: ConnectorOnline,
    EventType.EVSE_STATUS: EvseStatus,
    EventType.EVSE_HEARTBEAT: EvseHeartbeat,
    EventType.EVSE_UPSERTED: EvseUpserted,
    EventType.EVSE_REMOVED: EvseRemoved,
    EventType.EXCLUSION_DECLARED: ExclusionDeclared,
    EventType.EXCLUSION_WITHDRAWN: ExclusionWithdrawn,
    EventType.OBSERVATION_GAP: ObservationGap,
}
"""The model of each type of event."""
