"""
The track of one connector: what it is now, and the account of how long it was what.

A track is told of changes in order of (time, position) and accounts for the segment that ends with each.
It knows neither lateness nor arrival: whoever holds it sees to the order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from schemas.vocabulary import OPERATIONAL, Status
from service.domain.buckets import COUNTERS, OUTAGES, PART, Buckets, no_parts, parts_of_days
from service.domain.definitions import BUCKET, PLAINLY_UP, UNHEARD
from service.domain.reliability import ONSET_AFTER, Decayed, Sums, faded, outcome_of
from service.domain.rules import KEPT_DAYS
from service.domain.time import DAY, Micros

Key = tuple[Micros, int]
"""(time, position): the order of everything that happens to an EVSE."""

NEVER: Final[Key] = (-1, -1)

BEFORE_ALL: Final = 1 << 62
"""Taken from the position of an item that truly applied earlier than it takes effect: it goes first."""

_PREPARING: Final = Status.PREPARING
_CHARGING: Final = Status.CHARGING
_OUTOFORDER: Final = Status.OUTOFORDER
_ATTEMPT: Final = frozenset({_PREPARING, _CHARGING})
_SUSPENDED: Final = frozenset({"SuspendedEV", "SuspendedEVSE"})


@dataclass(slots=True)
class Told:
    """
    How many of a list have been written, and as what: a list to which events in order only add.

    A buffer that grows in place: to make the whole anew at every save would cost more than writing it.
    """

    count: int = 0
    text: bytearray = field(default_factory=bytearray)

    def add(self, count: int, text: bytes) -> None:
        """Note that the list holds `count` now, what is new of it being `text`."""
        if self.count:
            self.text += b","
        self.text += text
        self.count = count

    def forget(self) -> None:
        """Take nothing for written."""
        self.count = 0
        self.text = bytearray()


@dataclass(slots=True, init=False)
class Cause:
    """The event at an end of a span; `event_id` None is a heartbeat, whose ids are not kept."""

    event_id: str | None
    position: int

    def __init__(self, event_id: str | None, position: int) -> None:
        self.event_id, self.position = event_id, position


@dataclass(slots=True, init=False)
class Span:
    """A closed time in which the connector was not plainly up; `start` 0 is 'since ever'."""

    start: Micros
    end: Micros
    bucket: int
    error_code: str | None
    began_by: Cause | None
    ended_by: Cause | None

    def __init__(
        self,
        start: Micros,
        end: Micros,
        bucket: int,
        error_code: str | None,
        began_by: Cause | None,
        ended_by: Cause | None,
    ) -> None:
        self.start, self.end, self.bucket = start, end, bucket
        self.error_code, self.began_by, self.ended_by = error_code, began_by, ended_by

    @property
    def account(self) -> tuple[Micros, Micros, int, str | None]:
        """(start, end, bucket, error code): all that is told of it but the events at its ends."""
        return (self.start, self.end, self.bucket, self.error_code)

    @property
    def part(self) -> tuple[Micros, Micros, int]:
        """(start, end, bucket)."""
        return (self.start, self.end, self.bucket)


@dataclass(slots=True, init=False)
class Report:
    """What a status report claims."""

    status: Status
    raw_status: str | None
    error_code: str | None
    vendor_error_code: str | None

    def __init__(
        self,
        status: Status,
        raw_status: str | None = None,
        error_code: str | None = None,
        vendor_error_code: str | None = None,
    ) -> None:
        self.status, self.raw_status = status, raw_status
        self.error_code, self.vendor_error_code = error_code, vendor_error_code

    @property
    def published(self) -> tuple[Status, str | None, str | None]:
        """What of it stands in a snapshot: (status, raw_status, error_code)."""
        return (self.status, self.raw_status, self.error_code)


def _add(days: dict[int, Buckets], day: int, bucket: int, amount: int) -> None:
    buckets = days.get(day)
    if buckets is None:
        buckets = days[day] = {}
    buckets[bucket] = buckets.get(bucket, 0) + amount


@dataclass(slots=True)
class Track:
    """
    One connector's current state and the accounts since the history was last closed.

    `since` and `since_key` are the start of the current segment of constant (status, online); `poured` is
    the time up to which the segment is in `days`. `status_key` and `online_key` are the newest report of
    each kind, repeats included; `online_turned` is the last change of online.
    """

    status: Status | None = None
    raw_status: str | None = None
    error_code: str | None = None
    vendor_error_code: str | None = None
    status_since: Micros | None = None
    status_key: Key = NEVER
    online: bool | None = None
    online_since: Micros | None = None
    online_key: Key = NEVER
    online_turned: Key = NEVER

    bucket: int = UNHEARD
    since: Micros = 0
    since_key: Key = NEVER
    began_by: Cause | None = None
    began_error: str | None = None
    poured: Micros = 0

    attempt_from: Micros | None = None
    charging_from: Micros | None = None
    sums: Sums = field(default_factory=Sums)
    days: dict[int, Buckets] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    parts: list[int] = field(default_factory=no_parts)
    """The sums of `days` by part (`buckets.PARTS`), which every summary asks for."""
    told: Told = field(default_factory=Told, compare=False)
    """The first of `spans` in the words of whoever renders them, so that each is written once."""
    told_days: dict[int, bytes] = field(default_factory=dict, compare=False)
    """Days before the newest in those words."""

    def copy(self) -> Track:
        """Give an independent copy."""
        return Track(
            self.status,
            self.raw_status,
            self.error_code,
            self.vendor_error_code,
            self.status_since,
            self.status_key,
            self.online,
            self.online_since,
            self.online_key,
            self.online_turned,
            self.bucket,
            self.since,
            self.since_key,
            self.began_by,
            self.began_error,
            self.poured,
            self.attempt_from,
            self.charging_from,
            self.sums.copy(),
            {day: dict(buckets) for day, buckets in self.days.items()},
            list(self.spans),
            self.parts.copy(),
        )

    def accounts_like(self, other: Track, until: Micros) -> bool:
        """Tell whether all that a correction may change is the same up to `until`; this one is spent."""
        if self._standing() != other._standing() or self.sums != other.sums:
            return False
        # Whatever began and ended them: a heartbeat of the minute in which a status ended one ends it, too.
        if [each.account for each in self.spans] != [each.account for each in other.spans]:
            return False
        if self.poured != other.poured:
            other = other.copy()
            self.pour(until)
            other.pour(until)
        return self.days == other.days

    def _standing(self) -> tuple[object, ...]:
        state = (self.status, self.status_since, self.online, self.online_since, self.bucket, self.since)
        return (*state, self.raw_status, self.error_code, self.attempt_from, self.charging_from)

    def content(self) -> tuple[Status | None, str | None, str | None, bool | None]:
        """Give what of the track is published content (promise P10)."""
        return (self.status, self.raw_status, self.error_code, self.online)

    def report_status(self, key: Key, event_id: str | None, report: Report) -> None:
        """Take a status report; a repeat renews the words beside the status and nothing else."""
        self.status_key = key
        self.vendor_error_code = report.vendor_error_code
        self._become(key, event_id, report)

    def take_inventory_status(self, key: Key, event_id: str, report: Report) -> None:
        """Take an inventory's status where nothing earlier gave one (settled reading 12)."""
        if self.status is None:
            self.status_key = key
            self._become(key, event_id, report)

    def report_online(self, key: Key, event_id: str | None, online: bool | None) -> None:
        """Take a report of online; null is a report too (settled reading 5)."""
        self.online_key = key
        if online is not self.online:
            self._turn(key, event_id, self.status, online)

    def sign_of_life(self, key: Key, event_id: str | None) -> None:
        """End an offline span that began before `key`; turns no null into true (promise P4)."""
        if self.online is False and key > self.online_key:
            self._turn(key, event_id, self.status, True)

    def pour(self, until: Micros) -> None:
        """Put the current segment into `days` up to `until`."""
        start = self.poured
        if until <= start:
            return
        self.poured = until
        if self.bucket == UNHEARD:
            return
        days, bucket = self.days, self.bucket
        # A clock in the year 9999 would else cost three million days, to be forgotten at once.
        last = until // DAY
        day = start // DAY
        if day < last:
            start = max(start, (last - KEPT_DAYS) * DAY)
            day = start // DAY
        self.parts[PART[bucket]] += until - start
        while day < last:
            _add(days, day, bucket, (day + 1) * DAY - start)
            day += 1
            start = day * DAY
        if start < until:
            _add(days, day, bucket, until - start)

    def count(self, at: Micros, counter: int) -> None:
        """Count one more of `counter` on the day of `at`."""
        self.parts[PART[counter]] += 1
        _add(self.days, at // DAY, counter, 1)

    def forget_days(self, first: int) -> dict[int, Buckets]:
        """Drop the days before day `first`, and give them."""
        gone = {day: self.days.pop(day) for day in [day for day in self.days if day < first]}
        self.parts = parts_of_days(self.days.values())
        self.told_days = {}
        return gone

    def open_span(self, until: Micros) -> Span | None:
        """Give the current segment as a span up to `until`, None where it is plainly up."""
        if PLAINLY_UP[self.bucket]:
            return None
        return Span(self.since, until, self.bucket, self.began_error, self.began_by, None)

    def sums_at(self, at: Micros) -> tuple[Sums, int]:
        """
        Give the decayed sums as of `at`, and the onsets that the open segment adds to the counted ones.

        An offline span that is still open counts once it is long enough (settled reading 17).
        """
        seen, open_onsets = self.seen_at(at)
        return Sums(max(at, self.sums.at), *seen), open_onsets

    def seen_at(self, at: Micros) -> tuple[Decayed, int]:
        """Give the same as plain values."""
        sums = self.sums
        seen = (
            sums.seen_from(at, self.bucket)
            if at > sums.at
            else (sums.observed, sums.up, sums.onsets, sums.successes, sums.failures)
        )
        since = self.online_since
        if self.online is False and since is not None and at - since > ONSET_AFTER:
            observed, up, onsets, successes, failures = seen
            return (observed, up, onsets + faded(at - since), successes, failures), 1
        return seen, 0

    def _become(self, key: Key, event_id: str | None, report: Report) -> None:
        self.raw_status, self.error_code = report.raw_status, report.error_code
        if report.status is not self.status:
            self._turn(key, event_id, report.status, self.online)
            self.status_since = key[0]
        if report.status is _CHARGING and self.charging_from is None and report.raw_status not in _SUSPENDED:
            self.charging_from = key[0]

    def _turn(self, key: Key, event_id: str | None, status: Status | None, online: bool | None) -> None:
        """End the current segment at `key` and begin one of (status, online)."""
        at = key[0]
        cause = Cause(event_id, key[1] if key[1] >= -1 else key[1] + BEFORE_ALL)
        self.pour(at)
        if at > self.since:
            if not PLAINLY_UP[self.bucket]:
                self.spans.append(Span(self.since, at, self.bucket, self.began_error, self.began_by, cause))
            self.sums.advance(at, self.bucket)
        if status is not self.status:
            self._step_attempt(at, status)
            if status is _OUTOFORDER and self.status in OPERATIONAL:
                self.sums.onsets += 1.0
                self.count(at, OUTAGES)
            self.status = status
        if online is not self.online:
            self._step_online(at, online)
            self.online_turned = key
        self.bucket = BUCKET[status, online]
        self.since, self.since_key = at, key
        self.began_by, self.began_error = cause, self.error_code

    def _step_online(self, at: Micros, online: bool | None) -> None:
        """Change `online`; the weight of an offline span's onset is that of its start."""
        if self.online is False and self.online_since is not None and at - self.online_since > ONSET_AFTER:
            self.sums.onsets += faded(at - self.online_since)
            self.count(at, OUTAGES)
        self.online = online
        self.online_since = None if online is None else at

    def _step_attempt(self, at: Micros, status: Status | None) -> None:
        """Close the open attempt and open the next as the status changes (domain rule: attempts)."""
        if status is None:  # never: a status, once known, is never unknown to the fold again
            return
        continues = self.status is _PREPARING and status is _CHARGING
        if self.attempt_from is not None and not continues:
            charged = at - self.charging_from if self.charging_from is not None else 0
            outcome = outcome_of(charged, at - self.attempt_from, status)
            self.sums.successes += outcome.success
            self.sums.failures += outcome.failure
            self.count(at, COUNTERS[outcome.name])
            self.attempt_from = self.charging_from = None
        if status in _ATTEMPT and not continues:
            self.attempt_from = at
