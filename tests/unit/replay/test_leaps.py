"""Times in files that leap ahead of the log."""

from __future__ import annotations

import pytest

from service.domain.events import HeartbeatReceived
from service.domain.time import DAY, HOUR, Micros
from service.replay import Leap, Leaps, Line

START: Micros = 20_000 * DAY
LATENESS = 2 * DAY


def found(*lines: tuple[str, float] | tuple[str, float, str]) -> list[tuple[int, float, float]]:
    """Give (line, days, days of the next) of each leap in lines of EVSE and days, and file if it matters."""
    leaps = Leaps(LATENESS)
    told: list[Leap] = []
    for number, (uid, days, *file) in enumerate(lines, start=1):
        at = START + round(days * DAY)
        event = HeartbeatReceived(str(number), uid, number, at - HOUR, at)
        told += leaps.take(Line(file[0] if file else "log", number, event), event)
    return list(
        dict.fromkeys(
            (leap.line.number, (leap.time - START) / DAY, (leap.followed_by - START) / DAY) for leap in told
        )
    )


def test_one_time_ahead_of_its_neighbours_is_found() -> None:
    """It is what the line was received at that counts, as for the horizon."""
    assert found(("a", 0), ("a", 13_000), ("a", 2), ("a", 3)) == [(2, 13_000, 2)]


def test_the_first_time_of_all_may_be_the_wrong_one() -> None:
    """Then nothing stands before it that it could leap ahead of."""
    assert found(("a", 13_000), ("a", 0), ("a", 1)) == [(1, 13_000, 0)]


def test_the_last_time_of_an_evse_is_found_by_the_lines_of_others() -> None:
    """All snapshots are as of it."""
    assert found(("a", 0), ("b", 0), ("a", 13_000), ("b", 1), ("b", 2)) == [(3, 13_000, 1)]


def test_a_time_that_the_log_comes_to_later_is_found_by_the_lines_of_its_evse() -> None:
    """Until then what is heard of it is late."""
    assert found(("b", 0), ("a", 0), ("b", 3), ("b", 6), ("a", 8), ("b", 7), ("a", 3), ("b", 9)) == [
        (5, 8, 3)
    ]


@pytest.mark.parametrize(
    "days", [(0, 1, 2, 3), (0, 10, 10.1, 11), (0, 10, 8.5), (0, 1.9, 0, 1), (3, 2, 1.5), (0, 10)]
)
def test_what_the_next_line_bears_out_is_no_leap(days: tuple[float, ...]) -> None:
    """Order, silence of days, and what comes late within what is allowed."""
    assert found(*(("a", at) for at in days)) == []


def test_a_file_may_begin_before_the_end_of_the_one_before() -> None:
    """Of two chargers with a file each, the first one silent for days before its last line."""
    assert found(("a", 0, "a.log"), ("a", 10, "a.log"), ("b", 0, "b.log"), ("b", 1, "b.log")) == []
