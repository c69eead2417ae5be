"""
The fold: what an event does to the state of its EVSE, and the verdict on it.

Rule 1: event time decides, never arrival (promise P2); `recent` keeps the order.
Rule 2: every event gets exactly one verdict, and nothing here raises on a valid event.
This module knows neither clock nor transport; the clock rules (promise P3) were applied before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple

from schemas.vocabulary import MOST_CONNECTORS, Verdict
from service.domain import events, in_order, recent
from service.domain.horizon import advance, bound_ids
from service.domain.inventory import Document, Exclusion, Gap, Inventory
from service.domain.naming import forget_connectors_after, forget_inventories_after, name_connector
from service.domain.outcomes import Folded, Transition
from service.domain.recent import Placed, Step
from service.domain.rollup import Words, status_of_all
from service.domain.rules import MOST_KNOWN, Rules
from service.domain.state import EvseState
from service.domain.time import MINUTE, Micros
from service.domain.timeline import Item, ItemKind, OnlineWord
from service.domain.track import BEFORE_ALL, Key, Report


class _Change(NamedTuple):
    """
    What a handler reports: the verdict, what moved, and which status steps were made.

    `corrected` names connectors that moved although what they are now is the same: in their history, or in
    what the inventory says of them.
    """

    verdict: Verdict
    publish: bool = False
    corrected: frozenset[str] = frozenset()
    evse_moved: bool = False
    steps: tuple[Step, ...] = ()


_REFRESHED: Final = _Change(Verdict.REFRESHED)


def fold(state: EvseState, event: events.Event, rules: Rules, *, cap: Micros | None = None) -> Folded:
    """
    Apply an event to the state of its EVSE.

    With `cap`, what applies after it is ignored, and so are signs of life after it: the state is then that
    of an earlier time, seen with what was learned later.
    """
    if cap is not None and event.at > cap:
        return Folded(Verdict.REFRESHED)
    shortly = in_order.take(state, event, rules) if cap is None else None
    if shortly is not None:
        return shortly
    return fold_at_length(state, event, rules, cap=cap)


def fold_at_length(
    state: EvseState, event: events.Event, rules: Rules, *, cap: Micros | None = None
) -> Folded:
    """Apply an event in the way that holds for all of them; `fold` gives what this gives."""
    horizon = max(state.horizon, max(event.at, event.seen) - rules.allowed_lateness)
    kind = type(event)
    if kind is not events.HeartbeatReceived:
        digest = events.digest_of(event.event_id)
        known_until = state.ids.get(digest)
        if known_until is not None:
            if known_until >= horizon:
                return Folded(Verdict.DUPLICATE)
            state.whole = None
        state.ids[digest] = max(event.at, event.seen)
        bound_ids(state, rules)
    state.as_of = max(state.as_of, event.at, event.seen if cap is None else min(event.seen, cap))
    state.horizon = horizon
    before = _Before(_tracks(state), state.declarations.taken_out, state.removal_key is not None)

    sign = event.seen if _is_sign(event) and (cap is None or event.seen <= cap) else None
    _hear(state, event, sign)
    if event.at < horizon and kind in _LATENESS_APPLIES:
        change = _take_late(state, sign)
    else:
        change = _HANDLERS[kind](state, event, sign, before.tracks)
    advance(state, rules)
    return _conclude(state, event, change, before, rules)


def _hear(state: EvseState, event: events.Event, sign: Micros | None) -> None:
    """Note what the watch over silence asks (promise P5); of a late event, too, for it was said."""
    if sign is not None:
        state.hear(sign, event.position, event.source)
    if isinstance(event, events.HeartbeatReceived):
        state.beat((event.at, event.position), event.heartbeat_interval_s)
    elif isinstance(event, events.OnlineReported) and event.online is not None:
        # The worker's own word makes nobody one that can be heard.
        state.has_reported_online = state.has_reported_online or event.reason != events.SILENCE


_Contents = Mapping[str, tuple[Any, ...]]
"""What each connector says of itself: `Track.content` by its uid."""


class _Before(NamedTuple):
    """What an event found: what each connector said, published or not, those taken out, and the removal."""

    tracks: _Contents
    taken_out: Collection[str]
    removed: bool


def _tracks(state: EvseState) -> _Contents:
    return {uid: track.content() for uid, track in state.tip.tracks.items()}


def _published(tracks: _Contents, taken_out: Collection[str]) -> _Contents:
    """Give the published content of each connector (promise P10): its words alone, if it is taken out."""
    if not taken_out:
        return tracks
    return {uid: content[1:3] if uid in taken_out else content for uid, content in tracks.items()}


_LATENESS_APPLIES: Final = frozenset(
    {events.StatusReported, events.OnlineReported, events.ChargerNoted, events.HeartbeatReceived}
)


def _is_sign(event: events.Event) -> bool:
    """Tell whether an event shows that the charger lives (contract 2.1)."""
    if isinstance(event, events.OnlineReported):
        return event.online is not False and not event.silence
    return type(event) in _LATENESS_APPLIES


def _conclude(
    state: EvseState, event: events.Event, change: _Change, before: _Before, rules: Rules
) -> Folded:
    """Step revision and `last_updated` if the content moved, and put the outcome together."""
    tracks, taken_out = _tracks(state), state.declarations.taken_out
    moved: Collection[str] = change.corrected
    evse_moved = bool(moved) or change.evse_moved or state.revision == 0
    if tracks != before.tracks or taken_out != before.taken_out:
        old, new = _published(before.tracks, before.taken_out), _published(tracks, taken_out)
        moved = {uid for uid, content in new.items() if old.get(uid) != content}.union(moved)
        evse_moved = evse_moved or bool(moved) or old.keys() != new.keys()
        evse_moved = evse_moved or _status_moved(before.tracks, tracks, rules.status_rule)
    removed_now = state.removal_key is not None and not before.removed
    if evse_moved:
        state.step_revision(uid for uid in moved if uid in tracks)
    transitions = tuple(_transition(step, event, change.verdict) for step in change.steps)
    publish = change.publish or evse_moved
    return Folded(change.verdict, publish, evse_moved, transitions, removed_now)


def _status_moved(before: _Contents, after: _Contents, rule: str) -> bool:
    """Tell whether the EVSE's one status is another; it follows from what the connectors say."""
    return status_of_all(_words(before), rule) is not status_of_all(_words(after), rule)


