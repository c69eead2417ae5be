"""How many records are taken at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from service.processing import steps
from service.processing.batching import BatchSize, Waiting
from service.processing.planning import Plan, Planning, plan
from service.processing.sifting import Item
from service.processing.states import Held
from service.processing.values import TopicPartition
from tests.builders import status_reported
from tests.driver import Driver, with_options

BATCH_S = 5.0


@pytest.mark.parametrize(
    ("records", "seconds", "next_records"),
    [
        (10_000, 1.0, 50_000),
        (10_000, 2 * BATCH_S, 5_000),
        (50_000, BATCH_S, 50_000),
        (5_000, 600.0, 100),
        (10_000, 0.0, 60_000),
        (99, 60.0, 1_000),
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


def test_what_waits_is_taken_in_pieces_and_each_evse_in_order() -> None:
    """One that has much to say does not keep the others waiting, and nothing is left out."""
    groups: Any = {"hot": list(range(150)), "e2": [7], "e3": [8, 9]}  # what waits is not looked at
    waiting = Waiting(groups)
    taken: dict[str, list[object]] = {uid: [] for uid in groups}
    sizes: list[int] = []
    while portion := waiting.portion():
        left = set(portion) - {next(iter(portion))} if len(sizes) == 1 else set()
        for uid, piece in portion.items():
            taken[uid] += () if uid in left else piece
        waiting.done((uid for uid in portion if uid not in left), seconds=1.0)
        sizes.append(len(portion))

    assert taken == groups
    assert sizes[0] == 3


def test_what_is_quickly_folded_is_taken_in_larger_pieces() -> None:
    """A single EVSE that says much is not written for every few records; slow ones are small again."""
    groups: Any = {"hot": list(range(5_000))}
    waiting = Waiting(groups)
    sizes: list[int] = []
    for seconds in (0.01, 0.02, 0.1, 0.2, 3.0, 9.0):
        sizes.append(len(waiting.portion()["hot"]))
        waiting.done(["hot"], seconds)

    assert sizes == [64, 256, 1_024, 1_024, 1_024, 256]


def test_a_batch_that_takes_too_long_is_begun_again_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was saved of it is a repeat, so each time it comes further, and the loop turns in between."""
    driver = Driver(options=with_options(drain_budget_s=15.0))
    folded: list[str] = []

    def slowly(uid: str, items: Sequence[Item], held: Held, planning: Planning) -> Plan:
        made = plan(uid, items, held, planning)
        if made.folded:
            folded.append(uid)
            driver.clock.advance(1.0)
        return made

    monkeypatch.setattr(steps, "plan", slowly)
    uids = [f"e{number:02}" for number in range(40)]
    driver.pipe(*(status_reported("AVAILABLE", "12:00", uid=uid) for uid in uids))

    assert folded == uids
    assert {uid for uid in uids if driver.view(uid)["revision"] == 1} == set(uids)
    assert driver.instruments.given_up == 2
    assert driver.broker.group("evse-status").committed == {TopicPartition("evse.events", 0): 40}
