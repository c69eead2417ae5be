"""
Reliability, 0 to 10, from the whole story of a connector at once.

Every sum is taken as of `as_of`, from scratch. Sources: domain 5 and readings 16 to 18 of design 3.1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tests.oracle.accounts import OPERATIONAL, Timeline
from tests.oracle.log import DAY, MINUTE, SECOND
from tests.oracle.story import Report

HALF_LIFE = 30 * DAY
SUSPENDED = {"SuspendedEV", "SuspendedEVSE"}
IN_ATTEMPT = {"PREPARING", "CHARGING"}

# outcome -> (weight in s, weight in f)
WEIGHTS = {"succeeded": (1.0, 0.0), "failed": (0.0, 1.0), "abandoned": (0.0, 0.5), "unknown": (0.0, 0.0)}


@dataclass(frozen=True)
class Attempt:
    """A closed attempt to charge; `charged` in microseconds, `closed_by` the status that followed."""

    opened: int
    closed: int
    charged: int
    closed_by: str

    @property
    def outcome(self) -> str:
        """What came of the attempt: succeeded, failed, abandoned or unknown."""
        if self.closed_by == "OUTOFORDER":
            return "failed"
        if self.charged >= 300 * SECOND:
            return "succeeded"
        if self.charged > 0:
            return "failed"
        if self.closed - self.opened > DAY:
            return "unknown"
        if self.closed_by in ("AVAILABLE", "FINISHING"):
            return "abandoned"
        return "unknown"


@dataclass(frozen=True)
class Reliability:
    """The value with its three terms and what they are made of; `observed` in microseconds, undecayed."""

    value: float | None
    availability: float
    continuity: float
    success: float
    observed: int
    attempts: dict[str, int]
    outages: int


def weight(instant: int, as_of: int) -> float:
    """What a moment still counts."""
    return float(2.0 ** (-(as_of - instant) / HALF_LIFE))


def decayed_seconds(begin: int, end: int, as_of: int) -> float:
    """The exact integral of the weight over an interval, in seconds."""
    per_unit = HALF_LIFE / SECOND / math.log(2)
    return per_unit * (weight(end, as_of) - weight(begin, as_of))


def attempts(reports: Sequence[Report]) -> list[Attempt]:
    """Return the closed attempts of a connector; one still open says nothing yet."""
    closed: list[Attempt] = []
    status: str | None = None
    opened: int | None = None
    charging_since: int | None = None
    for report in reports:
        opens = (report.status == "PREPARING" and status != "PREPARING") or (
            report.status == "CHARGING" and status not in IN_ATTEMPT
        )
        if opened is not None and (opens or report.status not in IN_ATTEMPT):
            charged = 0 if charging_since is None else report.time - charging_since
            closed.append(Attempt(opened, report.time, charged, report.status))
            opened = None
        if opens:
            opened, charging_since = report.time, None
        if report.status == "CHARGING" and report.raw_status not in SUSPENDED and charging_since is None:
            charging_since = report.time
        status = report.status
    return closed


def onsets(timeline: Timeline, as_of: int) -> list[int]:
    """Return the times at which outages began: faults, and offline spans over a minute."""
    found = []
    status: str | None = None
    for report in timeline.reports:
        if status in OPERATIONAL and report.status == "OUTOFORDER":
            found.append(report.time)
        status = report.status
    ends = [change.time for change in timeline.changes[1:]] + [as_of]
    for change, end in zip(timeline.changes, ends, strict=False):
        if change.value is False and end - change.time > MINUTE:
            found.append(change.time)
    return sorted(found)


def observed_intervals(timeline: Timeline, as_of: int) -> list[tuple[int, int, bool]]:
    """Return (begin, end, is up) for all the time that was observed, excluded time and gaps left out."""
    first = min(timeline.instants(), default=as_of)
    found = []
    for begin, end in timeline.intervals(min(first, as_of), as_of):
        if timeline.status_at(begin) in (None, "UNKNOWN"):
            continue  # not observed, online or not
        what = timeline.class_at(begin)
        if what in ("up", "down"):
            found.append((begin, end, what == "up"))
    return found


def reliability(timeline: Timeline, as_of: int) -> Reliability:
    """Compute a connector's reliability as of an instant."""
    observed = observed_intervals(timeline, as_of)
    decayed_observed = math.fsum(decayed_seconds(begin, end, as_of) for begin, end, _ in observed)
    decayed_up = math.fsum(decayed_seconds(begin, end, as_of) for begin, end, up in observed if up)
    began = onsets(timeline, as_of)
    k = math.fsum(weight(onset, as_of) for onset in began)
    closed = attempts(timeline.reports)
    s = math.fsum(WEIGHTS[each.outcome][0] * weight(each.closed, as_of) for each in closed)
    f = math.fsum(WEIGHTS[each.outcome][1] * weight(each.closed, as_of) for each in closed)
    availability = (decayed_up + 0.97 * 86_400) / (decayed_observed + 86_400)
    continuity = math.exp(-3_600 * (k + 0.1) / (decayed_up + 86_400))
    success = (s + 9) / (s + f + 10)
    seen = sum(end - begin for begin, end, _ in observed)
    return Reliability(
        value=10 * availability * continuity * success if seen >= DAY else None,
        availability=availability,
        continuity=continuity,
        success=success,
        observed=seen,
        attempts={outcome: sum(each.outcome == outcome for each in closed) for outcome in WEIGHTS},
        outages=len(began),
    )
