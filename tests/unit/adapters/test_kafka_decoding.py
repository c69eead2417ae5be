"""Bytes that Kafka's client cannot read, or only in part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import structlog
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from hypothesis import given
from hypothesis import strategies as st

from service.adapters.kafka_decoding import StepOver, decode_tolerantly
from service.processing.dead_letters import OffsetRange
from service.processing.ports import Unusable
from tests.raw_batches import CODECS, Raw, batch_of

WRITTEN = "\\xff\\xfename"
"""How a name that is no UTF-8 is written."""

GOOD, BAD = Raw(b"good"), Raw(b"bad", bad_header=True)

Decode = Callable[..., Iterator[Any]]


@pytest.fixture(scope="module")
def decode() -> Decode:
    """Give what decodes an answer as the client does: the records of one partition, from an offset on."""
    decode_tolerantly()
    decode_tolerantly()

    def decoded(answer: bytes, offset: int = 0, step_over: str = "") -> Iterator[Any]:
        ranges = [OffsetRange.parse(step_over)] if step_over else []
        names: Any = fetcher
        records: Iterator[Any] = names.PartitionRecords(
            TopicPartition("evse.events", 3),
            names.MemoryRecords(answer),
            None,
            offset,
            StepOver(ranges),
            None,
            True,  # check the checksums
            fetcher.READ_COMMITTED,
        )
        return records

    return decoded


def damaged(batch: bytes) -> bytes:
    """Change a byte of the last record, as a disk does."""
    return batch[:-2] + bytes([batch[-2] ^ 1]) + batch[-1:]


@pytest.mark.parametrize("codec", CODECS)
def test_a_header_may_have_any_name(decode: Decode, codec: int) -> None:
    """Its record and those around it are read, in every compression; nothing is read twice."""
    answer = batch_of([GOOD, BAD, GOOD], codec=codec) + batch_of([BAD, GOOD], 3, codec)

    records = list(decode(answer))

    assert [(one.offset, one.key, one.value) for one in records] == [
        (0, b"key", b"good"),
        (1, b"key", b"bad"),
        (2, b"key", b"good"),
        (3, b"key", b"bad"),
        (4, b"key", b"good"),
    ]
    assert records[1].headers == (("good", b"y"), ("empty", None), (WRITTEN, b"x"))
    assert [one.timestamp - 1_767_571_200_000 for one in records] == [0, 1, 2, 0, 1]


def test_reading_may_begin_within_a_batch(decode: Decode) -> None:
    """A fetch from an offset gives the whole batch around it, whichever decoder reads it."""
    answer = batch_of([GOOD, BAD, GOOD], 10)

    assert [one.offset for one in decode(answer, 12)] == [12]
    assert [one.offset for one in decode(answer, 11)] == [11, 12]


def test_what_cannot_be_read_ends_with_what_comes_before(decode: Decode) -> None:
    """The good is given and nothing raised; the next answer begins at what is damaged, and names it."""
    answer = batch_of([GOOD, GOOD]) + damaged(batch_of([GOOD, GOOD, GOOD], 2)) + batch_of([GOOD], 5)
    records: Any = decode(answer)

    assert [one.offset for one in records] == [0, 1]
    assert records.next_fetch_offset == 2
    with pytest.raises(
        Unusable, match=r"in topic evse\.events, partition 3, the records from offset 2 to 4 "
    ) as end:
        next(decode(answer[len(batch_of([GOOD, GOOD])) :], 2))
    assert "`run --skip evse.events:3:2`" in str(end.value)


@pytest.mark.parametrize("place", ["evse.events:3:2", "evse.events:3:4", "evse.events:3:0-100"])
def test_what_cannot_be_read_is_stepped_over_where_somebody_says_so(decode: Decode, place: str) -> None:
    """Any offset within names it; reading goes on with the batch behind it, and the log says what is lost."""
    answer = batch_of([GOOD, GOOD]) + damaged(batch_of([GOOD, GOOD, GOOD], 2)) + batch_of([GOOD], 5)

    with structlog.testing.capture_logs() as lines:
        offsets = [one.offset for one in decode(answer, step_over=place)]

    assert offsets == [0, 1, 5]
    assert [(line["action"], line["offset"], line["last_offset"]) for line in lines] == [
        ("unreadable_skipped", 2, 4)
    ]


@pytest.mark.parametrize("place", ["evse.events:2:2", "other:3:2", "evse.events:3:5", "evse.events:3:0-1"])
def test_other_places_are_not_meant(decode: Decode, place: str) -> None:
    """Another topic, partition or offset gives nothing up."""
    with pytest.raises(Unusable):
        next(decode(damaged(batch_of([GOOD, GOOD, GOOD], 2)), 2, step_over=place))


def test_what_can_be_read_is_never_stepped_over(decode: Decode) -> None:
    """A record that comes through is for the worker to skip, into the dead letters."""
    assert [one.offset for one in decode(batch_of([GOOD, BAD]), step_over="evse.events:3:0-9")] == [0, 1]


@given(
    values=st.lists(st.tuples(st.binary(max_size=300), st.booleans()), min_size=1, max_size=20),
    codec=st.sampled_from(list(CODECS)),
)
def test_both_decoders_say_the_same(decode: Decode, values: list[tuple[bytes, bool]], codec: int) -> None:
    """What is read again because of one bad name is what the client would have read."""
    with_bad = batch_of([Raw(value, bad_header=bad) for value, bad in values], codec=codec)
    without = batch_of([Raw(value) for value, _ in values], codec=codec)

    again, once = list(decode(with_bad)), list(decode(without))

    assert [replace(one, headers=()) for one in again] == [replace(one, headers=()) for one in once]
    assert [one.headers[:2] for one in again] == [one.headers for one in once]
