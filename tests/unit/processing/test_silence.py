"""Who is declared silent, and when (promise P5)."""

from __future__ import annotations

import json

import pytest

from schemas.vocabulary import Verdict
from service.domain import events
from service.domain.outcomes import Folded
from service.domain.time import DAY, HOUR, MINUTE, SECOND, Micros
from service.domain.vitals import Vitals, vitals
from service.processing.decoding import decode
from service.processing.ingest import Gap, gap_event, loss_event
from service.processing.silence import (
    Knowledge,
    Overdue,
    SilenceRules,
    Watchdog,
    Withheld,
    offline_after,
    silence_event,
)
from tests.unit.domain.told import Evse

NOON: Micros = 1_767_614_400 * SECOND
"""2026-01-05T12:00:00Z"""
A_QUARTER = 15 * MINUTE


def seen(at: Micros, interval: int | None = None, source: str | None = None, watched: bool = True) -> Vitals:
    """Give the vitals of an EVSE that was last heard at a time."""
    return Vitals(at, interval, source, watched)


class Watched:
    """A partition whose worker is caught up, in which a neighbour is heard all the time."""

    def __init__(self, rules: SilenceRules | None = None) -> None:
        self.dog = Watchdog(rules or SilenceRules())
        self.settle(NOON - HOUR)

    def settle(self, at: Micros) -> None:
        """Let the time after the assignment pass."""
        assert self.dog.due(at, Knowledge(at)) == []

    def due(self, now: Micros, resumed_at: Micros | None = None, **known: Micros | None) -> list[Overdue]:
        """Ask who is overdue; unless said otherwise the neighbour was heard just now."""
        self.dog.heard("neighbour", seen(now, interval=10))
        known.setdefault("caught_up_through", now)
        known.setdefault("newest_charger_record", now)
        return self.dog.due(now, Knowledge(**known, resumed_at=resumed_at))


OVERDUE = Overdue("e1", NOON, NOON + A_QUARTER)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (seen(NOON), 15 * MINUTE),
        (seen(NOON, source="elsewhere"), 15 * MINUTE),
        (seen(NOON, source="gateway"), 5 * MINUTE),
        (seen(NOON, source="gateway", interval=60), 3 * MINUTE),
        (seen(NOON, source="never"), None),
        (seen(NOON, source="never", interval=300), A_QUARTER),
    ],
)
def test_three_heartbeats_go_before_the_sources_setting_and_that_before_the_general_one(
    known: Vitals, expected: Micros | None
) -> None:
    """A setting of 0 is never."""
    rules = SilenceRules(A_QUARTER, {"gateway": 5 * MINUTE, "never": 0})

    assert offline_after(known, rules) == expected


def test_zero_switches_the_watchdog_off() -> None:
    """For those whose interval or source is known as well."""
    rules = SilenceRules(0, {"gateway": 5 * MINUTE})
    watched = Watched(rules)
    watched.dog.heard("e1", seen(NOON, interval=60))

    assert offline_after(seen(NOON, source="gateway", interval=60), rules) is None
    assert watched.due(NOON + DAY) == []
    assert len(watched.dog) == 0


def test_who_is_not_heard_until_the_deadline_is_overdue() -> None:
    """Not a moment before."""
    watched = Watched()
    watched.dog.heard("e1", seen(NOON))

    assert watched.due(NOON + A_QUARTER - 1) == []
    assert watched.due(NOON + A_QUARTER + 1) == [OVERDUE]


def test_a_sign_of_life_moves_the_deadline() -> None:
    """To as long after it."""
    watched = Watched()
    watched.dog.heard("e1", seen(NOON - MINUTE))
    watched.dog.heard("e1", seen(NOON))

    assert watched.due(NOON + A_QUARTER - 1) == []
    assert watched.due(NOON + A_QUARTER + 1) == [OVERDUE]


@pytest.mark.parametrize(("interval", "source"), [(60, None), (None, "gateway")])
def test_a_shorter_interval_moves_the_deadline_too(interval: int | None, source: str | None) -> None:
    """It is the newest word of how long an EVSE may be silent that counts."""
    watched = Watched(SilenceRules(by_source={"gateway": 3 * MINUTE}))
    watched.dog.heard("e1", seen(NOON - MINUTE))
    watched.dog.heard("e1", seen(NOON, interval, source))

    assert watched.due(NOON + 3 * MINUTE + 1) == [Overdue("e1", NOON, NOON + 3 * MINUTE)]


