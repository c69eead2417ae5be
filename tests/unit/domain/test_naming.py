"""What the port's account is made of again when a connector is named late."""

from __future__ import annotations

import pytest

from schemas.vocabulary import MOST_CONNECTORS, Verdict
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


@pytest.mark.parametrize("late", [False, True])
def test_who_counts_connectors_up_without_end_gets_no_more(late: bool) -> None:
    """A further one is a sign of life and no connector; the others, and what comes of them, are as ever."""
    evse = Evse()
    for number in range(MOST_CONNECTORS):
        evse.status("AVAILABLE", "10:00", connector_uid=f"c{number}")
    evse.online(False, "11:00")

    more = evse.status("CHARGING", "10:30" if late else "12:00", "12:00", connector_uid="one-more")
    known = evse.status("CHARGING", "12:10", connector_uid="c7")

    assert more.verdict is Verdict.REFRESHED
    assert more.transitions == ()
    assert known.verdict is Verdict.APPLIED
    assert set(evse.state.tip.tracks) == {f"c{number}" for number in range(MOST_CONNECTORS)}
    assert evse.state.tip.tracks["c7"].online is True


def test_the_link_of_one_connector_too_many_is_nobodys() -> None:
    """It says nothing of the others either."""
    evse = Evse()
    for number in range(MOST_CONNECTORS):
        evse.status("AVAILABLE", "10:00", connector_uid=f"c{number}")

    assert evse.online(False, "11:00", connector_uid="one-more").verdict is Verdict.REFRESHED
    assert len(evse.state.tip.tracks) == MOST_CONNECTORS
    assert not evse.state.tip.is_offline
