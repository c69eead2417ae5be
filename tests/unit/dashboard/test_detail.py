"""One EVSE's page, assembled: the drawing agrees with the numbers it stands beside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

import orjson
import pytest

from schemas import view
from schemas.vocabulary import Status, TimeClass
from service.dashboard.detail import EvsePage, evse_page
from service.dashboard.kept import read_kept
from service.dashboard.outages import End, Listing, alike, end_of
from service.dashboard.reading import Stored
from service.dashboard.timeline import tally
from service.dashboard.wording import DAY, HOUR, MINUTE, SECOND
from tests.unit.dashboard.memory import stored_of
from tests.unit.dashboard.seed import network
from tests.unit.dashboard.stories import NOW, Known, Seeded, Story, evse, stamp


def assembled(seeded: Seeded, *, now: int = NOW, all_outages: bool = False) -> EvsePage:
    """Assemble the page of an EVSE that is whole."""
    page = evse_page(seeded.uid, stored_of(seeded), now, all_outages=all_outages)
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
    assert [(line.kind, line.partly) for line in page.outages] == [
        (TimeClass.DOWN, ()),
        (TimeClass.UNOBSERVED, ()),
        (TimeClass.DOWN, (TimeClass.EXCLUDED,)),
        (TimeClass.EXCLUDED, ()),
    ]
    assert [period.connectors for period in page.exclusions] == [("c1",)] * 3


T = TypeVar("T")


class Counted(list[T]):
    """A list that counts how often it is gone through."""

    def __init__(self, values: Iterable[T]) -> None:
        super().__init__(values)
        self.times = 0

    def __iter__(self) -> Iterator[T]:
        self.times += 1
        return super().__iter__()


def test_what_is_declared_is_gone_through_once_however_many_outages_are_listed() -> None:
    """A page that lists thousands of them beside hundreds of exclusions answers nobody else meanwhile."""
    story = Story("c1", "Gun A")
    story.say(NOW - 34 * DAY, Status.AVAILABLE)
    for number in range(50):
        story.say(NOW - 20 * DAY + number * HOUR, Status.OUTOFORDER)
        story.say(NOW - 20 * DAY + number * HOUR + 5 * MINUTE, Status.AVAILABLE)
    excused = {
        str(day): {
            "from": stamp(NOW - day * DAY),
            "until": None if day == 1 else stamp(NOW - day * DAY + 2 * HOUR),
            "reason": "vandalism",
            "connector_uids": None,
            "note": None,
        }
        for day in range(1, 41)
    }
    gaps = [(NOW - 19 * DAY, NOW - 19 * DAY + 2 * HOUR)]
    kept = read_kept(stored_of(evse("e", [story], Known(exclusions=excused, gaps=gaps))))
    kept.exclusions, kept.gaps = exclusions, missed = Counted(kept.exclusions), Counted(kept.gaps)
    listing = Listing("e", kept, {}, NOW)
    kinds = Counter(listing.line(group).kind for group in alike(kept.outages))
    assert kinds == {TimeClass.DOWN: 44, TimeClass.EXCLUDED: 4, TimeClass.UNOBSERVED: 2}
    assert (exclusions.times, missed.times) == (1, 1)


def test_an_outage_in_a_gap_was_not_seen() -> None:
    """As a whole it is not observed; in part it is down, and says so."""
    story = Story("c1", "Gun A")
    story.say(NOW - 34 * DAY, Status.AVAILABLE)
    for days in (9, 7):
        story.say(NOW - days * DAY, Status.OUTOFORDER)
        story.say(NOW - days * DAY + 2 * HOUR, Status.AVAILABLE)
    gaps = [(NOW - 9 * DAY - HOUR, NOW - 9 * DAY + HOUR), (NOW - 7 * DAY, NOW - 6 * DAY)]
    page = assembled(evse("e", [story], Known(gaps=gaps)))
    assert [(line.kind, line.partly) for line in page.outages] == [
        (TimeClass.UNOBSERVED, ()),
        (TimeClass.DOWN, (TimeClass.UNOBSERVED,)),
    ]


def silent_since(at: int, *, online: bool = False) -> Seeded:
    """Make an EVSE that has gone no further than a time, at which it was declared offline, or not."""
    story = Story("c1", "Gun A")
    story.say(at - 34 * DAY, Status.AVAILABLE)
    story.say(at - 5 * MINUTE, Status.AVAILABLE, online=online)
    return evse("e:1", [story], now=at)


def test_an_ongoing_outage_lasts_until_now() -> None:
    """However long ago the EVSE got so far, in the list and in the drawing."""
    page = assembled(silent_since(NOW - 7 * HOUR), now=NOW)
    (line,) = page.outages
    assert (line.until, line.length) == (None, 7 * HOUR + 5 * MINUTE)
    assert page.period[1] == NOW - 7 * HOUR
    for drawn in (page.port, page.connectors[0].lane):
        last = drawn.segments[-1]
        assert (last.value, last.start, last.until) == (TimeClass.DOWN, NOW - 7 * HOUR - 5 * MINUTE, NOW)


def test_what_was_up_is_not_observed_since() -> None:
    """Until the EVSE is heard, or the numbers are computed anew, nothing says that it still is."""
    page = assembled(silent_since(NOW - 20 * MINUTE, online=True), now=NOW)
    for drawn in (page.port, page.connectors[0].lane):
        assert [(span.value, span.until) for span in drawn.segments] == [
            (TimeClass.UP, NOW - 20 * MINUTE),
            (TimeClass.UNOBSERVED, NOW),
        ]


@pytest.mark.parametrize(("status", "removed"), [(Status.REMOVED, True), (Status.OUTOFORDER, False)])
def test_the_drawing_of_an_evse_that_is_history_ends_with_its_numbers(
    status: Status, *, removed: bool
) -> None:
    """Removed, or heard long ago and not renewed by a slow tick: its thirty days stay thirty."""
    as_of = NOW - 200 * DAY
    story = Story("c1", "Gun A")
    story.say(as_of - 34 * DAY, Status.AVAILABLE)
    story.say(as_of - HOUR, status)
    page = assembled(evse("e", [story], Known(removed_at=as_of - HOUR if removed else None), now=as_of))
    (part,) = page.connectors
    assert not page.is_current
    for lane, window in ((part.lane, part.window), (page.port, page.window)):
        assert lane.window == page.period
        assert len(lane.days) == 31
        times = tally(lane.segments, *lane.window)
        for kind in (TimeClass.UP, TimeClass.DOWN, TimeClass.EXCLUDED, TimeClass.UNOBSERVED):
            assert times.get(kind, 0) / SECOND == pytest.approx(window[f"{kind}_seconds"])
    (line,) = page.outages
    assert (line.until, line.length) == (None, 200 * DAY + HOUR)


def test_an_evse_that_was_removed_today_is_drawn_until_its_numbers_end() -> None:
    """However fresh they are: nothing of it is awaited."""
    story = Story("c1", "Gun A")
    story.say(NOW - 34 * DAY, Status.AVAILABLE)
    story.say(NOW - 5 * HOUR, Status.REMOVED)
    seeded = evse("e", [story], Known(removed_at=NOW - 5 * HOUR), now=NOW - 4 * HOUR)
    assert assembled(seeded).port.window[1] == NOW - 4 * HOUR


def test_a_new_connector_was_known_since_its_first_word() -> None:
    """Its first day's seconds end where the EVSE got to, which is not now."""
    story = Story("c1", "Gun A")
    story.say(NOW - HOUR, Status.AVAILABLE)
    page = assembled(evse("e", [story], now=NOW - 20 * MINUTE), now=NOW)
    assert [(span.value, span.until) for span in page.port.segments] == [
        (TimeClass.UNOBSERVED, NOW - HOUR),
        (TimeClass.UP, NOW - 20 * MINUTE),
        (TimeClass.UNOBSERVED, NOW),
    ]


