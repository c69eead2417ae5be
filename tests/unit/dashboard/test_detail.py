"""One EVSE's page, assembled: the drawing agrees with the numbers it stands beside."""

from __future__ import annotations

import orjson
import pytest

from schemas.vocabulary import Status, TimeClass
from service.dashboard.detail import EvsePage, evse_page
from service.dashboard.reading import Stored
from service.dashboard.timeline import tally
from service.dashboard.wording import DAY, HOUR, MINUTE, SECOND
from tests.unit.dashboard.seed import network
from tests.unit.dashboard.stories import NOW, Known, Seeded, Story, evse, stamp


def stored(seeded: Seeded) -> Stored:
    """Give an EVSE as the view gives it."""
    lines = [line for _, line in sorted(seeded.outages, reverse=True)]
    gaps = [line for _, line in seeded.gaps]
    return Stored(seeded.document, seeded.days, lines, seeded.exclusions, gaps)


def assembled(seeded: Seeded, *, all_outages: bool = False) -> EvsePage:
    """Assemble the page of an EVSE that is whole."""
    page = evse_page(seeded.uid, stored(seeded), all_outages=all_outages)
    assert page is not None
    return page


@pytest.mark.parametrize("seeded", network(21), ids=lambda seeded: seeded.uid)
def test_the_drawing_has_the_times_that_the_numbers_have(seeded: Seeded) -> None:
    """Each kind of time of each connector and of the port, to the second."""
    page = assembled(seeded)
    drawn = [(part.lane, part.window) for part in page.connectors]
    for lane, window in [*drawn, (page.port, page.window)]:
        times = tally(lane.segments, *lane.window)
        for kind in (TimeClass.UP, TimeClass.DOWN, TimeClass.EXCLUDED, TimeClass.UNOBSERVED):
            assert times.get(kind, 0) / SECOND == pytest.approx(window[f"{kind}_seconds"]), (
                lane.title,
                kind,
            )


def test_closed_and_recent_history_are_one() -> None:
    """A day that lies in both is the sum, and an outage of either is listed."""
    story = Story("c1", "Gun A")
    story.say(NOW - 34 * DAY, Status.AVAILABLE)
    story.say(NOW - 10 * DAY, Status.OUTOFORDER, error="E1")
    story.say(NOW - 9 * DAY, Status.AVAILABLE)
    story.say(NOW - 2 * DAY - HOUR, Status.CHARGING)
    story.say(NOW - 2 * DAY + HOUR, Status.AVAILABLE)
    story.say(NOW - HOUR, Status.OUTOFORDER, error="E2")
    page = assembled(evse("e", [story]))
    assert [(line.outage.error_code, line.until is None, line.length) for line in page.outages] == [
        ("E2", True, HOUR),
        ("E1", False, DAY),
    ]
    (used,) = [day for day in page.connectors[0].lane.days if day.in_use]
    assert used.start == (NOW - 2 * DAY) // DAY * DAY
    assert used.in_use == pytest.approx(2 / 24)


def test_an_outage_says_what_it_counts_as() -> None:
    """Excluded as a whole or in part, down, or unobserved."""
    story = Story("c1", "Gun A")
    story.say(NOW - 34 * DAY, Status.AVAILABLE)
    for days, status in (
        (9, Status.OUTOFORDER),
        (7, Status.OUTOFORDER),
        (5, Status.UNKNOWN),
        (3, Status.INOPERATIVE),
    ):
        story.say(NOW - days * DAY, status)
        story.say(NOW - days * DAY + 2 * HOUR, Status.AVAILABLE)
    excused = {
        name: {
            "from": stamp(NOW - days * DAY),
            "until": stamp(NOW - days * DAY + length),
            "reason": "vandalism",
            "connector_uids": ["c1"],
            "note": None,
        }
        for name, days, length in (("whole", 9, 3 * HOUR), ("part", 7, HOUR), ("other", 5, DAY))
    }
    page = assembled(evse("e", [story], Known(exclusions=excused)))
    assert [(line.kind, line.partly_excluded) for line in page.outages] == [
        (TimeClass.DOWN, False),
        (TimeClass.UNOBSERVED, False),
        (TimeClass.DOWN, True),
        (TimeClass.EXCLUDED, False),
    ]
    assert [period.connectors for period in page.exclusions] == [("c1",)] * 3


def test_what_befell_several_connectors_alike_is_one_line() -> None:
    """The link was down for both; what only one of them had is a line of its own."""
    stories = [Story("c1", "Gun A"), Story("c2", "Gun B")]
    for story in stories:
        story.say(NOW - 34 * DAY, Status.AVAILABLE)
        story.say(NOW - 3 * HOUR, Status.AVAILABLE, online=False)
        story.say(NOW - 2 * HOUR, Status.AVAILABLE)
    stories[0].say(NOW - HOUR, Status.OUTOFORDER)
    seeded = evse("e", stories)
    recent = orjson.loads(seeded.document["recent"])
    for part in recent["connectors"].values():
        for line in part["outages"]:
            line |= {"began_by": None, "ended_by": None}
    seeded.document["recent"] = orjson.dumps(recent).decode()
    page = assembled(seeded)
    assert [line.connectors for line in page.outages] == [("Gun A",), ("Gun A", "Gun B")]


def test_outages_before_the_window_are_listed_when_asked_for() -> None:
    """The page shows those of the window, and says how many more are kept."""
    story = Story("c1")
    story.say(NOW - 90 * DAY, Status.AVAILABLE)
    for days in (80, 60, 4):
        story.say(NOW - days * DAY, Status.OUTOFORDER)
        story.say(NOW - days * DAY + 5 * MINUTE, Status.AVAILABLE)
    seeded = evse("e", [story])
    page = assembled(seeded)
    assert (len(page.outages), page.outages_before) == (1, 2)
    page = assembled(seeded, all_outages=True)
    assert (len(page.outages), page.outages_before) == (3, 0)


def test_a_connector_not_heard_yet_is_unobserved() -> None:
    """Nothing is claimed of it, and its status is not called unknown: there was none."""
    page = assembled(evse("e", [Story("c1")]))
    (part,) = page.connectors
    assert part.status is None
    assert [span.value for span in part.lane.segments] == [TimeClass.UNOBSERVED]
    assert part.window["uptime"] is None


def test_an_evse_without_connectors_has_a_page() -> None:
    """Its port is unobserved."""
    page = assembled(evse("e", []))
    assert page.connectors == []
    assert [span.value for span in page.port.segments] == [TimeClass.UNOBSERVED]


def test_a_connector_that_left_the_inventory_keeps_its_history() -> None:
    """It is shown by its uid."""
    story = Story("c9", "Gun Z")
    story.say(NOW - 34 * DAY, Status.AVAILABLE)
    seeded = evse("e", [story])
    snapshot = orjson.loads(seeded.document["snapshot"])
    snapshot["evse"]["connectors"] = []
    seeded.document["snapshot"] = orjson.dumps(snapshot).decode()
    (part,) = assembled(seeded).connectors
    assert (part.name, part.window["uptime"]) == ("c9", 1.0)


def test_a_document_that_is_not_whole_has_no_page() -> None:
    """A hash without a snapshot is as good as none."""
    assert evse_page("e", Stored({"status": "AVAILABLE"})) is None
