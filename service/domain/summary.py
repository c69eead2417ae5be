"""
What can be said of an EVSE at a time: the reading side of the fold, behind snapshots and documents.

Everything here is a function of a state and `as_of`; nothing is changed and no clock is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from schemas.vocabulary import Status, TimeClass
from service.domain.buckets import COUNTERS, DOWN, DOWN_UNSEEN, ONSETS, OUT, PART, PARTS, UP, no_parts
from service.domain.definitions import OBSERVED, UNHEARD
from service.domain.horizon import keep_from
from service.domain.intervals import Interval, clip, subtract
from service.domain.reliability import (
    ABANDONED,
    COUNTS_OBSERVED,
    COUNTS_UP,
    FAILED,
    SUCCEEDED,
    UNTOLD,
    LeftOut,
    Reliability,
    Sums,
    faded,
    integral,
    rate,
    rate_decayed,
)
from service.domain.rollup import online_of_all, status_of_all
from service.domain.rules import Rules, published_from
from service.domain.state import EvseState
from service.domain.time import DAY, Micros
from service.domain.track import Track
from service.domain.windows import (
    Window,
    connector_window,
    exclusions_of,
    parts_of,
    port_window,
    summed,
)


def reliability(state: EvseState, uid: str, as_of: Micros) -> Reliability:
    """Rate a connector as of `as_of`: excluded time and gaps are left out of its sums."""
    sums, open_onsets = state.tip.tracks[uid].sums_at(as_of)
    ever = summed(state, uid, PARTS, (0, as_of))
    observed = ever[UP] + ever[DOWN] - _leave_out(state, uid, sums, as_of)
    return rate(sums, observed, _attempts(ever, no_parts()), ever[ONSETS] + open_onsets)


def _attempts(sums: list[int], more: list[int]) -> dict[str, int]:
    """Give the attempts by outcome of two accounts together."""
    return {
        SUCCEEDED.name: sums[_SUCCEEDED] + more[_SUCCEEDED],
        FAILED.name: sums[_FAILED] + more[_FAILED],
        ABANDONED.name: sums[_ABANDONED] + more[_ABANDONED],
        UNTOLD.name: sums[_UNTOLD] + more[_UNTOLD],
    }


_SUCCEEDED: Final = PART[COUNTERS[SUCCEEDED.name]]
_FAILED: Final = PART[COUNTERS[FAILED.name]]
_ABANDONED: Final = PART[COUNTERS[ABANDONED.name]]
_UNTOLD: Final = PART[COUNTERS[UNTOLD.name]]


def _account(state: EvseState, uid: str, as_of: Micros) -> tuple[Window, Reliability] | None:
    """
    Give the published window `observed` and the reliability of a connector of which nothing is declared.

    From sums that are kept, for this is done at every change. None where the general way has to be taken,
    which `connector_window` and `reliability` go; a property test holds the two together.
    """
    start = published_from(as_of)
    track, history = state.tip.tracks[uid], state.history[uid]
    first = max(start, 0) // DAY
    if track.poured < start or next(iter(track.days), first) < first:
        return None
    sums = track.parts.copy()
    if track.bucket != UNHEARD and as_of > track.poured:
        sums[PART[track.bucket]] += as_of - track.poured
    within, before = history.summed_since(first, PARTS), history.summed_since(0, PARTS)
    up, out = within[UP] + sums[UP], within[OUT] + sums[OUT]
    down = within[DOWN] + within[DOWN_UNSEEN] + sums[DOWN] + sums[DOWN_UNSEEN]
    unobserved = as_of - start - up - down - out
    window = Window(OBSERVED.name, start, as_of, up, down, 0, unobserved)
    observed = before[UP] + before[DOWN] + sums[UP] + sums[DOWN]
    seen, open_onsets = track.seen_at(as_of)
    onsets = sums[ONSETS] + before[ONSETS] + open_onsets
    return window, rate_decayed(seen, observed, _attempts(sums, before), onsets)


def _leave_out(state: EvseState, uid: str, sums: Sums, as_of: Micros) -> Micros:
    """
    Take excluded time and gaps out of the decayed sums, and give their undecayed length.

    What lies in closed days is added up once a day, or when something is declared.
    """
    declarations = state.declarations
    if not declarations.takes_time_out:
        return 0
    first, edge = max(keep_from(state), 0), state.days_closed * DAY
    if as_of < edge:
        left_out = _left_out(state, uid, (first, as_of))
        sums.observed, sums.up = sums.observed - left_out.observed, sums.up - left_out.up
        return left_out.length
    history, known_by = state.history[uid], (edge, declarations.version)
    if history.left_out is None or history.left_out[0] != known_by:
        history.left_out = (known_by, _left_out(state, uid, (first, edge)))
    closed, since, left = history.left_out[1], _left_out(state, uid, (edge, as_of)), faded(as_of - edge)
    sums.observed -= closed.observed * left + since.observed
    sums.up -= closed.up * left + since.up
    return closed.length + since.length


def _left_out(state: EvseState, uid: str, period: Interval) -> LeftOut:
    """Add up what of a period is excluded or in a gap, as seen from its end."""
    as_of = period[1]
    gaps = clip(state.declarations.merged_gaps, *period)
    exclusions = subtract(clip(exclusions_of(state, uid, OBSERVED), *period), gaps)
    observed, up, length = 0.0, 0.0, 0
    for part, is_gap in [(part, True) for part in gaps] + [(part, False) for part in exclusions]:
        plainly_up = [part]
        for start, end, bucket in parts_of(state, uid, as_of, part):
            inside: Interval = (max(start, part[0]), min(end, part[1]))
            plainly_up = subtract(plainly_up, [inside])
            is_taken = is_gap or OBSERVED.classes[bucket] is TimeClass.DOWN
            if COUNTS_OBSERVED[bucket] and is_taken:
                observed += integral(*inside, as_of)
                length += inside[1] - inside[0]
                if COUNTS_UP[bucket]:  # never under `observed`: up has no spans
                    up += integral(*inside, as_of)
        if is_gap:
            for inside in plainly_up:
                lost = integral(*inside, as_of)
                observed += lost
                up += lost
                length += inside[1] - inside[0]
    return LeftOut(observed, up, length)


@dataclass(slots=True, init=False)
class ConnectorSummary:
    """One connector at a time: its track, windows by definition and reliability."""

    uid: str
    track: Track
    published: bool
    windows: tuple[Window, ...]
    reliability: Reliability
    uptime: float | None
    """Uptime of the published window `observed`, whatever other windows were asked for."""

    def __init__(
        self,
        uid: str,
        track: Track,
        published: bool,
        windows: tuple[Window, ...],
        reliability: Reliability,
        uptime: float | None,
    ) -> None:
        self.uid, self.track, self.published = uid, track, published
        self.windows, self.reliability, self.uptime = windows, reliability, uptime


@dataclass(slots=True, init=False)
class Summary:
    """One EVSE at a time."""

    as_of: Micros
    status: Status
    online: bool | None
    windows: tuple[Window, ...]
    connectors: tuple[ConnectorSummary, ...]

    def __init__(
        self,
        as_of: Micros,
        status: Status,
        online: bool | None,
        windows: tuple[Window, ...],
        connectors: tuple[ConnectorSummary, ...],
    ) -> None:
        self.as_of, self.status, self.online = as_of, status, online
        self.windows, self.connectors = windows, connectors


_PUBLISHED: Final = (OBSERVED,)


def summarize(state: EvseState, as_of: Micros, rules: Rules, period: Interval | None = None) -> Summary:
    """Say everything of an EVSE at `as_of`; `period` asks for other windows than the published ones."""
    uids = state.connector_uids()
    declarations = state.declarations
    is_plain = period is None and rules.definitions == _PUBLISHED and not declarations.takes_time_out
    connectors = []
    for uid in uids:
        account = _account(state, uid, as_of) if is_plain else None
        if account is not None:
            published, rating = account
            windows: tuple[Window, ...] = (published,)
        else:
            windows = tuple([connector_window(state, uid, each, as_of, period) for each in rules.definitions])
            observed = windows[0] if period is None and rules.definitions[0] is OBSERVED else None
            published = observed or connector_window(state, uid, OBSERVED, as_of)
            rating = reliability(state, uid, as_of)
        track, is_published = state.tip.tracks[uid], declarations.is_published(uid)
        connectors.append(ConnectorSummary(uid, track, is_published, windows, rating, published.uptime))
    port = tuple([port_window(state, definition, as_of, period) for definition in rules.definitions])
    words = tuple([(each.track.status, each.track.online) for each in connectors])
    status = status_of_all(words, rules.status_rule)
    return Summary(as_of, status, online_of_all(words), port, tuple(connectors))


__all__ = [
    "ConnectorSummary",
    "Summary",
    "reliability",
    "summarize",
]
