"""What `evse-status size` reckons with is what a real server holds: a constant that has gone stale fails."""

from __future__ import annotations

import pytest

from service.sizing import constants
from tests.benchmarks.lives import Life
from tests.benchmarks.sizes import BEGIN, Scales

WITHIN = 1.3
"""A server of another version packs otherwise; what doubles is a change of ours."""


def is_near(measured: float, constant: float) -> bool:
    """Say whether a figure is within the factor of what is reckoned with."""
    return constant / WITHIN < measured < constant * WITHIN


def test_an_idle_evse_takes_what_is_reckoned_with(valkey_url: str) -> None:
    """In the view, in a worker, and as a base of the ledger."""
    weight = Scales(valkey_url).weigh(Life(BEGIN, evses=100))

    assert is_near(weight.redis / weight.evses, constants.REDIS_EVSE.of(2))
    assert is_near(weight.memory / weight.evses, constants.STATE.of(2))
    assert is_near(weight.mean("base"), constants.BASE.of(2))


@pytest.mark.slow
def test_a_day_of_history_takes_what_is_reckoned_with(valkey_url: str) -> None:
    """Of all the days that are kept: history is most of what a view holds."""
    days = 400
    weight = Scales(valkey_url).weigh(Life(BEGIN, evses=2, days=days))

    history = weight.redis / weight.evses - constants.REDIS_EVSE.of(2)
    assert is_near(history / days, constants.REDIS_DAY.of(2))
