"""Whole fleets through the ingest of one partition: their own quiet hours are no gaps (promise P5)."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from service.domain.time import DAY, HOUR, MINUTE, Micros, micros_from
from service.processing.ingest import Gap, Ingest
from service.simulation.charger import Charger
from service.simulation.fleet import Fleet

LOG = logging.getLogger(__name__)
START = datetime(2026, 1, 5, tzinfo=UTC)
STEP = timedelta(minutes=10)
HEARTBEAT_S = 120
"""Seldom enough that a fleet is hard to hear, and quickly simulated."""
UNHEARD_HEARTBEAT_S = 3600
"""Where heartbeats are thrown away they would else be nearly all that is simulated."""
SAID_BY_CHARGERS = {"connector.status", "connector.online", "evse.status", "evse.heartbeat"}


@dataclass
class Heard:
    """What a fleet gave in some days: the gaps found, and when none of its chargers had a link at all."""

    days: int
    gaps: list[Gap] = field(default_factory=list)
    stood_still: list[Micros] = field(default_factory=list)

    @property
    def lost(self) -> float:
        """The share of the time that is in gaps although something could have been heard."""
        still = {moment // (10 * MINUTE) for moment in self.stood_still}
        lost = 0
        for gap in self.gaps:
            steps = range(gap.from_ // (10 * MINUTE), gap.until // (10 * MINUTE) + 1)
            lost += 0 if still.intersection(steps) else gap.until - gap.from_
        return lost / (self.days * DAY)


def heard(
    seed: int, chargers: int, days: int, *, heartbeats: bool, pause: tuple[Micros, Micros] | None = None
) -> Heard:
    """
    Let a fleet talk to a partition for some days.

    With heartbeats they come every two minutes from those that send any. In the `pause` (microseconds since
    the start) nothing of what it says arrives.
    """
    heartbeat_s = HEARTBEAT_S if heartbeats else UNHEARD_HEARTBEAT_S
    fleet = Fleet(seed, chargers, START, START - timedelta(days=1), heartbeat_s)
    links: list[Charger] = [charger for _, _, charger in fleet._heap]
    ingest, outcome, offset, zero = Ingest(5 * MINUTE), Heard(days), 0, micros_from(START)
    moment = START
    while moment < START + timedelta(days=days):
        moment += STEP
        for arrival, event in fleet.until(moment):
            at = micros_from(arrival)
            if pause is not None and pause[0] <= at - zero < pause[1]:
                continue
            if event["type"] == "evse.heartbeat" and not heartbeats:
                continue
            is_charger = event["type"] in SAID_BY_CHARGERS
            outcome.gaps += ingest.observe(0, offset, at, is_charger)
            offset += 1
        if not any(charger.linked for charger in links):
            outcome.stood_still.append(micros_from(moment))
    return outcome


@pytest.mark.parametrize(
    ("chargers", "heartbeats", "seeds"),
    [
        (1, False, range(1, 9)),
        (3, True, range(1, 7)),
        (3, False, range(1, 17)),
        (25, False, range(1, 6)),
        (300, True, range(1, 2)),
        # The worst there is: in one partition such a fleet loses 5 % on average, 4 to 7 % one by one.
        (300, False, range(1, 5)),
    ],
)
def test_a_fleet_does_not_drown_in_gaps(chargers: int, heartbeats: bool, seeds: range) -> None:
    """
    Three chargers without heartbeats may say nothing all night; 300 may be twelve partitions of 25.

    `-o log_cli=1 --log-cli-level=info` shows how much of the time is lost.
    """
    days = 1 if chargers == 300 and heartbeats else 4
    shares = [heard(seed, chargers, days, heartbeats=heartbeats).lost for seed in seeds]
    mean = sum(shares) / len(shares)
    kind = "with" if heartbeats else "without"
    LOG.info(
        "%d chargers %s heartbeats, %d days, %d fleets: %.2f %% of the time in gaps, %.2f %% at most",
        *(chargers, kind, days, len(shares), 100 * mean, 100 * max(shares)),
    )

    assert max(shares) < 0.10
    assert mean < 0.06


@pytest.mark.parametrize(("chargers", "lasted"), [(25, 30 * MINUTE), (3, 2 * HOUR)])
def test_a_paused_collection_of_a_fleet_with_heartbeats_is_a_gap(chargers: int, lasted: Micros) -> None:
    """From the last that was heard to the first that is heard again."""
    begin = 26 * HOUR
    outcome = heard(4, chargers, 2, heartbeats=True, pause=(begin, begin + lasted))

    (gap,) = outcome.gaps
    start = micros_from(START)
    assert start + begin - 10 * MINUTE < gap.from_ < start + begin
    assert start + begin + lasted <= gap.until < start + begin + lasted + 10 * MINUTE
