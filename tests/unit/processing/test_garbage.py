"""What Python's collector is told after a batch."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from weakref import ref

import pytest

from service.processing.garbage import settle


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    """Leave the collector as it was."""
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_what_a_large_batch_leaves_is_looked_at_no_more() -> None:
    """A million of states' objects would hold the loop for half a second, and none of them is garbage."""
    states = [[number] for number in range(1_000)]

    settle(1_000)

    assert gc.get_freeze_count() >= len(states)


def test_what_a_failure_left_in_cycles_is_not_kept_for_ever() -> None:
    """An error that is held where it was raised holds all that a call was to send."""

    class Held:
        """Something that a failed call holds."""

    held = Held()
    held.__dict__["itself"] = held
    seen = ref(held)
    del held

    settle(1_000, after_failure=True)

    assert seen() is None


def test_what_a_small_batch_leaves_is_left_to_the_collector() -> None:
    """So that cycles which a failure leaves are found in a worker that keeps up."""
    settle(999)

    assert gc.get_freeze_count() == 0
