"""What the watch over silence is told hangs on what was said, and never on the order of arrival (P2, P5)."""

from __future__ import annotations

import json
from random import Random

from hypothesis import given

from schemas.vocabulary import Verdict
from service.domain.events import ChargerNoted, Event, HeartbeatReceived, OnlineReported, StatusReported
from service.domain.packing import pack, unpack
from service.domain.vitals import Vitals, vitals
from tests.oracle.drawn_events import Nastiness
from tests.oracle.strategies import LATENESS_OF_ALL_S, logs
from tests.property.arrivals import SEEDS, rearranged, with_repeats
from tests.property.folding import Json, Log, decoded, folded, rules, tries

SPOKEN = ("status", "online", "heartbeat", "heartbeat", "silence", "note", "inventory")
FINE = Nastiness(whole_seconds=False, max_events=14)
TALKATIVE = Nastiness(max_events=14, kinds=(*SPOKEN, *SPOKEN, "removal"))
ORDERS = 6


def told(log: list[Json], dice: Random) -> list[Json]:
    """Let the events name sources, and the heartbeats their intervals, or not."""
    for event in log:
        event["source"] = dice.choice((None, "gateway-a", "gateway-b"))
        if event["type"] == "evse.heartbeat":
            event["heartbeat_interval_s"] = dice.choice((None, 60, 300))
    return log


def is_sign(event: Event) -> bool:
    """Tell what is from the charger and not `online: false`."""
    if isinstance(event, OnlineReported):
        return event.online is not False
    return isinstance(event, (StatusReported, ChargerNoted, HeartbeatReceived))


def outcome(log: Log) -> Vitals:
    """Fold all of it."""
    state, _ = folded(decoded(log), rules(LATENESS_OF_ALL_S))
    return vitals(state)


@given(logs(TALKATIVE), SEEDS)
@tries(1)
def test_any_order_of_arrival_gives_the_same_vitals(log: list[Json], seed: int) -> None:
    """As long as events of the same time keep their order."""
    dice = Random(seed)
    arrived: Log = with_repeats(told(log, dice), dice)
    expected = outcome(arrived)

    for _ in range(ORDERS):
        assert expected == outcome(rearranged(arrived, dice))


@given(logs(FINE), SEEDS)
@tries(0.5)
def test_the_newest_sign_and_interval_are_those_of_the_log(log: list[Json], seed: int) -> None:
    """Found again without the fold: the newest by (time, position) of what the charger said."""
    events = decoded(told(log, Random(seed)))
    state, outcomes = folded(events, rules(LATENESS_OF_ALL_S))
    counted = [
        event for event, each in zip(events, outcomes, strict=True) if each.verdict is not Verdict.DUPLICATE
    ]
    signs = [(event.seen, event.position, event.source) for event in counted if is_sign(event)]
    intervals = [
        (event.at, event.position, event.heartbeat_interval_s)
        for event in counted
        if isinstance(event, HeartbeatReceived) and event.heartbeat_interval_s is not None
    ]
    newest = max(signs, key=lambda sign: sign[:2], default=(None, 0, None))
    interval = max(intervals, default=(0, 0, None))[2]

    known = vitals(state)
    assert (known.last_seen_at, known.source, known.heartbeat_interval_s) == (newest[0], newest[2], interval)


@given(logs(TALKATIVE), SEEDS)
@tries(0.3)
def test_a_state_that_was_packed_goes_on_with_the_same_vitals(log: list[Json], seed: int) -> None:
    """Wherever it was packed."""
    dice = Random(seed)
    events, using = decoded(told(log, dice)), rules(LATENESS_OF_ALL_S)
    cut = dice.randint(0, len(events))
    state, _ = folded(events[:cut], using)
    state = unpack(json.loads(json.dumps(pack(state))), state.history, state.port_days)
    state, _ = folded(events[cut:], using, state)

    assert vitals(state) == vitals(folded(events, using)[0])
