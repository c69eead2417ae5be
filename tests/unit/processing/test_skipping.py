"""A record that an operator had skipped needs naming once: the ledger remembers it (promise P8)."""

from __future__ import annotations

from typing import Any

import pytest

from service.processing import steps
from service.processing.dead_letters import OffsetRange, Skips
from service.processing.decoding import decode
from service.processing.planning import Defect
from tests.builders import status_reported
from tests.driver import Driver, with_options
from tests.faults import Crash, When
from tests.unit.processing.test_restoring import lose, rebuild, settle_and_survey

NAMED = with_options(skipped=Skips([OffsetRange("evse.events", 0, 1, 1)]))


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> Driver:
    """Give a driver whose second record is one that our own code fails on."""

    def fail_on_poison(value: bytes | None, **more: Any) -> Any:
        if b"poison" in (value or b""):
            raise ZeroDivisionError("of ours")
        return decode(value, **more)

    monkeypatch.setattr(steps, "decode", fail_on_poison)
    driver = Driver()
    driver.write(status_reported("AVAILABLE", "12:00"))
    driver.write(status_reported("CHARGING", "12:01", raw_status="poison"))
    driver.write(status_reported("FINISHING", "12:02"))
    with pytest.raises(Defect):
        driver.settle()
    driver.crash()
    return driver


def test_a_view_that_is_restored_skips_it_again(poisoned: Driver) -> None:
    """Without being told a second time."""
    poisoned.restart(NAMED)
    poisoned.settle()
    poisoned.stop()
    lose(poisoned)
    poisoned.restart(with_options())
    poisoned.settle()

    assert set(poisoned.reasons()) == {"skipped"}
    assert poisoned.view()["status"] == "CHARGING", "FINISHING counts as CHARGING for the EVSE"
    assert poisoned.committed() == {0: 3}


def test_a_view_that_is_rebuilt_skips_it_again(poisoned: Driver) -> None:
    """The generation is another one, the log is the same."""
    poisoned.restart(NAMED)
    poisoned.settle()
    poisoned.stop()
    rebuild(poisoned)
    poisoned.restart(with_options())
    settle_and_survey(poisoned)

    assert poisoned.committed() == {0: 3}


def test_a_worker_that_died_on_its_way_past_it_leaves_that_to_the_next(poisoned: Driver) -> None:
    """The next reads on from the view and not from the ledger, and asks it where it would stop."""
    poisoned.restart(NAMED)
    poisoned.faults.arm_next("log.commit", When.BEFORE, Crash())
    with pytest.raises(Crash):
        poisoned.settle()
    poisoned.crash()
    poisoned.restart(with_options())
    poisoned.settle()

    assert poisoned.committed() == {0: 3}


def test_the_offset_of_another_log_is_not_skipped(poisoned: Driver) -> None:
    """A topic that was made anew has other records there."""
    poisoned.restart(NAMED)
    poisoned.settle()
    poisoned.stop()
    poisoned.broker.recreate("evse.events")
    rebuild(poisoned, "evse.events")
    poisoned.write(status_reported("AVAILABLE", "12:30"))
    poisoned.write(status_reported("PREPARING", "12:31"))
    poisoned.restart(with_options())
    settle_and_survey(poisoned)

    assert poisoned.view()["connectors"][0]["status_since"] == "2026-01-05T12:31:00Z"


def test_a_record_that_nobody_skipped_still_stops_the_worker(poisoned: Driver) -> None:
    """Asking the ledger changes nothing for others."""
    poisoned.restart(with_options(skipped=Skips([OffsetRange("evse.events", 0, 2, 2)])))

    with pytest.raises(Defect, match="offset 1"):
        poisoned.settle()
