"""What the worker writes into the ledger is what the models say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest
from pydantic import TypeAdapter

from schemas import ledger, view
from service.processing.dead_letters import OffsetRange, Skips
from tests.builders import event, online_reported, removed, status_reported
from tests.driver import Driver, with_options

MODELS: dict[str, Any] = {
    "day": view.Day,
    "outage": view.Outage,
    "exclusion": view.Exclusion,
    "gap": view.Gap,
    "removal": ledger.LedgerRemoval,
    "base": ledger.LedgerBase,
    "mark": ledger.LedgerMark,
    "epoch": ledger.LedgerEpoch,
    "skip": ledger.LedgerSkip,
}


@pytest.fixture(scope="module")
def told() -> Driver:
    """Give a driver whose ledger has records of every kind."""
    driver = Driver(options=with_options(skipped=Skips([OffsetRange("evse.events", 0, 500, 501)])))
    span = {"from": "2026-01-05T10:00:00Z", "until": "2026-01-05T11:00:00Z"}
    driver.pipe(
        status_reported("AVAILABLE", "06:00"),
        status_reported("OUTOFORDER", "07:00", error_code="GroundFailure"),
        status_reported("AVAILABLE", "09:00"),
        event("exclusion.declared", "12:00", exclusion_id="x", reason="vandalism") | span,
        event("exclusion.declared", "12:00", exclusion_id="y", reason="vandalism") | span,
        event("exclusion.withdrawn", "13:00", exclusion_id="y"),
        event("observation.gap", "12:00") | span,
        online_reported(False, "12:00", uid="e2"),
        removed("13:00", uid="e2"),
    )
    for day in range(4):
        driver.advance(timedelta(days=1))
        driver.pipe(status_reported("AVAILABLE", "08:00", day=day + 1))
        for _ in range(4):
            driver.settle()
    return driver


def test_every_kind_of_record_is_as_its_model_says(told: Driver) -> None:
    """Keys begin with the kind, and values are valid."""
    kinds = set()
    for record in told.written("evse.ledger"):
        kind, *_ = orjson.loads(record.key or b"")
        kinds.add(kind)
        if record.value is not None:
            TypeAdapter(MODELS[kind]).validate_json(record.value)

    assert kinds == set(MODELS)


def test_what_was_withdrawn_gets_a_tombstone(told: Driver) -> None:
    """A compacted topic forgets it."""
    assert told.ledger()['["exclusion","e1","x"]']["reason"] == "vandalism"
    assert '["exclusion","e1","y"]' not in told.ledger()
    assert any(record.value is None for record in told.written("evse.ledger"))


def test_closed_history_in_the_ledger_is_that_of_the_view(told: Driver) -> None:
    """Each closed day and span stands in both."""
    kept = told.store.evses["e1"]
    days = {f"{key[2]}/{key[3]}": value for key, value in entries(told, "day") if key[1] == "e1"}
    outages = [value for key, value in entries(told, "outage") if key[1] == "e1"]

    assert days == {name: orjson.loads(day) for name, day in kept.days.items()}
    assert len(days) > 3
    assert sorted(map(str, outages)) == sorted(str(orjson.loads(outage)) for _, outage in kept.outages)


def entries(driver: Driver, kind: str) -> list[tuple[list[str], Any]]:
    """Give the records of a kind that a compacted ledger would hold."""
    return [
        (words, value) for key, value in driver.ledger().items() if (words := orjson.loads(key))[0] == kind
    ]
