"""A state as plain values and back, to the last bit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.domain.packing import VERSION, Edge, UnknownVersion, edge_of, make_history, pack, unpack
from service.domain.state import EvseState
from service.domain.time import HOUR
from service.domain.timeline import NAMELESS
from service.domain.track import Span
from tests.unit.domain.told import Evse


def eventful() -> Evse:
    """Give an EVSE to which everything has happened that a state can hold."""
    evse = Evse(allowed_lateness=6 * HOUR)
    evse.inventory("-3 00:00", "c1", "c2", evse={"evse_id": "one"})
    evse.statuses("-2 00:00 AVAILABLE, -1 00:00 CHARGING, 00:00 OUTOFORDER")
    evse.status("AVAILABLE", "02:00", connector_uid="c2")
    evse.inventory("09:00", "c1", "c2", "c3", statuses={"c3": "AVAILABLE"}, evse={"evse_id": "one"})
    evse.inventory("09:10", connectors=None)
    evse.inventory("09:20", connectors={})
    evse.status("PREPARING", "10:00")
    evse.status("CHARGING", "11:00", raw_status="Charging", error_code="X", vendor_error_code="Y")
    evse.note("AVAILABLE", "09:30")
    evse.note("OUTOFORDER", "11:30", error_code="E")
    evse.online(False, "11:40:00.000001")
    evse.silence("11:00", "11:45")
    evse.heartbeat("11:50", heartbeat_interval_s=300)
    evse.exclude("x", "00:00", "01:00", at="11:00", connector_uids=("c1",), note="works")
    evse.exclude("y", "00:00", None, at="11:00")
    evse.withdraw("y", at="11:30")
    evse.gap("03:00", "04:00", at="11:00")
    evse.state.partition = 3
    return evse


def again(state: EvseState) -> EvseState:
    """Pack a state to JSON and back, with its closed history beside it."""
    plain = json.loads(json.dumps(pack(state)))
    # JSON has strings for keys only: whoever packs to it gives numbers as keys in lists.
    return unpack(plain, state.history, state.port_days)


@pytest.mark.parametrize("removed", [False, True])
def test_a_state_is_the_same_after_packing(removed: bool) -> None:
    """In all that it holds, and in what it says."""
    evse = eventful()
    if removed:
        evse.remove("11:55")
    loaded = again(evse.state)

    evse.state.unsaved.clear()
    twin = Evse(allowed_lateness=6 * HOUR)
    twin.state = loaded
    assert pack(evse.state) == pack(loaded)
    assert evse.summary() == twin.summary()
    for name in ("partition", "revision", "last_updated", "connectors_updated", "overflows", "removal_key"):
        assert getattr(evse.state, name) == getattr(loaded, name)
    assert evse.state.minutes.starts == loaded.minutes.starts
    assert evse.state.declarations == loaded.declarations
    assert evse.state.named == loaded.named
    assert evse.state.recent == loaded.recent
    assert evse.state.base == loaded.base


def test_the_edge_is_that_of_the_packed_base() -> None:
    """Read from the packed state alone, by connector and for those that are named later."""
    state = eventful().state
    since = {uid: track.since for uid, track in state.base.named()}
    assert len(since) > 1
    assert any(since.values())
    expected = Edge(state.days_closed, since, state.as_of, state.revision)
    assert edge_of(json.loads(json.dumps(pack(state)))) == expected
    with pytest.raises(UnknownVersion):
        edge_of([VERSION + 1])


def test_a_state_goes_on_as_if_it_had_never_been_packed() -> None:
    """The next event finds everything it needs."""
    evse, twin = eventful(), eventful()
    twin.state = again(twin.state)
    for each in (evse, twin):
        each.state.unsaved.clear()
        each.online(False, "11:20")
        each.status("AVAILABLE", "2 00:00", connector_uid="c9")
        each.remove("1 12:00")

    assert pack(evse.state) == pack(twin.state)
    assert evse.summary() == twin.summary()


def test_a_new_state_can_be_packed() -> None:
    """Before anything happened."""
    assert pack(again(EvseState("e1"))) == pack(EvseState("e1"))


def test_inventories_share_their_documents_in_the_packed_state() -> None:
    """One sent every hour is written once."""
    evse = Evse()
    for hour in range(10, 20):
        evse.inventory(f"{hour}:00", "c1", evse={"evse_id": "only once in it"})

    assert json.dumps(pack(evse.state)).count("only once in it") == 1


@pytest.mark.parametrize("version", [VERSION + 1, 0, None])
def test_a_state_of_another_version_is_refused_with_the_remedy(version: Any) -> None:
    """It is never guessed at."""
    plain = pack(EvseState("e1"))
    plain[0] = version

    with pytest.raises(UnknownVersion, match="rebuild the view"):
        unpack(plain)


def test_histories_are_made_again_of_days_and_spans() -> None:
    """By connector; the spans come in order."""
    spans = [Span(start, start + 1, 0, None, None, None) for start in (1, 5)]
    history = make_history([("c1", 7, {3: 9}), (NAMELESS, 7, {0: 1})], [("c2", spans[0]), ("c2", spans[1])])

    assert dict(history["c1"].days.items()) == {7: {3: 9}}
    assert list(history["c2"].spans) == spans
    assert sorted(history) == [NAMELESS, "c1", "c2"]
