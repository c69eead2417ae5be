"""
What drivers and repairs do to one connector, step by step.

A plan is a list of steps; each puts the connector into a state for a while, and after the last the next
driver is awaited. Session plans are drawn here, those of faults and maintenance in `upkeep`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from service.simulation.charger import Charger, Connector
from service.simulation.sites import OFFICE, SiteKind, next_arrival
from service.simulation.timestamps import HOUR, MINUTE, SECOND
from service.simulation.words import (
    AVAILABLE,
    CHARGING,
    FAILURES,
    FAULTED,
    FAULTS,
    FINISHING,
    IN_SESSION,
    PREPARING,
    RESERVED,
    SUSPENDED_EV,
    SUSPENDED_EVSE,
    WARNINGS,
    State,
    Trouble,
)


class Step(NamedTuple):
    """A state that lasts so many microseconds."""

    state: State
    lasting: int
    trouble: Trouble | None = None


FREE = Step(AVAILABLE, 0)

# Shares of what becomes of an arrival; the rest charges.
_FAILS = 0.05
_ABANDONS = 0.03
_STICKS = 0.006
_BREAKS = 0.004
_SKIPS_PREPARING = 0.03  # allowed by MinimumStatusDuration
_RESERVES = 0.03
_PAUSES = 0.15  # load management of an office
_REPAIR_HOURS = 5.0


def draw_span(rng: Random, low: int, high: int) -> int:
    """Draw a span between two, in whole milliseconds."""
    return int(rng.uniform(low, high)) // 1000 * 1000


def draw_around(rng: Random, median: int, spread: float) -> int:
    """Draw a span around a median, lognormal, in whole milliseconds."""
    return int(median * rng.lognormvariate(0, spread)) // 1000 * 1000


def plan_session(rng: Random, kind: SiteKind, *, warns: bool) -> list[Step]:
    """Draw what becomes of one driver's visit."""
    preparing = Step(PREPARING, draw_span(rng, 8 * SECOND, 90 * SECOND))
    lot = rng.random()
    if lot < _FAILS:
        trouble = rng.choice(FAILURES)
        tried = Step(CHARGING, draw_span(rng, 3 * SECOND, 150 * SECOND))
        return [preparing, tried, Step(FINISHING, draw_span(rng, 5 * SECOND, 2 * MINUTE), trouble), FREE]
    lot -= _FAILS
    if lot < _ABANDONS:
        return [Step(PREPARING, draw_span(rng, 30 * SECOND, 6 * MINUTE)), FREE]
    lot -= _ABANDONS
    if lot < _STICKS:
        return [Step(PREPARING, draw_span(rng, 2 * HOUR, 11 * HOUR)), FREE]
    lot -= _STICKS
    if lot < _BREAKS:
        tried = Step(CHARGING, draw_span(rng, 10 * SECOND, 20 * MINUTE))
        repair = draw_around(rng, int(_REPAIR_HOURS * HOUR), 0.8)
        return [preparing, tried, Step(FAULTED, repair, rng.choice(FAULTS)), FREE]
    return _plan_charging(rng, kind, preparing, warns=warns)


def _plan_charging(rng: Random, kind: SiteKind, preparing: Step, *, warns: bool) -> list[Step]:
    charging = draw_around(rng, kind.charging, kind.spread)
    steps = [] if rng.random() < _SKIPS_PREPARING else [preparing]
    if kind is OFFICE and rng.random() < _RESERVES:
        steps.insert(0, Step(RESERVED, draw_span(rng, 3 * MINUTE, 40 * MINUTE)))
    if kind is OFFICE and rng.random() < _PAUSES:
        steps += [Step(CHARGING, charging), Step(SUSPENDED_EVSE, draw_span(rng, 5 * MINUTE, 40 * MINUTE))]
    steps.append(Step(CHARGING, charging))
    if rng.random() < kind.lingers:
        steps.append(Step(SUSPENDED_EV, draw_around(rng, kind.lingering, 0.5)))
    trouble = rng.choice(WARNINGS) if warns else None
    return [*steps, Step(FINISHING, draw_span(rng, 5 * SECOND, 4 * MINUTE), trouble), FREE]


class Sessions:
    """
    What happens at one connector of a charger.

    A plan that is replaced leaves its tasks on the agenda; they carry its number and find it changed.
    """

    def __init__(self, charger: Charger, connector: Connector, kind: SiteKind, share: float) -> None:
        self.charger = charger
        self.connector = connector
        self._kind = kind
        self._share = share * charger.traits.popularity
        self._plan = 0
        self._steps: Iterator[Step] = iter(())

    @property
    def busy(self) -> bool:
        """Whether a driver is at the connector."""
        return self.connector.state in IN_SESSION

    def follow(self, moment: int, steps: Sequence[Step]) -> None:
        """Drop the present plan for another, and begin with it now."""
        self._plan += 1
        self._steps = iter(steps)
        self._advance(moment, self._plan)

    def stop(self) -> None:
        """Drop the present plan; the connector stays as it is."""
        self._plan += 1

    def await_driver(self, moment: int) -> None:
        """Wait for the next driver."""
        self._plan += 1
        arrival = next_arrival(self.charger.rng, self._kind, self._share, moment)
        self.charger.at(arrival, self._arrive, self._plan)

    def _arrive(self, moment: int, plan: int) -> None:
        if plan != self._plan:
            return
        if not self.charger.powered:
            self.await_driver(moment)
            return
        self.follow(moment, plan_session(self.charger.rng, self._kind, warns=self.charger.traits.warns))

    def _advance(self, moment: int, plan: int) -> None:
        if plan != self._plan:
            return
        step = next(self._steps, None)
        if step is None:
            self.await_driver(moment)
            return
        self.charger.change(moment, self.connector, step.state, step.trouble)
        self.charger.at(moment + step.lasting, self._advance, plan)
