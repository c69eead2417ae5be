"""What inventories, exclusions and gaps say, and how long superseded ones are kept."""

from __future__ import annotations

import pytest

from schemas.vocabulary import ExclusionReason
from service.domain.inventory import SUPERSEDED_KEPT, Declarations, Exclusion, Gap, Inventory

PLUG = {"standard": "IEC_62196_T2"}


def upserted(time: int, *uids: str, evse_id: str = "one") -> Inventory:
    """Give an inventory that names connectors."""
    return Inventory((time, time), {"evse_id": evse_id}, {uid: dict(PLUG) for uid in uids})


def test_without_an_inventory_nothing_is_known_and_everything_published() -> None:
    """A connector that no inventory ever named is kept."""
    declarations = Declarations()

    assert (declarations.evse, declarations.connectors) == ({}, None)
    assert declarations.is_published("c1")


def test_inventories_that_say_the_same_share_their_documents() -> None:
    """One sent every hour costs nothing."""
    declarations = Declarations()
    for time in (1, 2, 3):
        declarations.upsert(upserted(time, "c1"))

    first, _, last = declarations.inventories
    assert first.evse is last.evse
    assert first.connectors is last.connectors


def test_the_latest_inventory_stands() -> None:
    """By time and position; connectors by the latest that speaks of them."""
    declarations = Declarations()
    declarations.upsert(Inventory((9, 9), {"evse_id": "late"}, None))
    declarations.upsert(upserted(5, "c1", evse_id="early"))

    assert declarations.evse == {"evse_id": "late"}
    assert declarations.connectors == {"c1": PLUG}


def test_superseded_inventories_beyond_some_are_dropped_once_history_is_closed() -> None:
    """What they said of connectors, and whom they named, is not forgotten."""
    declarations = Declarations()
    declarations.upsert(upserted(1, "c1", "c2"))
    declarations.upsert(upserted(2, "c1"))
    for time in range(3, 4 + SUPERSEDED_KEPT):
        declarations.upsert(Inventory((time, time), {"evse_id": str(time)}, None))
    declarations.upsert(upserted(19, "c3"))

    declarations.settle(15, 0)

    kept = [2, *range(4, 4 + SUPERSEDED_KEPT), 19]
    assert [each.key[0] for each in declarations.inventories] == kept, "connectors stay as old as they are"
    assert declarations.inventories[0].connectors == {"c1": PLUG}
    assert declarations.named_before == {"c1", "c2"}
    assert not declarations.is_published("c2")
    assert declarations.is_published("c3")
    assert declarations.is_published("never named")


@pytest.mark.parametrize(("closed", "dropped"), [(2, 0), (5, 0), (6, 1), (99, 2)])
def test_superseded_exclusions_beyond_some_are_dropped_once_history_is_closed(
    closed: int, dropped: int
) -> None:
    """Those of the time still open are all kept, for a removal may come between them."""
    declarations = Declarations()
    versions = 3 + SUPERSEDED_KEPT
    for time in range(1, versions + 1):
        declarations.declare("x", Exclusion((time, time), withdrawn=False, until=50))

    declarations.settle(closed, 0)

    assert len(declarations.exclusions["x"]) == versions - dropped


def test_a_removal_dated_back_beyond_the_horizon_takes_a_withdrawal_back() -> None:
    """What it withdrew holds again: declarations obey no lateness (settled readings 3, 10 and 13)."""
    declarations = Declarations()
    declarations.declare("x", Exclusion((1, 1), withdrawn=False, until=None))
    declarations.declare("x", Exclusion((3, 2), withdrawn=True))
    declarations.settle(99, 0)

    declarations.remove_after((2, 3))

    assert declarations.standing("x") == Exclusion((1, 1), withdrawn=False, until=None)


