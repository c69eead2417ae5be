"""
Dead letters (promise P8): what a rejected record becomes, and when too many of them stop the worker.

This module decides nothing about what is rejected.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from service.domain.time import Micros, rfc3339
from service.processing.ports import Unusable
from service.processing.rejection import Rejection
from service.processing.values import Headers, Message, Record, TopicPartition

KEPT_BYTES: Final = 65_536
"""Of a record that does not fit, so much of the value (and at most so much of the key) is kept."""

_OVERHEAD_BYTES: Final = 1_024
"""Room for the broker's own framing of a record and its batch."""

_PER_HEADER_BYTES: Final = 10
"""Framing of one header at most: two lengths as variable-length integers."""

_WORD_CHARACTERS: Final = 2_000
"""Of what a `dl_` header says, at most so much."""


@dataclass(frozen=True, slots=True, order=True)
class OffsetRange:
    """Offsets of one partition, both ends included."""

    topic: str
    partition: int
    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> OffsetRange:
        """
        Read `topic:partition:from-to` or `topic:partition:offset`; raise ValueError with the remedy.

        >>> OffsetRange.parse("evse.events:3:10-20")
        OffsetRange(topic='evse.events', partition=3, first=10, last=20)
        """
        match = re.fullmatch(
            r"([a-zA-Z0-9._-]+):([0-9]{1,10}):([0-9]{1,19})(?:-([0-9]{1,19}))?", text.strip()
        )
        if match is None:
            raise ValueError(
                f"{text!r} is no offset or range; write topic:partition:offset or topic:partition:from-to"
            )
        topic, partition, first, last = match.groups()
        span = cls(topic, int(partition), int(first), int(last or first))
        if span.last < span.first:
            raise ValueError(f"{text!r} ends before it begins; write topic:partition:from-to")
        return span

    def __str__(self) -> str:
        offsets = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f"{self.topic}:{self.partition}:{offsets}"

    def __contains__(self, record: Record) -> bool:
        return (
            self.topic == record.topic
            and self.partition == record.partition
            and self.first <= record.offset <= self.last
        )


class Skips:
    """
    Records that become dead letters unread: those that an operator names, and those the ledger remembers.

    Whoever reads looks here at every record that may be one, so what is remembered counts from then on.
    """

    def __init__(self, named: Iterable[OffsetRange] = ()) -> None:
        self.named = frozenset(named)
        self._remembered: dict[int, frozenset[OffsetRange]] = {}
        self._all = self.named

    def remember(self, number: int, ranges: Iterable[OffsetRange]) -> None:
        """Take over what the ledger says of the partitions of a number."""
        self._remembered[number] = frozenset(ranges)
        self._all = self.named.union(*self._remembered.values())

    def __contains__(self, item: object) -> bool:
        return item in self._all

    def __iter__(self) -> Iterator[OffsetRange]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


@dataclass(frozen=True, slots=True)
class Allowance:
    """
    What an operator lets become dead letters.

    `accepted` are rejections that do not count towards the limit; `skipped` are records that become dead
    letters unread, since our own code fails on them.
    """

    accepted: frozenset[OffsetRange] = frozenset()
    skipped: frozenset[OffsetRange] = frozenset()

    def refuse_unknown(self, ends: Mapping[TopicPartition, int]) -> None:
        """
        Raise `Unusable` for what is no place in the input: `ends` holds the end of each of its partitions.

        A mistyped place would let the worker stop again, and be remembered for a record that is to come.
        """
        for option, spans in (("--accept-rejections", self.accepted), ("--skip", self.skipped)):
            for span in sorted(spans):
                end = ends.get(TopicPartition(span.topic, span.partition))
                problem = _problem_of(span, end, ends)
                if problem is not None:
                    raise Unusable(f"{option} {span}: {problem}")

    def without_done(self, done: Mapping[TopicPartition, int]) -> tuple[Allowance, list[OffsetRange]]:
        """
        Leave out records to be skipped that lie before what is done: processed, or gone from the log.

        Remembered, they would be taken for skipped when the log is read again. Gives those left out, too.
        """
        late = {
            span
            for span in self.skipped
            if span.last < done.get(TopicPartition(span.topic, span.partition), 0)
        }
        return replace(self, skipped=self.skipped - late), sorted(late)


