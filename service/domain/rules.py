"""The settings that the fold depends on, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from service.domain.definitions import OBSERVED, Definition
from service.domain.time import CLOCK_TOLERANCE, DAY, HOUR, MINUTE, Micros

SETTLING: Final[Micros] = CLOCK_TOLERANCE + MINUTE
"""
How far behind the horizon history is closed for good.

An event that applies at the horizon may have been received up to the clock tolerance earlier, and a
heartbeat counts from the start of its minute: until then a sign of life may still end an offline span.
"""

KEPT_DAYS: Final = 400
"""Closed days, spans, exclusions and gaps are kept this long."""

WINDOW_DAYS: Final = 30
"""The published window starts at midnight UTC of this many days before `as_of`."""


MOST_KNOWN: Final = 300
"""So many with those that an inventory has taken out, whose history is kept and stands in the snapshot."""


@dataclass(frozen=True, slots=True)
class Rules:
    """
    What an operator may set of the fold.

    `allowed_lateness` in microseconds; `recent_limit` bounds the reports kept of one EVSE: beyond it the
    horizon moves up; `definitions` are published continuously, the first must be `observed`.
    """

    allowed_lateness: Micros = 48 * HOUR
    recent_limit: int = 4096
    definitions: tuple[Definition, ...] = (OBSERVED,)
    status_rule: str = "in_use_first"


def published_from(as_of: Micros) -> Micros:
    """Give the start of the published window that ends at `as_of`."""
    return (as_of // DAY - WINDOW_DAYS) * DAY
