"""
When a worker that ended is started again, and when that is given up.

Knows neither processes nor the clock.
"""

from __future__ import annotations

SETTLED_S = 600.0
"""Seconds after which the end of a worker is a new trouble; a standstill takes minutes to be noticed."""

MOST_IN_A_ROW = 5
"""So many starts that did not settle are followed by others; then somebody has to look."""

_FIRST_PAUSE_S = 1.0


class Restarts:
    """Counts the ends of one worker that came soon after its start."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def after(self, lived_s: float) -> float | None:
        """
        Give the seconds to wait before the next start, 1 at first and twice as many each time.

        `lived_s` is how long the worker ran. None: started again and again it does not get going.
        """
        self._in_a_row = 1 if lived_s >= SETTLED_S else self._in_a_row + 1
        if self._in_a_row > MOST_IN_A_ROW:
            return None
        return float(_FIRST_PAUSE_S * 2 ** (self._in_a_row - 1))
