"""The count that an upgrade is judged by."""

from __future__ import annotations

import json

from deploy.revisions import count


def line(uid: str, revision: int, as_of: str = "2026-01-05T00:00:00Z") -> str:
    """Write a snapshot as Kafka's consumer prints it."""
    return f"{uid}\t{json.dumps({'revision': revision, 'as_of': as_of})}\n"


def test_a_sequence_without_a_fault_counts_none() -> None:
    """Each EVSE by itself; a newer `as_of` under the same revision is the slow tick's."""
    lines = [
        line("a", 1),
        line("b", 7),
        line("a", 2),
        line("a", 2, "2026-01-05T01:00:00Z"),
        "a\tnull\n",
        line("a", 3),
    ]

    assert count(lines) == {"snapshots": 5, "evses": 2, "missing": 0, "back": 0, "repeated": 0}


def test_what_is_missing_goes_back_or_comes_twice_is_counted() -> None:
    """Three missing at once are three."""
    lines = [line("a", 1), line("a", 5), line("a", 4), line("a", 4), "Processed a total of 4 messages\n"]

    assert count(lines) == {"snapshots": 4, "evses": 1, "missing": 3, "back": 1, "repeated": 1}
