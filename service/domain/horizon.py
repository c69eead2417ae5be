"""
Moving what the horizon has passed from the recent items into the base, and closing days and spans.

Rule: the base takes only what no event within the allowed lateness can change any more. What lies ahead of
it, the tip and the checkpoints, is kept in step.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Final

from service.domain.rules import KEPT_DAYS, SETTLING, Rules
from service.domain.state import PORT, EvseState, History
from service.domain.time import DAY, HOUR, Micros, day_of
from service.domain.timeline import HEARTBEAT_POSITION, ItemKind
from service.domain.track import Track


def advance(state: EvseState, rules: Rules) -> None:
    """Move what the horizon has passed from the recent items into the base, and close days and spans."""
    # Not beyond what the EVSE has reached: a receipt after the time that a replay is as of moves the horizon.
    # By whole hours, so that an event costs no second application of another one.
    reached, limit = state.horizon - SETTLING, rules.recent_limit
    reached = min(reached, state.as_of)
    boundary = reached // HOUR * HOUR
    if state.reports > limit or len(state.recent) > 2 * limit:
        excess = _excess(state, limit)
        last = min(state.recent[excess - 1].time, state.as_of)
        state.horizon = max(state.horizon, last)
        state.overflows += 1
        boundary = max(boundary, last)
    elif boundary <= state.closed:
        return
    else:
        excess = 0
    boundary = max(boundary, state.closed)
    crossed_hour = boundary // HOUR > state.closed // HOUR
    state.closed = boundary
    _fold_into_base(state, boundary, excess)
    if day_of(boundary) > state.days_closed:
        _close_days(state, day_of(boundary))
    if crossed_hour:
        # By the log's time and not by the clock or the batch, so that the state is a fold of the log.
        _forget_ids(state)
        gaps, exclusions = state.declarations.settle(boundary, keep_from(state))
        if gaps:
            state.unsaved.gaps = [gap for gap in state.unsaved.gaps if gap not in gaps]
            state.unsaved.dropped_gaps += gaps
        state.unsaved.exclusions |= exclusions


_IDS_A_REPORT: Final = 4
"""So many ids are kept for each recent report that may be."""


def bound_ids(state: EvseState, rules: Rules) -> None:
    """
    Forget the older half of the ids where there are far more than of recent reports.

    Of an event that is late an id is kept and no report, so `recent_limit` does not bound them: a clock that
    stands makes all events late. One that repeats beyond that changes nothing either.
    """
    limit = _IDS_A_REPORT * rules.recent_limit
    if len(state.ids) > limit:
        newest = sorted(state.ids.items(), key=itemgetter(1))[limit // 2 :]
        state.ids = dict(newest)
        state.whole = None


def _forget_ids(state: EvseState) -> None:
    """Forget the ids that no event within the lateness can repeat."""
    if min(state.ids.values(), default=state.horizon) < state.horizon:
        state.ids = {digest: until for digest, until in state.ids.items() if until >= state.horizon}
        state.whole = None


def _excess(state: EvseState, limit: int) -> int:
    """Count the oldest items beyond the limit: so many reports may be recent, and twice as many items."""
    reports, items = state.reports - limit, len(state.recent) - 2 * limit
    excess = 0
    while reports > 0 or items > excess:
        reports -= state.recent[excess].kind is not ItemKind.SIGN
        excess += 1
    return excess


def keep_from(state: EvseState) -> Micros:
    """Give the midnight before which nothing is kept: by what is closed, whatever order it arrived in."""
    return (state.days_closed - KEPT_DAYS) * DAY


def _fold_into_base(state: EvseState, boundary: Micros, least: int) -> None:
    """Fold the items before `boundary`, and at least so many: later ones of that instant come after."""
    recent, base = state.recent, state.base
    passed = 0
    for item in recent:
        if item.time >= boundary and passed >= least:
            break
        base.apply(item, state.minutes)
        passed += 1
        state.reports -= item.kind is not ItemKind.SIGN
    starts = state.minutes.starts
    beaten = bool(starts) and starts[0] < boundary
    if not passed and not beaten:
        return
    state.whole = None
    if passed:
        del recent[:passed]
        state.checkpoints.move_back(passed)
    if beaten:
        base.settle((boundary, HEARTBEAT_POSITION), state.minutes)
        newest = state.minutes.forget_before(boundary)
        if newest is not None:
            base.see(newest)
            for timeline in state.ahead():
                timeline.see(newest)
    for uid, track in base.named():
        _close_spans(state, uid, track)
    for history in state.history.values():
        history.spans.words.settle()


def _close_spans(state: EvseState, uid: str, base: Track) -> None:
    """Hand the spans that the base has ended to history; what lies ahead of it holds the same ones first."""
    if base.spans:
        state.history[uid].spans.add(base.spans)
        state.unsaved.spans += [(uid, span) for span in base.spans]
        for timeline in state.ahead():
            track = timeline.track(uid)
            del track.spans[: len(base.spans)]
            track.told.forget()
        base.spans = []


def _close_days(state: EvseState, first_open: int) -> None:
    midnight = first_open * DAY
    state.days_closed = first_open
    state.whole = None
    state.base.pour(midnight)
    oldest = day_of(keep_from(state))
    for uid, track in state.base.named():
        history = state.history[uid]
        closed = track.forget_days(first_open)
        history.days.add(closed)
        state.unsaved.days |= {(uid, day) for day in closed}
        _prune(state, uid, history, oldest)
    for history in state.history.values():
        history.spans.words.forget_before(oldest * DAY)
    closed_port = state.base.port.forget_days(first_open)
    state.port_days.add(closed_port)
    state.unsaved.days |= {(PORT, day) for day in closed_port}
    for timeline in state.ahead():
        timeline.pour(midnight)
        timeline.forget_days(first_open)
    state.port_days_changed()
    for day in state.port_days.forget_before(oldest):
        _drop_day(state, PORT, day)


def _prune(state: EvseState, uid: str, history: History, oldest: int) -> None:
    history.days_changed()
    for day in history.days.forget_before(oldest):
        _drop_day(state, uid, day)
    gone = history.spans.forget_before(oldest * DAY)
    if gone:
        state.unsaved.spans = [each for each in state.unsaved.spans if each[1].end >= oldest * DAY]
        state.unsaved.dropped_spans += [(uid, span) for span in gone]


def _drop_day(state: EvseState, uid: str, day: int) -> None:
    state.unsaved.days.discard((uid, day))
    state.unsaved.dropped_days.add((uid, day))