def _problem_of(span: OffsetRange, end: int | None, ends: Mapping[TopicPartition, int]) -> str | None:
    if end is not None:
        if span.last < end:
            return None
        held = f"its last record is {end - 1}" if end else "it holds none yet"
        return f"topic {span.topic}, partition {span.partition} has no record {span.last}: {held}"
    numbers = sorted(place.partition for place in ends if place.topic == span.topic)
    if not numbers:
        topics = ", ".join(sorted({place.topic for place in ends}))
        return f"{span.topic} is no input topic (INPUT_TOPICS: {topics})"
    return f"topic {span.topic} has no partition {span.partition}, only {numbers[0]} to {numbers[-1]}"


NOTHING: Final = Allowance()
"""What is let become dead letters unless an operator says so."""


class TooManyRejections(Exception):
    """
    So many records in a row were rejected that something is set wrongly; the last of them is not committed.

    The worker stops rather than drain a topic into the dead letters.
    """

    def __init__(self, record: Record, rejection: Rejection, in_a_row: int) -> None:
        place = f"{record.topic}:{record.partition}:{record.offset}"
        super().__init__(
            f"{in_a_row} records in a row were rejected in topic {record.topic}, partition "
            f"{record.partition}, the last at offset {record.offset}: {rejection.reason} "
            f"({rejection.message}); it is not committed. Correct what writes them, or let them become "
            f"dead letters with `run --accept-rejections {place}-{record.offset}` (a later last offset "
            "accepts more)."
        )
        self.record = record
        self.rejection = rejection


class RejectionRun:
    """
    Counts the rejections in a row of one partition, across restarts.

    A record that is read again (its offset is below `counted_until`) is not counted again.
    """

    def __init__(self, in_a_row: int = 0, counted_until: int = 0) -> None:
        self.in_a_row = in_a_row
        self.counted_until = counted_until

    def passed(self, offset: int) -> None:
        """Count a record that was not rejected, or whose rejection was accepted: the run begins anew."""
        if offset >= self.counted_until:
            self.in_a_row = 0
            self.counted_until = offset + 1

    def rejected(self, offset: int, limit: int) -> bool:
        """Count a rejection and give True; give False, uncounted, if it would reach the limit."""
        if offset < self.counted_until:
            return True
        if limit and self.in_a_row + 1 >= limit:
            return False
        self.in_a_row += 1
        self.counted_until = offset + 1
        return True


def is_accepted(record: Record, accepted: Collection[OffsetRange]) -> bool:
    """Tell whether an operator accepted that this record may become a dead letter."""
    return any(record in span for span in accepted)


def dead_letter(record: Record, rejection: Rejection, topic: str, *, at: Micros, max_bytes: int) -> Message:
    """
    Make the message that keeps a rejected record: key, value and headers unchanged, with `dl_` headers added.

    A message over `max_bytes` keeps the first 64 kB of the value, with `dl_value_length` and
    `dl_value_sha256` of the whole; if that is still too much, the key is cut likewise and the record's own
    headers go.
    """
    headers = _origin(record, rejection, at)
    whole = Message(topic, record.partition, record.key, record.value, record.headers + headers)
    if _size(whole) <= max_bytes:
        return whole
    headers += _measured("dl_value", record.value)
    value = None if record.value is None else record.value[:KEPT_BYTES]
    cut = Message(topic, record.partition, record.key, value, record.headers + headers)
    if _size(cut) <= max_bytes:
        return cut
    headers += _measured("dl_key", record.key)
    headers += (("dl_headers_dropped", str(len(record.headers)).encode()),)
    key = None if record.key is None else record.key[:KEPT_BYTES]
    return Message(topic, record.partition, key, value, headers)


def _origin(record: Record, rejection: Rejection, at: Micros) -> Headers:
    words = {
        "dl_reason": rejection.reason.value,
        "dl_message": rejection.message,
        "dl_field": rejection.field,
        "dl_topic": record.topic,
        "dl_partition": str(record.partition),
        "dl_offset": str(record.offset),
        "dl_timestamp": rfc3339(record.timestamp),
        "dl_at": rfc3339(at),
    }
    return tuple((name, _utf8(word)) for name, word in words.items() if word is not None)


def _measured(name: str, data: bytes | None) -> Headers:
    if data is None:
        return ()
    return (
        (f"{name}_length", str(len(data)).encode()),
        (f"{name}_sha256", hashlib.sha256(data).hexdigest().encode()),
    )


def _utf8(word: str) -> bytes:
    # A field's name may come from the record itself: of any length, with half a surrogate pair in it.
    return word[:_WORD_CHARACTERS].encode("utf-8", "backslashreplace")


def _size(message: Message) -> int:
    headers = sum(
        len(name.encode("utf-8", "replace")) + len(value) + _PER_HEADER_BYTES
        for name, value in message.headers
    )
    return _OVERHEAD_BYTES + len(message.key or b"") + len(message.value or b"") + headers
