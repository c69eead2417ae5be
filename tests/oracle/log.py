"""
Reading a log: which time an event has, and what becomes of it (duplicate, late, rejected).

It knows nothing of connectors or statuses. Sources: design 2.1, P2, P3 and the readings 1 to 3 of design 3.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Event = Mapping[str, Any]

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND

TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:([Zz])|([+-])(\d\d):(\d\d))?"
)

OBEYS_NO_LATENESS = {
    "evse.upserted",
    "evse.removed",
    "exclusion.declared",
    "exclusion.withdrawn",
    "observation.gap",
}


def parse(text: str) -> int:
    """Return an RFC 3339 time as microseconds since 1970; without an offset it is UTC (P3)."""
    match = TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"not a time: {text!r}")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    since = datetime(year, month, day, hour, minute, second, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    micros = (since.days * 86_400 + since.seconds) * SECOND
    micros += int(((match[7] or "") + "000000")[:6])
    if match[9] is not None:
        offset = (int(match[10]) * 60 + int(match[11])) * MINUTE
        micros -= offset if match[9] == "+" else -offset
    return micros


FIRST_CREDIBLE = parse("2010-01-01T00:00:00Z")
AHEAD = 5 * MINUTE


def times(event: Event) -> tuple[int, int] | None:
    """
    Return (effective time, received time) of an event, or None where it has no credible time and is rejected.

    The received time is the effective time where no receipt was given.
    """
    occurred = parse(event["occurred_at"]) if event.get("occurred_at") is not None else None
    receipt = parse(event["received_at"]) if event.get("received_at") is not None else None
    if receipt is not None and receipt < FIRST_CREDIBLE:
        receipt = None
    if occurred is not None and occurred < FIRST_CREDIBLE:
        occurred = None
    if receipt is None:
        return None if occurred is None else (occurred, occurred)
    if occurred is None or occurred > receipt + AHEAD:
        return (receipt, receipt)
    return (occurred, receipt)


@dataclass(frozen=True)
class Entry:
    """One event neither rejected nor a duplicate nor after `as_of`, with the horizon once it had arrived."""

    position: int
    event: Event
    effective: int
    received: int
    horizon: int
    late: bool
    floor: int
    """The horizon, or the time that all is as of where that is earlier."""

    @property
    def kind(self) -> str:
        """The event's type."""
        return str(self.event["type"])

    @property
    def order(self) -> tuple[int, int]:
        """Where the event stands in history: event time decides, then the position (P2)."""
        return (self.effective, self.position)

    @property
    def begins(self) -> tuple[int, int]:
        """
        Where the effect of an inventory or removal begins: never before the horizon (reading 3).

        One that truly applied before goes before all that the horizon's own instant holds.
        """
        if self.effective >= self.floor:
            return self.order
        return (self.floor, self.position - (1 << 62))


@dataclass(frozen=True)
class Log:
    """A log that has been read: its entries in log order, a verdict for each event, and the newest time."""

    entries: list[Entry]
    verdicts: list[str]
    newest: int | None


def read(events: Sequence[Event | tuple[int, Event]], as_of: int | None, lateness: int) -> Log:
    """
    Judge every event in log order.

    Verdicts: `rejected`, `ignored` (applies after `as_of`), `duplicate`, `late`, else `accepted`.
    """
    entries: list[Entry] = []
    verdicts: list[str] = []
    remembered: dict[str, int] = {}  # event id -> the later of the event's two times
    newest: int | None = None
    for line, item in enumerate(events, start=1):
        position, event = item if isinstance(item, tuple) else (line, item)
        found = times(event)
        if found is None:
            verdicts.append("rejected")
            continue
        effective, received = found
        if as_of is not None and effective > as_of:
            verdicts.append("ignored")
            continue
        named = event["type"] != "evse.heartbeat"  # ids of heartbeats are neither kept nor compared
        event_id = str(event["event_id"])
        reached = max(effective, received) if newest is None else max(newest, effective, received)
        horizon = reached - lateness
        if named and remembered.get(event_id, horizon - 1) >= horizon:
            verdicts.append("duplicate")
            continue
        newest = reached
        late = effective < horizon and event["type"] not in OBEYS_NO_LATENESS
        if named:
            remembered[event_id] = max(effective, received)
        floor = horizon if as_of is None else min(horizon, as_of)
        entries.append(Entry(position, event, effective, received, horizon, late, floor))
        verdicts.append("late" if late else "accepted")
    return Log(entries, verdicts, newest)
