"""The poller: what changed is found, however it changed, and memory is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import structlog

from schemas.vocabulary import Status
from service.dashboard.poller import PULSE_TURNS, Change, Poller
from service.dashboard.reach import Trouble
from service.dashboard.totals import Counts, total
from service.dashboard.wording import DAY, HOUR, MINUTE
from tests.unit.dashboard.memory import PRIVATE, MemoryView
from tests.unit.dashboard.seed import network
from tests.unit.dashboard.stories import NOW, Known, Seeded, Story, evse


def charger(uid: str, status: Status = Status.AVAILABLE, since: int = NOW - DAY, name: str = "") -> Seeded:
    """Make an EVSE of one connector that has a status since a time."""
    story = Story("c1")
    story.say(NOW - 34 * DAY, Status.AVAILABLE)
    story.say(since, status)
    return evse(uid, [story], Known(name=name))


async def until(reached: Callable[[], bool], view: MemoryView) -> None:
    """Wait through the poller's turns until something is so."""
    while not reached():
        view.asked.clear()
        await view.asked.wait()
        await asyncio.sleep(0)


async def polling(view: MemoryView, limit: int = 50_000) -> tuple[Poller, list[Change]]:
    """Give a poller that has read the list once, and what it publishes from then on."""
    poller = Poller(view, lambda: NOW, interval_s=0.001, limit=limit)
    while not poller.complete:
        await poller.turn()
    changes: list[Change] = []
    poller.publish = changes.append
    return poller, changes


async def test_a_change_is_published_at_the_next_turn() -> None:
    """With the row and the new totals."""
    view = MemoryView([charger("a"), charger("b")])
    poller, changes = await polling(view)
    view.put(charger("b", Status.OUTOFORDER, NOW - MINUTE))
    await poller.turn()
    (change,) = changes
    assert [(row.uid, row.status) for row in change.rows] == [("b", "OUTOFORDER")]
    assert change.totals is not None
    assert (change.totals.not_working, change.totals.connectors) == (1, 2)


async def test_a_change_far_from_the_newest_is_found_by_the_walk() -> None:
    """`last_updated` is a time of the EVSE: one silent since yesterday is not among the newest."""
    view = MemoryView([charger(f"e{number:04}") for number in range(600)])
    poller, changes = await polling(view)
    view.put(charger("e0590", Status.INOPERATIVE, NOW - 20 * HOUR))
    for _ in range(3):
        await poller.turn()
    assert [row.uid for change in changes for row in change.rows] == ["e0590"]


async def test_what_is_no_longer_listed_is_dropped() -> None:
    """At the end of the next walk, and browsers are told."""
    view = MemoryView([charger("a"), charger("b")])
    poller, changes = await polling(view)
    del view.evses["a"]
    await poller.turn()
    assert [change.gone for change in changes] == [("a",)]
    assert len(poller.fleet) == 1


async def test_a_document_that_cannot_be_read_costs_only_its_row() -> None:
    """The others are shown."""
    broken = charger("a")
    broken.document["snapshot"] = "{"
    poller, _ = await polling(MemoryView([broken, charger("b")]))
    assert [row.uid for row in poller.fleet.rows] == ["b"]


async def test_memory_is_bounded_by_keeping_what_changed_last() -> None:
    """Totals of EVSEs still count all of them."""
    evses = [charger(f"e{number:03}", since=NOW - (200 - number) * MINUTE) for number in range(200)]
    view = MemoryView(evses)
    poller, _ = await polling(view, limit=50)
    assert len(poller.fleet) <= 50
    assert min(row.uid for row in poller.fleet.rows) > "e149"
    assert poller.totals.counts.evses == 200
    view.read.clear()
    await poller.turn()
    assert len(view.read) <= 50
    view.put(charger("e000", Status.CHARGING, NOW - 1))
    await poller.turn()
    assert poller.fleet.get("e000") is not None


async def test_a_redis_that_does_not_answer_is_told_and_asked_again() -> None:
    """What is in memory stays, and the return is told too."""
    view = MemoryView([charger("a")])
    poller, changes = await polling(view)
    view.down = True
    running = asyncio.create_task(poller.run())
    await until(lambda: poller.trouble is not None, view)
    view.down = False
    await until(lambda: poller.trouble is None, view)
    poller.stop()
    await running
    assert changes[0] == Change(trouble=Trouble.SILENT)
    assert changes[-1] == Change()
    assert len(poller.fleet) == 1


