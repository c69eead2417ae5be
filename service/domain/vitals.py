"""
What the watch over silence needs to know of an EVSE (promise P5): taken from its state, or kept beside it.

It hangs on what the log holds and never on the order of arrival; it knows neither deadlines nor the clock.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import NamedTuple

from service.domain.state import EvseState
from service.domain.time import Micros
from service.domain.timeline import Timeline


class Vitals(NamedTuple):
    """
    When an EVSE was last heard, and how often it should be.

    `source`: who told its newest sign of life, where that was said. `watched`: it can fall silent, since it
    has sent heartbeats or spoken of its link, and there is something of it that is not offline yet.
    `horizon`: before this nothing can be said of it any more, 0 where that is before it was last heard: what
    is not from the charger moved it on. A word about its link applies so late, too, where its clock is fast.
    """

    last_seen_at: Micros | None
    heartbeat_interval_s: int | None
    source: str | None
    watched: bool
    horizon: Micros = 0


def vitals(state: EvseState) -> Vitals:
    """Give the vitals of an EVSE as it is now."""
    can_be_heard = state.has_sent_heartbeat or state.has_reported_online
    watched = can_be_heard and state.removal_key is None and _is_reachable(state.tip)
    seen, horizon = state.last_seen_at or 0, state.horizon
    # Nothing applies later than what it is as of, so mostly there is nobody to ask.
    if state.as_of > seen:
        for track in state.tip.every():
            horizon = max(horizon, track.online_key[0])
    horizon = horizon if horizon > seen else 0
    return Vitals(state.last_seen_at, state.heartbeat_interval_s, state.source, watched, horizon)


def _is_reachable(tip: Timeline) -> bool:
    """Tell whether any known connector, or what stands for all while none is known, is not offline."""
    if not tip.is_offline:
        return True
    return any(track.online is not False for track in tip.tracks.values() or (tip.nameless,))


def pack_vitals(known: Vitals) -> str:
    """
    Write vitals as a short JSON array, to be kept beside the state.

    >>> pack_vitals(Vitals(1_767_571_200_000_000, 300, "gateway-a", watched=True))
    '[1767571200000000,300,"gateway-a",1,0]'
    """
    seen = "null" if known.last_seen_at is None else str(known.last_seen_at)
    interval = "null" if known.heartbeat_interval_s is None else str(known.heartbeat_interval_s)
    watched = "1" if known.watched else "0"
    return f"[{seen},{interval},{_quoted(known.source)},{watched},{known.horizon}]"


@lru_cache(maxsize=256)
def _quoted(source: str | None) -> str:
    """Write a source as JSON; there are few."""
    return json.dumps(source)


def unpack_vitals(text: str | bytes) -> Vitals:
    """Read what `pack_vitals` wrote."""
    last_seen_at, heartbeat_interval_s, source, watched, horizon = json.loads(text)
    return Vitals(last_seen_at, heartbeat_interval_s, source, bool(watched), horizon)
