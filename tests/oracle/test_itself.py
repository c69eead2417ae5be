"""The oracle against itself, on logs as nasty as the field's."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle.builders import Json, at, heartbeat
from tests.oracle.drawn_events import Nastiness
from tests.oracle.log import SECOND, read
from tests.oracle.oracle import run
from tests.oracle.strategies import LATENESS_OF_ALL_S, duplicate, logs, permute

FEW_HOURS = Nastiness(span_s=6 * 3_600, max_delay_s=3_600)


@settings(max_examples=60, deadline=None)
@given(events=logs(FEW_HOURS))
def test_intervals_and_seconds_agree(events: list[Json]) -> None:
    """The two ways of counting share nothing but the story."""
    now = run(events).as_of
    start = f"{datetime.fromtimestamp(now / SECOND - 8 * 3_600, UTC):%Y-%m-%dT%H:%M:%SZ}"
    until = f"{datetime.fromtimestamp(now / SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}"

    assert run(events, window=(start, until)) == run(events, window=(start, until), second_by_second=True)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), events=logs(Nastiness(whole_seconds=False)))
def test_neither_order_of_arrival_nor_duplicates_matter(data: st.DataObject, events: list[Json]) -> None:
    """Within the allowed lateness (P2)."""
    expected = run(events, allowed_lateness_s=LATENESS_OF_ALL_S)

    arrived = data.draw(permute(data.draw(duplicate(events))))

    assert expected == run(arrived, allowed_lateness_s=LATENESS_OF_ALL_S)


@settings(max_examples=100, deadline=None)
@given(events=logs(Nastiness(whole_seconds=False, reused_ids=True)))
def test_the_accounts_close(events: list[Json]) -> None:
    """The four kinds of time are never more than the window; there is a verdict for every event."""
    result = run(events)

    assert len(events) == len(result.verdicts)
    for each in [result.port, *(connector.window for connector in result.connectors.values())]:
        total = each.up + each.down + each.excluded + each.unobserved
        assert 0 <= total <= each.until - each.start
    for connector in result.connectors.values():
        assert connector.reliability.value is None or 0 < connector.reliability.value < 10


def test_positions_may_be_given() -> None:
    """A file numbers its own lines."""
    log = read([(7, heartbeat(at("10:00"))), (9, heartbeat(at("11:00")))], None, 0)

    assert [entry.position for entry in log.entries] == [7, 9]
