"""
Who has fallen silent, noticed on the wall clock though nothing arrives of them (promise P5).

The watchdog of a partition knows the vitals of its EVSEs and is asked now and then who is overdue. What it
finds is written to the log, by somebody else, and counts only from there. Time is an argument.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from heapq import heappop, heappush
from typing import Any

from service.domain.events import SILENCE
from service.domain.time import DAY, MINUTE, SECOND, Micros, rfc3339
from service.domain.vitals import Vitals
from service.processing.ingest import SOURCE, own_id

_INTERVALS = 3
"""So many heartbeats must be missing."""


@dataclass(frozen=True, slots=True)
class SilenceRules:
    """
    After how long nothing heard is silence, and how carefully it is declared; all in microseconds.

    `offline_after` holds where neither a heartbeat interval is known nor `by_source` has a word; 0 switches
    the watchdog off, a 0 for a source does so for what else would go by that. `quiet`: nothing is declared
    for so long after an assignment was caught up. `fresh`: how old the newest look at the partition's end may
    be. `retry_after`, less than a day: when to declare again what did not come back through the log; twice as
    long each time, a day at most.
    """

    offline_after: Micros = 15 * MINUTE
    by_source: Mapping[str, Micros] = field(default_factory=dict)
    quiet: Micros = MINUTE
    fresh: Micros = 30 * SECOND
    retry_after: Micros = 5 * MINUTE


@dataclass(frozen=True, slots=True)
class Overdue:
    """
    An EVSE of which nothing was heard between its last sign of life and its deadline.

    `applies_at` is the deadline, or the EVSE's horizon where that is later: before it the word would be late.
    """

    uid: str
    last_seen_at: Micros
    applies_at: Micros


class Withheld(StrEnum):
    """Why an EVSE past its deadline, by all that was read, is not declared offline."""

    CATCHING_UP = "catching_up"
    """What was in the partition when it came is not all processed, or not everybody in it is known yet."""
    LAGGING = "lagging"
    """It had been, but what came since waits."""
    AFTER_START = "after_start"
    """It is only just caught up: others may have declared it, or it may be about to be heard."""
    AFTER_GAP = "after_gap"
    """The ingest stood still, and has not gone on for long enough."""
    NO_LATER_EVENT = "no_later_event"
    """No charger of the partition has been heard since: it may be the ingest that is silent."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """
    What is known of a partition at a moment of the clock.

    `caught_up_through`: all that was in the partition at that moment has been processed; None: it never was.
    `newest_charger_record`: up to this record time charger events are known to have come (`Ingest`).
    `resumed_at`: when the ingest went on after a gap.
    """

    caught_up_through: Micros | None
    newest_charger_record: Micros | None = None
    resumed_at: Micros | None = None


def offline_after(known: Vitals, rules: SilenceRules) -> Micros | None:
    """Give how long an EVSE may be silent; None: for ever."""
    if not rules.offline_after:
        return None
    if known.heartbeat_interval_s is not None:
        return _INTERVALS * known.heartbeat_interval_s * SECOND
    after = None if known.source is None else rules.by_source.get(known.source)
    return (rules.offline_after if after is None else after) or None


def silence_event(overdue: Overdue) -> dict[str, Any]:
    """Write the event that declares an EVSE offline; whoever writes it, it is the same."""
    last_seen_at = rfc3339(overdue.last_seen_at)
    return {
        "type": "connector.online",
        "event_id": own_id("silence", overdue.uid, overdue.last_seen_at),
        "evse_uid": overdue.uid,
        "occurred_at": rfc3339(overdue.applies_at),
        "online": False,
        "reason": SILENCE,
        "last_seen_at": last_seen_at,
        "source": SOURCE,
    }


class _Watch:
    """
    What is kept of one EVSE. It waits in one of two heaps; what else stands there under its name is stale.

    `due_at`: where it stands among the deadlines, never after its own; `wakes_at`: among those left alone
    until then. `pause`: how long it will be left alone once it is declared; it grows each time it is.
    """

    __slots__ = ("after", "due_at", "horizon", "interval", "pause", "seen", "source", "wakes_at")

    def __init__(self, known: Vitals, seen: Micros, after: Micros, pause: Micros) -> None:
        self.interval = known.heartbeat_interval_s
        self.source = known.source
        self.horizon = known.horizon
        self.seen = seen
        self.after = after
        self.pause = pause
        self.due_at: Micros | None = None
        self.wakes_at: Micros | None = None

    def deadline(self, resumed_at: Micros = 0) -> Micros:
        """Give when it is silent; with `resumed_at`, when that may be held against it."""
        return max(self.seen, resumed_at) + self.after


class Watchdog:
    """
    Watches the EVSEs of one partition, from one assignment on.

    It must be told the vitals of all of them, watched or not: whether another was heard tells a silent EVSE
    from a partition that is not heard. One that is heard often costs a look into a dictionary each time: its
    place among the deadlines is put right only when it is reached.
    """

    def __init__(self, rules: SilenceRules) -> None:
        """Watch nobody yet."""
        self._rules = rules
        self._watches: dict[str, _Watch] = {}
        self._deadlines: list[tuple[Micros, str]] = []
        self._left_alone: list[tuple[Micros, str]] = []
        self._caught_up_at: Micros | None = None
        # When two different EVSEs were heard last: enough to tell of any one whether another was heard.
        self._newest_uid: str | None = None
        self._newest: Micros = -DAY
        self._second: Micros = -DAY

    def __len__(self) -> int:
        """Count those who are watched."""
        return len(self._watches)

    def heard(self, uid: str, known: Vitals) -> None:
        """Take the vitals of an EVSE; called at the assignment and after each change."""
        seen = known.last_seen_at
        if seen is not None:
            self._rank(uid, seen)
        watch = self._watches.get(uid)
        if seen is None or not known.watched:
            if watch is not None:
                del self._watches[uid]
            return
        if watch is None or watch.interval != known.heartbeat_interval_s or watch.source != known.source:
            after = offline_after(known, self._rules)
            if after is None:
                self._watches.pop(uid, None)
                return
            if watch is None:
                watch = self._watches[uid] = _Watch(known, seen, after, self._rules.retry_after)
                self._await(uid, watch, watch.deadline())
                return
            watch.interval, watch.source, watch.after = known.heartbeat_interval_s, known.source, after
        watch.horizon = known.horizon
        if seen != watch.seen:
            watch.seen = seen
            watch.pause = self._rules.retry_after
        elif watch.wakes_at is not None:
            return
        deadline = watch.deadline()
        if watch.due_at is None or deadline < watch.due_at:
            self._await(uid, watch, deadline)

    def forget(self, uid: str) -> None:
        """Watch an EVSE no longer, until it is heard again."""
        self._watches.pop(uid, None)

    def due(self, now: Micros, known: Knowledge, most: int = 1000) -> list[Overdue]:
        """
        Give those who are overdue, so many at most, each once; the rest comes with the next call.

        *When* (P5): the deadline has passed on the clock and the worker has caught up beyond it; and either a
        charger event with a later record time has come or no other EVSE was heard for a day, so that the
        silence is the EVSE's own. What the ingest has not let through cannot be held against anybody: after a
        gap an EVSE has as long again as if it had been heard when the gap ended.
        """
        through = known.caught_up_through
        if through is None or now - through > self._rules.fresh:
            return []
        if self._caught_up_at is None:
            self._caught_up_at = now
        through = min(now, through)
        self._wake(now)
        resumed_at = known.resumed_at or 0
        found = self._only_one(now, through, resumed_at)
        limit = self._limit(now, through, known)
        deadlines = self._deadlines
        while deadlines and deadlines[0][0] <= limit and len(found) < most:
            due_at, uid = heappop(deadlines)
            watch = self._watches.get(uid)
            if watch is None or watch.due_at != due_at:
                continue
            deadline = watch.deadline(resumed_at)
            if deadline > limit:
                self._await(uid, watch, deadline)
            else:
                found += self._declare(uid, watch, now)
        return found

    def withheld(self, now: Micros, known: Knowledge) -> Counter[Withheld]:
        """
        Count those past their deadline who are not declared, by the first reason that holds.

        Who is merely next in line (`most`), or was declared and is waited for, is none of them. Looks at
        everybody, up to half a microsecond each: not to be asked at each turn.
        """
        through = known.caught_up_through
        if through is None:
            return self._all_past(now, Withheld.CATCHING_UP)
        if now - through > self._rules.fresh:
            return self._all_past(now, Withheld.LAGGING)
        # What came after that look is not judged yet: within the next seconds it will be.
        through = min(now, through)
        limit, resumed_at = self._limit(now, through, known), known.resumed_at or 0
        past = self._past(through)
        deadlines = [max(watch.seen, resumed_at) + watch.after for watch in past if watch.wakes_at is None]
        counts = {
            Withheld.AFTER_START: len(past) - len(deadlines),
            Withheld.AFTER_GAP: sum(deadline > through for deadline in deadlines),
            Withheld.NO_LATER_EVENT: sum(limit < deadline <= through for deadline in deadlines),
        }
        return +Counter(counts)

    def _all_past(self, now: Micros, reason: Withheld) -> Counter[Withheld]:
        return +Counter({reason: len(self._past(now))})

    def _past(self, at: Micros) -> list[_Watch]:
        """Give those past their deadline at a time who were not declared since they were last heard."""
        undeclared = self._rules.retry_after
        return [
            watch
            for watch in self._watches.values()
            if watch.seen + watch.after <= at and watch.pause == undeclared
        ]

    def _limit(self, now: Micros, through: Micros, known: Knowledge) -> Micros:
        """Give the last deadline that may be judged."""
        if self._newest > now - DAY:
            return min(through, (known.newest_charger_record or 0) - 1)
        return through

    def _rank(self, uid: str, seen: Micros) -> None:
        """Keep the two newest times at which two different EVSEs were heard."""
        if uid == self._newest_uid:
            self._newest = max(self._newest, seen)
        elif seen > self._newest:
            self._second, self._newest, self._newest_uid = self._newest, seen, uid
        elif seen > self._second:
            self._second = seen

    def _only_one(self, now: Micros, through: Micros, resumed_at: Micros) -> list[Overdue]:
        """Find the only EVSE heard during the last day overdue: no other can show that the ingest works."""
        uid = self._newest_uid
        if uid is None or not self._second <= now - DAY < self._newest:
            return []
        watch = self._watches.get(uid)
        if watch is None or watch.due_at is None or watch.deadline(resumed_at) > through:
            return []
        return self._declare(uid, watch, now)

    def _declare(self, uid: str, watch: _Watch, now: Micros) -> list[Overdue]:
        """Give an EVSE whose time is over, unless it is too soon after the assignment, and leave it alone."""
        quiet_until = (self._caught_up_at or now) + min(self._rules.quiet, watch.after)
        if now < quiet_until:
            self._leave_alone(uid, watch, quiet_until)
            return []
        self._leave_alone(uid, watch, now + watch.pause)
        watch.pause = min(2 * watch.pause, DAY)
        return [Overdue(uid, watch.seen, max(watch.deadline(), watch.horizon))]

    def _await(self, uid: str, watch: _Watch, due_at: Micros) -> None:
        watch.due_at, watch.wakes_at = due_at, None
        heappush(self._deadlines, (due_at, uid))

    def _leave_alone(self, uid: str, watch: _Watch, wakes_at: Micros) -> None:
        watch.due_at, watch.wakes_at = None, wakes_at
        heappush(self._left_alone, (wakes_at, uid))

    def _wake(self, now: Micros) -> None:
        """Put those back among the deadlines who were left alone long enough."""
        while self._left_alone and self._left_alone[0][0] <= now:
            wakes_at, uid = heappop(self._left_alone)
            watch = self._watches.get(uid)
            if watch is not None and watch.wakes_at == wakes_at:
                self._await(uid, watch, watch.deadline())
