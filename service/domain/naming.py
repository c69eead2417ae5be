"""
Which connectors an EVSE has: naming them, forgetting them, and the account of the port that they make up.

A connector starts as a copy of the nameless track, since what held for every connector held for it, too.
"""

from __future__ import annotations

from schemas.vocabulary import TimeClass
from service.domain.closed import PortDays
from service.domain.definitions import OBSERVED, first_of
from service.domain.horizon import keep_from
from service.domain.state import PORT, EvseState
from service.domain.time import DAY, Micros, day_of
from service.domain.timeline import NAMELESS, ItemKind, PortTrack
from service.domain.track import Key


def name_connector(state: EvseState, uid: str, key: Key | None) -> bool:
    """
    Make a connector known; tells whether it is a new one (the tip must then be folded again).

    `key` is when a report named it, None if an inventory did. It starts as a copy of the nameless track:
    what held for every connector held for it, too.
    """
    if key is not None:
        state.named[uid] = min(state.named.get(uid, key), key)
    if uid in state.base.tracks:
        return False
    history = state.history[uid] = state.history[NAMELESS].copy()
    state.base.tracks[uid] = state.base.nameless.copy()
    state.base_changed()
    days = {(uid, day) for day in history.days}
    state.unsaved.days |= days
    state.unsaved.dropped_days -= days
    state.unsaved.spans += [(uid, span) for span in history.spans]
    recompute_port(state)
    return True


def forget_connectors_after(state: EvseState, key: Key) -> None:
    """Make those connectors unknown that were named only after a removal (settled reading 13)."""
    known = state.declarations.named() | {uid for uid, named_at in state.named.items() if named_at < key}
    state.base_changed()
    for uid in [uid for uid in state.base.tracks if uid not in known]:
        state.named.pop(uid, None)
        del state.base.tracks[uid]
        history = state.history.pop(uid)
        state.unsaved.dropped_days |= {(uid, day) for day in history.days}
        state.unsaved.dropped_spans += [(uid, span) for span in history.spans]
        state.unsaved.days = {(owner, day) for owner, day in state.unsaved.days if owner != uid}
        state.unsaved.spans = [(owner, span) for owner, span in state.unsaved.spans if owner != uid]
    state.base.note_offline()
    recompute_port(state)


def forget_inventories_after(state: EvseState, key: Key) -> None:
    """Take back the recent statuses of inventories that a removal makes void."""
    void = [item for item in state.recent if item.kind is ItemKind.INVENTORY and item.key > key]
    state.recent = [item for item in state.recent if item not in void]
    state.whole = None
    state.checkpoints.forget_after(0)
    state.reports -= len(void)


def recompute_port(state: EvseState) -> None:
    """Account for the port again, over all history kept, after the connectors it consists of have changed."""
    changes: list[tuple[Micros, int, TimeClass]] = []
    oldest = day_of(keep_from(state))
    for index, (uid, track) in enumerate(state.base.tracks.items()):
        history = state.history[uid]
        parts = history.spans.parts()
        if track.since and (not parts or parts[0][0]) and oldest in history.days:
            # The span since ever was dropped for its age; without a day as old it is missing: nothing seen.
            changes.append((0, index, TimeClass.UP))
        for start, end, bucket in parts:
            changes.append((start, index, OBSERVED.classes[bucket]))
            changes.append((end, index, TimeClass.UP))
        changes.append((track.since, index, OBSERVED.classes[track.bucket]))
    # Of a span's end and the next one's start at the same time the start was put in later and must win:
    # the sort is stable, and within a connector the list is in order.
    changes.sort(key=lambda change: change[0])
    current = [TimeClass.UNOBSERVED] * len(state.base.tracks)
    port = PortTrack()
    for position, (at, index, time_class) in enumerate(changes):
        current[index] = time_class
        if position + 1 == len(changes) or changes[position + 1][0] > at:
            port.become(at, first_of(current))
    port.pour(state.days_closed * DAY)
    state.unsaved.dropped_days |= {(PORT, day) for day in state.port_days}
    closed = {day: port.days.pop(day) for day in sorted(port.days) if day < state.days_closed}
    state.port_days = PortDays.of({day: classes for day, classes in closed.items() if day >= oldest})
    state.port_days_changed()
    others = {(uid, day) for uid, day in state.unsaved.days if uid != PORT}
    state.unsaved.days = others | {(PORT, day) for day in state.port_days}
    state.unsaved.dropped_days -= {(PORT, day) for day in state.port_days}
    state.base.port = port
    state.base_changed()
