"""The same gaps, however the records are cut into batches, read again, or interleaved (promises P1, P5)."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from random import Random
from statistics import median_high
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from service.domain.time import DAY, HOUR, MINUTE, SECOND, Micros
from service.processing.ingest import Gap, Ingest
from tests.property.arrivals import SEEDS
from tests.property.folding import tries

MONDAY: Micros = 1_767_571_200 * SECOND
SILENT_AFTER = 5 * MINUTE
PACES = st.sampled_from((SECOND, 20 * SECOND, MINUTE, 10 * MINUTE, HOUR))


class Entry(NamedTuple):
    """A record as the ingest sees it."""

    time: Micros | None
    is_charger: bool


def log(dice: Random, pace: Micros, count: int) -> list[Entry]:
    """Draw the log of a partition: bursts and pauses about a pace, clocks that go back, others' records."""
    entries, now = [], MONDAY
    for _ in range(count):
        now += int(pace * dice.choice((0.01, 0.3, 1, 1, 2, 5, 30)) * dice.random())
        if dice.random() < 0.02:
            now += dice.choice((6 * MINUTE, HOUR, 13 * HOUR, 30 * HOUR))
        lot = dice.random()
        time = None if lot < 0.03 else now - dice.randint(0, 10 * MINUTE) if lot < 0.1 else now
        entries.append(Entry(time, dice.random() < 0.8))
    return entries


def observed(ingest: Ingest, entries: Sequence[Entry], start: int = 0, topic: int = 0) -> list[Gap]:
    """Observe records from an offset on."""
    return [
        gap
        for offset, entry in enumerate(entries, start)
        for gap in ingest.observe(topic, offset, entry.time, entry.is_charger)
    ]


@given(SEEDS, PACES)
@tries(0.4)
def test_batches_restarts_and_repeats_change_nothing(seed: int, pace: Micros) -> None:
    """A restart goes on from what was packed some time ago, and reads again what came after it and before."""
    dice = Random(seed)
    entries = log(dice, pace, 300)
    undisturbed = Ingest(SILENT_AFTER)
    expected = observed(undisturbed, entries)

    ingest, gaps, reached = Ingest(SILENT_AFTER), set[Gap](), 0
    kept = (0, json.dumps(ingest.pack()))
    while reached < len(entries):
        start = max(0, reached - dice.choice((0, 0, 1, 20)))
        end = min(len(entries), reached + dice.choice((1, 7, 50)))
        gaps.update(observed(ingest, entries[start:end], start))
        reached = end
        lot = dice.random()
        if lot < 0.3:
            kept = (reached, json.dumps(ingest.pack()))
        elif lot < 0.5:
            reached, ingest = kept[0], Ingest.unpack(json.loads(kept[1]), SILENT_AFTER)

    assert sorted(gaps) == expected
    assert json.dumps(ingest.pack()) == json.dumps(undisturbed.pack())


@given(SEEDS, PACES)
@tries(0.3)
def test_it_does_not_matter_which_of_two_topics_is_read_first(seed: int, pace: Micros) -> None:
    """Each in its order, the two in any; in the end both were read."""
    dice = Random(seed)
    logs = [log(dice, pace, 150), log(dice, pace * 3, 60)]
    end_of_both = max(entry.time or 0 for entries in logs for entry in entries) + HOUR

    outcomes = []
    for eagerness in (0.0, 1.0, 0.5, 0.9):
        ingest, gaps = Ingest(SILENT_AFTER, topics=2), list[Gap]()
        reached = [0, 0]
        while reached != [len(entries) for entries in logs]:
            topic = int(dice.random() < eagerness)
            if reached[topic] == len(logs[topic]):
                topic = 1 - topic
            start, end = reached[topic], reached[topic] + dice.randint(1, 20)
            gaps += observed(ingest, logs[topic][start:end], start, topic)
            reached[topic] = min(end, len(logs[topic]))
        gaps += ingest.looked(end_of_both)
        outcomes.append((gaps, ingest.pack()))

    assert all(each == outcomes[0] for each in outcomes)


def intervals(entries: Sequence[Entry]) -> Iterator[tuple[Micros, Micros]]:
    """Give the times of charger events, none before another, as pairs of two that follow each other."""
    last = None
    for entry in entries:
        if entry.is_charger and entry.time is not None:
            now = entry.time if last is None else max(last, entry.time)
            if last is not None:
                yield last, now
            last = now


@given(SEEDS, st.sampled_from((SECOND, 10 * SECOND, MINUTE, 4 * MINUTE)))
@tries(0.3)
def test_at_a_steady_pace_a_gap_is_what_the_promise_says(seed: int, pace: Micros) -> None:
    """Longer than 5 minutes and 20 median intervals of the last day, found again by sorting them all."""
    dice = Random(seed)
    now, entries = MONDAY, []
    for _ in range(1_000):
        now += int(pace * dice.uniform(0.8, 1.2))
        if dice.random() < 0.005:
            now += int(max(pace, 15 * SECOND) * dice.uniform(10, 30))
        entries.append(Entry(now, is_charger=True))
    pairs = list(intervals(entries))
    ends = [end for _, end in pairs]
    gaps = observed(Ingest(SILENT_AFTER), entries)

    for start, end in pairs:
        known = [b - a for a, b in pairs[bisect_left(ends, start - DAY) : bisect_left(ends, start) + 1]]
        limit = max(SILENT_AFTER, 20 * median_high(known or [0]))
        is_steady = sum(each for each in known if each > 0.9 * limit) * 25 < sum(known)
        if len(known) > 10 and is_steady and not 0.9 * limit < end - start < 1.1 * limit:
            assert (Gap(start, end) in gaps) == (limit < end - start < 20 * sum(known))
