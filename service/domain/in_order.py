"""
The short way of the fold, for what nearly every record is: a report that comes in order.

A status of a known connector, a word about the link, or a heartbeat, newer than all that is kept of the
EVSE, while nothing is removed or taken out. Then nothing has to be searched, folded again or compared as a
whole: what is left are the rules of `Track`, applied once. Anything else is None, leaves the state as it was,
and takes the long way (`fold`), which alone says what holds. A property test holds the two to the same state.
"""

from __future__ import annotations

from typing import Final

from schemas.vocabulary import Status, Verdict
from service.domain.events import (
    SILENCE,
    Event,
    HeartbeatReceived,
    OnlineReported,
    StatusReported,
    digest_of,
)
from service.domain.horizon import advance
from service.domain.outcomes import Folded, Transition
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.domain.time import MINUTE, Micros
from service.domain.timeline import HEARTBEAT_POSITION, Item, ItemKind, OnlineWord
from service.domain.track import Key, Report, Track

_REFRESHED: Final = Folded(Verdict.REFRESHED)
_STATUS: Final = ItemKind.STATUS
_ONLINE: Final = ItemKind.ONLINE
_SIGN: Final = ItemKind.SIGN
_APPLIED: Final = Verdict.APPLIED


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
    effect = Item(at, position, _STATUS, event.event_id, uid, report)
    if state.tip.is_offline:
        return _turn(state, event, effect, rules)
    _append(state, effect, seen)
    _hear(state, event, rules)
    before, since = track.status, track.status_since
    content = (before, track.raw_status, track.error_code)
    track.report_status(key, event.event_id, report)
    if track.since_key == key:
        state.tip.sync_port(at)
    state.tip.see(seen)
    advance(state, rules)
    if content == (track.status, track.raw_status, track.error_code):
        return _REFRESHED
    state.step_revision((uid,))
    if before is event.status:
        return Folded(_APPLIED, publish=True, moved=True)
    step = _transition(event, uid, before, since, event.status)
    return Folded(_APPLIED, publish=True, moved=True, transitions=(step,))


def _take_online(state: EvseState, event: OnlineReported, rules: Rules) -> Folded | None:
    at, seen, position, uid, online = event.at, event.seen, event.position, event.connector_uid, event.online
    is_silence = event.silence or event.reason == SILENCE
    if online is None or is_silence or not _is_next(state, at, seen, position, rules):
        return None
    touched = _touched(state, uid, (at, position), online=online)
    if touched is None or not _is_new(state, event.event_id, seen):
        return None
    state.has_reported_online = True
    effect = Item(at, position, _ONLINE, event.event_id, uid, _WORDS[online])
    if state.tip.is_offline or not online:
        return _turn(state, event, effect, rules)
    _append(state, effect, seen)
    _hear(state, event, rules)
    for track in touched:
        track.online_key = (at, position)
    state.tip.see(seen)
    advance(state, rules)
    return _REFRESHED


def _touched(state: EvseState, uid: str | None, key: Key, *, online: bool) -> list[Track] | None:
    """Give the tracks that a word about the link concerns, None where it is not simply the next one."""
    tip = state.tip
    if uid is not None and not _is_named(state, uid, key):
        return None
    if not online and (tip.last_sign >= key[0] or state.minutes.first_after(key[0]) is not None):
        return None
    touched = [tip.nameless, *tip.tracks.values()] if uid is None else [tip.tracks[uid]]
    for track in touched:
        if track.online is None or key <= track.online_key or key <= track.since_key:
            return None
    return touched


def _turn(state: EvseState, event: StatusReported | OnlineReported, effect: Item, rules: Rules) -> Folded:
    """Take a report by which connectors go offline, or that finds some offline."""
    tip, uid = state.tip, effect.connector_uid
    before = [(name, track, track.content(), track.status_since) for name, track in tip.tracks.items()]
    if isinstance(event, OnlineReported) and event.online is False:
        _append_effect(state, effect)
        _reach(state, event.seen, rules)
        tip.apply(effect, state.minutes)
    else:
        _append(state, effect, event.seen)
        _hear(state, event, rules)
        tip.apply(effect, state.minutes)
        tip.apply(state.recent[-1], state.minutes)
    advance(state, rules)
    moved = [name for name, track, content, _ in before if track.content() != content]
    if not moved:
        return _REFRESHED
    state.step_revision(moved)
    steps = tuple(
        _transition(event, name, content[0], since, track.status)
        for name, track, content, since in before
        if name == uid and track.status is not None and track.status is not content[0]
    )
    return Folded(_APPLIED, publish=True, moved=True, transitions=steps)


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
        state.whole = None
    advance(state, rules)
    return _REFRESHED


_WORDS: Final = {online: OnlineWord(online) for online in (True, False)}


def _is_named(state: EvseState, uid: str, key: Key) -> bool:
    """Tell whether a report named the connector before."""
    named_at = state.named.get(uid)
    return named_at is not None and named_at <= key and uid in state.base.tracks and uid in state.tip.tracks


def _is_next(state: EvseState, at: Micros, seen: Micros, position: int, rules: Rules) -> bool:
    """Tell whether a report and its sign of life come after all that is kept."""
    tip, recent_items = state.tip, state.recent
    if tip.removed or state.removal_key is not None or state.declarations.taken_out:
        return False
    if seen < at or at < state.as_of or at < state.horizon or at < seen - rules.allowed_lateness:
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
    _append_effect(state, effect)
    state.recent.append(Item(seen, effect.position, _SIGN, effect.event_id))


def _append_effect(state: EvseState, effect: Item) -> None:
    state.recent.append(effect)
    state.reports += 1


def _hear(state: EvseState, event: StatusReported | OnlineReported, rules: Rules) -> None:
    """Note when the EVSE was heard: nothing was newer."""
    _reach(state, event.seen, rules)
    state.hear(event.seen, event.position, event.source)


def _reach(state: EvseState, seen: Micros, rules: Rules) -> None:
    state.as_of = seen
    horizon = seen - rules.allowed_lateness
    state.horizon = max(state.horizon, horizon)


def _transition(
    event: Event, uid: str, before: Status | None, since: Micros | None, after: Status
) -> Transition:
    lasted = None if since is None else event.at - since
    return Transition(uid, before, after, event.at, lasted, _APPLIED, event.event_id, event.position)