async def test_what_keeps_the_view_from_being_read_is_logged_once_and_told_in_each_turn() -> None:
    """With what helps where waiting does not; a page that hears nothing would say that instead."""
    view = MemoryView([charger("a")])
    poller, changes = await polling(view)
    view.down = True
    with structlog.testing.capture_logs() as lines:
        running = asyncio.create_task(poller.run())
        for trouble in (Trouble.SILENT, Trouble.REFUSED):
            view.trouble, told = trouble, len(changes)
            await until(lambda told=told: len(changes) >= told + 5, view)  # type: ignore[misc]
        view.down = False
        await until(lambda: poller.trouble is None, view)
        poller.stop()
        await running
    assert [(line["log_level"], line["action"]) for line in lines] == [
        ("warning", "view_out_of_reach"),
        ("error", "view_out_of_reach"),
        ("info", "view_within_reach"),
    ]
    assert PRIVATE in lines[1]["error"]
    assert {change.trouble for change in changes} == {Trouble.SILENT, Trouble.REFUSED, None}


async def test_a_quiet_network_still_has_a_pulse() -> None:
    """A page can tell a quiet network from a poller that died."""
    poller, changes = await polling(MemoryView([charger("a")]))
    for _ in range(PULSE_TURNS + 1):
        await poller.turn()
    assert changes == [Change()]


async def test_totals_are_those_of_the_network() -> None:
    """Out of service counts in neither the connectors nor the mean."""
    planned, new, good = Story("c1"), Story("c1"), Story("c1")
    planned.say(NOW - 9 * DAY, Status.PLANNED, None)
    new.say(NOW - 30 * MINUTE, Status.AVAILABLE)
    good.say(NOW - 34 * DAY, Status.AVAILABLE)
    view = MemoryView(
        [evse("p", [planned]), evse("n", [new]), evse("g", [good]), charger("o", Status.OUTOFORDER)]
    )
    poller, _ = await polling(view)
    totals = poller.totals
    assert (totals.counts.evses, totals.in_service, totals.connectors, totals.rated) == (4, 3, 3, 2)
    assert totals.online_share == 1.0
    uptimes = [row.uptime for row in poller.fleet.rows if row.uptime is not None]
    assert totals.uptime == sum(uptimes) / 2


async def test_the_coverage_beside_the_mean_uptime_is_that_of_the_same_evses() -> None:
    """It weighs by time; who is not rated yet, and who is out of service, counts in neither of the two."""
    planned, new, seen, half = Story("c1"), Story("c1"), Story("c1"), Story("c1")
    for story in (planned, seen):
        story.say(NOW - 34 * DAY, Status.AVAILABLE)
    planned.say(NOW - 9 * DAY, Status.UNKNOWN)
    planned.say(NOW - HOUR, Status.PLANNED)
    new.say(NOW - 30 * MINUTE, Status.AVAILABLE)
    window = NOW - (NOW // DAY - 30) * DAY
    half.say(NOW - window // 2, Status.AVAILABLE)
    rated = [evse("s", [seen]), evse("h", [half])]
    totals = (await polling(MemoryView([*rated, evse("p", [planned]), evse("n", [new])])))[0].totals
    assert totals.rated == 2
    assert totals.coverage == pytest.approx(0.75, abs=1e-6)

    alone = (await polling(MemoryView(rated)))[0].totals
    assert (alone.uptime, alone.coverage) == (totals.uptime, totals.coverage)


def test_who_is_offline_does_not_work() -> None:
    """Down is down, whatever the status was before; an EVSE that is offline has none of the other words."""
    by_status = {"AVAILABLE": 4, "OUTOFORDER": 3, "INOPERATIVE": 2, "UNKNOWN": 6}
    counts = Counts(15, by_status, {"true": 8, "false": 5, "null": 2})

    assert total(counts, []).not_working == 10


async def test_the_whole_network_of_the_seed_is_read() -> None:
    """Forty-two EVSEs of every kind."""
    poller, _ = await polling(MemoryView(network(42)))
    assert len(poller.fleet) == 42
    assert sum(poller.totals.counts.by_status.values()) == 42
