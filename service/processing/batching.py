"""
How many records are taken at once: as many as wait, but no more than take some seconds.

A large batch is cheap, since what waits of an EVSE makes one write and one snapshot. But a revocation waits
for the batch in hand, and so does whoever asks for what is current.
"""

from __future__ import annotations

_FIRST = 10_000
"""Records of the first batch, from which the others are judged."""
_LEAST = 1_000


class BatchSize:
    """Judges the next batch by the last one, to take `seconds`; `most` records are the limit in any case."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self.records = min(_FIRST, most)

    def took(self, records: int, seconds: float) -> None:
        """Note what a batch took. A small one tells little, since each has costs of its own."""
        if records < _LEAST:
            return
        in_time = round(self._seconds * records / seconds) if seconds > 0 else self._most
        self.records = min(max(in_time, _LEAST), self._most)
