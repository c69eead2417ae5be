"""
What `evse-status explain --json` writes: the intervals behind an EVSE's uptime, and the events at their
ends.

A window is cut into intervals without holes or overlaps, for each connector and for the EVSE as a port, the
oldest first; their lengths by class are the numbers of the window, to the microsecond. This module says what
that looks like, and computes nothing.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.fields import Time, Uid
from schemas.snapshot import Count, Seconds, Window
from schemas.vocabulary import ExclusionReason, Status, TimeClass, Verdict

Edge = Literal["event", "exclusion", "gap", "as_of", "window"]
"""
Why an interval begins or ends where it does: an event changed status or online; an exclusion or a gap begins
or ends; nothing later is known; or the window begins or ends.
"""


class _Explained(BaseModel):
    """Readers ignore fields they do not know: later versions may add some."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class EventAtEnd(_Explained):
    """The event that changed a connector's status or online, and where it stands in the input log."""

    kind: Literal["event", "heartbeat"]
    """`heartbeat`: it ended an offline span at the start of its minute; its id and place are not kept."""
    event_id: str | None
    """Its id; null for a heartbeat."""
    connector_uid: Uid
    """The connector whose time it changed."""
    at: Time
    """When it took effect: when it applies, or as a sign of life when it was received."""
    topic: str | None
    """The input topic; null for a heartbeat, and where the settings name fewer topics than the worker's."""
    partition: Count | None
    """The partition; null where it is not known."""
    offset: Count | None
    """The offset; null for a heartbeat."""
    epoch: Count | None
    """Which log it was, 0 until `rebuild` raised it: offsets of another epoch are those of a log that is no
    more. Null for a heartbeat."""
    verdict: Verdict | None
    """`corrected` where it came late and changed history, else `applied`: also of what was a repeat when it
    came and makes a difference since a correction. Null for a heartbeat."""


class _Interval(_Explained):
    """A part of the window in which everything below stayed the same."""

    from_: Time = Field(alias="from")
    """When it begins."""
    until: Time
    """When it ends."""
    seconds: Seconds
    """How long it is."""
    time_class: TimeClass = Field(alias="class")
    """What it counts as."""
    class_before: TimeClass
    """What it would count as without exclusions and gaps."""
    cause: str
    """Why, in words for people."""
    in_gap: bool
    """Whether a gap in the observation covers it."""
    exclusion_ids: tuple[str, ...]
    """The exclusions that make it `excluded`."""
    begins_with: Edge
    """Why it begins there."""
    ends_with: Edge
    """Why it ends there."""


class Interval(_Interval):
    """A part of a connector's window."""

    status: Status | None
    """Its status; null where nothing was heard yet, where nothing later is known, and where `class_before` is
    `up`: history does not keep which of the working statuses it was."""
    online: bool | None
    """Its online; null as well where status is null for one of these reasons, unless it was offline."""
    error_code: str | None
    """The error code it began with."""
    began_by: EventAtEnd | None
    """The event that this status and online began with. Its `at` lies before `from` where the window, an
    exclusion or a gap cuts; null where it is not known, or there is none."""
    ended_by: EventAtEnd | None
    """The event that this status and online ended with, likewise: its `at` may lie after `until`."""


class PortShare(_Explained):
    """A connector that makes a port's interval what it is."""

    connector_uid: Uid
    """The connector."""
    seconds: Seconds
    """How long, within the interval, it was of the interval's class."""
    causes: tuple[str, ...]
    """Why, each cause once, in the order in which they came."""


class PortInterval(_Interval):
    """
    A part of the port's window: it has the first of up, down, excluded, unobserved that any connector in
    service has.
    """

    connectors: tuple[PortShare, ...]
    """The connectors that make it so; none where none is known."""
    began_by: EventAtEnd | None
    """The event that made it so; null unless an event did."""
    ended_by: EventAtEnd | None
    """The event that ended it, likewise."""