def _words(tracks: _Contents) -> Words:
    return tuple([(content[0], content[3]) for content in tracks.values()])


def _transition(step: Step, event: events.Event, verdict: Verdict) -> Transition:
    lasted = None if step.from_since is None else step.at - step.from_since
    return Transition(
        step.connector_uid,
        step.from_status,
        step.to_status,
        step.at,
        lasted,
        verdict,
        event.event_id,
        event.position,
    )


def _take_late(state: EvseState, sign: Micros | None) -> _Change:
    """Count a late event as a heartbeat at its receipt (settled reading 3)."""
    if sign is None or sign < state.horizon:
        return _Change(Verdict.LATE)
    placed = _heartbeat(state, sign)
    return _Change(Verdict.LATE, corrected=placed.changed)


def _heartbeat(state: EvseState, at: Micros) -> Placed:
    return recent.place_heartbeat(state, at // MINUTE * MINUTE)


def _items(event: events.Event, sign: Micros | None, effect: Item | None) -> list[Item]:
    """Give the item of the effect and that of the sign of life."""
    items = [effect] if effect is not None else []
    if sign is not None:
        items.append(Item(sign, event.position, ItemKind.SIGN, event.event_id))
    return items


def _is_gone(state: EvseState, key: Key) -> bool:
    """Tell whether the connectors are out of service for good when something applies."""
    return state.removed_from is not None and key > state.removed_from


def _applies_after_removal(state: EvseState, key: Key) -> bool:
    return state.removal_key is not None and key > state.removal_key


def _judge(placed: Placed, *, newest: bool, moved: bool) -> Verdict:
    """Give the verdict on a report whose items were placed; `newest` among its kind."""
    if not placed.out_of_order:
        return Verdict.APPLIED if moved else Verdict.REFRESHED
    if not placed.changed and not moved:
        return Verdict.REFRESHED
    return Verdict.APPLIED if newest and moved else Verdict.CORRECTED


def _report(
    state: EvseState, event: events.Event, sign: Micros | None, effect: Item, before: _Contents
) -> _Change:
    """Place what a report about one connector or all comes down to, and judge what that did."""
    key, connector_uid, items = effect.key, effect.connector_uid, _items(event, sign, effect)
    is_gone = _is_gone(state, key)
    if connector_uid is not None and is_gone and connector_uid not in state.base.tracks:
        return _Change(Verdict.REFRESHED, corrected=recent.place(state, items).changed)
    if connector_uid is not None and _is_one_too_many(state, connector_uid):
        placed = recent.place(state, _items(event, sign, None))
        return _Change(Verdict.REFRESHED, corrected=placed.changed)
    named = connector_uid is not None and name_connector(state, connector_uid, key)
    if named:
        before = _tracks(state)
    placed = recent.place(state, items, refold=named)
    moved = _tracks(state) != before
    verdict = Verdict.REFRESHED if is_gone else _judge(placed, newest=_is_newest(state, effect), moved=moved)
    return _Change(
        verdict, corrected=placed.changed, publish=moved or bool(placed.changed), steps=placed.steps
    )


def _is_one_too_many(state: EvseState, connector_uid: str) -> bool:
    """Tell whether an EVSE has so many connectors that another one of which something is reported is none."""
    tracks = state.base.tracks
    if len(tracks) < MOST_CONNECTORS or connector_uid in tracks:
        return False
    in_use = len(tracks) - len(state.declarations.taken_out.intersection(tracks))
    return in_use >= MOST_CONNECTORS or len(tracks) >= MOST_KNOWN


def _is_newest(state: EvseState, effect: Item) -> bool:
    """Tell whether a report is the newest of its kind of any connector it is about."""
    tracks, key = state.tip.touched(effect.connector_uid), effect.key
    if effect.kind is ItemKind.STATUS:
        return any(track.status_key == key for track in tracks)
    return any(track.online_key == key for track in tracks)


def _take_status(
    state: EvseState, event: events.StatusReported, sign: Micros | None, before: _Contents
) -> _Change:
    report = Report(event.status, event.raw_status, event.error_code, event.vendor_error_code)
    effect = Item(event.at, event.position, ItemKind.STATUS, event.event_id, event.connector_uid, report)
    return _report(state, event, sign, effect, before)


def _take_online(
    state: EvseState, event: events.OnlineReported, sign: Micros | None, before: _Contents
) -> _Change:
    body = OnlineWord(event.online, event.last_seen_at if event.silence else None)
    effect = Item(event.at, event.position, ItemKind.ONLINE, event.event_id, event.connector_uid, body)
    return _report(state, event, sign, effect, before)


def _take_note(
    state: EvseState, event: events.ChargerNoted, sign: Micros | None, before: _Contents
) -> _Change:
    report = Report(event.status, event.raw_status, event.error_code, event.vendor_error_code)
    effect = Item(event.at, event.position, ItemKind.NOTE, event.event_id, None, report)
    note = state.tip.note
    placed = recent.place(state, _items(event, sign, effect))
    if _is_gone(state, effect.key):
        return _Change(Verdict.REFRESHED, corrected=placed.changed)
    if state.tip.note != note or _tracks(state) != before:
        return _Change(Verdict.APPLIED, publish=True, corrected=placed.changed)
    if placed.changed:
        return _Change(Verdict.CORRECTED, corrected=placed.changed)
    return _REFRESHED


def _take_heartbeat(
    state: EvseState, event: events.HeartbeatReceived, sign: Micros | None, before: _Contents
) -> _Change:
    if sign is None:
        return _REFRESHED
    placed = _heartbeat(state, sign)
    if _is_gone(state, (event.at, event.position)):
        return _Change(Verdict.REFRESHED, corrected=placed.changed)
    verdict = _judge(placed, newest=True, moved=_tracks(state) != before)
    return _Change(verdict, corrected=placed.changed)


def _take_inventory(
    state: EvseState, event: events.InventoryUpserted, _sign: Micros | None, _before: _Contents
) -> _Change:
    key = (event.at, event.position)
    if _applies_after_removal(state, key):
        return _REFRESHED
    declarations = state.declarations
    before = _published_inventory(state)
    declarations.upsert(Inventory(key, event.evse, event.connectors))
    tracks = state.base.tracks
    named = [
        uid
        for uid in event.connectors or {}
        if (uid in tracks or len(tracks) < MOST_KNOWN) and name_connector(state, uid, None)
    ]
    if len(declarations.named_before) > MOST_KNOWN:
        declarations.named_before.intersection_update(tracks)
    placed = Placed((), frozenset(), out_of_order=False)
    statuses = {uid: Report(status, raw) for uid, (status, raw) in event.statuses.items() if uid in tracks}
    if named or any(tracks[uid].status is None for uid in statuses):
        effect = _begin_at_horizon(state, event, ItemKind.INVENTORY, statuses)
        placed = recent.place(state, [effect], refold=True)
    after = _published_inventory(state)
    moved = bool(placed.changed) or after != before
    described = {uid for uid, fields in after[1].items() if before[1].get(uid) != fields}
    return _Change(
        Verdict.APPLIED if moved else Verdict.REFRESHED,
        corrected=placed.changed.union(described),
        evse_moved=moved,
        steps=placed.steps,
    )


def _published_inventory(state: EvseState) -> tuple[Document, dict[str, Document], list[str]]:
    """Give the fields of the published EVSE, of each of its connectors, and these in their order."""
    declarations = state.declarations
    published = [uid for uid in state.connector_uids() if declarations.is_published(uid)]
    fields = declarations.connectors or {}
    evse = {**declarations.evse, "uid": state.uid}
    return evse, {uid: {**fields.get(uid, {}), "uid": uid} for uid in published}, published


def _begin_at_horizon(state: EvseState, event: events.Event, kind: ItemKind, body: Any) -> Item:
    """Give the item of an effect that begins at the horizon where the event applies before it."""
    start = min(state.horizon, state.as_of)  # the horizon may lie beyond what a replay is as of
    if event.at >= start:
        return Item(event.at, event.position, kind, event.event_id, None, body)
    return Item(start, event.position - BEFORE_ALL, kind, event.event_id, None, body)


def _take_removal(
    state: EvseState, event: events.EvseRemoved, _sign: Micros | None, _before: _Contents
) -> _Change:
    key = (event.at, event.position)
    if _applies_after_removal(state, key):
        return _REFRESHED
    again = state.removed
    effect = _begin_at_horizon(state, event, ItemKind.REMOVED, None)
    state.removal_key = key
    state.removed_from = min(effect.key, state.removed_from or effect.key)
    gone = set(state.declarations.exclusions)
    state.unsaved.dropped_gaps += state.declarations.remove_after(key)
    state.unsaved.gaps = [gap for gap in state.unsaved.gaps if gap.key < key]
    state.unsaved.exclusions |= gone
    forget_inventories_after(state, state.removed_from)
    forget_connectors_after(state, state.removed_from)
    placed = recent.place(state, [effect], refold=True)
    verdict = Verdict.CORRECTED if again and placed.changed else Verdict.APPLIED
    corrected = placed.changed if again else frozenset()
    return _Change(verdict, publish=True, corrected=corrected, steps=placed.steps)


def _take_exclusion(
    state: EvseState, event: events.ExclusionDeclared, _sign: Micros | None, _before: _Contents
) -> _Change:
    key = (event.at, event.position)
    terms = (event.from_, event.until, event.reason, event.connector_uids, event.note)
    return _declare(state, event.exclusion_id, Exclusion(key, False, *terms))


def _take_withdrawal(
    state: EvseState, event: events.ExclusionWithdrawn, _sign: Micros | None, _before: _Contents
) -> _Change:
    return _declare(state, event.exclusion_id, Exclusion((event.at, event.position), withdrawn=True))


def _declare(state: EvseState, exclusion_id: str, exclusion: Exclusion) -> _Change:
    if _applies_after_removal(state, exclusion.key):
        return _REFRESHED
    changed = state.declarations.declare(exclusion_id, exclusion)
    gone = state.declarations.forget_excess()
    if not changed and not gone:
        return _REFRESHED
    state.unsaved.exclusions |= {exclusion_id, *gone}
    return _Change(Verdict.APPLIED, publish=True)


def _take_gap(
    state: EvseState, event: events.GapObserved, _sign: Micros | None, _before: _Contents
) -> _Change:
    key = (event.at, event.position)
    gap = Gap(event.from_, event.until, key, event.event_id)
    if _applies_after_removal(state, key):
        return _REFRESHED
    state.unsaved.gaps.append(gap)
    moved = state.declarations.observe_gap(gap)
    joined = state.declarations.join_gaps()
    if joined is not None:
        parts, whole = joined
        state.unsaved.dropped_gaps += [each for each in parts if each not in state.unsaved.gaps]
        state.unsaved.gaps = [each for each in state.unsaved.gaps if each not in parts] + [whole]
    return _Change(Verdict.APPLIED, publish=True) if moved or joined is not None else _REFRESHED


_HANDLERS: Final[dict[type[events.Event], Callable[[EvseState, Any, Micros | None, _Contents], _Change]]] = {
    events.StatusReported: _take_status,
    events.OnlineReported: _take_online,
    events.ChargerNoted: _take_note,
    events.HeartbeatReceived: _take_heartbeat,
    events.InventoryUpserted: _take_inventory,
    events.EvseRemoved: _take_removal,
    events.ExclusionDeclared: _take_exclusion,
    events.ExclusionWithdrawn: _take_withdrawal,
    events.GapObserved: _take_gap,
}
