"""A month of a fleet, generated once for all claims about it."""

from __future__ import annotations

import pytest

from service.simulation.fleet import Fleet
from tests.unit.simulation.month import EVSES, MONTH_END, START, Month


@pytest.fixture(scope="session")
def month() -> Month:
    """Generate a month of 80 EVSEs, enough for each behaviour to show."""
    fleet = Fleet(7, EVSES, START, MONTH_END)
    return Month(list(fleet.inventory()), list(fleet.history()))
