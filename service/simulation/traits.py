"""What sets one charger apart from the next: its clock, its firmware, its luck."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random

from service.simulation.timestamps import HOUR, SECOND, rfc3339


class Clock(StrEnum):
    """How a charger's clock is wrong, after reports about real ones."""

    RIGHT = "right"  # within two seconds
    UNSET = "unset"  # counts from 1970 since its boot
    ZERO = "zero"  # year 1
    AHEAD = "ahead"  # local time marked Z
    ABSENT = "absent"  # OCPP 1.6 makes the timestamp optional


# By place in the fleet, so that even a small one has each of them.
_ODD_CLOCKS = {7: Clock.UNSET, 13: Clock.ABSENT, 19: Clock.AHEAD, 28: Clock.ZERO, 35: Clock.ABSENT}
_ODD_CLOCKS_EVERY = 40
_POOR_LINK_EVERY, _POOR_LINK_PLACE = 10, 4
_OFTEN_FAULTY_EVERY, _OFTEN_FAULTY_PLACE = 16, 5
_QUEUES, _RESTAMPS, _WARNS = 0.5, 0.25, 0.3

HEARTBEAT_INTERVALS_S = (10, 15, 20)
"""Shorter than those of most real chargers: silence is three of them, and somebody waits to see it."""

MILLISECOND = 1000


@dataclass(frozen=True, slots=True)
class Traits:
    """
    A charger's character; spans are in microseconds.

    `queues`: what happened while offline is sent afterwards, change by change. `restamps`: a status that is
    sent again on reconnect gets the time of the sending instead of the original one. `warns`: reports carry
    error codes although nothing is wrong.
    """

    clock: Clock
    skew: int
    latency: int
    queues: bool
    restamps: bool
    warns: bool
    poor_link: bool
    often_faulty: bool
    popularity: float
    heartbeat_interval_s: int


def draw_traits(rng: Random, place: int) -> Traits:
    """Draw the character of the charger at a place in the fleet."""
    clock = _ODD_CLOCKS.get(place % _ODD_CLOCKS_EVERY, Clock.RIGHT)
    skew = rng.choice((1, 2)) * HOUR if clock is Clock.AHEAD else int(rng.uniform(-2, 2) * SECOND)
    return Traits(
        clock=clock,
        skew=skew,
        latency=rng.randrange(150, 1500) * MILLISECOND,
        queues=rng.random() < _QUEUES,
        restamps=rng.random() < _RESTAMPS,
        warns=rng.random() < _WARNS,
        poor_link=place % _POOR_LINK_EVERY == _POOR_LINK_PLACE,
        often_faulty=place % _OFTEN_FAULTY_EVERY == _OFTEN_FAULTY_PLACE,
        popularity=rng.lognormvariate(0, 0.35),
        heartbeat_interval_s=rng.choice(HEARTBEAT_INTERVALS_S),
    )


def device_time(traits: Traits, moment: int, booted_at: int) -> str | None:
    """Give the time a charger puts on something that happens at `moment`, None if it gives none."""
    if traits.clock is Clock.ABSENT:
        return None
    if traits.clock is Clock.ZERO:
        return "0001-01-01T00:00:00Z"
    if traits.clock is Clock.UNSET:
        return rfc3339(max(moment - booted_at, 0))
    return rfc3339(moment + traits.skew)
