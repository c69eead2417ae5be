"""What goes with a base is what the view would show if the state were unpacked and rendered anew."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.definitions import OBSERVED
from service.domain.fold import fold
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.domain.time import micros_of_text
from service.processing import ledger, shown, storing
from service.processing.closing import Closing
from service.processing.ledger import Base, Kind
from service.processing.outputs import Topics
from service.processing.planning import rewrite
from service.processing.rendering import all_entries
from service.processing.states import Held
from service.processing.values import Position, StoredEvse, ViewWrite
from tests.builders import online_reported, status_reported
from tests.oracle.drawn_events import DAY_S, Nastiness
from tests.oracle.strategies import logs
from tests.property.folding import Json, decoded, rules, tries

FINE = Nastiness(whole_seconds=False, max_events=14)
LONG = Nastiness(span_s=9 * DAY_S, whole_seconds=False, max_events=20, max_delay_s=12 * 3_600)
LATENESSES = st.sampled_from((3_600, 43_200, 172_800))
PARTITION = 3


def lived(log: list[Json], using: Rules) -> EvseState:
    """Fold a log, and take it for saved."""
    state = EvseState("evse-1", partition=PARTITION)
    for event in decoded(log):
        fold(state, event, using)
    state.unsaved.clear()
    state.verdicts = [(state.as_of, 7, "corrected")]
    return state


def base_of(state: EvseState, using: Rules) -> Base:
    """Give the base of a state as the ledger holds it."""
    held = Held(state, Position(0, (7,), state.as_of), stored=True)
    made = Closing(Topics.with_prefix("evse.", "test"), using).base("evse-1", held)
    return ledger.read_base(made.messages[-1].value or b"")


def rendered_anew(base: Base, state: EvseState, using: Rules) -> ViewWrite:
    """Give the write of a base whose state is unpacked, with the closed history that ledger and view hold."""
    days: dict[str, bytes] = {}
    outages: list[tuple[int, bytes]] = []
    for key, value in all_entries(state):
        if key[0] == Kind.DAY:
            days["/".join(key[2:])] = orjson.dumps(value)
        elif key[0] == Kind.OUTAGE:
            outages.append((micros_of_text(key[4]), orjson.dumps(value)))
    stored = StoredEvse(base.position, base.state, b"", days, [outage for _, outage in sorted(outages)])
    return rewrite("evse-1", Held(storing.restore(stored), base.position), using, replace=True)


@given(st.one_of(logs(FINE), logs(LONG)), LATENESSES)
@tries(0.4)
def test_what_goes_with_a_base_is_what_would_be_rendered_anew(log: list[Json], lateness_s: int) -> None:
    """Every field of the write, the state included, but exclusions that are not there either way."""
    using = rules(lateness_s)
    state = lived(log, using)
    base = base_of(state, using)

    kept = shown.unpack("evse-1", PARTITION, base, base.position, using)

    anew = rendered_anew(base, state, using)
    anew.exclusions = {key: value for key, value in anew.exclusions.items() if value is not None}
    assert kept is not None
    assert kept == replace(anew, gaps=list(anew.gaps), verdicts=list(anew.verdicts))


STATE = lived([], rules())


def test_another_rendering_is_another_version() -> None:
    """Else bases of before would show a restored view in the old way: raise `shown._VERSION` with this."""
    told = [
        status_reported("AVAILABLE", "06:00"),
        online_reported(False, "07:00"),
        status_reported("CHARGING", "08:00", error_code="GroundFailure"),
    ]
    whole = rewrite("e1", Held(lived(told, rules()), Position(0, (7,), 0)), rules(), replace=True)
    said = b"\0".join((*whole.document.values(), whole.vitals))

    assert (shown._VERSION, sha256(said).hexdigest()[:16]) == (1, "23e35d0b8440854d")


@pytest.mark.parametrize("partition", [0, 2])
def test_an_evse_that_comes_from_another_partition_is_rendered_anew(partition: int) -> None:
    """Its document says where it lives."""
    base = base_of(STATE, rules())

    assert shown.unpack("evse-1", partition, base, base.position, rules()) is None


@pytest.mark.parametrize(
    "other",
    [
        rules(status_rule="another"),
        rules(definitions=(OBSERVED, replace(OBSERVED, name="another"))),
    ],
)
def test_what_was_rendered_in_another_way_is_rendered_anew(other: Rules) -> None:
    """Another order of statuses, or other definitions, are published since."""
    base = base_of(STATE, rules())

    assert shown.unpack("evse-1", PARTITION, base, base.position, other) is None


def test_a_base_that_says_nothing_of_the_view_is_rendered_anew() -> None:
    """As all do that were written before bases did."""
    base = replace(base_of(STATE, rules()), shown=b"")

    assert shown.unpack("evse-1", PARTITION, base, base.position, rules()) is None


def test_an_evse_whose_events_came_from_other_topics_is_rendered_anew() -> None:
    """Its state has to be told of them."""
    base = replace(base_of(STATE, rules()), topics=("older.events",))

    assert shown.unpack("evse-1", PARTITION, base, base.position, rules()) is None


def test_what_would_make_a_record_too_large_is_left_out() -> None:
    """With thousands of outages of which each has a text of its own; the state alone fits."""
    whole = rewrite("evse-1", Held(STATE, Position(0, (7,), 0)), rules(), replace=True)
    texts = b"".join(b"%x" % (number * 0x9E3779B97F4A7C15) for number in range(10_000))
    whole.document = {**whole.document, "recent": texts}

    assert shown.pack(whole, rules()) == b""
