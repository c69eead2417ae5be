"""When the slow tick refreshes whom."""

from __future__ import annotations

from service.processing.tick import SlowTick

UIDS = [f"e{number}" for number in range(10)]


def test_nothing_is_due_before_the_first_interval() -> None:
    """A start publishes nothing anew."""
    tick = SlowTick(3600, 100, now=50)

    assert tick.due(3649, lambda: UIDS) == []


def test_a_sweep_is_spread_over_half_an_interval() -> None:
    """A few at a time, each once, in order."""
    tick = SlowTick(3600, 100, now=0)

    shares = [tick.due(3600 + seconds, lambda: UIDS) for seconds in range(0, 1801, 180)]

    assert [uid for share in shares for uid in share] == UIDS
    assert max(map(len, shares)) <= 2


def test_a_turn_takes_no_more_than_its_share() -> None:
    """However late the loop comes."""
    tick = SlowTick(3600, 3, now=0)
    tick.due(3600, lambda: UIDS)

    assert [len(tick.due(7000, lambda: UIDS)) for _ in range(4)] == [3, 3, 3, 0]


def test_zero_is_never() -> None:
    """An interval of 0 switches the tick off."""
    tick = SlowTick(0, 100, now=0)

    assert tick.due(1e9, lambda: UIDS) == []


def test_every_interval_begins_a_sweep_over_those_known_then() -> None:
    """What is known later is swept later."""
    tick = SlowTick(100, 100, now=0)
    known = ["a"]

    assert tick.due(100, lambda: known) == ["a"]
    known.append("b")
    assert tick.due(150, lambda: known) == []
    assert tick.due(200, lambda: known) + tick.due(250, lambda: known) == ["a", "b"]


def test_no_evse_no_sweep() -> None:
    """An empty worker asks again after the next interval."""
    tick = SlowTick(100, 100, now=0)

    assert tick.due(100, list) == []
    assert tick.due(150, lambda: UIDS) == []
