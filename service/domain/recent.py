"""
Keeping recent items and tip in step: placing items, and folding again.

Rule: the tip is always what folding the recent items onto the base gives, a checkpoint what those before it
give; an item is applied to the tip directly only where that cannot differ.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection
from typing import Final, NamedTuple

from schemas.vocabulary import Status
from service.domain.state import EvseState
from service.domain.time import DAY, Micros
from service.domain.timeline import (
    HEARTBEAT_POSITION,
    Item,
    ItemKind,
    OnlineWord,
    Timeline,
    key_of,
    order_of,
)
from service.domain.track import Key, Report


class Step(NamedTuple):
    """A change of a connector's status that one item made."""

    connector_uid: str
    from_status: Status | None
    from_since: Micros | None
    to_status: Status
    at: Micros


class Placed(NamedTuple):
    """
    What placing items did.

    `steps` are the status changes made by the items themselves. `out_of_order`: one of them went in among
    others; `changed` then names the connectors whose account differs. Whether the tip was folded again for it
    does not show: that hangs on where checkpoints stand.
    """

    steps: tuple[Step, ...]
    changed: frozenset[str]
    out_of_order: bool


_IN_PLACE: Final = Placed((), frozenset(), out_of_order=False)
"""Taken in order, and no status changed."""


def place(state: EvseState, items: list[Item], *, refold: bool = False) -> Placed:
    """Put items into their places and bring the tip up to date; `refold` forces folding again."""
    steps: list[Step] = []
    first, out_of_order = len(state.recent), False
    for item in items:
        if item.time < state.closed:
            continue  # a sign of life from before what the limit on recent reports has closed
        if refold:
            first = min(first, _insert(state, item))
        elif is_next(state, item):
            first = min(first, _insert(state, item))
            if item.kind is ItemKind.STATUS:  # no other item that is taken so changes a status
                steps += _apply_watched(state.tip, item, state)
            else:
                state.tip.apply(item, state.minutes)
        elif repeats_in_place(state, item):
            _insert_repeat(state, item)
            out_of_order = True
        else:
            refold = True
            first = min(first, _insert(state, item))
    if not refold:
        return Placed(tuple(steps), frozenset(), out_of_order) if steps or out_of_order else _IN_PLACE
    return fold_again(state, {item.key for item in items}, first)


def place_heartbeat(state: EvseState, minute: Micros) -> Placed:
    """Note a heartbeat's minute and let it end the offline spans it ends."""
    if minute < state.closed or not state.minutes.add(minute):
        return _IN_PLACE
    if state.minutes.starts[-1] != minute:
        state.whole = None
    key = (minute, HEARTBEAT_POSITION)
    first = bisect_left(state.recent, key, key=key_of)
    state.checkpoints.forget_after(first)
    if not _sign_is_next(state.tip, key):
        return fold_again(state, set(), first)
    state.tip.heartbeat(minute)
    return _IN_PLACE


def fold_again(state: EvseState, watched: set[Key], first: int = 0) -> Placed:
    """Fold the tip as `fold_tip` does, and say what of the connectors' accounts is another one since."""
    old = state.tip
    steps = fold_tip(state, watched, first)
    return Placed(tuple(steps), _changed(old, state.tip, state.as_of), out_of_order=True)


def fold_tip(state: EvseState, watched: Collection[Key] = (), first: int = 0) -> list[Step]:
    """
    Fold the recent items onto the base once more; give the steps of those whose keys are `watched`.

    `first`: so many of them are what they were when they were folded last, and so is the base.
    """
    recent, checkpoints = state.recent, state.checkpoints
    checkpoints.forget_after(first)
    last = checkpoints.last()
    begin, tip = (0, state.base.copy()) if last is None else (last.place, last.timeline.copy())
    steps: list[Step] = []
    for place in range(begin, len(recent)):
        checkpoints.add_if_due(place, tip, returns=place == first)
        item = recent[place]
        if watched and item.key in watched:
            steps += _apply_watched(tip, item, state)
        else:
            tip.apply(item, state.minutes)
    tip.settle((state.as_of + DAY, 0), state.minutes)
    state.tip = tip
    return steps


def is_next(state: EvseState, item: Item) -> bool:
    """Tell whether applying an item to the tip gives what folding again in order would give."""
    tip, kind = state.tip, item.kind
    if kind is ItemKind.SIGN:
        return _sign_is_next(tip, item.key)
    if tip.removed or kind is ItemKind.INVENTORY or kind is ItemKind.REMOVED:
        return False
    if kind is ItemKind.NOTE:
        return tip.note is None or tip.note.at < item.time
    return item.time >= tip.last_turn() and _report_is_next(state, item)


def _report_is_next(state: EvseState, item: Item) -> bool:
    tip, key = state.tip, item.key
    if item.kind is ItemKind.STATUS:
        for track in tip.touched(item.connector_uid):
            if key <= track.status_key or key <= track.since_key:
                return False
        return True
    disconnects = isinstance(item.body, OnlineWord) and item.body.online is False
    if disconnects and (tip.last_sign >= item.time or state.minutes.first_after(item.time) is not None):
        return False
    for track in tip.touched(item.connector_uid):
        if key <= track.online_key or key <= track.since_key:
            return False
        if key < track.status_key:  # a turn begins with the error that was told last before it
            return False
    return True