def test_a_gap_is_drawn_though_the_evse_got_no_further() -> None:
    """It covers what was down."""
    seeded = silent_since(NOW - 7 * HOUR)
    seeded.gaps = [
        (NOW - 2 * HOUR, f'{{"from": "{stamp(NOW - 3 * HOUR)}", "until": "{stamp(NOW - 2 * HOUR)}"}}')
    ]
    page = assembled(seeded, now=NOW)
    assert [(span.value, span.until) for span in page.port.segments[1:]] == [
        (TimeClass.DOWN, NOW - 3 * HOUR),
        (TimeClass.UNOBSERVED, NOW - 2 * HOUR),
        (TimeClass.DOWN, NOW),
    ]


@pytest.mark.parametrize("behind", [0, 200 * DAY])
def test_a_gap_of_the_window_is_never_drawn_up(behind: int) -> None:
    """However long ago the EVSE got so far, as without a slow tick: its window is as old as its numbers."""
    as_of = NOW - behind
    story = Story("c1", "Gun A")
    story.say(as_of - 34 * DAY, Status.AVAILABLE)
    old, late = ((as_of - days * DAY, as_of - days * DAY + HOUR) for days in (33, 20))
    seeded = evse("e", [story], Known(gaps=[old, late]), now=as_of)
    page = assembled(seeded)
    (part,) = page.connectors
    unseen = [(span.start, span.until) for span in part.lane.segments if span.value is TimeClass.UNOBSERVED]
    assert unseen[0] == late
    times = tally(part.lane.segments, *page.period)
    assert times[TimeClass.UNOBSERVED] / SECOND == part.window["unobserved_seconds"]

    assert [period.start for period in page.gaps] == [late[0]]
    assert page.gaps_before == 1
    page = assembled(seeded, all_outages=True)
    assert [period.start for period in page.gaps] == [late[0], old[0]]


