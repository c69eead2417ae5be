"""The watchdog against a partition that it sees late and in pieces, as a worker does (promise P5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from service.domain.time import HOUR, MINUTE, SECOND, Micros
from service.domain.vitals import Vitals
from service.processing.ingest import Ingest
from service.processing.silence import Knowledge, Overdue, SilenceRules, Watchdog, silence_event
from tests.property.arrivals import SEEDS
from tests.property.folding import tries

MONDAY: Micros = 1_767_571_200 * SECOND
SILENT_AFTER = 5 * MINUTE


class Appended(NamedTuple):
    """A sign of life in the log: when it was appended and when it was received."""

    at: Micros
    uid: str
    seen: Micros


def beats(
    dice: Random, uid: str, interval: Micros, until: Micros, *, start: Micros = MONDAY
) -> list[Appended]:
    """Give the heartbeats of a charger, each appended up to two seconds after its receipt."""
    signs, now = [], start + dice.randint(0, interval)
    while now < until:
        signs.append(Appended(now + dice.randint(0, 2 * SECOND), uid, now))
        now += interval + dice.randint(-interval // 10, interval // 10)
    return signs


@dataclass
class Worker:
    """Reads a partition in batches, sometimes not at all, and looks at its end now and then."""

    log: Sequence[Appended]
    dice: Random
    intervals: dict[str, Micros]
    lags: bool = True
    dog: Watchdog = field(default_factory=lambda: Watchdog(SilenceRules()))
    ingest: Ingest = field(default_factory=lambda: Ingest(SILENT_AFTER))
    position: int = 0
    looks: list[tuple[Micros, int]] = field(default_factory=list)
    newest: dict[str, Micros] = field(default_factory=dict)
    declared: dict[Overdue, Micros] = field(default_factory=dict)
    through: Micros | None = None

    def turn(self, now: Micros) -> list[Overdue]:
        """Look at the end, process some of what is there, and ask who is overdue."""
        end = next((place for place, each in enumerate(self.log) if each.at > now), len(self.log))
        if not self.lags or self.dice.random() < 0.5:
            self.looks.append((now, end))
        share = self.dice.choice((0.0, 0.5, 1.0)) if self.lags else 1.0
        self.process(self.position + round(share * (end - self.position)))
        while self.looks and self.looks[0][1] <= self.position:
            self.through = self.looks.pop(0)[0]
        known = Knowledge(self.through, self.ingest.newest_charger_record, self.ingest.resumed_at)
        overdue = self.dog.due(now, known)
        for each in overdue:
            self.declared.setdefault(each, now)
            self.dog.heard(each.uid, self.vitals(each.uid, watched=False))
        return overdue

    def process(self, end: int) -> None:
        """Fold what was read."""
        for offset in range(self.position, end):
            sign = self.log[offset]
            self.ingest.observe(0, offset, sign.at, True)
            self.newest[sign.uid] = max(sign.seen, self.newest.get(sign.uid, 0))
            self.dog.heard(sign.uid, self.vitals(sign.uid))
        self.position = max(self.position, end)

    def vitals(self, uid: str, *, watched: bool = True) -> Vitals:
        """Give what is known of an EVSE."""
        return Vitals(self.newest[uid], self.intervals[uid] // SECOND, None, watched)


def fleet(
    dice: Random, until: Micros, stops: Micros | None = None
) -> tuple[list[Appended], dict[str, Micros]]:
    """Give the log of some chargers, of which the first may stop for good, and their intervals."""
    intervals = {f"e{number}": dice.choice((30, 60, 300)) * SECOND for number in range(dice.randint(2, 5))}
    signs = [
        sign
        for uid, interval in intervals.items()
        for sign in beats(dice, uid, interval, stops if stops is not None and uid == "e0" else until)
    ]
    return sorted(signs), intervals


@given(SEEDS)
@tries(0.5)
def test_nobody_is_declared_of_whom_a_sign_of_life_lies_between(seed: int) -> None:
    """Whatever of the log the worker knows, of what was there at the deadline nothing contradicts it."""
    dice = Random(seed)
    log, intervals = fleet(dice, MONDAY + 2 * HOUR, stops=MONDAY + HOUR)
    # Some stretches are lost altogether, so that chargers are silent and come back.
    lost = [(uid, MONDAY + dice.randint(0, 7_200) * SECOND) for uid in intervals for _ in range(2)]
    log = [
        sign
        for sign in log
        if not any(uid == sign.uid and at < sign.at < at + 20 * MINUTE for uid, at in lost)
    ]
    worker, now = Worker(log, dice, intervals), MONDAY
    while now < MONDAY + 2 * HOUR:
        now += dice.choice((1, 5, 40)) * SECOND
        for each in worker.turn(now):
            assert each.applies_at == each.last_seen_at + 3 * intervals[each.uid] < now
            assert worker.through is not None
            assert not [
                sign
                for sign in log
                if sign.uid == each.uid
                and sign.at <= worker.through
                and each.last_seen_at < sign.seen < each.applies_at
            ]


@given(SEEDS)
@tries(0.5)
def test_two_that_believe_they_own_an_evse_write_the_same(seed: int) -> None:
    """However each of them reads and looks; only when they write it may differ."""
    dice = Random(seed)
    log, intervals = fleet(dice, MONDAY + HOUR, stops=MONDAY + 20 * MINUTE)
    workers = [Worker(log, Random(dice.random()), intervals) for _ in range(2)]
    now = MONDAY
    while now < MONDAY + HOUR:
        now += 5 * SECOND
        for worker in workers:
            worker.turn(now)

    written = [[silence_event(each) for each in worker.declared if each.uid == "e0"] for worker in workers]
    assert written[0] == written[1]
    assert len(written[0]) == 1


@given(SEEDS, st.integers(2, 20))
@tries(0.5)
def test_a_paused_ingest_declares_nobody_and_neither_does_its_end(seed: int, hours: int) -> None:
    """All chargers stop at once, for hours, and go on as if nothing had been."""
    dice = Random(seed)
    pause = MONDAY + 2 * HOUR
    resume = pause + hours * HOUR
    first, intervals = fleet(dice, pause)
    second = [
        sign
        for uid, every in intervals.items()
        for sign in beats(dice, uid, every, resume + HOUR, start=resume)
    ]
    worker = Worker(first + sorted(second), dice, intervals, lags=False)
    now = MONDAY
    while now < resume + HOUR:
        now += 20 * SECOND if now < pause + HOUR or now > resume - MINUTE else 10 * MINUTE
        assert worker.turn(now) == []
    assert worker.ingest.resumed_at is not None


@given(SEEDS)
@tries(0.5)
def test_one_that_stops_among_others_is_declared_with_the_next_word_of_another(seed: int) -> None:
    """Once the deadline has passed, and not before."""
    dice = Random(seed)
    log, intervals = fleet(dice, MONDAY + 2 * HOUR, stops=MONDAY + HOUR)
    worker, now = Worker(log, dice, intervals, lags=False), MONDAY
    while now < MONDAY + 2 * HOUR:
        now += 3 * SECOND
        worker.turn(now)

    deadline = worker.newest["e0"] + 3 * intervals["e0"]
    witness = min(sign.at for sign in log if sign.at > deadline)
    ((declared, when),) = worker.declared.items()
    assert declared == Overdue("e0", worker.newest["e0"], deadline)
    assert witness <= when <= witness + 30 * SECOND
