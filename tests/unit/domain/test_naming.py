"""What the port's account is made of again when a connector is named late."""

from __future__ import annotations

from service.domain.state import History
from service.domain.time import HOUR, day_of
from tests.unit.domain.told import Evse, when


def test_history_that_is_missing_is_no_time_that_was_up() -> None:
    """Whatever lost it: unobserved is never up, and 400 days of it would be."""
    evse = Evse(allowed_lateness=6 * HOUR)
    evse.statuses(
        "-4 00:00 AVAILABLE, -3 00:00 CHARGING, -2 00:00 AVAILABLE, -1 00:00 CHARGING, 12:00 AVAILABLE"
    )
    assert evse.state.port_days
    evse.state.history = {uid: History() for uid in evse.state.history}

    evse.status("AVAILABLE", "13:00", connector_uid="c2")

    assert min(evse.state.port_days, default=day_of(when("-4 00:00"))) >= day_of(when("-4 00:00"))
