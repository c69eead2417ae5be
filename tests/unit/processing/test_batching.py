"""How many records are taken at once."""

from __future__ import annotations

import pytest

from service.processing.batching import BatchSize

BATCH_S = 5.0


@pytest.mark.parametrize(
    ("records", "seconds", "next_records"),
    [
        (10_000, 1.0, 50_000),
        (10_000, 2 * BATCH_S, 5_000),
        (50_000, BATCH_S, 50_000),
        (5_000, 60.0, 1_000),
        (10_000, 0.0, 60_000),
        (999, 60.0, 10_000),
    ],
    ids=["quick", "slow", "just right", "very slow", "no time at all", "too small to tell"],
)
def test_the_next_batch_is_judged_by_the_last(records: int, seconds: float, next_records: int) -> None:
    """It is to take some seconds at most, but never so few records that each pays for the batch."""
    size = BatchSize(60_000, BATCH_S)

    size.took(records, seconds)

    assert size.records == next_records


def test_the_setting_is_the_limit() -> None:
    """However quick it goes, and for the first batch, too."""
    size = BatchSize(20, BATCH_S)
    first = size.records
    size.took(5_000, 0.1)

    assert (first, size.records) == (20, 20)
