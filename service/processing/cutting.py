"""Cutting what is much into pieces of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Each = TypeVar("Each")


def pieces(items: Iterable[Each], size: int) -> Iterator[list[Each]]:
    """Cut into lists of at most `size`, in order."""
    rest = iter(items)
    while piece := list(islice(rest, size)):
        yield piece