def repeats_in_place(state: EvseState, item: Item) -> bool:
    """
    Tell whether a report says in its place what the one before it said, so that it changes nothing.

    Chargers re-send what they said with the old times when they reconnect: most late reports are these.
    """
    if item.kind is ItemKind.STATUS:
        return _status_repeats(state, item)
    is_plain = isinstance(item.body, OnlineWord) and item.body.last_seen_at is None
    return is_plain and not state.tip.removed and _link_repeats(state, item)


def _status_repeats(state: EvseState, item: Item) -> bool:
    recent, place = state.recent, bisect_left(state.recent, order_of(item), key=order_of)
    first, timeline = _known_before(state, place)
    for index in range(place - 1, first - 1, -1):
        earlier = recent[index]
        if earlier.kind is ItemKind.STATUS and earlier.connector_uid == item.connector_uid:
            return earlier.body == item.body
        if earlier.kind is ItemKind.INVENTORY or earlier.kind is ItemKind.REMOVED:
            return False
    track = timeline.tracks.get(item.connector_uid or "")
    if track is None or track.status is None or timeline.removed:
        return False
    return item.body == Report(track.status, track.raw_status, track.error_code, track.vendor_error_code)


def _link_repeats(state: EvseState, item: Item) -> bool:
    """Tell it of a word about the link: nothing lies between that says otherwise or ends being offline."""
    recent, place = state.recent, bisect_left(state.recent, order_of(item), key=order_of)
    first, _ = _known_before(state, place)
    is_offline = isinstance(item.body, OnlineWord) and item.body.online is False
    for index in range(place - 1, first - 1, -1):
        earlier = recent[index]
        if earlier.kind is ItemKind.ONLINE:
            if earlier.connector_uid != item.connector_uid or earlier.body != item.body:
                return False
            minute = state.minutes.first_after(earlier.time) if is_offline else None
            return minute is None or minute > item.time
        if is_offline and earlier.kind is ItemKind.SIGN:
            return False
    return False


def _known_before(state: EvseState, place: int) -> tuple[int, Timeline]:
    """Give what is known without folding of what lies before a place, and how many items went into it."""
    known = state.checkpoints.last_before(place)
    return (0, state.base) if known is None else (known.place, known.timeline)


def _sign_is_next(tip: Timeline, key: Key) -> bool:
    last_turn = tip.last_turn()
    for track in tip.every():
        if key < track.online_turned:
            return False
        # A turn at the very key is that of the report whose sign of life this is: it goes before.
        if track.online is False and (key <= track.online_key or key < track.since_key or key[0] < last_turn):
            return False
        if track.online is False and key < track.status_key:  # as above
            return False
    return True


def _note_repeat(timeline: Timeline, item: Item) -> None:
    if timeline.removed or (item.connector_uid is not None and item.connector_uid not in timeline.tracks):
        return  # where the connector was first named after a removal, it has no track
    for track in timeline.touched(item.connector_uid):
        if item.kind is ItemKind.STATUS:
            track.status_key = max(track.status_key, item.key)
        else:
            track.online_key = max(track.online_key, item.key)


def _insert(state: EvseState, item: Item) -> int:
    """Put an item among the recent ones, and say where; checkpoints behind it hold no more."""
    recent = state.recent
    place = len(recent)
    if not recent or order_of(item) > order_of(recent[-1]):
        recent.append(item)
    else:
        place = bisect_left(recent, order_of(item), key=order_of)
        recent.insert(place, item)
        state.whole = None
        state.checkpoints.forget_after(place)
    state.reports += item.kind is not ItemKind.SIGN
    return place


def _insert_repeat(state: EvseState, item: Item) -> None:
    """Put a report that repeats into its place; of what follows it changes the newest report's key alone."""
    recent = state.recent
    place = bisect_left(recent, order_of(item), key=order_of)
    recent.insert(place, item)
    state.whole = None
    state.reports += 1
    for timeline in (state.tip, *state.checkpoints.move_on(place)):
        _note_repeat(timeline, item)


def _apply_watched(timeline: Timeline, item: Item, state: EvseState) -> list[Step]:
    tracks, uid = timeline.tracks, item.connector_uid
    watched = tracks.items() if uid is None else [(uid, tracks[uid])] if uid in tracks else ()
    before = [(uid, track, track.status, track.status_since) for uid, track in watched]
    timeline.apply(item, state.minutes)
    return [
        Step(uid, status, since, track.status, item.time)
        for uid, track, status, since in before
        if track.status is not None and track.status is not status
    ]


def _changed(old: Timeline, new: Timeline, until: Micros) -> frozenset[str]:
    """Name the connectors whose account differs; the old timeline is spent by the comparison."""
    return frozenset(
        uid
        for uid, track in new.tracks.items()
        if uid not in old.tracks or not old.tracks[uid].accounts_like(track, until)
    )