def test_a_source_that_is_never_silent_ends_the_watch() -> None:
    """Also in the middle of it."""
    watched = Watched(SilenceRules(by_source={"never": 0}))
    watched.dog.heard("e1", seen(NOON))
    watched.dog.heard("e1", seen(NOON, source="never"))

    assert watched.due(NOON + HOUR) == []


@pytest.mark.parametrize("known", [seen(NOON, watched=False), Vitals(None, 60, None, watched=True)])
def test_who_cannot_fall_silent_is_not_watched(known: Vitals) -> None:
    """It never spoke of its link, it is offline already, it was removed, or it was never heard."""
    watched = Watched()
    watched.dog.heard("e1", seen(NOON))
    watched.dog.heard("e1", known)

    assert watched.due(NOON + HOUR) == []


def test_nothing_is_declared_while_the_worker_lags() -> None:
    """What was in the partition at the deadline must have been processed, and the look be fresh."""
    watched = Watched()
    watched.dog.heard("e1", seen(NOON))
    now = NOON + HOUR

    assert watched.due(now, caught_up_through=None) == []
    assert watched.due(now, caught_up_through=now - 30 * SECOND - 1) == []
    assert watched.due(NOON + A_QUARTER + 1, caught_up_through=NOON + A_QUARTER - 1) == []
    assert watched.due(now, caught_up_through=now - 30 * SECOND) == [OVERDUE]


def test_a_charger_event_with_a_later_record_time_must_have_come() -> None:
    """Else the whole partition may be unheard."""
    watched = Watched()
    watched.dog.heard("e1", seen(NOON))
    now = NOON + 2 * A_QUARTER

    assert watched.due(now, newest_charger_record=None) == []
    assert watched.due(now, newest_charger_record=NOON + A_QUARTER) == []
    assert watched.due(now, newest_charger_record=NOON + A_QUARTER + 1) == [OVERDUE]


@pytest.mark.parametrize("order", [("e1", "e2"), ("e2", "e1"), ("e2", "e1", "e2"), ("e1", "e2", "e1")])
def test_the_only_one_of_a_day_needs_no_neighbour(order: tuple[str, ...]) -> None:
    """Nobody else could show that the ingest works; one that was heard a day ago shows nothing."""
    dog = Watchdog(SilenceRules())
    dog.due(NOON - DAY, Knowledge(NOON - DAY))
    known = {"e1": seen(NOON), "e2": seen(NOON + A_QUARTER - DAY + 2, watched=False)}
    for uid in order:
        dog.heard(uid, known[uid])
    now = NOON + A_QUARTER

    assert dog.due(now, Knowledge(now, NOON)) == []
    assert dog.due(now + 1, Knowledge(now + 1, NOON)) == []
    assert dog.due(now + 2, Knowledge(now + 2, NOON)) == [OVERDUE]
    assert dog.due(now + 3, Knowledge(now + 3, NOON)) == []


def test_who_was_silent_for_a_day_needs_no_neighbour_either() -> None:
    """Of two that stopped at once each is the only one, a day later."""
    dog = Watchdog(SilenceRules())
    dog.due(NOON, Knowledge(NOON))
    dog.heard("e1", seen(NOON))
    dog.heard("e2", seen(NOON + 1))

    def due(now: Micros) -> list[str]:
        return [each.uid for each in dog.due(now, Knowledge(now, NOON + 1))]

    assert due(NOON + DAY - 1) == []
    assert due(NOON + DAY) == ["e2"]
    assert due(NOON + DAY + 1) == ["e1"]


def test_it_is_quiet_for_a_minute_after_the_assignment_was_caught_up() -> None:
    """So that a charger which others declared in the meantime is known to be declared."""
    watched = Watched()
    watched.dog = Watchdog(SilenceRules())
    watched.dog.heard("e1", seen(NOON))
    start = NOON + HOUR

    assert watched.due(start - MINUTE, caught_up_through=None) == []
    assert watched.due(start) == []
    assert watched.due(start + MINUTE - 1) == []
    assert watched.due(start + MINUTE) == [OVERDUE]


def test_it_is_quiet_no_longer_than_an_evse_may_be_silent() -> None:
    """Where that is less than a minute."""
    watched = Watched()
    watched.dog = Watchdog(SilenceRules())
    watched.dog.heard("e1", seen(NOON, interval=10))
    start = NOON + HOUR

    assert watched.due(start) == []
    assert watched.due(start + 30 * SECOND) == [Overdue("e1", NOON, NOON + 30 * SECOND)]


