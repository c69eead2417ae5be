"""Half-open intervals, sorted and disjoint."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.intervals import Interval, clip, length, merge, subtract

SOME = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6)


def points(intervals: list[Interval]) -> set[int]:
    """Give every instant that is in any of them."""
    return {instant for start, end in intervals for instant in range(start, end)}


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        ([], []),
        ([(3, 3)], []),
        ([(5, 2)], []),
        ([(3, 5), (1, 2)], [(1, 2), (3, 5)]),
        ([(1, 3), (3, 5)], [(1, 5)]),
        ([(1, 9), (2, 3)], [(1, 9)]),
    ],
)
def test_a_union_has_neither_overlaps_nor_neighbours(
    intervals: list[Interval], expected: list[Interval]
) -> None:
    """Nor anything empty."""
    assert expected == merge(intervals)


@given(SOME, SOME, st.integers(0, 30), st.integers(0, 30))
def test_they_are_sets_of_instants(
    some: list[Interval], others: list[Interval], start: int, end: int
) -> None:
    """Union, difference, part and length, tried point by point."""
    one, other = merge(some), merge(others)

    assert points(some) == points(one)
    assert points(one) - points(other) == points(subtract(one, other))
    assert points(one) & set(range(start, end)) == points(clip(one, start, end))
    assert len(points(one)) == length(one)
