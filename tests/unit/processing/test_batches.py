"""However a log is cut into batches and restarts, the view is the same, bit for bit."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.rules import Rules
from service.domain.time import HOUR
from tests.builders import Json
from tests.driver import Driver, with_options
from tests.oracle.strategies import logs
from tests.unit.processing.test_crashes import outcome

RULES = Rules(allowed_lateness=6 * HOUR)
"""A short lateness, so that much of a log lies behind the horizon."""


@st.composite
def fleets(draw: st.DrawFn) -> list[Json]:
    """The logs of up to three EVSEs, mixed."""
    written = [
        [event | {"evse_uid": uid} for event in draw(logs())]
        for uid in draw(st.sampled_from(["a", "ab", "abc"]))
    ]
    mixed = []
    while written:
        log = draw(st.sampled_from(written))
        mixed.append(log.pop(0))
        written = [each for each in written if each]
    return mixed


@settings(max_examples=60)
@given(events=fleets(), cuts=st.lists(st.integers(0, 60), max_size=5), batch=st.integers(1, 20))
def test_the_view_is_the_same_whatever_the_batches(events: list[Json], cuts: list[int], batch: int) -> None:
    """One batch of everything, against batches of any size with restarts between them."""
    whole = Driver(partitions=2, rules=RULES, options=with_options(max_rejections_in_a_row=0))
    whole.pipe(*events)

    cut = Driver(
        partitions=2, rules=RULES, options=with_options(max_batch_records=batch, max_rejections_in_a_row=0)
    )
    for place, event in enumerate(events):
        cut.write(event)
        if place in cuts:
            cut.settle()
            cut.crash()
            cut.restart()
    cut.settle()

    assert outcome(cut) == outcome(whole)
