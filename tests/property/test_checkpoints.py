"""What is folded again from a checkpoint is what would be folded from the base, to the last bit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import event, given
from hypothesis import strategies as st

from schemas.vocabulary import Status
from service.domain.checkpoints import Checkpoints
from service.domain.events import Event
from service.domain.fold import fold
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.domain.time import DAY, HOUR, MINUTE, SECOND, Micros
from service.domain.timeline import Timeline
from tests.oracle.drawn_events import DAY_S, Nastiness
from tests.oracle.strategies import logs
from tests.property.folding import Json, decoded, rules, tries
from tests.property.test_in_order import Drawn, steps, told

NASTY = Nastiness(span_s=3 * DAY_S, whole_seconds=False, reused_ids=True, max_events=40)


def of_the_first(state: EvseState, count: int) -> Timeline:
    """Fold so many of the recent items onto the base."""
    timeline = state.base.copy()
    for item in state.recent[:count]:
        timeline.apply(item, state.minutes)
    return timeline


def assert_all_is_what_the_base_gives(state: EvseState) -> None:
    """Every checkpoint and the tip; the order of amounts in a day, too, for they are written in it."""
    for each in state.checkpoints.kept:
        again = of_the_first(state, each.place)
        assert each.timeline == again
        assert repr(each.timeline) == repr(again)
    tip = of_the_first(state, len(state.recent))
    tip.settle((state.as_of + DAY, 0), state.minutes)
    assert state.tip == tip


def hold_to_the_base(events: Iterable[Event], using: Rules, checkpoints: Checkpoints) -> EvseState:
    """Fold with checkpoints close together, and compare after every event; one without any says the same."""
    state, without = EvseState("evse-1"), EvseState("evse-1")
    state.checkpoints = replace(checkpoints, kept=[])
    for each in events:
        without.checkpoints.forget_after(0)
        assert fold(state, each, using) == fold(without, each, using)
        assert state == without
        assert_all_is_what_the_base_gives(state)
    return state


apart = st.sampled_from(
    (Checkpoints(spacing=1, soon=1), Checkpoints(spacing=4, soon=2), Checkpoints(spacing=9))
)


@given(logs(NASTY), st.sampled_from((3_600, 43_200, 172_800)), apart)
@tries(0.4)
def test_checkpoints_are_what_the_base_gives_for_anything_that_comes(
    log: list[Json], lateness_s: int, checkpoints: Checkpoints
) -> None:
    """Late, out of order, twice, removed and declared."""
    state = hold_to_the_base(decoded(log), rules(lateness_s), checkpoints)
    event(f"checkpoints: {min(len(state.checkpoints.kept), 4)}")


late = st.tuples(
    st.sampled_from(
        ("status", "status", "online", "offline", "heartbeat", "silence", "inventory", "removal")
    ),
    st.sampled_from(("c1", "c2")),
    st.sampled_from((Status.AVAILABLE, Status.CHARGING, Status.OUTOFORDER)),
    st.none(),
    st.sampled_from((-MINUTE, -30 * MINUTE, -HOUR, -5 * HOUR, -20 * HOUR, SECOND, MINUTE)),
    st.sampled_from((0, HOUR, 20 * HOUR)),
)


@given(
    st.lists(st.one_of(steps, steps, late), min_size=10, max_size=60),
    st.sampled_from((HOUR, 48 * HOUR)),
    st.sampled_from((7, 4096)),
    apart,
)
@tries(0.4)
def test_checkpoints_are_what_the_base_gives_where_much_is_in_order_and_some_is_late(
    drawn: list[Drawn], lateness: Micros, limit: int, checkpoints: Checkpoints
) -> None:
    """Closing by the hour, by the day and by the limit included."""
    using = Rules(allowed_lateness=lateness, recent_limit=limit)
    state = hold_to_the_base(told(drawn), using, checkpoints)
    event(f"checkpoints: {min(len(state.checkpoints.kept), 4)}")


def test_a_late_report_has_its_verdict_wherever_checkpoints_stand() -> None:
    """One that says in its place what was said before it, and whose sign of life ends what came since."""
    available = Status.AVAILABLE
    drawn: list[Drawn] = [
        ("status", "c1", available, None, -MINUTE, 0),
        ("status", "c1", available, None, -MINUTE, 0),
        ("online", "c2", available, None, -MINUTE, 0),
        *[("status", None, available, None, 0, 0)] * 10,
        ("offline", None, available, None, 1, 0),
        ("online", "c2", available, None, -MINUTE, HOUR),
    ]

    hold_to_the_base(told(drawn), Rules(allowed_lateness=HOUR), Checkpoints(spacing=1, soon=1))
