"""The places of the fleet: who runs them, when drivers come, when they go dark."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from service.simulation.timestamps import DAY, HOUR, MINUTE, weekday_of

# Drivers come by local time; the fleet stands in one zone and keeps its winter time.
_ZONE = HOUR
_SATURDAY = 5

# Of the dark times: the disconnects go unnoticed; it is the power that fails, not the network.
_SILENT, _POWER_CUTS = 0.15, 0.4


@dataclass(frozen=True, slots=True)
class SiteKind:
    """
    What sort of place it is.

    `sessions_per_day` is for one EVSE on a weekday, `by_hour` are the shares of its 24 local hours, `weekend`
    is the factor for Saturdays and Sundays. `charging` is a median in microseconds and `spread` the sigma of
    its logarithm; a share `lingers` stays connected when full, for `lingering` microseconds or so.
    """

    name: str
    sessions_per_day: float
    by_hour: tuple[float, ...]
    weekend: float
    charging: int
    spread: float
    lingers: float
    lingering: int


OFFICE = SiteKind(
    name="office",
    sessions_per_day=2.6,
    by_hour=(0, 0, 0, 0, 0, 1, 5, 14, 18, 12, 6, 5, 8, 9, 6, 5, 4, 3, 2, 1, 1, 0, 0, 0),
    weekend=0.12,
    charging=150 * MINUTE,
    spread=0.5,
    lingers=0.5,
    lingering=100 * MINUTE,
)
HIGHWAY = SiteKind(
    name="highway",
    sessions_per_day=6.5,
    by_hour=(1, 1, 1, 1, 1, 2, 3, 5, 6, 6, 6, 7, 7, 6, 6, 7, 8, 8, 6, 5, 4, 3, 2, 1),
    weekend=1.2,
    charging=26 * MINUTE,
    spread=0.45,
    lingers=0.06,
    lingering=9 * MINUTE,
)
RESIDENTIAL = SiteKind(
    name="residential",
    sessions_per_day=1.5,
    by_hour=(1, 1, 0, 0, 0, 1, 2, 3, 3, 2, 2, 2, 3, 3, 4, 6, 10, 14, 15, 12, 8, 5, 3, 2),
    weekend=1.1,
    charging=170 * MINUTE,
    spread=0.6,
    lingers=0.7,
    lingering=4 * HOUR,
)
KINDS = (HIGHWAY, OFFICE, RESIDENTIAL, OFFICE)


@dataclass(frozen=True, slots=True)
class Operator:
    """
    A charge point operator: `source` of its events, and whether it sees the link.

    One that does not tells nothing but the statuses of connectors: no connects, heartbeats or whole chargers.
    """

    source: str
    reports_link: bool


# The third gets its events through a roaming hub, which knows statuses only: its `online` stays null.
OPERATORS = (Operator("nordlader", True), Operator("stadtstrom", True), Operator("roaming-hub", False))


@dataclass(frozen=True, slots=True)
class Dark:
    """A time in which a whole site cannot be heard; `silent`: its disconnects are not noticed either."""

    begin: int
    end: int
    silent: bool = False
    power_cut: bool = False


@dataclass(slots=True)
class Site:
    """One place. `darks` are given in order of time, each the same to all chargers that ask."""

    number: int
    name: str
    kind: SiteKind
    operator: Operator
    latitude: float
    longitude: float
    darks_from: Iterator[Dark]
    _darks: list[Dark] = field(default_factory=list)

    def dark(self, number: int) -> Dark:
        """Give the site's dark time of that number, the first being 0."""
        while len(self._darks) <= number:
            self._darks.append(next(self.darks_from))
        return self._darks[number]


def dark_times(rng: Random, start: int, every_days: float, certain: Dark | None) -> Iterator[Dark]:
    """
    Draw the dark times of a site without end: some hours each, `every_days` apart on average.

    `certain` is one that must be among them; drawn ones that would touch it are left out.
    """
    moment = start
    while True:
        begin = moment + DAY + int(rng.expovariate(1 / max(every_days - 1, 1)) * DAY)
        end = begin + int(rng.uniform(2.5, 9) * HOUR)
        moment = end
        dark = Dark(begin, end, silent=rng.random() < _SILENT, power_cut=rng.random() < _POWER_CUTS)
        if certain is not None and end > certain.begin - HOUR:
            yield certain
            over = certain.end + HOUR
            certain, moment = None, max(end, over)
            if begin < over:
                continue
        yield dark


def next_arrival(rng: Random, kind: SiteKind, share: float, moment: int) -> int:
    """
    Draw when the next driver comes to a connector that gets `share` of its EVSE's sessions.

    An inhomogeneous Poisson process by thinning, so it needs no state but the present moment.
    """
    by_hour = kind.by_hour
    total = math.fsum(by_hour)
    peak = max(by_hour) * max(kind.weekend, 1.0)
    hourly = kind.sessions_per_day * share / total * peak / HOUR
    while True:
        moment += int(rng.expovariate(hourly)) + 1
        local = moment + _ZONE
        wanted = by_hour[local // HOUR % 24]
        if weekday_of(local) >= _SATURDAY:
            wanted *= kind.weekend
        if rng.random() * peak < wanted:
            return moment // 1000 * 1000


def next_working_hour(rng: Random, moment: int) -> int:
    """Draw a time between 8 and 15 o'clock of the day `moment` lies in, of the next one if that is past."""
    local = (moment + _ZONE) // DAY * DAY + int(rng.uniform(8, 15) * HOUR)
    while local - _ZONE <= moment or weekday_of(local) >= _SATURDAY:
        local += DAY
    return (local - _ZONE) // 1000 * 1000
