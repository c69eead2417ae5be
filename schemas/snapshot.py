"""
What goes out: snapshots, transitions and dead letters, and the headers they carry.

A snapshot is the whole of one EVSE; of two with the same key the higher revision holds, of equal revisions
the later in the topic. A transition is one applied change of a connector's status. A dead letter is a record
that could not be processed, as it came, with the reason in its headers. This module says what they look like,
and computes nothing.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from schemas.evse import EVSE
from schemas.fields import Number, Time, Uid
from schemas.vocabulary import RejectionReason, Status, Verdict

SNAPSHOT_TYPE = "evse.snapshot"
"""`ce_type` of a snapshot."""

TRANSITION_TYPE = "connector.transition"
"""`ce_type` of a transition."""

Seconds = Annotated[Number, Field(ge=0)]
Share = Annotated[Number, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class _Output(BaseModel):
    """Consumers ignore fields they do not know: later versions may add some."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class Window(_Output):
    """
    How the time from `from` until `until` was spent, under a named definition.

    The four kinds of seconds sum to the window less the time out of service (PLANNED, REMOVED; of a port: no
    connector in service).
    """

    definition: str
    """The rule behind the numbers, for example `observed`: down is not operational or offline, and what was
    not seen is in no denominator."""
    from_: Time = Field(alias="from")
    """Start of the window."""
    until: Time
    """End of the window."""
    up_seconds: Seconds
    """Time in which it worked."""
    down_seconds: Seconds
    """Time in which it did not, less what is excluded."""
    excluded_seconds: Seconds
    """Time in which it did not, but an exclusion covers it."""
    unobserved_seconds: Seconds
    """Time in which nothing was known of it: never up."""
    uptime: Share | None
    """up / (up + down) under `observed`; null until an hour was observed, and where all of it is excluded."""
    coverage: Share | None
    """The share of the four that is not unobserved; null where their sum is 0."""


class Attempts(_Output):
    """How charging attempts ended, over the whole history kept."""

    succeeded: Count
    """Charged for at least 300 s and not ended by a fault."""
    failed: Count
    """Charged for less, or ended by a fault."""
    abandoned: Count
    """Never charged, and became available or finishing."""
    unknown: Count
    """Never charged, and nothing can be said: taken out of service, reserved, or open for more than 24 h."""


class Reliability(_Output):
    """
    The probability, times ten, that a driver who arrives now finds the connector working and can charge.

    value = 10 * availability * continuity * success, each decayed with a half-life of 30 days.
    """

    value: Annotated[Number, Field(ge=0, le=10)] | None
    """0 to 10; null until 24 h were observed."""
    availability: Share
    """The probability that it works at a random moment."""
    continuity: Share
    """The probability that no outage begins within an hour of charging."""
    success: Share
    """The probability that an attempt to charge succeeds."""
    observed_seconds: Seconds
    """How much time that rests on, over the whole history kept."""
    attempts: Attempts
    """How many attempts that rests on."""
    outages: Count
    """How many outages began, over the whole history kept."""


class ConnectorState(_Output):
    """What is known of one connector beyond the published schema."""

    connector_uid: Uid
    """`uid` of the connector."""
    status_since: Time | None
    """Since when it has its status; null where none was ever heard."""
    online_since: Time | None
    """Since when it is online or offline; null exactly where online is null."""
    raw_status: str | None
    """The status in the words of the charger's own protocol."""
    error_code: str | None
    """The error code reported with the status."""
    windows: tuple[Window, ...]
    """One for each definition that is published; the first is `observed`, over 30 days."""
    reliability: Reliability
    """How much it can be relied on, as of `as_of`."""


class Note(_Output):
    """The last word about the whole charger (OCPP connector 0); it overwrites no connector."""

    status: Status
    """The status claimed for the whole charger."""
    raw_status: str | None
    """The same in the words of the charger's own protocol."""
    error_code: str | None
    """The error code reported with it."""
    at: Time
    """When it applied."""