class ExclusionUse(_Explained):
    """An exclusion that reaches into the window, and how much of it counted."""

    exclusion_id: str
    """Its id."""
    from_: Time = Field(alias="from")
    """When it begins."""
    until: Time | None
    """When it ends; null: it is open."""
    reason: ExclusionReason
    """Why it was declared."""
    note: str | None
    """Anything more, for people."""
    connector_uids: tuple[Uid, ...] | None
    """The connectors it is about; null: all of the EVSE."""
    seconds: Seconds
    """How much of the window it covers."""
    counted_seconds: Seconds
    """How much of that is excluded by it: what would else be down."""
    rest_seconds: dict[TimeClass, Seconds]
    """What the rest of it counts as."""
    remark: str
    """Why as much counts as does, in words for people."""


class GapUse(_Explained):
    """A gap in the observation that reaches into the window; gaps that touch one another stand as one."""

    from_: Time = Field(alias="from")
    """When the collection stopped."""
    until: Time
    """When it went on."""
    seconds: Seconds
    """How much of the window it covers."""
    taken_seconds: dict[TimeClass, Seconds]
    """What that would count as without it; all of it is unobserved, but for what is out of service."""


class _Account(_Explained):
    """What the intervals sum to."""

    window: Window
    """The sums of the intervals, and the numbers made of them."""
    out_of_service_seconds: Seconds
    """Time out of service, which is in none of the four."""
    why_null: str | None
    """Why `uptime` is null, in words for people; null where it is not."""
    published: Window | None
    """What the snapshot says of the same window; null where it says nothing of it."""
    agrees: bool | None
    """Whether the four sums are those of `published`, to the microsecond; null without it."""
    exclusions: tuple[ExclusionUse, ...]
    """The exclusions that reach into the window, by their begin."""
    gaps: tuple[GapUse, ...]
    """The gaps that reach into the window."""


class ConnectorExplanation(_Account):
    """One connector's window."""

    connector_uid: Uid
    """The connector."""
    down_since: Time | None
    """Since when it is down, where it was so still as of `as_of` and the window reaches so far: what came
    after is not counted. Null otherwise."""
    intervals: tuple[Interval, ...]
    """The whole window, oldest first."""


class PortExplanation(_Account):
    """The window of the EVSE as a port: up when at least one connector is up."""

    intervals: tuple[PortInterval, ...]
    """The whole window, oldest first."""


class DefinitionInWords(_Explained):
    """The named rule that turns time into a number."""

    name: str
    """Its name, for example `observed`."""
    meaning: str
    """What counts as what."""
    uptime: str
    """The formula of uptime."""
    coverage: str
    """The formula of coverage."""


class LateEvent(_Explained):
    """
    An event that applies within the window and came too late for it: what it says changed nothing, but as a
    heartbeat it ended an offline span when it was received. Those without even that effect are counted only.
    """

    at: Time
    """When it applies."""
    topic: str | None
    """The input topic."""
    partition: Count | None
    """The partition."""
    offset: Count
    """The offset."""
    epoch: Count
    """Which log it was."""


class Explanation(_Explained):
    """Everything behind the uptime of one EVSE in one window."""

    evse_uid: Uid
    """`uid` of the EVSE."""
    as_of: Time
    """The newest time the EVSE is known to have reached; what of the window lies after it is unobserved."""
    revision: Count
    """The revision of the snapshot it was compared with."""
    removed_at: Time | None
    """When the EVSE was removed for good; null if it was not."""
    from_: Time = Field(alias="from")
    """Start of the window."""
    until: Time
    """End of the window."""
    is_published: bool
    """Whether the snapshot has numbers of this window and definition."""
    agrees: bool | None
    """Whether all sums are those of the snapshot; null where it has none. False is a defect: report it."""
    definition: DefinitionInWords
    """The rule behind the numbers."""
    connectors: tuple[ConnectorExplanation, ...]
    """All known connectors, or the one that was asked for."""
    port: PortExplanation | None
    """The EVSE as a port; null where one connector was asked for."""
    late_events: tuple[LateEvent, ...]
    """Events of this window that came too late for it, by time."""
