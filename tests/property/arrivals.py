"""
Other orders of arrival of the same log, and repeats in it, by the dice of a seed.

Drawing an order by hypothesis costs more than folding it: one seed gives as many orders as a test wants.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from hypothesis import strategies as st

from tests.oracle.log import OBEYS_NO_LATENESS, SECOND, Event, read, times
from tests.oracle.strategies import share_a_time

SEEDS = st.integers(0, 2**32 - 1)


def with_repeats(log: Sequence[Event], dice: Random, most: int = 4) -> list[Event]:
    """Let some events arrive again, anywhere after their first arrival."""
    arrived = list(log)
    for _ in range(dice.randint(0, most)):
        original = dice.choice(log)
        first = next(place for place, event in enumerate(arrived) if event is original)
        arrived.insert(dice.randint(first + 1, len(arrived)), dict(original))
    return arrived


def rearranged(log: Sequence[Event], dice: Random) -> list[Event]:
    """Give another order of arrival that keeps the order of events of the same time."""
    return _in_order_of([dice.random() for _ in log], log)


def rearranged_in_time(log: Sequence[Event], dice: Random, lateness_s: int) -> list[Event]:
    """Give another order of arrival in which what was received soon enough comes within the lateness."""
    due: list[float] = []
    for event in log:
        found = times(event)
        first, last = (0, 0) if found is None else (max(found), found[0] + lateness_s * SECOND)
        due.append(dice.randint(first, max(first, last)))
    return _in_order_of(due, log)


def _in_order_of(due: Sequence[float], log: Sequence[Event]) -> list[Event]:
    left = sorted(range(len(log)), key=due.__getitem__)
    arrived: list[Event] = []
    while left:
        chosen = next(
            each
            for each in left
            if not any(other < each and share_a_time(log[other], log[each]) for other in left)
        )
        left.remove(chosen)
        arrived.append(log[chosen])
    return arrived


def is_in_time(log: Sequence[Event], lateness_s: int) -> bool:
    """Tell whether every event arrives within the lateness: repeats, inventories and removals too."""
    entries = read(log, None, lateness_s * SECOND).entries
    named = [entry.event["event_id"] for entry in entries if entry.kind != "evse.heartbeat"]
    if len(named) != len(set(named)):
        return False  # a repeat came when its id was forgotten
    return not any(
        entry.late or (entry.kind in OBEYS_NO_LATENESS and entry.effective < entry.horizon)
        for entry in entries
    )
