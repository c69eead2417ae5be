"""
Dead letters as they are read again: what each says of itself, which are meant, and the record it was.

This module reads and writes no topic.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from schemas.fields import parse_time
from schemas.vocabulary import RejectionReason
from service.domain.time import Micros, micros_from
from service.processing.dead_letters import OffsetRange
from service.processing.values import Epochs, Headers, Message, Record, TopicPartition

_PREFIX = "dl_"
_FIRST = "dl_reason"
"""The header with which what the worker adds begins, behind the record's own."""

_PREVIEW_BYTES = 400


class TopicReader(Protocol):
    """What looks at topics from the outside, without a group."""

    async def topics(self) -> dict[str, int]:
        """Give the partition count of every topic."""

    def records(self, topic: str, newest: int | None = None) -> AsyncIterator[Record]:
        """Give the records that a topic holds now, in order within a partition."""


@dataclass(frozen=True, slots=True)
class Letter:
    """
    One record of the dead-letter topic, and what its `dl_` headers say.

    `origin` is the record it was: topic, partition, offset; `timestamp` its own, in microseconds. Both are
    None where the headers do not say. `cut`: only its beginning was kept, so it cannot be sent again.
    """

    record: Record
    reason: str
    message: str
    origin: tuple[str, int, int] | None
    timestamp: Micros | None
    cut: bool

    @classmethod
    def read(cls, record: Record) -> Letter:
        """Read any record of the topic, one that is no dead letter of ours too."""
        said = {name: value.decode("utf-8", "replace") for name, value in _parted(record.headers)[1]}
        topic, partition, offset = (said.get(f"dl_{name}", "") for name in ("topic", "partition", "offset"))
        known = bool(topic) and partition.isdecimal() and offset.isdecimal()
        return cls(
            record,
            said.get("dl_reason", "unknown"),
            said.get("dl_message", ""),
            (topic, int(partition), int(offset)) if known else None,
            _time(said.get("dl_timestamp", "")),
            any(name in said for name in ("dl_value_length", "dl_key_length", "dl_headers_dropped")),
        )

    @property
    def place(self) -> str:
        """The origin as `topic:partition:offset`, as options take it."""
        return "unknown origin" if self.origin is None else ":".join(map(str, self.origin))

    def preview(self, most: int = 60) -> str:
        """Give the beginning of the value on one line."""
        value = self.record.value
        if value is None:
            return "(no value)"
        text = " ".join(value[:_PREVIEW_BYTES].decode("utf-8", "backslashreplace").split())
        return text if len(text) <= most else text[: most - 1] + "…"

    def restored(self, homes: Homes | None = None) -> Message:
        """
        Give the record it was, for where it came from: key, value, headers and timestamp as they were.

        The timestamp is the only time of an event that has none of its own: with another it would apply then.
        Where partitions were added since, `homes` says where it comes now.
        """
        if self.origin is None:
            raise ValueError("this letter does not say where it came from")
        topic, partition, _ = self.origin
        if homes is not None:
            partition = homes.of(self)
        headers, _ = _parted(self.record.headers)
        return Message(topic, partition, self.record.key, self.record.value, headers, self.timestamp)


@dataclass(frozen=True, slots=True)
class Homes:
    """
    Where records are sent that came before there were more partitions, or came to a wrong one since.

    `partitioner` gives the partition, of so many, of a key.
    """

    epochs: Epochs
    partitioner: Callable[[bytes, int], int]

    def of(self, letter: Letter) -> int:
        """Give the partition of a letter that says where it came from."""
        topic, partition, offset = letter.origin or ("", 0, 0)
        key, begins = letter.record.key, self.epochs.begins.get(topic)
        if key is None or begins is None:
            return partition
        is_older = offset < self.epochs.begin(TopicPartition(topic, partition))
        if is_older or letter.reason == RejectionReason.WRONG_PARTITION:
            return self.partitioner(key, len(begins))
        return partition


def _parted(headers: Headers) -> tuple[Headers, Headers]:
    """
    Part a letter's headers into the record's own and the worker's.

    The record may have brought headers of the same names, as one does that was a dead letter elsewhere: the
    worker's come behind them. What has another name there was added on the way, and stays.
    """
    begin = max((place for place, (name, _) in enumerate(headers) if name == _FIRST), default=len(headers))
    behind = headers[begin:]
    ours = tuple(header for header in behind if header[0].startswith(_PREFIX))
    added = tuple(header for header in behind if not header[0].startswith(_PREFIX))
    return headers[:begin] + added, ours


def _time(word: str) -> Micros | None:
    try:
        # A record from before 1970 had no time at all, which only the time zero can still say.
        return max(0, micros_from(parse_time(word)))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant: of these reasons (empty: any) and from these places (empty: any)."""

    reasons: frozenset[str] = frozenset()
    places: tuple[OffsetRange, ...] = ()

    def __contains__(self, letter: Letter) -> bool:
        if self.reasons and letter.reason not in self.reasons:
            return False
        return not self.places or any(_lies_in(letter, span) for span in self.places)


def _lies_in(letter: Letter, span: OffsetRange) -> bool:
    if letter.origin is None:
        return False
    topic, partition, offset = letter.origin
    return (topic, partition) == (span.topic, span.partition) and span.first <= offset <= span.last


@dataclass(frozen=True, slots=True)
class Sorted:
    """Letters that can be sent again, each record once, in order; and those that cannot, and why."""

    ready: tuple[Letter, ...]
    left: tuple[tuple[Letter, str], ...]


def sort_out(letters: Collection[Letter], topics: dict[str, int]) -> Sorted:
    """
    Tell what can be sent again; `topics` are the input topics with their partition counts.

    A record that was rejected more than once (it was read again after a crash) is sent once. A topic that was
    deleted and created again has other records at the same places: these are told apart by what they hold.
    """
    ready: dict[tuple[object, ...], Letter] = {}
    left = []
    for letter in letters:
        obstacle = _obstacle(letter, topics)
        if obstacle is None and letter.origin is not None:
            ready[*letter.origin, letter.timestamp, letter.record.key, letter.record.value] = letter
        elif obstacle is not None:
            left.append((letter, obstacle))
    # Of one place in the order in which they were rejected.
    return Sorted(tuple(sorted(ready.values(), key=lambda letter: letter.origin or ())), tuple(left))


def _obstacle(letter: Letter, topics: dict[str, int]) -> str | None:
    if letter.origin is None:
        return "its headers do not say where it came from"
    if letter.cut:
        return "only its beginning was kept; let its producer send it again"
    topic, partition, _ = letter.origin
    if topic not in topics:
        return f"topic {topic} is not among INPUT_TOPICS; add it"
    if partition >= topics[topic]:
        return f"topic {topic} has no partition {partition} any more"
    return None
