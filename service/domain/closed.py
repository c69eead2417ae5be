"""
Closed history as bytes: days and spans that no event changes any more, unpacked where they are asked for.

As dictionaries and objects they would take ten times as much, and after a year they are most of what a
worker holds of an EVSE. This module knows neither connectors nor when history is closed.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from struct import Struct
from typing import Final

from schemas.vocabulary import TimeClass
from service.domain.buckets import Buckets
from service.domain.time import DAY, Micros
from service.domain.track import Cause, Span

_AMOUNT: Final = Struct("<BIB")
"""A bucket, and the low and the high bits of its amount: 40 together, of which a day takes 37."""


@dataclass(slots=True)
class Days:
    """
    Amounts by bucket of whole days, in order of the days; of each day in the order in which they came to be.

    `numbers` are the days (C's int), `ends` where the amounts of each end (C's unsigned int). `total` is the
    sum of all, which every summary asks for.
    """

    numbers: bytes = b""
    ends: bytes = b""
    amounts: bytes = b""
    total: Buckets = field(default_factory=dict)

    @classmethod
    def of(cls, days: Mapping[int, Buckets]) -> Days:
        """Pack days, in whatever order they are."""
        packed = cls()
        packed.add(dict(sorted(days.items())))
        return packed

    def copy(self) -> Days:
        """Give an independent copy."""
        return Days(self.numbers, self.ends, self.amounts, dict(self.total))

    def add(self, days: Mapping[int, Buckets]) -> None:
        """Add days in their order; one that is there already is replaced."""
        if not days:
            return
        if self.numbers and next(iter(days)) <= _ints(self.numbers)[-1]:
            whole = Days.of({**dict(self.items()), **days})
            self.numbers, self.ends = whole.numbers, whole.ends
            self.amounts, self.total = whole.amounts, whole.total
            return
        parts, ends, end = [self.amounts], array("I"), len(self.amounts)
        for buckets in days.values():
            for bucket, amount in buckets.items():
                parts.append(_AMOUNT.pack(bucket, amount & 0xFFFF_FFFF, amount >> 32))
                self.total[bucket] = self.total.get(bucket, 0) + amount
            end += len(buckets) * _AMOUNT.size
            ends.append(end)
        self.numbers += array("i", days).tobytes()
        self.ends += ends.tobytes()
        self.amounts = b"".join(parts)

    def forget_before(self, first: int) -> list[int]:
        """Drop the days before day `first`, and name them."""
        days, ends = _ints(self.numbers), _places(self.ends)
        count = bisect_left(days, first)
        if not count:
            return []
        cut = ends[count - 1]
        for bucket, amount in _unpacked(self.amounts[:cut]):
            self.total[bucket] -= amount
        self.total = {bucket: amount for bucket, amount in self.total.items() if amount}
        gone = days[:count].tolist()
        self.numbers, self.amounts = days[count:].tobytes(), self.amounts[cut:]
        self.ends = array("I", [end - cut for end in ends[count:]]).tobytes()
        return gone

    def total_since(self, first: int) -> Buckets:
        """Add up the days from day `first` on; the caller changes nothing in what it gets."""
        place = bisect_left(_ints(self.numbers), first)
        if not place:
            return self.total
        total: Buckets = {}
        for bucket, amount in _unpacked(self.amounts[_places(self.ends)[place - 1] :]):
            total[bucket] = total.get(bucket, 0) + amount
        return total

    def __len__(self) -> int:
        return len(_ints(self.numbers))

    def __iter__(self) -> Iterator[int]:
        return iter(_ints(self.numbers))

    def __contains__(self, day: object) -> bool:
        return day in _ints(self.numbers)

    def __getitem__(self, day: int) -> Buckets:
        days = _ints(self.numbers)
        place = bisect_left(days, day)
        if place == len(days) or days[place] != day:
            raise KeyError(day)
        ends = _places(self.ends)
        return dict(_unpacked(self.amounts[ends[place - 1] if place else 0 : ends[place]]))

    def items(self) -> Iterator[tuple[int, Buckets]]:
        """Give each day with its amounts."""
        bounds = pairwise([0, *_places(self.ends)])
        for day, (start, end) in zip(_ints(self.numbers), bounds, strict=True):
            yield day, dict(_unpacked(self.amounts[start:end]))


def _ints(packed: bytes) -> memoryview[int]:
    return memoryview(packed).cast("i")


def _places(packed: bytes) -> memoryview[int]:
    return memoryview(packed).cast("I")


def _unpacked(amounts: bytes) -> Iterator[tuple[int, int]]:
    return ((bucket, low | high << 32) for bucket, low, high in _AMOUNT.iter_unpack(amounts))


_CLASSES: Final = tuple(TimeClass)
_PLACES: Final = {time_class: place for place, time_class in enumerate(_CLASSES)}

Classes = dict[TimeClass, Micros]
"""Microseconds by class."""


@dataclass(slots=True)
class PortDays:
    """The whole days of a port, by class."""

    packed: Days = field(default_factory=Days)

    @classmethod
    def of(cls, days: Mapping[int, Classes]) -> PortDays:
        """Pack days, in whatever order they are."""
        return cls(Days.of({day: _numbered(classes) for day, classes in days.items()}))

    def add(self, days: Mapping[int, Classes]) -> None:
        """Add days in their order; one that is there already is replaced."""
        self.packed.add({day: _numbered(classes) for day, classes in days.items()})

    def forget_before(self, first: int) -> list[int]:
        """Drop the days before day `first`, and name them."""
        return self.packed.forget_before(first)

    def total_since(self, first: int) -> Classes:
        """Add up the days from day `first` on."""
        return _named(self.packed.total_since(first))

    def __len__(self) -> int:
        return len(self.packed)

    def __iter__(self) -> Iterator[int]:
        return iter(self.packed)

    def __contains__(self, day: object) -> bool:
        return day in self.packed

    def __getitem__(self, day: int) -> Classes:
        return _named(self.packed[day])

    def items(self) -> Iterator[tuple[int, Classes]]:
        """Give each day with its amounts."""
        return ((day, _named(amounts)) for day, amounts in self.packed.items())


def _numbered(classes: Classes) -> Buckets:
    return {_PLACES[time_class]: amount for time_class, amount in classes.items()}


def _named(amounts: Buckets) -> Classes:
    return {_CLASSES[place]: amount for place, amount in amounts.items()}


_LONG: Final = 4096
"""Bytes from which on a list grows in place. Shorter ones, as nearly all are, have nothing in reserve."""

Bytes = bytes | bytearray


def _grown(kept: Bytes, more: bytes) -> Bytes:
    """Add at the end. To copy a long list for each span would cost the square of their number."""
    if isinstance(kept, bytearray):
        kept += more
        return kept
    whole = kept + more
    return bytearray(whole) if len(whole) >= _LONG else whole


def _copied(kept: Bytes) -> Bytes:
    return bytearray(kept) if isinstance(kept, bytearray) else kept


_MONTH: Final[Micros] = 32 * DAY
_CAUSE: Final = Struct("<QI")
"""One more than the position of an event, which may be -1, and than the length of its id; 0: it has none."""
_LENGTH: Final = Struct("<I")


@dataclass(slots=True)
class Words:
    """
    The error codes and the events at the ends of closed spans, once for all connectors that share an outage.

    In tables by the month in which a span ended, so that what is too old can be dropped as a whole. A word is
    known by its place in its table, counted from 1; 0 is none.
    """

    tables: dict[int, Bytes] = field(default_factory=dict)
    seen: dict[tuple[int, bytes], int] = field(default_factory=dict, compare=False)
    """The places of those put in together, by month and word; whoever has put them in says `settle`."""

    def put_error(self, end: Micros, error_code: str | None) -> int:
        """Keep the error code of a span that ended at `end`, and give its place."""
        if error_code is None:
            return 0
        text = _encoded(error_code)
        return self._put(end // _MONTH, _LENGTH.pack(len(text)) + text)

    def put_cause(self, end: Micros, cause: Cause | None) -> int:
        """Keep an event, and give its place."""
        if cause is None:
            return 0
        text = b"" if cause.event_id is None else _encoded(cause.event_id)
        length = 0 if cause.event_id is None else 1 + len(text)
        return self._put(end // _MONTH, _CAUSE.pack(cause.position + 1, length) + text)

    def error(self, end: Micros, place: int) -> str | None:
        """Give the error code of a span that ended at `end` by its place."""
        if not place:
            return None
        table = self.tables[end // _MONTH]
        (length,) = _LENGTH.unpack_from(table, place - 1)
        return _decoded(table, place - 1 + _LENGTH.size, length)

    def cause(self, end: Micros, place: int) -> Cause | None:
        """Give an event by its place."""
        if not place:
            return None
        table = self.tables[end // _MONTH]
        number, length = _CAUSE.unpack_from(table, place - 1)
        return Cause(_decoded(table, place - 1 + _CAUSE.size, length - 1) if length else None, number - 1)

    def forget_before(self, time: Micros) -> None:
        """Drop the words of spans that ended before `time`, as far as they fill a month."""
        for month in [month for month in self.tables if month < time // _MONTH]:
            del self.tables[month]

    def settle(self) -> None:
        """Look for none of those that were put in so far any more."""
        if self.seen:
            self.seen = {}

    def _put(self, month: int, word: bytes) -> int:
        place = self.seen.get((month, word))
        if place is None:
            table = self.tables.get(month, b"")
            place = self.seen[month, word] = len(table) + 1
            self.tables[month] = _grown(table, word)
        return place


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _decoded(table: Bytes, start: int, length: int) -> str:
    return table[start : start + length].decode("utf-8", "surrogatepass")


_REST: Final = Struct("<BIII")
"""A span's bucket, and the places of its error code and of the events at its ends."""

