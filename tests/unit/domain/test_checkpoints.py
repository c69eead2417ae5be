"""Where checkpoints are kept, and which are dropped."""

from __future__ import annotations

from itertools import pairwise

from service.domain.checkpoints import SOON, SPACING, Checkpoints
from service.domain.timeline import Timeline


def places(checkpoints: Checkpoints) -> list[int]:
    """Give where they lie."""
    return [each.place for each in checkpoints.kept]


def passed(checkpoints: Checkpoints, until: int, late: int = -1) -> Checkpoints:
    """Fold so many items, one of which goes in late."""
    for place in range(until):
        checkpoints.add_if_due(place, Timeline(), returns=place == late)
    return checkpoints


def test_they_are_made_at_a_distance_and_where_a_late_item_goes_in() -> None:
    """Of an EVSE that says little there are none."""
    assert places(passed(Checkpoints(), SPACING)) == []
    assert places(passed(Checkpoints(), SPACING, late=SOON - 1)) == []
    assert places(passed(Checkpoints(), SPACING, late=SOON)) == [SOON]
    assert places(passed(Checkpoints(), 600)) == [256, 512]
    assert places(passed(Checkpoints(), 600, late=300)) == [256, 300, 556]


def test_however_many_late_items_go_in_there_are_few() -> None:
    """From one to the next but one lie more items than the spacing."""
    checkpoints = Checkpoints()
    for late in range(8_000, 10, -37):
        checkpoints.forget_after(late)
        passed(checkpoints, 8_192, late)
        assert all(
            b - a > SPACING for a, b in zip(places(checkpoints), places(checkpoints)[2:], strict=False)
        )
    for late in range(10, 8_000, 37):
        checkpoints.forget_after(late)
        for place in range(places(checkpoints)[-1] if checkpoints.kept else 0, 8_192):
            checkpoints.add_if_due(place, Timeline(), returns=place == late)
        assert all(a < b for a, b in pairwise(places(checkpoints)))
    assert len(checkpoints.kept) <= 2 * 8_192 / SPACING


def test_they_move_with_the_items_and_those_that_went_into_the_base_are_dropped() -> None:
    """A late item that changes little moves those behind it; any other drops them."""
    checkpoints = passed(Checkpoints(), 1_100)
    assert places(checkpoints) == [256, 512, 768, 1024]

    behind = checkpoints.move_on(512)
    assert places(checkpoints) == [256, 512, 769, 1025]
    assert behind == [checkpoints.kept[2].timeline, checkpoints.kept[3].timeline]
    assert [each and each.place for each in map(checkpoints.last_before, (255, 256, 768, 5_000))] == [
        None,
        256,
        512,
        1025,
    ]
    checkpoints.move_back(300)
    assert places(checkpoints) == [212, 469, 725]
    checkpoints.move_back(212)
    assert places(checkpoints) == [257, 513]
    checkpoints.forget_after(400)
    assert places(checkpoints) == [257]
    checkpoints.forget_after(0)
    assert checkpoints.last() is None
