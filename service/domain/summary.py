"""
What can be said of an EVSE at a time: the reading side of the fold, behind snapshots and documents.

Everything here is a function of a state and `as_of`; nothing is changed and no clock is read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from schemas.vocabulary import OUT_OF_SERVICE, Status, TimeClass
from service.domain.definitions import OBSERVED, PAIRS, UNHEARD, Weighting
from service.domain.horizon import keep_from
from service.domain.intervals import Interval, clip, subtract
from service.domain.reliability import (
    ABANDONED,
    COUNTS_OBSERVED,
    COUNTS_UP,
    FAILED,
    OUTCOMES,
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

_IN_USE_FIRST: Final[tuple[tuple[frozenset[Status], Status], ...]] = (
    (frozenset({Status.PREPARING, Status.CHARGING, Status.FINISHING}), Status.CHARGING),
    (frozenset({Status.RESERVED}), Status.RESERVED),
    (frozenset({Status.AVAILABLE}), Status.AVAILABLE),
    (frozenset({Status.INOPERATIVE}), Status.INOPERATIVE),
    (frozenset({Status.OUTOFORDER}), Status.OUTOFORDER),
)

STATUS_RULES: Final[dict[str, tuple[tuple[frozenset[Status], Status], ...]]] = {"in_use_first": _IN_USE_FIRST}
"""Named orders by which an EVSE gets one status from its connectors: the first that any of them has."""


def rolled_up_status(tracks: Iterable[Track], rule: str = "in_use_first") -> Status:
    """Give the EVSE one status from its connectors' tracks; see `roll_up`."""
    return roll_up([(track.status, track.online) for track in tracks], rule)


def roll_up(connectors: Collection[tuple[Status | None, bool | None]], rule: str = "in_use_first") -> Status:
    """
    Give the EVSE one status (settled reading 14): online first, then the order of the rule.

    `connectors` holds (status, online) of each that is known.
    """
    if not connectors:
        return Status.UNKNOWN
    statuses, offline, out_of_service = set(), 0, 0
    for status, online in connectors:
        if status in OUT_OF_SERVICE:
            out_of_service += 1
        else:
            statuses.add(status)
            offline += online is False
    in_service = len(connectors) - out_of_service
    if not in_service:
        return Status.REMOVED if all(each[0] is Status.REMOVED for each in connectors) else Status.PLANNED
    if offline == in_service:
        return Status.UNKNOWN
    for those, status in STATUS_RULES[rule]:
        if not those.isdisjoint(statuses):
            return status
    return Status.UNKNOWN


def rolled_up_online(tracks: Iterable[Track]) -> bool | None:
    """Give the EVSE one online: false if all in service are offline, true if any is online, else null."""
    in_service, reached, is_online = False, False, False
    for track in tracks:
        if track.status not in OUT_OF_SERVICE:
            in_service = True
            reached = reached or track.online is not False
            is_online = is_online or track.online is True
    if in_service and not reached:
        return False
    return True if is_online else None


_UP: Final = 0
_DOWN: Final = 1
_DOWN_UNSEEN: Final = 2
_OUT: Final = 3
_REST: Final = 4
_FIRST_COUNTER: Final = 5


def _part(bucket: int) -> int:
    """Say which sum below a bucket belongs to: those that windows and reliability tell apart."""
    time_class = OBSERVED.classes[bucket]
    if time_class is TimeClass.DOWN:
        return _DOWN if COUNTS_OBSERVED[bucket] else _DOWN_UNSEEN
    return {TimeClass.UP: _UP, TimeClass.OUT_OF_SERVICE: _OUT}.get(time_class, _REST)


_COUNTERS: Final = range(_FIRST_COUNTER, _FIRST_COUNTER + len(OUTCOMES) + 1)
"""Where the counters of a day go: attempts by outcome, and onsets."""
_PARTS: Final = Weighting(tuple(map(_part, range(len(PAIRS)))) + tuple(_COUNTERS), _COUNTERS.stop)


def reliability(state: EvseState, uid: str, as_of: Micros) -> Reliability:
    """Rate a connector as of `as_of`: excluded time and gaps are left out of its sums."""
    sums, open_onsets = state.tip.tracks[uid].sums_at(as_of)
    ever = summed(state, uid, _PARTS, (0, as_of))
    observed = ever[_UP] + ever[_DOWN] - _leave_out(state, uid, sums, as_of)
    return rate(sums, observed, _attempts(ever), ever[-1] + open_onsets)


def _attempts(sums: list[int]) -> dict[str, int]:
    succeeded, failed, abandoned, untold = sums[_FIRST_COUNTER:-1]
    return {
        SUCCEEDED.name: succeeded,
        FAILED.name: failed,
        ABANDONED.name: abandoned,
        UNTOLD.name: untold,
    }


def _account(state: EvseState, uid: str, as_of: Micros) -> tuple[Window, Reliability] | None:
    """
    Give the published window `observed` and the reliability of a connector of which nothing is declared.

    In one pass over what its track has open, for this is done at every change. None where the general way
    has to be taken, which `connector_window` and `reliability` go; a property test holds the two together.
    """
    start = published_from(as_of)
    track, history = state.tip.tracks[uid], state.history[uid]
    first = max(start, 0) // DAY
    if track.poured < start or next(iter(track.days), first) < first:
        return None
    places = _PARTS.places
    sums = [0] * _PARTS.size
    for bucket, amount in track.total.items():
        sums[places[bucket]] += amount
    if track.bucket != UNHEARD and as_of > track.poured:
        sums[places[track.bucket]] += as_of - track.poured
    within, before = history.summed_since(first, _PARTS), history.summed_since(0, _PARTS)
    up, out = within[_UP] + sums[_UP], within[_OUT] + sums[_OUT]
    down = within[_DOWN] + within[_DOWN_UNSEEN] + sums[_DOWN] + sums[_DOWN_UNSEEN]
    unobserved = as_of - start - up - down - out
    window = Window(OBSERVED.name, start, as_of, up, down, 0, unobserved)
    observed = before[_UP] + before[_DOWN] + sums[_UP] + sums[_DOWN]
    for counter in _COUNTERS:
        sums[counter] += before[counter]
    seen, open_onsets = track.seen_at(as_of)
    return window, rate_decayed(seen, observed, _attempts(sums), sums[-1] + open_onsets)


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
    tracks = [state.tip.tracks[uid] for uid in uids]
    port = tuple([port_window(state, definition, as_of, period) for definition in rules.definitions])
    status = rolled_up_status(tracks, rules.status_rule)
    return Summary(as_of, status, rolled_up_online(tracks), port, tuple(connectors))


__all__ = [
    "ConnectorSummary",
    "Summary",
    "reliability",
    "roll_up",
    "rolled_up_online",
    "rolled_up_status",
    "summarize",
]
