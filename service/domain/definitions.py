"""
Definitions: named rules that turn time by (status, online) into up, down, excluded and unobserved.

Time is stored by (status, online) and never as up or down, so that a definition is a weighting of the same
buckets and travels with its number. The default is `observed`; its table is that of the class of time:

====================================  =====================
status (online is not false)          class
====================================  =====================
AVAILABLE, and the statuses in use    up
INOPERATIVE, OUTOFORDER               down
UNKNOWN, or nothing heard yet         unobserved
PLANNED, REMOVED (whatever online)    out of service
any other, online false               down
====================================  =====================
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from schemas.vocabulary import OPERATIONAL, OUT_OF_SERVICE, ExclusionReason, Status, TimeClass

Pair = tuple[Status | None, bool | None]
"""(status, online); status None is 'nothing heard yet', online None 'not supported'."""

PAIRS: Final[tuple[Pair, ...]] = tuple(
    (status, online) for status in (None, *Status) for online in (None, True, False)
)
"""Every pair there is; its index is the bucket that time is stored under."""

BUCKET: Final[dict[Pair, int]] = {pair: index for index, pair in enumerate(PAIRS)}

_MOST_COUNTERS: Final = 8

UNHEARD: Final = BUCKET[None, None]
"""The bucket of time in which nothing was heard. It is never stored: it is what is left of a window."""

PLAINLY_UP: Final[tuple[bool, ...]] = tuple(
    status in OPERATIONAL and online is not False for status, online in PAIRS
)
"""Buckets that every definition counts as up, so that history keeps only the spans of the others."""

PORT_ORDER: Final = (
    TimeClass.UP,
    TimeClass.DOWN,
    TimeClass.EXCLUDED,
    TimeClass.UNOBSERVED,
    TimeClass.OUT_OF_SERVICE,
)
"""A port's moment has the first of these that any of its connectors has."""


@dataclass(slots=True, eq=False)
class Weighting:
    """
    Into which of `size` sums the amount of each bucket goes, and of each counter behind them.

    Compared by identity: what was summed by one is kept under it.
    """

    places: tuple[int, ...]
    size: int


class UnsupportedDefinition(ValueError):
    """A definition that history, which keeps no spans of plainly up time, cannot answer."""


@dataclass(frozen=True, slots=True)
class Definition:
    """
    A named rule: the class of each bucket (in the order of `PAIRS`) and the exclusions that count.

    Raises `UnsupportedDefinition` where an operational status that is not offline is not up.
    """

    name: str
    classes: tuple[TimeClass, ...]
    exclusion_reasons: frozenset[ExclusionReason]
    weighting: Weighting = field(init=False, repr=False, compare=False)
    """By class, in the order of `PORT_ORDER`; what is counted goes into a last sum, which nobody reads."""

    def __post_init__(self) -> None:
        for pair, plainly_up, time_class in zip(PAIRS, PLAINLY_UP, self.classes, strict=True):
            if plainly_up and time_class is not TimeClass.UP:
                raise UnsupportedDefinition(
                    f"definition {self.name}: {pair[0]} with online {pair[1]} must be up, "
                    "since history keeps no spans of it"
                )
        places = tuple(PORT_ORDER.index(time_class) for time_class in self.classes)
        rest = len(PORT_ORDER)
        object.__setattr__(self, "weighting", Weighting(places + (rest,) * _MOST_COUNTERS, rest + 1))

    def class_of(self, status: Status | None, online: bool | None) -> TimeClass:
        """Give the class of a moment with this status and online."""
        return self.classes[BUCKET[status, online]]


def _observed(status: Status | None, online: bool | None) -> TimeClass:
    if status in OUT_OF_SERVICE:
        return TimeClass.OUT_OF_SERVICE
    if online is False:
        return TimeClass.DOWN
    if status is None or status is Status.UNKNOWN:
        return TimeClass.UNOBSERVED
    return TimeClass.UP if status in OPERATIONAL else TimeClass.DOWN


OBSERVED: Final = Definition(
    "observed", tuple(_observed(*pair) for pair in PAIRS), frozenset(ExclusionReason)
)
"""The default, behind the published field `uptime`: what was not seen is in no denominator."""

DEFINITIONS: Final[dict[str, Definition]] = {definition.name: definition for definition in (OBSERVED,)}
"""Every definition that can be asked for by name."""


def first_of(classes: list[TimeClass]) -> TimeClass:
    """Give the class of a port's moment from those of its connectors (none known: unobserved)."""
    for time_class in PORT_ORDER:
        if time_class in classes:
            return time_class
    return TimeClass.UNOBSERVED
