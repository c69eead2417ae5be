"""
Half-open intervals `[start, end)` of microseconds, as sorted lists without overlaps.

This module knows nothing of chargers.
"""

from __future__ import annotations

from collections.abc import Iterable

from service.domain.time import Micros

Interval = tuple[Micros, Micros]


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """Give the union as a sorted list of disjoint, non-empty intervals."""
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if end <= start:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def clip(intervals: Iterable[Interval], start: Micros, end: Micros) -> list[Interval]:
    """Give what lies within `[start, end)`."""
    return [(max(a, start), min(b, end)) for a, b in intervals if a < end and b > start]


def subtract(intervals: Iterable[Interval], taken: list[Interval]) -> list[Interval]:
    """Give what of `intervals` is in none of `taken`; both sorted and disjoint."""
    left: list[Interval] = []
    for a, b in intervals:
        start = a
        for c, d in taken:
            if d <= start:
                continue
            if c >= b:
                break
            if c > start:
                left.append((start, c))
            start = max(start, d)
        if start < b:
            left.append((start, b))
    return left


def length(intervals: Iterable[Interval]) -> Micros:
    """Add up the lengths."""
    return sum(b - a for a, b in intervals)
