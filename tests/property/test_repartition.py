"""However often, and for however many partitions all is laid out anew: the view is that of one partition."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.time import DAY
from tests.builders import Json, heartbeat, online_reported, removed, status_reported
from tests.driver import Driver, with_options
from tests.faults import Crash, When
from tests.repartitioning import Repartitioning, through_crash
from tests.unit.processing.test_restoring import lose
from tests.unit.test_repartition import history, shown, until

UIDS = [f"e{number}" for number in range(8)]

events = st.builds(
    lambda kind, uid, minute: kind(f"{minute // 60:02}:{minute % 60:02}", uid),
    st.sampled_from(
        [
            lambda at, uid: status_reported("AVAILABLE", at, uid=uid),
            lambda at, uid: status_reported("CHARGING", at, uid=uid),
            lambda at, uid: status_reported("OUTOFORDER", at, uid=uid, connector="c2"),
            lambda at, uid: online_reported(False, at, uid=uid),
            lambda at, uid: heartbeat(at, uid=uid),
            lambda at, uid: removed(at, uid=uid),
        ]
    ),
    st.sampled_from(UIDS),
    st.integers(0, 24 * 60 - 1),
)


@st.composite
def layouts(draw: st.DrawFn) -> list[tuple[list[Json], int, list[tuple[int, When, bool]]]]:
    """Draw what is told in each layout, how many partitions more the next one has, and what kills it."""
    faults = st.lists(st.tuples(st.integers(0, 90), st.sampled_from(When), st.booleans()), max_size=2)
    step = st.tuples(st.lists(events, max_size=15), st.integers(1, 3), faults)
    return draw(st.lists(step, min_size=1, max_size=3))


@settings(max_examples=25)
@given(first=st.integers(1, 3), steps=layouts(), last=st.lists(events, max_size=10))
def test_the_view_does_not_depend_on_the_layout(
    first: int, steps: list[tuple[list[Json], int, list[tuple[int, When, bool]]]], last: list[Json]
) -> None:
    """Told in several layouts, killed and robbed of Redis on the way, it is what one partition gives."""
    options = with_options(tick_interval_s=0.0, ingest_silent_after=400 * DAY)
    driver, expected = Driver(partitions=first, options=options), Driver(options=options)
    for told, more, faults in steps:
        driver.pipe(*told)
        expected.pipe(*told)
        driver.stop()
        first += more
        driver.extend(first)
        for call, when, loses in faults:
            driver.faults.arm(call, when, Crash())
            if not through_crash(driver, lambda: Repartitioning(driver).all_of_it()):
                driver.stop()
            elif loses:
                lose(driver)
            driver.faults.disarm()
        Repartitioning(driver).all_of_it()
    for each in (driver, expected):
        each.pipe(*last)
        until(each, 2)
        for _ in range(5):
            each.settle()

    assert shown(driver) == shown(expected)
    assert history(driver) == history(expected)
    assert driver.reasons() == []