class Snapshot(_Output):
    """Everything known of one EVSE."""

    evse: EVSE
    """The EVSE exactly as in the published schema. Its connectors' `uptime` is that of their window
    `observed` (five decimals), `reliability` the value below (two); these and `online` are null where nothing
    can be said."""
    revision: Count
    """Counts the visible changes of this EVSE."""
    as_of: Time
    """The newest time the EVSE is known to have reached, or the clock's if the slow tick published it."""
    status: Status
    """The EVSE's status, rolled up from its connectors."""
    status_rule: str
    """The name of the rule that rolled it up."""
    last_seen_at: Time | None
    """The last sign of life; null if there was none."""
    note: Note | None
    """The last word about the whole charger, if any."""
    windows: tuple[Window, ...]
    """The EVSE as a port: up when at least one connector is up."""
    connectors: tuple[ConnectorState, ...]
    """One for each connector the EVSE ever had."""


class LogPosition(_Output):
    """A place in the input log."""

    topic: str
    """The topic."""
    partition: Count
    """The partition."""
    offset: Count
    """The offset."""


class TransitionRecord(_Output):
    """One applied change of a connector's status."""

    id: str
    """Deterministic: what is published again has the same id."""
    evse_uid: Uid
    """`uid` of the EVSE."""
    connector_uid: Uid
    """`uid` of the connector."""
    from_status: Status | None
    """The status before; null: none was known."""
    to_status: Status
    """The status after."""
    at: Time
    """When the change applies, in event time."""
    lasted_seconds: Seconds | None
    """How long the status before had lasted; null: none was known."""
    verdict: Verdict
    """`applied`, or `corrected` where the event came late and changed history."""
    event_id: str
    """The event that said so."""
    position: LogPosition
    """Where that event stands in the input log."""


class CloudEventHeaders(_Output):
    """The headers of an event in CloudEvents 1.0 binary mode; values are UTF-8."""

    ce_specversion: str = Field(pattern=r"^1\.", examples=["1.0"])
    """Version of CloudEvents."""
    ce_id: str
    """Identifies the event; the same again is a repeat."""
    ce_type: str
    """What kind of event it is."""
    ce_source: str
    """Who says so."""
    ce_subject: str | None = None
    """`uid` of the EVSE."""
    ce_time: Time | None = None
    """When it happened; of a snapshot, its `as_of`."""
    ce_movedto: str | None = Field(default=None, pattern=r"^\d+$")
    """Of a tombstone of the snapshots: the EVSE is not gone, its snapshots follow in this partition."""
    traceparent: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"
    )
    """W3C Trace Context: the span that wrote it; the worker's own only with `EVSE_STATUS_TRACING`."""


class DeadLetterHeaders(_Output):
    """
    The headers added to a record that could not be processed; its key, value and own headers stay as they
    were.

    A record that does not fit the topic keeps the first 64 kB of its value (and, if need be, of its key, and
    none of its headers), with length and SHA-256 of the whole. Numbers are written in decimal, as text.
    """

    dl_reason: RejectionReason
    """Why, in one word that never changes its meaning."""
    dl_message: str
    """Why, in one line for people: it names the field and the remedy."""
    dl_field: str | None = None
    """The field that is wrong, as a dotted path, if it is one."""
    dl_topic: str
    """The topic it came from."""
    dl_partition: str = Field(pattern=r"^[0-9]+$")
    """The partition it came from."""
    dl_offset: str = Field(pattern=r"^[0-9]+$")
    """The offset it had there."""
    dl_timestamp: Time
    """The record's own timestamp."""
    dl_at: Time
    """When it became a dead letter."""
    dl_value_length: str | None = Field(default=None, pattern=r"^[0-9]+$")
    """Bytes of the whole value, where it was cut."""
    dl_value_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the whole value, where it was cut."""
    dl_key_length: str | None = Field(default=None, pattern=r"^[0-9]+$")
    """Bytes of the whole key, where the record did not fit even so."""
    dl_key_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the whole key, likewise."""
    dl_headers_dropped: str | None = Field(default=None, pattern=r"^[0-9]+$")
    """How many headers of its own were left out, likewise."""
