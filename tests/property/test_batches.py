"""However a log is cut into batches, with a save and a load at every cut, the same comes out (promise P1)."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date
from random import Random

from hypothesis import given

from schemas.view import parse_day_field
from service.domain.events import Event
from service.domain.fold import fold
from service.domain.outcomes import Folded
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.domain.time import DAY
from service.processing.rendering import document
from service.processing.storing import pack_state, restore
from service.processing.values import Position, StoredEvse
from tests.oracle.drawn_events import DAY_S, Nastiness
from tests.oracle.strategies import logs
from tests.property.arrivals import SEEDS
from tests.property.folding import Json, decoded, folded, ledger, rules, tries, view

FINE = Nastiness(whole_seconds=False, max_events=14)
LONG = Nastiness(span_s=9 * DAY_S, whole_seconds=False, max_events=20, max_delay_s=12 * 3_600)
CUTS = 3


@dataclass
class Shelf:
    """Keeps what a save writes, as the view does: closed outages and gaps are sets in order of their end."""

    state: bytes = b""
    days: dict[str, bytes] = field(default_factory=dict)
    outages: set[tuple[int, bytes]] = field(default_factory=set)
    exclusions: dict[str, bytes] = field(default_factory=dict)
    gaps: set[tuple[int, bytes]] = field(default_factory=set)

    def save(self, state: EvseState, using: Rules) -> None:
        """Write what a save writes, in the order in which the view does."""
        rendered = document(state, state.as_of, using)
        self.days |= rendered.closed_days
        for name in rendered.drop_days:
            self.days.pop(name, None)
        self.outages = {each for each in self.outages if each[1] not in rendered.drop_outages}
        self.outages |= set(rendered.closed_outages)
        for exclusion_id, value in rendered.exclusions.items():
            self.exclusions.pop(exclusion_id, None)
            if value is not None:
                self.exclusions[exclusion_id] = value
        self.gaps = {each for each in self.gaps if each[1] not in rendered.drop_gaps} | set(rendered.gaps)
        rendered.mark_saved(state)
        self.state = pack_state(state)

    def load(self) -> EvseState:
        """Make the state from what was written."""
        outages = [value for _, value in sorted(self.outages)]
        return restore(StoredEvse(Position(0, (0,), 0), self.state, b"", self.days, outages))


def fold_in_batches(events: list[Event], using: Rules, dice: Random) -> tuple[EvseState, list[Folded], Shelf]:
    """Fold batches of one to five events, each onto the state that was stored after the one before."""
    shelf, state, outcomes = Shelf(), EvseState("evse-1"), []
    left = list(events)
    while left:
        batch, left = left[: (size := dice.randint(1, 5))], left[size:]
        outcomes += [fold(state, event, using) for event in batch]
        shelf.save(state, using)
        loaded = shelf.load()
        assert pack_state(state) == pack_state(loaded)
        assert ledger(state) == ledger(loaded)
        state = loaded
    return state, outcomes, shelf


def assert_cuts_do_not_matter(events: list[Event], using: Rules, seed: int) -> None:
    """Compare some cuts with no cut at all: view, ledger, state and what was said of each event."""
    dice = Random(seed)
    whole, expected = folded(events, using)
    written = Shelf()
    written.save(deepcopy(whole), using)
    for _ in range(CUTS):
        cut, outcomes, shelf = fold_in_batches(events, using, dice)
        assert view(whole, using) == view(cut, using)
        assert ledger(whole) == ledger(cut)
        assert pack_state(whole) == pack_state(cut)
        assert expected == outcomes
        assert written == shelf


@given(logs(FINE), SEEDS)
@tries(0.6)
def test_any_cut_into_batches_gives_the_same(log: list[Json], seed: int) -> None:
    """Revision and `last_updated` included: they are stepped by events, not by batches."""
    assert_cuts_do_not_matter(decoded(log), rules(), seed)


@given(logs(LONG), SEEDS)
@tries(0.6)
def test_history_closed_between_batches_is_not_lost(log: list[Json], seed: int) -> None:
    """With an hour's lateness most of the history is closed and read back from days and spans."""
    assert_cuts_do_not_matter(decoded(log), rules(3_600), seed)


@given(logs(LONG), SEEDS)
@tries(0.3)
def test_days_on_the_shelf_are_those_before_the_first_open_one(log: list[Json], seed: int) -> None:
    """And a span is on it only when history is closed up to its end."""
    using, dice = rules(3_600), Random(seed)
    shelf, state = Shelf(), EvseState("evse-1")
    for event in decoded(log):
        fold(state, event, using)
        if dice.random() < 0.3:
            shelf.save(state, using)
    shelf.save(state, using)

    days = {(parse_day_field(name)[1] - date(1970, 1, 1)).days for name in shelf.days}

    assert all(day < state.days_closed for day in days)
    assert all(end <= state.closed for end, _ in shelf.outages)
    assert state.days_closed * DAY <= max(state.closed, 0)
