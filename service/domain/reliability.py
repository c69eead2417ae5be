"""
Reliability, 0 to 10: ten times the estimated probability that a driver who arrives at a random moment finds
the connector working (A), that no outage starts while charging (R), and that the attempt succeeds (S).

    reliability = 10 * A * R * S
    A = (U + 0.97 * E0) / (O + E0)              O observed, U up, E0 = 86 400, in decayed seconds
    R = exp(-3600 * (k + 0.1) / (U + 86 400))   k decayed onsets of outages
    S = (s + 9) / (s + f + 10)                  s, f decayed successes and failures; Beta(9, 1)

All sums decay with a half-life of 30 days. The decay over an interval is integrated exactly, change point by
change point in order of event time, so that the value does not depend on how often it is computed.
0.97 is the floor of 23 CFR 680.116(b); the 300 seconds of a success are California's draft rule.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from schemas.vocabulary import OUT_OF_SERVICE, Status
from service.domain.definitions import OBSERVED, PAIRS
from service.domain.time import DAY, HOUR, SECOND, Micros

HALF_LIFE_S: Final = 30 * 86_400.0
_RATE: Final = math.log(2) / HALF_LIFE_S
_PRIOR_S: Final = 86_400.0
_PRIOR_AVAILABILITY: Final = 0.97
_MINIMUM_OBSERVED: Final[Micros] = DAY

ONSET_AFTER: Final[Micros] = 60 * SECOND
"""An offline span counts as an outage's onset if it is longer than this."""

SUCCESS_AFTER: Final[Micros] = 300 * SECOND
"""An attempt that charged at least this long succeeded."""

STALE_ATTEMPT: Final[Micros] = 24 * HOUR
"""An attempt that never charged and was open longer than this says nothing."""

_OUTOFORDER: Final = Status.OUTOFORDER
_FREE: Final = frozenset({Status.AVAILABLE, Status.FINISHING})
_UNSEEN: Final = OUT_OF_SERVICE | {Status.UNKNOWN, None}
COUNTS_OBSERVED: Final[tuple[bool, ...]] = tuple(status not in _UNSEEN for status, _ in PAIRS)
"""Buckets whose time is observed time of A (online or not)."""
COUNTS_UP: Final[tuple[bool, ...]] = tuple(time_class == "up" for time_class in OBSERVED.classes)
"""Buckets whose time is up time of A and R."""


def faded(span: Micros) -> float:
    """Give the weight that is left after `span` microseconds."""
    return math.exp(-_RATE * (span / SECOND))


def integral(start: Micros, end: Micros, at: Micros) -> float:
    """Give the decayed seconds of `[start, end)` as seen from `at` >= `end`."""
    grown = -math.expm1(-_RATE * ((end - start) / SECOND)) / _RATE
    return grown * faded(at - end)


class LeftOut(NamedTuple):
    """What is excluded or in a gap: decayed seconds observed and up, and microseconds observed."""

    observed: float
    up: float
    length: Micros


Decayed = tuple[float, float, float, float, float]
"""Decayed seconds observed and up, decayed onsets, successes and failures."""


@dataclass(slots=True)
class Sums:
    """
    The decayed sums of one connector as of `at` (microseconds).

    `observed` and `up` in decayed seconds, the others in decayed counts.
    """

    at: Micros = 0
    observed: float = 0.0
    up: float = 0.0
    onsets: float = 0.0
    successes: float = 0.0
    failures: float = 0.0

    def advance(self, until: Micros, bucket: int) -> None:
        """Let time pass to `until` with the connector in `bucket`."""
        self.observed, self.up, self.onsets, self.successes, self.failures = self.seen_from(until, bucket)
        self.at = until

    def seen_from(self, until: Micros, bucket: int) -> Decayed:
        """Give observed, up, onsets, successes and failures after time passed to `until` in `bucket`."""
        grown = -math.expm1(-_RATE * ((until - self.at) / SECOND))
        left = 1.0 - grown
        observed, up = self.observed * left, self.up * left
        if COUNTS_OBSERVED[bucket]:
            observed += grown / _RATE
            if COUNTS_UP[bucket]:
                up += grown / _RATE
        return observed, up, self.onsets * left, self.successes * left, self.failures * left

    def copy(self) -> Sums:
        """Give an independent copy."""
        return Sums(self.at, self.observed, self.up, self.onsets, self.successes, self.failures)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a closed attempt adds: its name in `attempts`, its success, its failure."""

    name: str
    success: float
    failure: float


SUCCEEDED: Final = Outcome("succeeded", 1.0, 0.0)
FAILED: Final = Outcome("failed", 0.0, 1.0)
ABANDONED: Final = Outcome("abandoned", 0.0, 0.5)
UNTOLD: Final = Outcome("unknown", 0.0, 0.0)
OUTCOMES: Final = (SUCCEEDED, FAILED, ABANDONED, UNTOLD)


def outcome_of(charged: Micros, open_for: Micros, closed_by: Status) -> Outcome:
    """
    Judge an attempt when it closes.

    `charged` is the time since the first real charging, 0 if there was none; a charger that was suspended
    from the start has not charged.
    """
    if closed_by is _OUTOFORDER:
        return FAILED
    if charged >= SUCCESS_AFTER:
        return SUCCEEDED
    if charged > 0:
        return FAILED
    if open_for <= STALE_ATTEMPT and closed_by in _FREE:
        return ABANDONED
    return UNTOLD


@dataclass(slots=True, init=False)
class Reliability:
    """
    The published reliability of one connector with its terms.

    `value` is 0 to 10, None before 24 h were observed; the terms are given even then. `observed`, in
    microseconds, and the counts are undecayed, over the whole history kept.
    """

    value: float | None
    availability: float
    continuity: float
    success: float
    observed: Micros
    attempts: dict[str, int]
    outages: int

    def __init__(
        self,
        value: float | None,
        availability: float,
        continuity: float,
        success: float,
        observed: Micros,
        attempts: dict[str, int],
        outages: int,
    ) -> None:
        self.value, self.availability, self.continuity = value, availability, continuity
        self.success, self.observed = success, observed
        self.attempts, self.outages = attempts, outages


def rate(sums: Sums, observed: Micros, attempts: dict[str, int], outages: int) -> Reliability:
    """Put the terms together; `sums` must be as of the time that is asked for."""
    decayed = (sums.observed, sums.up, sums.onsets, sums.successes, sums.failures)
    return rate_decayed(decayed, observed, attempts, outages)


def rate_decayed(decayed: Decayed, observed: Micros, attempts: dict[str, int], outages: int) -> Reliability:
    """Put the terms together from sums as of the time that is asked for."""
    seen, up, onsets, successes, failures = decayed
    availability = (up + _PRIOR_AVAILABILITY * _PRIOR_S) / (seen + _PRIOR_S)
    continuity = math.exp(-3600.0 * (onsets + 0.1) / (up + _PRIOR_S))
    success = (successes + 9.0) / (successes + failures + 10.0)
    value = 10.0 * availability * continuity * success if observed >= _MINIMUM_OBSERVED else None
    return Reliability(value, availability, continuity, success, observed, attempts, outages)