def test_each_is_declared_once_until_it_is_heard_again() -> None:
    """Then anew."""
    watched = Watched()
    watched.dog.heard("e1", seen(NOON))
    assert watched.due(NOON + HOUR) == [OVERDUE]
    assert watched.due(NOON + HOUR + MINUTE) == []
    watched.dog.heard("e1", seen(NOON))
    assert watched.due(NOON + HOUR + 2 * MINUTE) == []

    watched.dog.heard("e1", seen(NOON + HOUR))
    assert watched.due(NOON + 2 * HOUR) == [Overdue("e1", NOON + HOUR, NOON + HOUR + A_QUARTER)]


def test_what_does_not_come_back_is_declared_again_ever_more_rarely() -> None:
    """The event may have been lost; if it never helps, once a day is enough."""
    watched = Watched()
    watched.dog.heard("e1", seen(NOON))
    start = NOON + HOUR

    times = [minutes for minutes in range(4 * 24 * 60) if watched.due(start + minutes * MINUTE)]
    assert times[:5] == [0, 5, 15, 35, 75]
    assert times[-1] - times[-2] == 24 * 60


def test_who_was_forgotten_is_declared_anew() -> None:
    """As if it had just become known."""
    watched = Watched()
    watched.dog.heard("e1", seen(NOON))
    watched.due(NOON + HOUR)
    watched.dog.forget("e1")
    watched.dog.forget("unknown")
    assert watched.due(NOON + 2 * HOUR) == []

    watched.dog.heard("e1", seen(NOON))
    assert watched.due(NOON + 2 * HOUR) == [OVERDUE]


def test_after_a_gap_everyone_has_as_long_again() -> None:
    """What the ingest did not let through cannot be held against anybody; the deadline stays what it is."""
    watched = Watched()
    watched.dog.heard("e1", seen(NOON))
    resumed = NOON + HOUR

    assert watched.due(resumed + 1, resumed_at=resumed) == []
    assert watched.due(resumed + A_QUARTER, resumed_at=resumed) == []
    assert watched.due(resumed + A_QUARTER + 1, resumed_at=resumed) == [OVERDUE]


def test_a_gap_of_long_ago_changes_nothing() -> None:
    """Only those last heard before its end."""
    watched = Watched()
    watched.dog.heard("e1", seen(NOON))

    assert watched.due(NOON + A_QUARTER + 1, resumed_at=NOON - 1) == [OVERDUE]


def test_so_many_at_most_are_given_at_once() -> None:
    """The earliest deadlines first, the rest with the next calls."""
    watched = Watched()
    for number in range(5):
        watched.dog.heard(f"e{number}", seen(NOON + number))
    now = NOON + HOUR

    def due(most: int) -> list[str]:
        return [each.uid for each in watched.dog.due(now, Knowledge(now, now), most)]

    watched.dog.heard("neighbour", seen(now))
    assert [due(2), due(2), due(2), due(2)] == [["e0", "e1"], ["e2", "e3"], ["e4"], []]


def test_who_is_not_declared_is_counted_by_why() -> None:
    """By the first reason that holds, from the deadline on; as often as it is looked, each is one."""
    watched = Watched()
    watched.dog.heard("e1", seen(NOON))
    watched.dog.heard("neighbour", seen(NOON + 10 * HOUR))
    now = NOON + HOUR
    for known, expected in (
        (Knowledge(None, now), Withheld.CATCHING_UP),
        (Knowledge(now - 31 * SECOND, now), Withheld.LAGGING),
        (Knowledge(now, now, resumed_at=now - A_QUARTER + 1), Withheld.AFTER_GAP),
        (Knowledge(now, NOON + A_QUARTER), Withheld.NO_LATER_EVENT),
    ):
        assert watched.dog.due(now, known) == []
        assert [watched.dog.withheld(now, known) for _ in range(2)] == 2 * [{expected: 1}]
        assert watched.dog.withheld(NOON + A_QUARTER - 1, known).total() == 0


def test_who_is_not_declared_so_soon_after_the_start_is_counted() -> None:
    """Until the worker has been caught up for a minute."""
    watched = Watched()
    watched.dog = Watchdog(SilenceRules())
    watched.dog.heard("e1", seen(NOON))
    start = NOON + HOUR
    known = Knowledge(start + MINUTE, start + MINUTE)

    watched.due(start)
    assert watched.dog.withheld(start, known) == {Withheld.AFTER_START: 1}
    assert watched.due(start + MINUTE) == [OVERDUE]
    assert watched.dog.withheld(start + MINUTE, known).total() == 0


