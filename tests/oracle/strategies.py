"""
Logs of one EVSE as nasty as the field's: ties, repeats, re-sent reports, wrong clocks, silence, removals.

Examples shrink towards few events at the start of the first day.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from tests.oracle.drawn_events import DAY_S, DRAWN_BY, UID, Nastiness, connector_names, sessions, written
from tests.oracle.log import Event, times

# More than any span, delay and wrong clock of a log of the usual size put together: within this lateness
# every order of arrival is in time.
LATENESS_OF_ALL_S = 30 * DAY_S


@st.composite
def logs(draw: st.DrawFn, nasty: Nastiness | None = None) -> list[dict[str, Any]]:
    """A log of one EVSE in order of arrival, of which at least one event is not rejected."""
    nasty = nasty or Nastiness()
    least = draw(st.sampled_from((1, nasty.max_events // 4, nasty.max_events // 2))) or 1
    kinds = draw(st.lists(st.sampled_from(nasty.kinds), min_size=least, max_size=nasty.max_events))
    events: list[dict[str, Any]] = []
    for kind in kinds:
        # The first connector twice, so that more than one thing happens to it.
        connector = draw(st.sampled_from(["c1", *connector_names(nasty)]))
        drawn = (
            draw(sessions(nasty, connector))
            if kind == "session"
            else [draw(DRAWN_BY[kind](nasty, connector))]
        )
        for body in drawn:
            number = len(events)
            used = draw(st.integers(max(0, number - 2), number)) if nasty.reused_ids else number
            events.append({"event_id": f"e{used}", "evse_uid": UID, **body})
    if all(times(event) is None for event in events):
        events.append(
            {"event_id": "first", "evse_uid": UID, "type": "evse.heartbeat", "received_at": written(0)}
        )
    if not nasty.shuffled or draw(st.booleans()):
        events.sort(key=lambda event: (times(event) or (0, 0))[1])
    if nasty.duplicates:
        events = draw(duplicate(events))
    return events


def share_a_time(one: Event, other: Event) -> bool:
    """Whether two events have an instant in common, so that their order in the log may decide something."""
    first, second = times(one), times(other)
    return first is not None and second is not None and bool(set(first) & set(second))


@st.composite
def permute(draw: st.DrawFn, events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Another order of arrival that keeps the order of events of the same time."""
    left = list(draw(st.permutations(range(len(events)))))
    arrived: list[dict[str, Any]] = []
    while left:
        chosen = next(
            each
            for each in left
            if not any(other < each and share_a_time(events[other], events[each]) for other in left)
        )
        left.remove(chosen)
        arrived.append(events[chosen])
    return arrived


@st.composite
def duplicate(draw: st.DrawFn, events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same log in which some events arrive again, anywhere after their first arrival."""
    arrived = list(events)
    for original in draw(st.lists(st.sampled_from(range(len(events))), max_size=4)) if events else []:
        first = next(place for place, event in enumerate(arrived) if event is events[original])
        arrived.insert(draw(st.integers(first + 1, len(arrived))), dict(events[original]))
    return arrived
