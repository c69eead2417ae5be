"""Short ways to write events and to read accounts, for tests in which only what matters is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.oracle.log import SECOND
from tests.oracle.oracle import OracleResult, run

Json = dict[str, Any]

MIDNIGHT = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = 3_600 * SECOND


def at(clock: str, day: int = 0) -> str:
    """Write a time of day, such as 12:00 or 12:00:30, so many days after MIDNIGHT."""
    hours, minutes, seconds = ([*(int(part) for part in clock.split(":")), 0])[:3]
    time = MIDNIGHT + timedelta(days=day, hours=hours, minutes=minutes, seconds=seconds)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def event(kind: str, occurred: str, received: str | None = None, **body: Any) -> Json:
    """One event, received when it happened unless said otherwise; its id is its content."""
    return {
        "event_id": f"{kind} {occurred} {received} {body}",
        "evse_uid": "evse-1",
        "type": kind,
        "occurred_at": occurred,
        "received_at": received or occurred,
        **body,
    }


def status(word: str, occurred: str, received: str | None = None, connector: str = "c1", **body: Any) -> Json:
    """A status of a connector."""
    return event("connector.status", occurred, received, connector_uid=connector, status=word, **body)


def online(value: bool | None, occurred: str, received: str | None = None, **body: Any) -> Json:
    """A word about the reachability of all connectors."""
    return event("connector.online", occurred, received, online=value, **body)


def heartbeat(received: str) -> Json:
    """A heartbeat."""
    return event("evse.heartbeat", received)


def sums(result: OracleResult, connector: str = "c1") -> tuple[int, int, int, int]:
    """A connector's up, down, excluded and unobserved time in seconds."""
    window = result.connectors[connector].window
    return (
        window.up // SECOND,
        window.down // SECOND,
        window.excluded // SECOND,
        window.unobserved // SECOND,
    )


DAY_ONE = (at("00:00"), at("00:00", 1))


def day_one(*events: Json) -> OracleResult:
    """The first day's accounts, from a log that is followed to its midnight."""
    return run(events, as_of=DAY_ONE[1], window=DAY_ONE)


def upserted(occurred: str, received: str | None = None, **statuses: str | None) -> Json:
    """An inventory of some connectors, for each a status or none."""
    connectors = [{"uid": name} | ({"status": word} if word else {}) for name, word in statuses.items()]
    return event("evse.upserted", occurred, received, evse={"uid": "evse-1", "connectors": connectors})
