"""
Checkpoints: what some of the recent items come to, so that a late event is folded again from close before it.

Rule: a checkpoint is what folding the items before its place onto the base gives. Whoever changes what lies
before it drops it, or changes it alike. It knows neither the items nor how they are folded.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final

from service.domain.timeline import Timeline

SPACING: Final = 256
"""So many items apart they are made; from one to the next but one it is always more."""

SOON: Final = 32
"""Where late items go in they are made so many items apart: to fold fewer takes no longer than to copy."""


@dataclass(slots=True)
class Checkpoint:
    """What the first `place` of the recent items come to, folded onto the base."""

    place: int
    timeline: Timeline


@dataclass(slots=True)
class Checkpoints:
    """
    The checkpoints of one EVSE, in order of their places; an EVSE that says little has none.

    `spacing` and `soon` are the constants above.
    """

    kept: list[Checkpoint] = field(default_factory=list)
    spacing: int = SPACING
    soon: int = SOON

    def timelines(self) -> list[Timeline]:
        """Give what is kept, to be changed as the tip is."""
        return [each.timeline for each in self.kept]

    def last(self) -> Checkpoint | None:
        """Give the last one."""
        return self.kept[-1] if self.kept else None

    def forget_after(self, place: int) -> None:
        """Drop those into which more than the first `place` items went; 0: all."""
        while self.kept and self.kept[-1].place > place:
            self.kept.pop()

    def add_if_due(self, place: int, timeline: Timeline, *, returns: bool) -> None:
        """
        Keep what the first `place` items come to, if the last one lies far enough back.

        `returns`: a late item goes in here, and the next late one will go in close behind it. So it is kept
        sooner, and the one before gives way to it where three would stand close together.
        """
        last = self.kept[-1].place if self.kept else 0
        if place - last < (self.soon if returns else self.spacing):
            return
        before_last = self.kept[-2].place if len(self.kept) > 1 else 0
        if self.kept and place - before_last <= self.spacing:
            self.kept.pop()
        self.kept.append(Checkpoint(place, timeline.copy()))

    def last_before(self, place: int) -> Checkpoint | None:
        """Give the last one that lies no further than `place`."""
        found = bisect_right(self.kept, place, key=_place_of)
        return self.kept[found - 1] if found else None

    def move_on(self, place: int) -> list[Timeline]:
        """Let an item in at `place`: those behind it lie one further. Gives them, for the item is in none."""
        behind = self.kept[bisect_right(self.kept, place, key=_place_of) :]
        for each in behind:
            each.place += 1
        return [each.timeline for each in behind]

    def move_back(self, count: int) -> None:
        """Let the first `count` items go into the base: those that lie no further are dropped."""
        self.kept = [each for each in self.kept if each.place > count]
        for each in self.kept:
            each.place -= count


def _place_of(checkpoint: Checkpoint) -> int:
    return checkpoint.place
