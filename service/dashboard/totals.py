"""
The network's numbers: how many EVSEs and connectors are in which state, and their mean uptime.

EVSEs are counted by the lists in Redis, whatever their number; connectors and uptime by the rows in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from schemas.vocabulary import OUT_OF_SERVICE, Status
from service.dashboard.rows import Row

STATUS_ORDER = (
    Status.AVAILABLE,
    Status.PREPARING,
    Status.CHARGING,
    Status.FINISHING,
    Status.RESERVED,
    Status.INOPERATIVE,
    Status.OUTOFORDER,
    Status.UNKNOWN,
    Status.PLANNED,
    Status.REMOVED,
)
"""The order of statuses wherever they stand side by side: working, in use, not working, not known."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many EVSEs the lists hold: all, by status, by the link's state (`true`, `false`, `null`)."""

    evses: int = 0
    by_status: Mapping[str, int] = field(default_factory=dict)
    by_online: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Totals:
    """
    The numbers at the head of the page.

    `uptime` is the arithmetic mean over the `rated` EVSEs in service that have one, None without any;
    `coverage` is the share of the seconds of these EVSEs' windows in which something was seen. `loaded` EVSEs
    are in memory.
    """

    counts: Counts = field(default_factory=Counts)
    connectors: int = 0
    connectors_by_status: Mapping[str, int] = field(default_factory=dict)
    uptime: float | None = None
    coverage: float | None = None
    rated: int = 0
    loaded: int = 0

    @property
    def in_service(self) -> int:
        """EVSEs that are neither planned nor removed."""
        return self.counts.evses - sum(self.counts.by_status.get(status, 0) for status in OUT_OF_SERVICE)

    @property
    def online_share(self) -> float | None:
        """The share online among the EVSEs whose link's state is known; None without any."""
        online, offline = (self.counts.by_online.get(value, 0) for value in ("true", "false"))
        return online / (online + offline) if online + offline else None

    @property
    def not_working(self) -> int:
        """EVSEs that are down now: offline, or out of order or inoperative, which none of these is, too."""
        by_status = self.counts.by_status
        faulty = sum(by_status.get(status, 0) for status in (Status.OUTOFORDER, Status.INOPERATIVE))
        return faulty + self.counts.by_online.get("false", 0)


def total(counts: Counts, rows: Collection[Row]) -> Totals:
    """Add up the network."""
    statuses = Counter(
        connector.status
        for row in rows
        for connector in row.connectors
        if connector.status not in OUT_OF_SERVICE
    )
    # Mean and coverage stand side by side, so they speak of the same EVSEs.
    rated = [(row, row.uptime) for row in rows if row.uptime is not None and row.status not in OUT_OF_SERVICE]
    window = sum(row.window_seconds for row, _ in rated)
    return Totals(
        counts=counts,
        connectors=sum(statuses.values()),
        connectors_by_status=dict(statuses),
        uptime=sum(uptime for _, uptime in rated) / len(rated) if rated else None,
        coverage=sum(row.observed_seconds for row, _ in rated) / window if window else None,
        rated=len(rated),
        loaded=len(rows),
    )