@pytest.mark.parametrize(
    ("exclusion", "kept"),
    [
        (Exclusion((1, 1), withdrawn=True), False),
        (Exclusion((9, 9), withdrawn=True), True),
        (Exclusion((1, 1), withdrawn=False, until=5), False),
        (Exclusion((1, 1), withdrawn=False, until=8), True),
        (Exclusion((9, 9), withdrawn=False, until=5), True),
        (Exclusion((1, 1), withdrawn=False, until=None), True),
    ],
)
def test_an_exclusion_is_kept_as_long_as_days_are(exclusion: Exclusion, kept: bool) -> None:
    """An open one for ever, a withdrawal as long as what it withdrew could be told again."""
    declarations = Declarations()
    declarations.declare("x", exclusion)

    declarations.settle(0, 8)

    assert ("x" in declarations.exclusions) == kept


def test_declaring_tells_whether_what_holds_has_changed() -> None:
    """The words, not when they were said."""
    declarations = Declarations()
    told = [
        declarations.declare("x", exclusion)
        for exclusion in (
            Exclusion((5, 5), withdrawn=False, from_=1, until=2),
            Exclusion((6, 6), withdrawn=False, from_=1, until=2),
            Exclusion((4, 4), withdrawn=False, from_=7, until=8),
            Exclusion((7, 7), withdrawn=False, from_=1, until=2, reason=ExclusionReason.VANDALISM),
            Exclusion((8, 8), withdrawn=True),
            Exclusion((9, 9), withdrawn=True),
        )
    ]

    assert told == [True, False, False, True, True, False]
    assert declarations.standing("x") is None
    assert declarations.standing("y") is None
    assert declarations.all_standing() == {}


def test_gaps_are_merged_and_dropped_for_their_age() -> None:
    """By their end."""
    declarations = Declarations()
    new = [
        declarations.observe_gap(gap)
        for gap in (Gap(10, 20, (1, 1), "a"), Gap(12, 15, (2, 2), "b"), Gap(20, 30, (3, 3), "c"))
    ]
    assert new == [True, False, True]
    assert declarations.merged_gaps == [(10, 30)]

    declarations.settle(0, 21)

    assert declarations.merged_gaps == [(20, 30)]
    assert [gap.event_id for gap in declarations.gaps] == ["c"]


def test_a_removal_takes_back_what_applies_after_it() -> None:
    """What was superseded stands again."""
    declarations = Declarations()
    declarations.upsert(upserted(1, "c1"))
    declarations.upsert(upserted(9, "c2", evse_id="two"))
    declarations.declare("x", Exclusion((1, 1), withdrawn=False, from_=3))
    declarations.declare("x", Exclusion((9, 9), withdrawn=True))
    declarations.declare("y", Exclusion((9, 9), withdrawn=False))
    declarations.observe_gap(Gap(10, 20, (1, 1), "a"))
    declarations.observe_gap(Gap(15, 30, (9, 9), "b"))

    gone = declarations.remove_after((5, 5))

    assert [gap.event_id for gap in gone] == ["b"]
    assert declarations.evse == {"evse_id": "one"}
    assert list(declarations.all_standing()) == ["x"]
    assert declarations.merged_gaps == [(10, 20)]
    declarations.settle(99, 0)
    assert list(declarations.exclusions) == ["x"]


def test_connectors_that_are_kept_of_a_superseded_inventory_stay_as_old_as_they_are() -> None:
    """One that applies after them and arrives last stands, whatever was settled in between."""
    days = range(2, 2 + 2 * SUPERSEDED_KEPT + 4)
    first, backdated = upserted(0, "c1"), upserted(1, "c1", "c2")
    silent = [Inventory((day, day), {"evse_id": "one"}, None) for day in days]

    last, in_order = Declarations(), Declarations()
    for each in (first, *silent):
        last.upsert(each)
        last.settle(each.key[0], 0)
    last.upsert(backdated)
    for each in (first, backdated, *silent):
        in_order.upsert(each)

    assert last.connectors == in_order.connectors
    assert last.is_published("c2")
