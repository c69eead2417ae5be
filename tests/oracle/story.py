"""
What was said about an EVSE, in order of event time: status reports, online reports, signs of life, spans.

It knows which report counts and from when; it adds up nothing. Sources: design 2.1, P4, P5, readings 1 to 6
and 9 to 13 of design 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.oracle.log import MINUTE, OBEYS_NO_LATENESS, Entry, parse

KNOWN_STATUSES = {
    "AVAILABLE",
    "PREPARING",
    "CHARGING",
    "FINISHING",
    "INOPERATIVE",
    "OUTOFORDER",
    "PLANNED",
    "REMOVED",
    "RESERVED",
    "UNKNOWN",
}

# A heartbeat's bit stands before every report of the same instant: it ends no span that began in its minute.
BEFORE_ALL = -1


@dataclass(frozen=True)
class Report:
    """A status that counts, from `time` until the next one."""

    time: int
    position: int
    status: str
    raw_status: str | None = None
    error_code: str | None = None


@dataclass(frozen=True)
class Sign:
    """A sign of life: `exact` is its receipt, `time` where it acts; `ends_spans` if it may change history."""

    time: int
    position: int
    exact: int
    ends_spans: bool


@dataclass(frozen=True)
class Change:
    """The moment at which a connector's `online` took another value."""

    time: int
    value: bool | None


@dataclass(frozen=True)
class Span:
    """A time from `start` until `until` (None: open), for some connectors (None: for all)."""

    start: int
    until: int | None
    connectors: frozenset[str] | None = None

    def covers(self, instant: int, connector: str) -> bool:
        """Whether the span holds for a connector at an instant."""
        if self.connectors is not None and connector not in self.connectors:
            return False
        return self.start <= instant and (self.until is None or instant < self.until)


def read_status(word: str, raw_status: str | None) -> tuple[str, str | None]:
    """Return (status, raw status): an unknown word becomes UNKNOWN and stays visible as the raw status."""
    if word in KNOWN_STATUSES:
        return (word, raw_status)
    return ("UNKNOWN", word if raw_status is None else raw_status)


