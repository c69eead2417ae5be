"""Short ways to write events as they stand in the input log, so that a test shows only what matters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]

MIDNIGHT = datetime(2026, 1, 5, tzinfo=UTC)
"""Where the manual clock begins, too."""


def time_of(clock: str, day: int = 0) -> str:
    """Write a time of day, such as `12:00` or `12:00:30`, so many days after MIDNIGHT."""
    hours, minutes, seconds = ([*(int(part) for part in clock.split(":")), 0])[:3]
    moment = MIDNIGHT + timedelta(days=day, hours=hours, minutes=minutes, seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def event(kind: str, at: str, uid: str = "e1", day: int = 0, **body: Any) -> Json:
    """Write one event, received when it happened; its id is its content."""
    when = time_of(at, day)
    return {
        "event_id": f"{kind} {when} {body}",
        "type": kind,
        "evse_uid": uid,
        "occurred_at": when,
        "received_at": when,
        **body,
    }


def status_reported(status: str, at: str, uid: str = "e1", connector: str = "c1", **more: Any) -> Json:
    """Write a connector's status."""
    return event("connector.status", at, uid, connector_uid=connector, status=status, **more)


def online_reported(online: bool | None, at: str, uid: str = "e1", **more: Any) -> Json:
    """Write a word about the reachability of all connectors."""
    return event("connector.online", at, uid, online=online, **more)


def heartbeat(at: str, uid: str = "e1", **more: Any) -> Json:
    """Write a heartbeat."""
    return event("evse.heartbeat", at, uid, **more)


def removed(at: str, uid: str = "e1", **more: Any) -> Json:
    """Write the removal of an EVSE."""
    return event("evse.removed", at, uid, **more)
