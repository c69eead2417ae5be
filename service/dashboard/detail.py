"""
One EVSE's page, assembled from everything the view holds of it.

Numbers come from the snapshot as they are; only the drawing is computed here, from the spans that the numbers
were computed from. Knows no Redis and no HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from schemas import view
from schemas.vocabulary import TimeClass
from service.dashboard import timeline
from service.dashboard.kept import Kept, history_of, in_use, micros, read_kept
from service.dashboard.outages import Listing, OutageLine, alike, latest
from service.dashboard.reading import Stored
from service.dashboard.rows import Row, row_of
from service.dashboard.timeline import Lane, Span
from service.dashboard.wording import DAY, SECOND, parse_time

WINDOW_DAYS = 30

FRESH = DAY
"""How old numbers may be for the drawing to go on until now: the slow tick renews them within two hours."""

Json = Mapping[str, Any]


class Fields(dict[str, Any]):
    """A JSON object of which a field that is absent is null, as the contract has it for optional ones."""

    def __missing__(self, name: str) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Period:
    """An exclusion or a gap: times in microseconds since 1970, `until` None while open."""

    start: int
    until: int | None
    reason: str = ""
    note: str = ""
    connectors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConnectorPart:
    """
    One connector: what was published of it (`evse`), its state and numbers, its timeline.

    `taken_out`: an inventory no longer names it, so nothing is published of it, and it has no state now; what
    was reported of it stays history.
    """

    uid: str
    name: str
    taken_out: bool
    status: str | None
    online: bool | None
    evse: Json
    state: Json
    window: Json
    lane: Lane


@dataclass(frozen=True, slots=True)
class EvsePage:
    """
    What the page of one EVSE shows.

    `period` is the window of the numbers, up to what the EVSE has reached; the lanes are drawn until now if
    it `is_current`, and until its end if not. `undrawn_until`: before this time of the window there is more
    than was read, and nothing is claimed; None where all is drawn. `clipped`: there may be older outages
    than those that can be listed.
    """

    row: Row
    evse: Json
    snapshot: Json
    window: Json
    period: tuple[int, int]
    is_current: bool
    as_of: int
    removed_at: int | None
    connectors: Sequence[ConnectorPart]
    port: Lane
    outages: Sequence[OutageLine] = ()
    outages_before: int = 0
    exclusions: Sequence[Period] = ()
    gaps: Sequence[Period] = ()
    gaps_before: int = 0
    undrawn_until: int | None = None
    clipped: bool = False


def evse_page(uid: str, stored: Stored, now: int, *, all_outages: bool = False) -> EvsePage | None:
    """
    Assemble a page as of `now`; None where the document is not whole.

    Raises ValueError for what cannot be read.
    """
    row = row_of(uid, stored.document)
    if row is None:
        return None
    snapshot = _lenient(orjson.loads(stored.document["snapshot"]))
    as_of = parse_time(snapshot.get("as_of")) or parse_time(stored.document.get("as_of")) or 0
    kept = read_kept(stored)
    period = _window(snapshot, as_of)
    removed_at = parse_time(stored.document.get("removed_at"))
    # What happened to one that is removed is over, and of one that got no further long ago nothing was seen
    # since: drawn until now, its thirty days would shrink to nothing.
    is_current = removed_at is None and now - period[1] <= FRESH
    drawn = (period[0], max(period[1], now)) if is_current else period
    states = snapshot.get("connectors") or ()
    segments = [
        timeline.connector_segments(history_of(state["connector_uid"], kept, period[1], drawn[1]), drawn)
        for state in states
    ]
    parts = [
        _connector(state, snapshot["evse"], kept, timeline.not_up_after(own, period[1]), drawn)
        for state, own in zip(states, segments, strict=True)
    ]
    port = timeline.not_up_after(timeline.port_segments(segments, drawn), period[1])
    groups = alike(kept.outages)
    shown = groups if all_outages else latest(groups, period[0])
    gaps = [Period(micros(gap.from_), micros(gap.until)) for gap in reversed(kept.gaps)]
    shown_gaps = [gap for gap in gaps if all_outages or (gap.until or 0) > period[0]]
    listing = Listing(uid, kept, {part.uid: part.name for part in parts}, max(period[1], now))
    return EvsePage(
        row=row,
        evse=snapshot["evse"],
        snapshot=snapshot,
        window=_observed(snapshot),
        period=period,
        is_current=is_current,
        as_of=as_of,
        removed_at=removed_at,
        connectors=parts,
        port=timeline.lane("Charging point", port, drawn),
        outages=[listing.line(group) for group in shown],
        outages_before=len(groups) - len(shown),
        exclusions=_exclusions(kept),
        gaps=shown_gaps,
        gaps_before=len(gaps) - len(shown_gaps),
        undrawn_until=stored.complete_from if stored.complete_from > period[0] else None,
        clipped=stored.clipped,
    )


def _lenient(value: Any) -> Any:
    if isinstance(value, dict):
        return Fields((name, _lenient(part)) for name, part in value.items())
    return [_lenient(part) for part in value] if isinstance(value, list) else value


def _observed(described: Json) -> Json:
    """Find the window of the definition that the page shows."""
    windows: Sequence[Json] = described.get("windows") or ()
    return next((window for window in windows if window.get("definition") == "observed"), Fields())


def _window(snapshot: Json, as_of: int) -> tuple[int, int]:
    """Give the window's two ends; never empty, so that it can be drawn."""
    published = _observed(snapshot)
    start = parse_time(published.get("from"))
    until = parse_time(published.get("until")) or as_of
    start = (until // DAY - WINDOW_DAYS) * DAY if start is None else start
    return (start, max(until, start + SECOND))


def _connector(
    state: Json,
    evse: Json,
    kept: Kept,
    segments: Sequence[Span[TimeClass]],
    drawn: tuple[int, int],
) -> ConnectorPart:
    uid = state["connector_uid"]
    found = next((part for part in evse.get("connectors") or () if part.get("uid") == uid), None)
    published: Json = Fields() if found is None else found
    name = published.get("physical_reference") or published.get("connector_id") or uid
    lane = timeline.lane(name, segments, drawn)
    status = published.get("status") or state.get("status")
    return ConnectorPart(
        uid=uid,
        name=name,
        taken_out=found is None,
        status=status if state.get("status_since") or status != "UNKNOWN" else None,
        online=published.get("online"),
        evse=published,
        state=state,
        window=_observed(state),
        lane=_with_use(lane, kept.days.get(uid, {})),
    )


def _with_use(lane: Lane, days: Mapping[int, view.Day]) -> Lane:
    shares = [replace(share, in_use=in_use(days.get(share.start // DAY * DAY))) for share in lane.days]
    return replace(lane, days=shares)


def _exclusions(kept: Kept) -> list[Period]:
    periods = [
        Period(
            micros(exclusion.from_),
            None if exclusion.until is None else micros(exclusion.until),
            exclusion.reason,
            exclusion.note or "",
            exclusion.connector_uids or (),
        )
        for exclusion in kept.exclusions
    ]
    return sorted(periods, key=lambda period: period.start, reverse=True)