class Story:
    """Everything accepted about one EVSE up to `as_of`, sorted by (event time, position)."""

    def __init__(self, entries: Sequence[Entry], as_of: int) -> None:
        self.as_of = as_of
        self.entries = sorted(entries, key=lambda entry: entry.order)
        removals = [
            entry.begins for entry in entries if entry.kind == "evse.removed" and entry.begins[0] <= as_of
        ]
        self.removal = min(removals) if removals else None
        # Only the effect on status waits for the horizon: declarations obey no lateness, and end when the
        # removal truly applied.
        truly = [
            entry.order for entry in entries if entry.kind == "evse.removed" and entry.effective <= as_of
        ]
        self.truly_removed = min(truly) if truly else None
        self.signs = [sign for entry in self.entries for sign in self._signs_of(entry)]
        # What applies after a removal is ignored, its sign of life is not; a late event changes no history.
        self.applied = [
            entry for entry in self.entries if not entry.late and self._comes_before_removal(entry)
        ]

    def _comes_before_removal(self, entry: Entry) -> bool:
        removal = self.truly_removed if entry.kind in OBEYS_NO_LATENESS else self.removal
        return removal is None or entry.order < removal

    def of_kind(self, *kinds: str) -> list[Entry]:
        """The applied events of some types, in order of event time."""
        return [entry for entry in self.applied if entry.kind in kinds]

    def _signs_of(self, entry: Entry) -> list[Sign]:
        if entry.received > self.as_of:
            return []
        if entry.kind not in ("connector.status", "connector.online", "evse.status", "evse.heartbeat"):
            return []
        if entry.kind == "connector.online" and entry.event["online"] is False:
            return []
        if entry.late or entry.kind == "evse.heartbeat":
            minute = entry.received - entry.received % MINUTE
            heard_in_time = not entry.late or entry.received >= entry.horizon
            return [Sign(minute, BEFORE_ALL, entry.received, heard_in_time)]
        return [Sign(entry.received, entry.position, entry.received, True)]

    def last_seen(self) -> int | None:
        """The newest sign of life, exact."""
        return max((sign.exact for sign in self.signs), default=None)

    def is_void(self, entry: Entry) -> bool:
        """Whether a sign of life lies between the two times of an `online: false` for silence (P5)."""
        if entry.event.get("reason") != "silence" or entry.event.get("last_seen_at") is None:
            return False
        if entry.event["online"] is not False:
            return False
        last_seen = parse(entry.event["last_seen_at"])
        return any(last_seen < sign.time < entry.effective for sign in self.signs if sign.ends_spans)

    def inventories(self) -> list[dict[str, Any]]:
        """The upserted EVSEs, the one that stands last."""
        return [entry.event["evse"] for entry in self.of_kind("evse.upserted")]

    def connectors(self) -> list[str]:
        """The names of all connectors ever known, sorted."""
        reports = self.of_kind("connector.status", "connector.online")
        named = {entry.event.get("connector_uid") for entry in reports}
        for inventory in self.inventories():
            named |= {connector["uid"] for connector in inventory.get("connectors") or []}
        return sorted(name for name in named if name is not None)

    def is_published(self, connector: str) -> bool:
        """Whether the published `evse` names a connector: until an inventory no longer does (reading 13)."""
        lists = [
            inventory["connectors"]
            for inventory in self.inventories()
            if inventory.get("connectors") is not None
        ]
        named = [any(each["uid"] == connector for each in connectors) for connectors in lists]
        return not any(named) or named[-1]

    def reports(self, connector: str) -> list[Report]:
        """The statuses of a connector that count, in order, with that of the inventory and of the removal."""
        reports = [
            Report(
                entry.effective,
                entry.position,
                *read_status(entry.event["status"], entry.event.get("raw_status")),
                entry.event.get("error_code"),
            )
            for entry in self.of_kind("connector.status")
            if entry.event["connector_uid"] == connector
        ]
        first = self._inventory_status(connector)
        if first is not None and all(
            (first.time, first.position) < (each.time, each.position) for each in reports
        ):
            reports.insert(0, first)
        if self.removal is not None:
            reports.append(Report(*self.removal, "REMOVED"))
        return reports

    def _inventory_status(self, connector: str) -> Report | None:
        """
        The status of the earliest upsert that carries one, unless the EVSE was removed before.

        A removal dated back beyond the horizon voids what the upsert said of the EVSE; its effect on status
        begins at the horizon all the same (reading 3).
        """
        candidates = []
        for entry in (each for each in self.entries if each.kind == "evse.upserted" and not each.late):
            for each in entry.event["evse"].get("connectors") or []:
                if each["uid"] == connector and each.get("status") is not None:
                    key = entry.begins
                    candidates.append((key, entry, each["status"]))
        if not candidates:
            return None
        _, entry, word = min(candidates, key=lambda candidate: candidate[0])
        if entry.begins[0] > self.as_of or (self.removal is not None and entry.begins > self.removal):
            return None
        return Report(*entry.begins, *read_status(word, None))

    def online_items(self, connector: str) -> list[tuple[int, int, str, bool | None]]:
        """What bears on `online`, in order: (time, position, "report", value) or (…, "sign", None)."""
        items: list[tuple[int, int, str, bool | None]] = [
            (entry.effective, entry.position, "report", entry.event["online"])
            for entry in self.of_kind("connector.online")
            if entry.event.get("connector_uid") in (None, connector) and not self.is_void(entry)
        ]
        items += [(sign.time, sign.position, "sign", None) for sign in self.signs if sign.ends_spans]
        return sorted(items, key=lambda item: item[:3])

    def online_changes(self, connector: str) -> list[Change]:
        """The changes of a connector's `online`, which is null at first."""
        changes: list[Change] = []
        value: bool | None = None
        for time, _, what, reported in self.online_items(connector):
            new = reported if what == "report" else (True if value is False else value)
            if new is not value:
                changes.append(Change(time, new))
                value = new
        return changes

    def gaps(self) -> list[Span]:
        """The times in which nothing could be seen."""
        return [
            Span(parse(entry.event["from"]), parse(entry.event["until"]))
            for entry in self.of_kind("observation.gap")
        ]

    def exclusions(self) -> list[Span]:
        """The exclusions that hold: of each id the latest word."""
        latest = {
            entry.event["exclusion_id"]: entry
            for entry in self.of_kind("exclusion.declared", "exclusion.withdrawn")
        }
        spans = []
        for entry in latest.values():
            if entry.kind == "exclusion.declared":
                until, scope = entry.event.get("until"), entry.event.get("connector_uids")
                start = parse(entry.event["from"])
                end = None if until is None else parse(until)
                spans.append(Span(start, end, None if scope is None else frozenset(scope)))
        return spans

    def note(self) -> tuple[str, str | None, str | None, int] | None:
        """The last word about the whole charger: (status, raw status, error code, time)."""
        words = self.of_kind("evse.status")
        if not words:
            return None
        status, raw_status = read_status(words[-1].event["status"], words[-1].event.get("raw_status"))
        return (status, raw_status, words[-1].event.get("error_code"), words[-1].effective)
