"""
The slow tick: which EVSEs are due to be published anew, spread over time; it publishes nothing itself.

Time is an argument, in monotonic seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

SPREAD = 0.5
"""The share of the interval over which a sweep is spread."""


class SlowTick:
    """Sweeps over all EVSEs once an interval, a bounded share at a time."""

    def __init__(self, interval_s: float, share: int, now: float) -> None:
        """Sweep every `interval_s` seconds (0: never), first after one of them; at most `share` at a time."""
        self._interval_s = interval_s
        self._share = share
        self._next_at = now + interval_s
        self._began_at = now
        self._queue: list[str] = []
        self._total = 0

    def due(self, now: float, uids: Callable[[], Iterable[str]]) -> list[str]:
        """Give the EVSEs to refresh now; `uids` is asked for all of them when a sweep begins."""
        if not self._interval_s:
            return []
        if not self._queue and now >= self._next_at:
            self._queue = list(uids())
            self._total = len(self._queue)
            self._began_at, self._next_at = now, now + self._interval_s
        if not self._queue:
            return []
        elapsed = (now - self._began_at) / (self._interval_s * SPREAD)
        wanted = min(self._total, math.ceil(self._total * elapsed) + 1)
        count = min(self._share, wanted - (self._total - len(self._queue)))
        taken = self._queue[:count] if count > 0 else []
        del self._queue[: len(taken)]
        return taken
