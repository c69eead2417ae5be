"""
What happened, as the fold takes it: one small value for each type of event.

The clock rules (promise P3) have been applied before: `at` is when the event applies, `seen` when it was
received. Nobody changes an event; they are not frozen, since that makes making one three times as long. This
module knows neither wire formats nor state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from schemas.vocabulary import ExclusionReason, Status
from service.domain.time import Micros

SILENCE: Final = "silence"
"""The reason of a word about reachability that is the worker's own: nothing was heard for too long."""


def digest_of(event_id: str) -> int:
    """Give the 64 bits by which an event is known again."""
    return int.from_bytes(blake2b(event_id.encode(), digest_size=8).digest(), "big")


@dataclass(slots=True)
class Event:
    """
    What every event has.

    `position` orders events of the same instant: the place in the log, for several topics with the topic's
    place in the settings in its upper bits. `at` is the effective time; `seen` is the receipt where one was
    given, else `at`; both in microseconds since 1970, UTC. `clock_corrected`: the device's own time was
    not believed. `source`: who says so, where the event says it.
    """

    event_id: str
    evse_uid: str
    position: int
    at: Micros
    seen: Micros
    clock_corrected: bool = False
    source: str | None = None


@dataclass(slots=True, init=False)
class StatusReported(Event):
    """`connector.status`."""

    connector_uid: str = ""
    status: Status = Status.UNKNOWN
    raw_status: str | None = None
    error_code: str | None = None
    vendor_error_code: str | None = None

    def __init__(  # noqa: PLR0913, PLR0917 - the fields
        self,
        event_id: str,
        evse_uid: str,
        position: int,
        at: Micros,
        seen: Micros,
        clock_corrected: bool = False,
        source: str | None = None,
        connector_uid: str = "",
        status: Status = Status.UNKNOWN,
        raw_status: str | None = None,
        error_code: str | None = None,
        vendor_error_code: str | None = None,
    ) -> None:
        self.event_id, self.evse_uid, self.position = event_id, evse_uid, position
        self.at, self.seen, self.clock_corrected, self.source = at, seen, clock_corrected, source
        self.connector_uid, self.status, self.raw_status = connector_uid, status, raw_status
        self.error_code, self.vendor_error_code = error_code, vendor_error_code


@dataclass(slots=True, init=False)
class OnlineReported(Event):
    """`connector.online`; `connector_uid` None means every connector; `last_seen_at` only with `silence`."""

    connector_uid: str | None = None
    online: bool | None = None
    reason: str | None = None
    silence: bool = False
    last_seen_at: Micros | None = None

    def __init__(  # noqa: PLR0913, PLR0917 - the fields
        self,
        event_id: str,
        evse_uid: str,
        position: int,
        at: Micros,
        seen: Micros,
        clock_corrected: bool = False,
        source: str | None = None,
        connector_uid: str | None = None,
        online: bool | None = None,
        reason: str | None = None,
        silence: bool = False,
        last_seen_at: Micros | None = None,
    ) -> None:
        self.event_id, self.evse_uid, self.position = event_id, evse_uid, position
        self.at, self.seen, self.clock_corrected, self.source = at, seen, clock_corrected, source
        self.connector_uid, self.online, self.reason = connector_uid, online, reason
        self.silence, self.last_seen_at = silence, last_seen_at


@dataclass(slots=True)
class ChargerNoted(Event):
    """`evse.status`: a word about the whole charger (OCPP connector 0); it overwrites nothing."""

    status: Status = Status.UNKNOWN
    raw_status: str | None = None
    error_code: str | None = None
    vendor_error_code: str | None = None


@dataclass(slots=True, init=False)
class HeartbeatReceived(Event):
    """`evse.heartbeat`; the interval is in seconds."""

    heartbeat_interval_s: int | None = None

    def __init__(  # noqa: PLR0913, PLR0917 - the fields
        self,
        event_id: str,
        evse_uid: str,
        position: int,
        at: Micros,
        seen: Micros,
        clock_corrected: bool = False,
        source: str | None = None,
        heartbeat_interval_s: int | None = None,
    ) -> None:
        self.event_id, self.evse_uid, self.position = event_id, evse_uid, position
        self.at, self.seen, self.clock_corrected, self.source = at, seen, clock_corrected, source
        self.heartbeat_interval_s = heartbeat_interval_s


@dataclass(slots=True)
class InventoryUpserted(Event):
    """
    `evse.upserted`: the EVSE as published, without what the fold decides.

    `evse` holds the published fields of the EVSE, `connectors` those of its connectors by their uid (None:
    the inventory said nothing of connectors), `statuses` the first status it claims for some of them, as
    (status, raw_status).
    """

    evse: Mapping[str, Any] = None  # type: ignore[assignment]
    connectors: Mapping[str, Mapping[str, Any]] | None = None
    statuses: Mapping[str, tuple[Status, str | None]] = None  # type: ignore[assignment]


@dataclass(slots=True)
class EvseRemoved(Event):
    """`evse.removed`: terminal for this uid."""


@dataclass(slots=True)
class ExclusionDeclared(Event):
    """`exclusion.declared`; `until` None is open; `connector_uids` None means every connector."""

    exclusion_id: str = ""
    from_: Micros = 0
    until: Micros | None = None
    reason: ExclusionReason = ExclusionReason.OTHER
    connector_uids: tuple[str, ...] | None = None
    note: str | None = None


@dataclass(slots=True)
class ExclusionWithdrawn(Event):
    """`exclusion.withdrawn`."""

    exclusion_id: str = ""


@dataclass(slots=True)
class GapObserved(Event):
    """`observation.gap`: from `from_` to `until` nothing could be seen of the EVSE."""

    from_: Micros = 0
    until: Micros = 0