def test_an_outage_before_the_window_lies_in_the_gap_that_it_lay_in() -> None:
    """All that is kept is listed with all that is kept of gaps."""
    story = Story("c1", "Gun A")
    story.say(NOW - 300 * DAY, Status.AVAILABLE)
    story.say(NOW - 200 * DAY, Status.OUTOFORDER)
    story.say(NOW - 200 * DAY + HOUR, Status.AVAILABLE)
    gaps = [(NOW - 201 * DAY, NOW - 199 * DAY)]
    (line,) = assembled(evse("e", [story], Known(gaps=gaps)), all_outages=True).outages
    assert line.kind is TimeClass.UNOBSERVED


def test_time_of_which_not_all_was_read_is_not_observed() -> None:
    """Any of it may have been down, or lain in a gap: it is never drawn up, and the page says so."""
    story = Story("c1", "Gun A")
    story.say(NOW - 34 * DAY, Status.AVAILABLE)
    read = replace(stored_of(evse("e", [story])), complete_from=NOW - 9 * DAY)
    page = evse_page("e", read, NOW)
    assert page is not None
    for lane in (page.port, page.connectors[0].lane):
        assert [(span.value, span.until) for span in lane.segments] == [
            (TimeClass.UNOBSERVED, NOW - 9 * DAY),
            (TimeClass.UP, NOW),
        ]
    assert page.undrawn_until == NOW - 9 * DAY

    page = evse_page("e", replace(read, complete_from=NOW - 33 * DAY), NOW)
    assert page is not None
    assert page.undrawn_until is None


def test_the_time_before_anything_was_heard_never_began() -> None:
    """The view has it since 1970, which is no time to show."""
    story = Story("c1", "Gun A")
    story.say(0, None, None)
    story.say(NOW - 3 * DAY, Status.AVAILABLE)
    (line,) = assembled(evse("e", [story])).outages
    assert (line.start, line.length, line.until) == (None, None, NOW - 3 * DAY)
    assert line.kind is TimeClass.UNOBSERVED


def test_the_end_of_an_outage_is_told_in_words() -> None:
    """Silence by when something was heard last, a heartbeat without a place, an id without the uid."""
    seen = view.Cause(event_id="silence:e:1:2026-01-30T06:54:00.5Z", position=17)
    told = End("nothing heard since 30 Jan, 06:54:00", seen.event_id or "", "at 17", is_told=True)
    assert end_of("e:1", seen) == told
    assert end_of("e:1", view.Cause(event_id=None, position=-1)) == End("a heartbeat", is_told=True)
    later = (3 << 56) + (1 << 48) + 5
    assert end_of("e:1", view.Cause(event_id="e:1:9", position=later)) == End(
        "…:9", "e:1:9", "at 5 of input topic 2 of epoch 3"
    )
    odd = view.Cause(event_id="silence:e:1:nonsense", position=2)
    assert end_of("e:1", odd) == End("silence:e:1:nonsense", "silence:e:1:nonsense", "at 2")
    assert end_of("e:1", None) is None


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
    assert (part.name, part.taken_out, part.window["uptime"]) == ("c9", True, 1.0)


def test_a_document_that_is_not_whole_has_no_page() -> None:
    """A hash without a snapshot is as good as none."""
    assert evse_page("e", Stored({"status": "AVAILABLE"}), NOW) is None
