"""When a worker that ended is started again."""

from __future__ import annotations

from service.supervision.restarts import MOST_IN_A_ROW, SETTLED_S, Restarts


def test_each_start_waits_twice_as_long_until_nothing_helps() -> None:
    """Half a minute in all, then somebody has to look."""
    restarts = Restarts()

    pauses = [restarts.after(2.0) for _ in range(MOST_IN_A_ROW + 1)]

    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, None]


def test_a_worker_that_ran_for_long_begins_anew() -> None:
    """A standstill a day is no reason to stop all: each time it is started at once."""
    restarts = Restarts()
    for _ in range(MOST_IN_A_ROW):
        restarts.after(2.0)

    assert [restarts.after(SETTLED_S), restarts.after(2.0)] == [1.0, 2.0]
