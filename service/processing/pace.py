"""
How often chargers are heard in a partition, and when nothing heard is silence (promise P5).

The intervals between charger events of the last day are kept as a histogram for each hour, in buckets 5 %
wide. This module knows the records' own times: neither the clock nor lag, nor what was heard.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple

from service.domain.time import DAY, HOUR, Micros

_TIMES = 20
"""So many times the median interval without a charger event is silence (P5)."""

_FEWEST = 10
"""Fewer intervals tell no median."""

_HOURS = 24
"""The last day, in whole hours."""

_A_DAY: Micros = 20 * HOUR
"""So much must be known before it counts as a day."""

_RARE = 30
"""Of so many intervals one may be too long, whatever it lasted: that was a silence, and no habit."""

_TOLERATED = 20
"""One part in so many, 5 %, of the last day may have been silence by the plain median."""

_SEVERAL = 5
"""So many silences in a day are no accident: the chargers are like that."""

_LONGEST: Micros = 400 * DAY


@dataclass(slots=True)
class _Hour:
    """The intervals that ended in one hour: the short ones, how long they were together, others by bucket."""

    short: int = 0
    short_time: Micros = 0
    longer: dict[int, int] = field(default_factory=dict)


class _Alike(NamedTuple):
    """Intervals of about the same length: how many, and how long together."""

    length: Micros
    number: int
    time: Micros

    @property
    def capped(self) -> Micros:
        """How long they are together where none counts for more than an hour."""
        return min(self.time, self.number * HOUR)


class Pace:
    """
    The intervals of the last day, and what they say of silence.

    *The last day* are the 24 whole hours before the one in which the last charger event came; until a day is
    known that hour as well, unless `whole_hours`. *How exact*: numbers are; lengths to half a bucket, 2.5 %.
    Intervals of up to a 20th of `silent_after` stand in one bucket: a median among them makes `silent_after`
    the limit anyway.

    *Too few to tell a median*, so that nothing is silence: fewer than ten. Nor, as long as intervals of less
    than an hour are known, is what lasted more than 20 times as long as they all: a fleet that comes into
    service reports at once and is heard again when the first driver comes, and a minute of reports says
    nothing of hours.

    *Which intervals count.* Chargers without heartbeats report in bursts: some events within minutes for each
    driver, then nothing for hours. Most intervals lie within bursts, and 20 times their median would call
    most of every day silent (nine tenths of it, for three simulated chargers). So the plain median stands as
    long as by its limit at most 5 % of the last day were silence, or so few intervals were too long (one in
    30) that they are no habit: who is heard every few seconds has been silent then. Beyond that the median
    *moment* of the day is asked in how long an interval it lay: each interval counts by its length. Fewer
    than five too long for the plain median may be true silences, so none counts for more than an hour; five
    or more are how these chargers are, and then nothing is silence until a day, with its night, is known.
    """

    __slots__ = ("_edges", "_hours", "_silent_after", "_whole_hours")

    def __init__(self, silent_after: Micros, *, whole_hours: bool = False) -> None:
        """Take the shortest silence there is, and whether an hour counts only when it is over."""
        self._silent_after = silent_after
        self._whole_hours = whole_hours
        self._edges = _edges(max(1, silent_after // _TIMES))
        self._hours: dict[int, _Hour] = {}

    def count(self, at: Micros, interval: Micros) -> None:
        """Count an interval that ended at a time; called for each charger event."""
        hour = self._hours.get(at // HOUR)
        if hour is None:
            hour = self._hours[at // HOUR] = _Hour()
        if interval <= self._edges[0]:
            hour.short += 1
            hour.short_time += interval
        else:
            bucket = bisect_left(self._edges, interval)
            hour.longer[bucket] = hour.longer.get(bucket, 0) + 1

    def forget_before(self, at: Micros) -> None:
        """Drop what is before the last day of a time."""
        oldest = at // HOUR - _HOURS
        for hour in [hour for hour in self._hours if hour < oldest]:
            del self._hours[hour]

    def is_silence(self, since: Micros, lasted: Micros) -> bool:
        """Tell whether it is silence that nothing was heard for so long after `since`."""
        if lasted <= self._silent_after:
            return False
        last = since // HOUR
        known = self._intervals(range(last - _HOURS, last))
        if not self._whole_hours and sum(each.time for each in known) < _A_DAY:
            known = self._intervals(range(last - _HOURS, last + 1))
        if sum(each.number for each in known) < _FEWEST:
            return False
        limit, time = self._limit(known), sum(each.time for each in known)
        return limit is not None and lasted > limit and (time >= HOUR or lasted <= _TIMES * time)

    def _limit(self, known: list[_Alike]) -> Micros | None:
        """Give what is longer than any interval of chargers that are heard; None: it cannot be told yet."""
        limit = self._times(_middle((each.length, each.number) for each in known))
        long = [each for each in known if each.length > limit]
        if sum(each.number for each in long) * _RARE <= sum(each.number for each in known):
            return limit
        if sum(each.capped for each in long) * _TOLERATED <= sum(each.capped for each in known):
            return limit
        if sum(each.number for each in long) < _SEVERAL:
            return self._times(_middle((each.length, each.capped) for each in known))
        if sum(each.time for each in known) < _A_DAY:
            return None
        return self._times(_middle((each.length, each.time) for each in known))

    def _times(self, median: Micros) -> Micros:
        return max(self._silent_after, _TIMES * median)

    def _intervals(self, hours: range) -> list[_Alike]:
        """Give the intervals of some hours, the shorter ones first."""
        known = [self._hours[hour] for hour in hours if hour in self._hours]
        buckets: dict[int, int] = {}
        for hour in known:
            for bucket, number in hour.longer.items():
                buckets[bucket] = buckets.get(bucket, 0) + number
        short = _Alike(
            self._edges[0], sum(each.short for each in known), sum(each.short_time for each in known)
        )
        lengths = ((_length(self._edges, bucket), buckets[bucket]) for bucket in sorted(buckets))
        return [short, *(_Alike(length, number, length * number) for length, number in lengths)]

    def pack(self) -> Any:
        """Give all of it as plain values; a bucket stands as its distance from the one before."""
        hours = []
        for number, hour in sorted(self._hours.items()):
            packed = [number, hour.short, hour.short_time]
            before = 0
            for bucket, times in sorted(hour.longer.items()):
                packed += (bucket - before, times)
                before = bucket
            hours.append(packed)
        return [self._silent_after, hours]

    def restore(self, plain: Any) -> None:
        """Take over what was packed; with another `silent_after`, by the lengths of the buckets it had."""
        silent_after, hours = plain
        edges = self._edges if silent_after == self._silent_after else _edges(max(1, silent_after // _TIMES))
        for number, short, short_time, *rest in hours:
            hour, bucket = _Hour(short, short_time), 0
            for distance, times in zip(rest[::2], rest[1::2], strict=True):
                bucket += distance
                hour.longer[bucket] = times
            if edges is self._edges:
                self._hours[number] = hour
            else:
                self._count_again(number * HOUR, hour, edges)

    def stretched(self, times: int, over: int) -> Pace:
        """
        Give the pace of a stream that is cut from this one, or put together of several like it.

        Each interval lasts `times` / `over` as long, and so many fewer fill the same time.
        """
        pace, carried = Pace(self._silent_after, whole_hours=self._whole_hours), 0
        for number, hour in sorted(self._hours.items()):
            alike = [(hour.short_time // max(1, hour.short), hour.short)]
            alike += [(_length(self._edges, bucket), count) for bucket, count in sorted(hour.longer.items())]
            for length, count in alike:
                carried += count * over
                for _ in range(carried // times):
                    pace.count(number * HOUR, length * times // over)
                carried %= times
        return pace

    def _count_again(self, at: Micros, hour: _Hour, edges: list[Micros]) -> None:
        for _ in range(hour.short):
            self.count(at, hour.short_time // hour.short)
        for bucket, times in hour.longer.items():
            for _ in range(times):
                self.count(at, _length(edges, bucket))


def _length(edges: list[Micros], bucket: int) -> Micros:
    """Give the middle of a bucket."""
    return edges[-1] if bucket == len(edges) else (edges[bucket - 1] + edges[bucket]) // 2


def _middle(weighed: Iterable[tuple[Micros, int]]) -> Micros:
    """Give the length at which half of the weight is passed; the shorter ones come first."""
    known = list(weighed)
    passed = list(accumulate(weight for _, weight in known))
    return known[bisect_right(passed, passed[-1] // 2)][0]


def _edges(first: Micros) -> list[Micros]:
    """Give the upper ends of the buckets, each a 20th above the one before; exact, since in whole numbers."""
    edges = [first]
    while edges[-1] < _LONGEST:
        edges.append(edges[-1] + max(1, edges[-1] // 20))
    return edges
