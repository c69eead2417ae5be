"""What arrived of a fleet in a month, sorted for claims about it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 1, 1, tzinfo=UTC)
MONTH_END = START + timedelta(days=30)
EVSES = 80


@dataclass
class Month:
    """All that arrived in a month, and the inventory before it."""

    inventory: list[dict[str, Any]]
    arrivals: list[tuple[datetime, dict[str, Any]]]
    by_evse: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    by_connector: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for _, event in self.arrivals:
            self.by_evse[event["evse_uid"]].append(event)
            if event["type"] == "connector.status":
                self.by_connector[event["connector_uid"]].append(event)

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events after the inventory, in order of arrival."""
        return [event for _, event in self.arrivals]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """The events of one type, in order of arrival."""
        return [event for event in self.events if event["type"] == kind]

    def kind_of(self) -> dict[str, str]:
        """The sort of site of each EVSE, read off its first connector."""
        kinds = {}
        for event in self.inventory:
            connector = event["evse"]["connectors"][0]
            kind = "residential" if connector["privilege_status"] == "RESTRICTED" else "office"
            kinds[event["evse_uid"]] = "highway" if connector["power_type"] == "DC" else kind
        return kinds


def changes(reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out of a connector's reports those that repeat the raw status."""
    return [
        report
        for before, report in zip([None, *reports], reports, strict=False)
        if before is None or before["raw_status"] != report["raw_status"]
    ]


def received(event: dict[str, Any]) -> datetime:
    """Read the time of receipt."""
    return datetime.fromisoformat(event["received_at"])