def test_who_was_declared_is_not_counted_as_withheld() -> None:
    """Its word is in the log, though this worker may not have read it yet; nor is who is next in line."""
    watched = Watched()
    watched.dog.heard("e1", seen(NOON))
    watched.dog.heard("e2", seen(NOON + 1))
    now = NOON + HOUR
    watched.dog.heard("neighbour", seen(now))
    assert watched.dog.due(now, Knowledge(now, now), most=1) == [OVERDUE]

    assert watched.dog.withheld(now, Knowledge(now, now)).total() == 0
    assert watched.dog.withheld(now, Knowledge(now - HOUR, now)) == {Withheld.LAGGING: 1}
    watched.dog.heard("e1", seen(NOON + 2))
    assert watched.dog.withheld(now, Knowledge(now - HOUR, now)) == {Withheld.LAGGING: 2}


def declared(evse: Evse, now: Micros) -> Overdue:
    """Ask the watchdog about an EVSE that has no other beside it."""
    watched = Watched()
    watched.dog.heard("e1", vitals(evse.state))
    (overdue,) = watched.due(now)
    return overdue


def take(evse: Evse, overdue: Overdue) -> Folded:
    """Fold the event of a silence as it comes back through the log."""
    text = json.dumps(silence_event(overdue)).encode()
    event = decode(text, key=b"e1", position=99, record_time=NOON + 4 * DAY)
    assert isinstance(event, events.OnlineReported)
    return evse.take(event)


def test_the_fold_takes_the_watchdogs_word() -> None:
    """Offline from the deadline on, and not watched until it is heard again."""
    evse = Evse()
    evse.status("AVAILABLE", "11:00")
    evse.heartbeat("12:00:20", heartbeat_interval_s=60)
    evse.heartbeat("12:00:40", heartbeat_interval_s=60)

    assert take(evse, declared(evse, NOON + HOUR)).verdict is Verdict.APPLIED
    assert (evse.track().online, evse.track().online_since) == (False, NOON + 3 * MINUTE + 40 * SECOND)
    assert not vitals(evse.state).watched
    evse.heartbeat("13:00")
    assert vitals(evse.state).watched


def test_who_was_silent_beyond_the_lateness_is_offline_from_the_horizon_on() -> None:
    """Others spoke of it meanwhile: what applies at its deadline would be late, and it online for ever."""
    evse = Evse()
    evse.status("AVAILABLE", "11:00")
    evse.heartbeat("12:00")
    evse.gap("12:01", "3 12:00")
    overdue = declared(evse, NOON + 3 * DAY + HOUR)

    assert take(evse, overdue).verdict is Verdict.APPLIED
    assert (evse.track().online, evse.track().online_since) == (False, NOON + DAY)
    assert overdue.last_seen_at == NOON


@pytest.mark.parametrize("uid", ["e" * 255, "ü" * 255])
def test_the_workers_own_words_about_an_evse_with_a_long_uid_can_be_read(uid: str) -> None:
    """Ids have as many characters as uids, and theirs hold one: they would be dead letters, for ever."""
    gap = Gap(NOON + 1, NOON + 2)
    words = [silence_event(Overdue(uid, NOON + 1, NOON + 2)), gap_event(uid, gap), loss_event(uid, gap)]

    read = [
        decode(json.dumps(each).encode(), key=uid.encode(), position=0, record_time=NOON) for each in words
    ]

    assert [type(each) for each in read] == [events.OnlineReported, events.GapObserved, events.GapObserved]
    ids = [each["event_id"] for each in words]
    assert [each.partition(":")[0] for each in ids] == ["silence", "gap", "lost"]
    assert ids[0] != silence_event(Overdue(uid[:-1] + "x", NOON + 1, NOON + 2))["event_id"]


def test_the_event_of_a_silence_says_the_same_whoever_writes_it() -> None:
    """It applies at the deadline, and the worker reads it as a silence."""
    event = silence_event(Overdue("e1", NOON + 1, NOON + 1 + A_QUARTER))
    decoded = decode(json.dumps(event).encode(), key=b"e1", position=0, record_time=NOON + HOUR)

    assert event["event_id"] == "silence:e1:2026-01-05T12:00:00.000001Z"
    assert isinstance(decoded, events.OnlineReported)
    assert (decoded.online, decoded.connector_uid, decoded.silence) == (False, None, True)
    assert (decoded.at, decoded.last_seen_at) == (NOON + 1 + A_QUARTER, NOON + 1)
    assert (decoded.source, decoded.clock_corrected) == ("evse-status", False)
