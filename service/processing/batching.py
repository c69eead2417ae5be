"""
How many records are taken at once, and in what portions: as many as wait, but no more than take some seconds.

A large batch is cheap, since what waits of an EVSE makes one write and one snapshot. But a revocation waits
for the batch in hand, and so does whoever asks for what is current. A late event is folded again with all
that is recent of its EVSE, up to some 20 ms, a thousand times what one in order takes: nobody knows before
what a batch will take.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from service.processing.retry import Abandoned
from service.processing.sifting import Item

EVSES_AT_ONCE = 1_000
"""So many are folded and saved, or read, at once: some hundred milliseconds, unless events are late."""

_RECORDS_AT_ONCE = 64
"""So many of one EVSE make one write and one snapshot, and more as long as they are quickly folded."""
_MOST_AT_ONCE = 1_024
_QUICK_S = 0.25

_FIRST = 1_000
"""Records of the first batch, from which the others are judged."""
_LEAST = 100


class TooLong(Abandoned):
    """A batch takes longer than a revocation waits; what was saved of it is a repeat in the next one."""


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

    def was_too_long(self, records: int) -> None:
        """Note that a batch was given up for the time it took."""
        self.records = min(max(records // 8, _LEAST), self._most)


class Waiting:
    """What waits of a batch, by EVSE; of each in the order of the log."""

    def __init__(self, groups: Mapping[str, Sequence[Item]]) -> None:
        self._groups = dict(groups)
        self._size = _RECORDS_AT_ONCE

    def portion(self) -> dict[str, Sequence[Item]]:
        """Give what comes next of the first EVSEs, nothing when all is done."""
        some = islice(self._groups.items(), EVSES_AT_ONCE)
        return {uid: group[: self._size] for uid, group in some}

    def done(self, uids: Iterable[str], seconds: float) -> None:
        """Note that what came next of these is done, folded in `seconds`; what they have more goes behind."""
        for uid in uids:
            rest = self._groups.pop(uid)[self._size :]
            if rest:
                self._groups[uid] = rest
        grown = self._size * 4 if seconds < _QUICK_S else self._size // 4
        self._size = min(max(grown, _RECORDS_AT_ONCE), _MOST_AT_ONCE)
