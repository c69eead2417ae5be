"""Times that lie absurdly far ahead cost no more than others."""

from __future__ import annotations

from service.domain.definitions import OBSERVED
from service.domain.rules import KEPT_DAYS
from service.domain.time import DAY, HOUR
from service.domain.windows import connector_window, port_window
from tests.unit.domain.told import Evse

MILLENNIA = 2_900_000
"""Days after Monday, in the year 9965."""


def test_only_the_days_that_are_kept_are_ever_made() -> None:
    """Of eight thousand years in one state the last 400 days are accounted for, and exactly."""
    evse = Evse()
    evse.status("OUTOFORDER", "10:00")
    evse.status("AVAILABLE", f"{MILLENNIA} 10:00")

    state = evse.state
    assert len(state.history["c1"].days) <= KEPT_DAYS
    assert len(state.unsaved.days | state.unsaved.dropped_days) < 10 * KEPT_DAYS
    for window in (
        connector_window(state, "c1", OBSERVED, state.as_of),
        port_window(state, OBSERVED, state.as_of),
    ):
        assert (window.down, window.up, window.unobserved) == (30 * DAY + 10 * HOUR, 0, 0)
