"""Why a window has no uptime: the rule of the domain, as those say it who see the published numbers alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import no_uptime
from schemas.snapshot import Window as Published
from service.domain.time import HOUR, SECOND, datetime_from
from service.domain.windows import MINIMUM_COUNTED, Window

amounts = st.integers(0, 400_000 * SECOND) | st.sampled_from([0, 1, HOUR - 1, HOUR])


def test_an_hour_is_an_hour_for_both() -> None:
    """The number and the words for its absence go by one limit."""
    assert no_uptime.MINIMUM_COUNTED == MINIMUM_COUNTED / SECOND


@given(amounts, amounts, amounts, amounts, amounts)
def test_exactly_null_has_a_reason(up: int, down: int, excluded: int, unobserved: int, out: int) -> None:
    """And it is true, though it is told from sums of floats."""
    window = Window("observed", 0, up + down + excluded + unobserved + out, up, down, excluded, unobserved)
    found = no_uptime.of_window(
        Published.model_validate(
            {
                "definition": "observed",
                "from": datetime_from(window.start),
                "until": datetime_from(window.end),
                "up_seconds": up / SECOND,
                "down_seconds": down / SECOND,
                "excluded_seconds": excluded / SECOND,
                "unobserved_seconds": unobserved / SECOND,
                "uptime": window.uptime,
                "coverage": window.coverage,
            }
        )
    )

    assert (found is None) == (window.uptime is not None)
    if found is not None:
        assert (found.brief == "all excluded") == (up + down == 0 and excluded >= HOUR)
        assert (found.brief == "not enough seen yet") == (0 < up + down + excluded < HOUR)
        assert (found.brief == "out of service") == (out > 0 == up + down + excluded + unobserved)


@pytest.mark.parametrize(
    ("counted", "words"), [(0.1 + 1799.9, "only 30 min 0 s"), (1799.9999999999998, "only 30 min 0 s")]
)
def test_what_was_seen_is_told_to_the_second(counted: float, words: str) -> None:
    """Sums of floats end just below it."""
    assert no_uptime.why_null(counted, 0, 86_400).sentence.startswith(words)
