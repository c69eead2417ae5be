"""Closed days and spans of a partition's ledger, as long as they fit in memory."""

from __future__ import annotations

import pytest

from service.domain.packing import Edge
from service.domain.time import DAY, micros_of_text
from service.processing.closed_records import ClosedRecords

FIRST_OPEN = micros_of_text("2026-01-03T00:00:00Z")
EDGE = Edge(FIRST_OPEN // DAY, {"c/1": micros_of_text("2026-01-02T12:00:00Z")}, FIRST_OPEN, 1)


def edge_of(uid: str) -> Edge | None:
    """Give where the history of the one base ends."""
    return EDGE if uid == "e1" else None


def day(date: str, connector: str = "c/1") -> list[str]:
    """Name a day."""
    return ["day", "e1", connector, date]


def span(until: str, connector: str = "c/1") -> list[str]:
    """Name a span."""
    return ["outage", "e1", connector, "2026-01-01T00:00:00Z", until]


def test_of_a_key_the_newest_record_counts() -> None:
    """A tombstone takes out what was said before, and what comes after it counts again."""
    records = ClosedRecords()
    for value in (b"old", b"new"):
        records.take(day("2026-01-01"), value)
        records.take(span("2026-01-01T01:00:00Z"), value)
    for words in (day("2026-01-02"), span("2026-01-01T02:00:00Z"), day("2026-01-02", "")):
        records.take(words, b"gone")
        records.take(words, None)
    records.take(day("2026-01-02", ""), b"back")

    history = records.pop("e1", edge_of)

    assert history is not None
    assert history.closed_days == {"c/1/2026-01-01": b"new", "/2026-01-02": b"back"}
    assert history.closed_outages == [(micros_of_text("2026-01-01T01:00:00Z"), b"new")]


def test_what_closed_after_the_base_is_left_out() -> None:
    """So is what is of a connector that the base does not know: it is folded again."""
    records = ClosedRecords()
    records.take(day("2026-01-02"), b"in it")
    records.take(day("2026-01-03"), b"after it")
    records.take(day("2026-01-02", "c2"), b"unknown")
    records.take(span("2026-01-02T12:00:00Z"), b"in it")
    records.take(span("2026-01-02T12:00:01Z"), b"after it")
    records.take(span("2026-01-01T12:00:00Z", "c2"), b"unknown")

    history = records.pop("e1", edge_of)

    assert history is not None
    assert history.closed_days == {"c/1/2026-01-02": b"in it"}
    assert history.closed_outages == [(EDGE.since["c/1"], b"in it")]
    assert records.pop("e1", edge_of) is None


def test_more_than_the_bound_is_not_held_at_all() -> None:
    """Half of a history would be taken for all of it."""
    records = ClosedRecords(most_bytes=2_000)
    records.take(day("2026-01-01"), b"x" * 1_000)

    records.take(day("2026-01-02"), b"x" * 1_000)

    assert not records.is_whole
    assert records.pop("e1", edge_of) is None


@pytest.mark.parametrize("words", [["day", "e1"], ["outage", "e1", "c1", "2026-01-01"], ["day"]])
def test_what_is_no_key_of_ours_is_left_out(words: list[str]) -> None:
    """Somebody else may write to the topic."""
    records = ClosedRecords()

    records.take(words, b"{}")

    assert records.is_whole
    assert records.pop("e1", edge_of) is None
