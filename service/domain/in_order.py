"""
The short way of the fold, for what nearly every record is: a report that comes in order while all is well.

A status of a known connector, or the word that it is online, newer than all that is kept of the EVSE, or a
heartbeat, while nothing is offline, removed or taken out. Then nothing has to be searched, folded again or
compared as a whole: what is left are the rules of `Track`, applied once. Anything else is None, leaves
the state as it was, and takes the long way (`fold`), which alone says what holds. A property test holds the
two to the same state.
"""

from __future__ import annotations

from schemas.vocabulary import Verdict
from service.domain import recent
from service.domain.events import (
    SILENCE,
    Event,
    HeartbeatReceived,
    OnlineReported,
    StatusReported,
    digest_of,
)
from service.domain.outcomes import Folded, Transition
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.domain.time import MINUTE, Micros
from service.domain.timeline import HEARTBEAT_POSITION, Item, ItemKind, OnlineWord
from service.domain.track import Key, Report

_REFRESHED = Folded(Verdict.REFRESHED)
_STATUS, _ONLINE, _SIGN = ItemKind.STATUS, ItemKind.ONLINE, ItemKind.SIGN


def take(state: EvseState, event: Event, rules: Rules) -> Folded | None:
    """Take an event that comes in order; None, and nothing is changed, where it has to go the long way."""
    if isinstance(event, StatusReported):
        return _take_status(state, event, rules)
    if isinstance(event, OnlineReported):
        return _take_online(state, event, rules)
    return _take_heartbeat(state, event, rules) if isinstance(event, HeartbeatReceived) else None


def _take_status(state: EvseState, event: StatusReported, rules: Rules) -> Folded | None:
    at, seen, position, uid = event.at, event.seen, event.position, event.connector_uid
    key = (at, position)
    if not _is_next(state, at, seen, position, rules) or not _is_named(state, uid, key):
        return None
    track = state.tip.tracks[uid]
    if key <= track.status_key or not _is_new(state, event.event_id, seen):
        return None
    report = Report(event.status, event.raw_status, event.error_code, event.vendor_error_code)
    _append(state, Item(at, position, _STATUS, event.event_id, uid, report), seen)
    _hear(state, event, rules)
    before, since = track.status, track.status_since
    content = (before, track.raw_status, track.error_code)
    track.report_status(key, event.event_id, report)
    if track.since_key == key:
        state.tip.sync_port(at)
    state.tip.see(seen)
    recent.advance(state, rules)
    if content == (track.status, track.raw_status, track.error_code):
        return _REFRESHED
    state.step_revision((uid,))
    if before is event.status:
        return Folded(Verdict.APPLIED, publish=True, moved=True)
    lasted = None if since is None else at - since
    step = Transition(uid, before, event.status, at, lasted, Verdict.APPLIED, event.event_id, position)
    return Folded(Verdict.APPLIED, publish=True, moved=True, transitions=(step,))


def _take_online(state: EvseState, event: OnlineReported, rules: Rules) -> Folded | None:
    """Take the word that what was online still is."""
    at, seen, position, uid = event.at, event.seen, event.position, event.connector_uid
    is_silence = event.silence or event.reason == SILENCE
    if event.online is not True or is_silence or not _is_next(state, at, seen, position, rules):
        return None
    tip, key = state.tip, (at, position)
    if uid is not None and not _is_named(state, uid, key):
        return None
    touched = [tip.nameless, *tip.tracks.values()] if uid is None else [tip.tracks[uid]]
    for track in touched:
        if track.online is not True or key <= track.online_key or key <= track.since_key:
            return None
    if not _is_new(state, event.event_id, seen):
        return None
    _append(state, Item(at, position, _ONLINE, event.event_id, uid, _IS_ONLINE), seen)
    _hear(state, event, rules)
    state.has_reported_online = True
    for track in touched:
        track.online_key = key
    tip.see(seen)
    recent.advance(state, rules)
    return _REFRESHED


def _take_heartbeat(state: EvseState, event: HeartbeatReceived, rules: Rules) -> Folded | None:
    """Take a heartbeat that ends no offline span, wherever its minute lies."""
    at, seen, tip = event.at, event.seen, state.tip
    horizon = max(state.horizon, max(at, seen) - rules.allowed_lateness)
    if tip.is_offline or state.removal_key is not None or not state.revision or at < horizon:
        return None
    minute = seen // MINUTE * MINUTE
    key = (minute, HEARTBEAT_POSITION)
    for track in tip.every():
        if key < track.online_turned:
            return None
    state.as_of, state.horizon = max(state.as_of, at, seen), horizon
    state.hear(seen, event.position, event.source)
    state.beat((at, event.position), event.heartbeat_interval_s)
    if minute >= state.closed and state.minutes.add(minute) and state.minutes.starts[-1] != minute:
        state.packed.minutes.forget()
    recent.advance(state, rules)
    return _REFRESHED


_IS_ONLINE = OnlineWord(online=True)


def _is_named(state: EvseState, uid: str, key: Key) -> bool:
    """Tell whether a report named the connector before."""
    named_at = state.named.get(uid)
    return named_at is not None and named_at <= key and uid in state.base.tracks and uid in state.tip.tracks


def _is_next(state: EvseState, at: Micros, seen: Micros, position: int, rules: Rules) -> bool:
    """Tell whether a report and its sign of life come after all that is kept, with nothing to be ended."""
    tip, recent_items = state.tip, state.recent
    if tip.is_offline or tip.removed or state.removal_key is not None or state.declarations.taken_out:
        return False
    if seen < at or at < max(state.as_of, state.horizon, seen - rules.allowed_lateness):
        return False
    if not state.revision or not recent_items:
        return False
    last = recent_items[-1]
    if (at, position) <= (last.time, last.position):
        return False
    return at > tip.last_turn() and seen > tip.nameless.online_turned[0]


def _is_new(state: EvseState, event_id: str, seen: Micros) -> bool:
    """Tell whether an event id was never heard, and note it if so."""
    digest = digest_of(event_id)
    if digest in state.ids:
        return False
    state.ids[digest] = seen
    return True


def _append(state: EvseState, effect: Item, seen: Micros) -> None:
    state.recent.append(effect)
    state.recent.append(Item(seen, effect.position, _SIGN, effect.event_id))
    state.reports += 1


def _hear(state: EvseState, event: StatusReported | OnlineReported, rules: Rules) -> None:
    """Note when the EVSE was heard: nothing was newer."""
    seen = event.seen
    state.as_of = seen
    state.horizon = max(state.horizon, seen - rules.allowed_lateness)
    state.hear(seen, event.position, event.source)
