"""
Time and counts by bucket: what a day keeps of a connector, and the few sums over it that are published.

A bucket is an index of `definitions.PAIRS`, or behind them a counter. Windows under `observed` and
reliability tell the buckets apart by the parts below, so a connector's running sums are kept by part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from schemas.vocabulary import TimeClass
from service.domain.definitions import OBSERVED, PAIRS, Weighting
from service.domain.reliability import COUNTS_OBSERVED, OUTCOMES

Buckets = dict[int, int]
"""Microseconds by bucket of `definitions.PAIRS`; beyond them the counters below."""

FIRST_COUNTER: Final = len(PAIRS)
COUNTERS: Final[dict[str, int]] = {
    outcome.name: FIRST_COUNTER + index for index, outcome in enumerate(OUTCOMES)
}
"""Where a day counts its closed attempts, by outcome."""
OUTAGES: Final = FIRST_COUNTER + len(OUTCOMES)
"""Where a day counts its onsets of outages."""

UP: Final = 0
DOWN: Final = 1
"""Down, and observed time of reliability."""
DOWN_UNSEEN: Final = 2
"""Down, though the status was never told: no observed time of reliability."""
OUT: Final = 3
_REST: Final = 4
_FIRST_COUNTED: Final = 5
"""From this part on stand the counters in their order: attempts by outcome, then onsets of outages."""

_SIZE: Final = _FIRST_COUNTED + len(OUTCOMES) + 1
ONSETS: Final = _SIZE - 1


def _part(bucket: int) -> int:
    time_class = OBSERVED.classes[bucket]
    if time_class is TimeClass.DOWN:
        return DOWN if COUNTS_OBSERVED[bucket] else DOWN_UNSEEN
    return {TimeClass.UP: UP, TimeClass.OUT_OF_SERVICE: OUT}.get(time_class, _REST)


PART: Final[tuple[int, ...]] = (*map(_part, range(len(PAIRS))), *range(_FIRST_COUNTED, _SIZE))
"""The part of each bucket and counter."""

PARTS: Final = Weighting(PART, _SIZE)
"""The same as a weighting, by which closed days are added up."""


def no_parts() -> list[int]:
    """Give the sums of nothing, by part."""
    return [0] * _SIZE


def parts_of_days(days: Iterable[Buckets]) -> list[int]:
    """Add up days by part."""
    parts = no_parts()
    for buckets in days:
        for bucket, amount in buckets.items():
            parts[PART[bucket]] += amount
    return parts


def total_of(days: Iterable[Mapping[int, int]]) -> Buckets:
    """Add up days by bucket."""
    total: Buckets = {}
    for buckets in days:
        for bucket, amount in buckets.items():
            total[bucket] = total.get(bucket, 0) + amount
    return total