Part = tuple[Micros, Micros, int]
"""Start, end and bucket of a span."""


@dataclass(slots=True)
class Spans:
    """
    Closed spans, sorted and disjoint; only in their `words` do they share anything with those of others.

    `starts` and `ends` are times (C's long long), `rest` what else there is of each.
    """

    words: Words = field(default_factory=Words)
    starts: Bytes = b""
    ends: Bytes = b""
    rest: Bytes = b""

    def copy(self) -> Spans:
        """Give an independent copy."""
        return Spans(self.words, _copied(self.starts), _copied(self.ends), _copied(self.rest))

    def add(self, spans: Iterable[Span]) -> None:
        """Add later ones."""
        starts, ends, rest = array("q"), array("q"), list[bytes]()
        for span in spans:
            end = span.end
            starts.append(span.start)
            ends.append(end)
            error = self.words.put_error(end, span.error_code)
            began, ended = self.words.put_cause(end, span.began_by), self.words.put_cause(end, span.ended_by)
            rest.append(_REST.pack(span.bucket, error, began, ended))
        self.starts = _grown(self.starts, starts.tobytes())
        self.ends = _grown(self.ends, ends.tobytes())
        self.rest = _grown(self.rest, b"".join(rest))

    def forget_before(self, time: Micros) -> list[Span]:
        """Drop those that ended before `time`, and give them."""
        ends = _times(self.ends)
        count = bisect_left(ends, time)
        if not count:
            return []
        gone = [self[place] for place in range(count)]
        self.starts, self.ends = _times(self.starts)[count:].tobytes(), ends[count:].tobytes()
        self.rest = self.rest[count * _REST.size :]
        return gone

    def parts(self, start: Micros = 0, end: Micros | None = None) -> list[Part]:
        """Give start, end and bucket of what overlaps `[start, end)`; `end` None: of all after `start`."""
        starts, ends = _times(self.starts), _times(self.ends)
        first = bisect_right(ends, start) if start else 0
        last = len(starts) if end is None else bisect_left(starts, end)
        size = _REST.size
        return [(starts[place], ends[place], self.rest[place * size]) for place in range(first, last)]

    def __len__(self) -> int:
        return len(self.rest) // _REST.size

    def __iter__(self) -> Iterator[Span]:
        return (self[place] for place in range(len(self)))

    def __getitem__(self, place: int) -> Span:
        start, end = _times(self.starts)[place], _times(self.ends)[place]
        bucket, error, began, ended = _REST.unpack_from(self.rest, (place % len(self)) * _REST.size)
        words = self.words
        began_by, ended_by = words.cause(end, began), words.cause(end, ended)
        return Span(start, end, bucket, words.error(end, error), began_by, ended_by)


def _times(packed: Bytes) -> memoryview[int]:
    return memoryview(packed).cast("q")
