"""
The history of one EVSE as the view keeps it, read: closed and recent parts as one.

Times become microseconds since 1970; what is kept stays in the models of `schemas.view`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from schemas import view
from schemas.vocabulary import IN_USE
from service.dashboard.reading import Stored
from service.dashboard.timeline import History, Span
from service.dashboard.wording import DAY, SECOND

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(moment: datetime) -> int:
    """Count microseconds since 1970 of an aware time."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


@dataclass(slots=True)
class Kept:
    """
    What is kept of one EVSE: days by connector and start, spans by start, exclusions and gaps.

    The days are seconds by state, keyed as in the view. What ended up to `complete_from` may be missing.
    """

    days: dict[str, dict[int, view.Day]] = field(default_factory=dict)
    outages: list[view.Outage] = field(default_factory=list)
    exclusions: list[view.Exclusion] = field(default_factory=list)
    gaps: list[view.Gap] = field(default_factory=list)
    complete_from: int = 0


def read_kept(stored: Stored) -> Kept:
    """Read the closed history and the recent one as one; a day that is in both is the sum of the two."""
    kept = Kept(
        outages=list(view.parse_outages(reversed(stored.outages))),
        exclusions=list(view.parse_exclusions(dict(stored.exclusions)).values()),
        gaps=list(view.parse_gaps(reversed(stored.gaps))),
        complete_from=stored.complete_from,
    )
    for name, text in stored.days.items():
        uid, date = view.parse_day_field(name)
        _add_day(kept, uid, date.isoformat(), view.parse_day(text))
    recent = view.parse_recent(stored.document.get("recent") or '{"from": "1970-01-01T00:00:00Z"}')
    for uid, connector in recent.connectors.items():
        for date, day in connector.days.items():
            _add_day(kept, uid, date.isoformat(), day)
        kept.outages += connector.outages
    kept.outages.sort(key=lambda outage: outage.from_)
    return kept


def _add_day(kept: Kept, uid: str, date: str, day: view.Day) -> None:
    start = micros(datetime.fromisoformat(date).replace(tzinfo=UTC))
    known = kept.days.setdefault(uid, {}).setdefault(start, {})
    for key, seconds in day.items():
        known[key] = known.get(key, 0) + seconds


def _seconds(day: view.Day) -> dict[tuple[str | None, bool | None], float]:
    """Keep of a day what is time."""
    return {state: seconds for key, seconds in day.items() if (state := view.state_of(key)) is not None}


def in_use(day: view.Day | None) -> float | None:
    """Say which share of a day's observed time a connector served somebody; None without any."""
    if not day:
        return None
    seconds = _seconds(day)
    known = sum(length for (status, _), length in seconds.items() if status not in (None, "UNKNOWN"))
    used = sum(
        length for (status, online), length in seconds.items() if status in IN_USE and online is not False
    )
    return used / known if known else None


def history_of(uid: str, kept: Kept, as_of: int, end: int) -> History:
    """
    Give one connector's history up to `end`, where what is open ends; its days go up to `as_of`.

    Where something may be missing nothing is claimed: that time counts as a gap.
    """
    spans = [
        Span(micros(outage.from_), end if outage.until is None else micros(outage.until), outage.time_class)
        for outage in kept.outages
        if outage.connector_uid == uid
    ]
    gaps = [(micros(gap.from_), micros(gap.until)) for gap in kept.gaps]
    return History(
        known_from=_known_from(kept.days.get(uid, {}), as_of),
        spans=spans,
        gaps=[(0, kept.complete_from), *gaps],
        exclusions=excluded(uid, kept, end),
    )


def excluded(uid: str, kept: Kept, end: int) -> list[tuple[int, int]]:
    """Give the times that are excluded for a connector; what is open ends at `end`."""
    return [
        (micros(exclusion.from_), end if exclusion.until is None else micros(exclusion.until))
        for exclusion in kept.exclusions
        if exclusion.connector_uids is None or uid in exclusion.connector_uids
    ]


def _known_from(days: Mapping[int, view.Day], end: int) -> int | None:
    """Find since when a connector is accounted for: its first day's seconds end with that day."""
    if not days:
        return None
    first = min(days)
    heard = sum(_seconds(days[first]).values())
    return max(first, min(first + DAY, max(end, first)) - round(heard * SECOND))
