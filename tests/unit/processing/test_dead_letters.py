"""What a rejected record becomes, and when too many of them stop a partition."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.snapshot import DeadLetterHeaders
from schemas.vocabulary import RejectionReason
from service.processing.dead_letters import (
    KEPT_BYTES,
    Allowance,
    OffsetRange,
    RejectionRun,
    TooManyRejections,
    dead_letter,
    is_accepted,
)
from service.processing.ports import Unusable
from service.processing.rejection import Rejection
from service.processing.values import Headers, Message, Record, TopicPartition

REJECTION = Rejection(RejectionReason.INVALID_FIELD, "status must be a string, is 3", "status")


def record(
    value: bytes | None = b"{}", key: bytes | None = b"e1", headers: Headers = (), offset: int = 7
) -> Record:
    """Give a record of partition 3."""
    return Record("evse.events", 3, offset, 1_767_571_200_000_000, key, value, headers)


def letter(of: Record, rejection: Rejection = REJECTION, max_bytes: int = 1 << 20) -> Message:
    """Make its dead letter."""
    return dead_letter(of, rejection, "evse.dead-letters", at=1_767_571_260_000_000, max_bytes=max_bytes)


def words(message: Message) -> dict[str, str]:
    """Give a message's headers as text."""
    return {name: value.decode() for name, value in message.headers}


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ("evse.events:7:1", "evse.events has no partition 7, only 0 to 1"),
        ("evse.event:0:1", "evse.event is no input topic (INPUT_TOPICS: evse.events)"),
        ("evse.events:0:10", "partition 0 has no record 10: its last record is 9"),
        ("evse.events:0:8-12", "partition 0 has no record 12: its last record is 9"),
        ("evse.events:1:0", "partition 1 has no record 0: it holds none yet"),
    ],
)
def test_a_place_that_is_none_is_refused(place: str, problem: str) -> None:
    """Both options name the option, the place and what is wrong with it; what exists is taken."""
    ends = {TopicPartition("evse.events", 0): 10, TopicPartition("evse.events", 1): 0}
    named, good = frozenset([OffsetRange.parse(place)]), frozenset([OffsetRange.parse("evse.events:0:0-9")])

    Allowance(good, good).refuse_unknown(ends)
    for option, allowance in (
        ("--accept-rejections", Allowance(accepted=named)),
        ("--skip", Allowance(skipped=named)),
    ):
        with pytest.raises(Unusable, match=re.escape(f"{option} {place}: ") + ".*" + re.escape(problem)):
            allowance.refuse_unknown(ends)


def test_what_is_done_is_not_skipped_any_more() -> None:
    """A record that was processed, or is gone, would be missing when the log is read again."""
    done, here, new = (OffsetRange.parse(f"evse.events:0:{at}") for at in ("8", "9", "12"))
    allowance = Allowance(accepted=frozenset([done]), skipped=frozenset([done, here, new]))

    kept, late = allowance.without_done({TopicPartition("evse.events", 0): 9})

    assert (kept.skipped, late) == (frozenset([here, new]), [done])
    assert kept.accepted == allowance.accepted


def test_a_dead_letter_keeps_key_value_and_headers() -> None:
    """What was written can be written again, byte for byte; ours come behind."""
    original = record(b"\xff{", b"\x00key", (("a", b"1"), ("a", b"\xff")))

    made = letter(original)

    assert (made.key, made.value, made.headers[:2]) == (original.key, original.value, original.headers)
    assert (made.topic, made.partition) == ("evse.dead-letters", 3)


def test_a_dead_letter_says_why_and_where_from() -> None:
    """Reason, message, field and origin stand in headers, as the published schema has them."""
    said = words(letter(record()))

    DeadLetterHeaders.model_validate(said)
    assert said == {
        "dl_reason": "invalid_field",
        "dl_message": "status must be a string, is 3",
        "dl_field": "status",
        "dl_topic": "evse.events",
        "dl_partition": "3",
        "dl_offset": "7",
        "dl_timestamp": "2026-01-05T00:00:00Z",
        "dl_at": "2026-01-05T00:01:00Z",
    }


def test_no_field_no_header() -> None:
    """A rejection that concerns no field says nothing of one."""
    assert "dl_field" not in words(letter(record(), Rejection(RejectionReason.NOT_JSON, "no JSON")))


@pytest.mark.parametrize("key", [None, b"e1"])
def test_a_tombstone_can_be_a_dead_letter(key: bytes | None) -> None:
    """Null for key or value stays null."""
    made = letter(record(None, key))

    assert (made.key, made.value) == (key, None)


def test_what_does_not_fit_is_kept_in_part_with_its_measures() -> None:
    """The first 64 kB, the length and the SHA-256 of the whole stay; key and headers, too."""
    value = bytes(range(256)) * 2000

    made = letter(record(value, headers=(("own", b"1"),)), max_bytes=200_000)

    said = words(made)
    assert made.value == value[:KEPT_BYTES]
    assert said["dl_value_length"] == "512000"
    assert said["dl_value_sha256"] == hashlib.sha256(value).hexdigest()
    assert said["own"] == "1"
    DeadLetterHeaders.model_validate(said)


def test_a_huge_key_is_cut_and_huge_headers_go() -> None:
    """Whatever is large, something is kept that fits, and it says what is missing."""
    made = letter(record(b"v" * 300_000, b"k" * 300_000, (("h", b"x" * 300_000),)), max_bytes=200_000)

    said = words(made)
    assert (made.key, made.value) == (b"k" * KEPT_BYTES, b"v" * KEPT_BYTES)
    assert (said["dl_key_length"], said["dl_value_length"], said["dl_headers_dropped"]) == (
        "300000",
        "300000",
        "1",
    )
    DeadLetterHeaders.model_validate(said)


@given(st.binary(max_size=300), st.binary(max_size=300), st.text(max_size=50), st.text(max_size=5000))
def test_a_dead_letter_can_always_be_made(value: bytes, key: bytes, name: str, message: str) -> None:
    """Whatever stands in the record, half surrogate pairs included, it becomes a dead letter."""
    made = letter(
        record(value, key, ((name, value),)), Rejection(RejectionReason.NOT_JSON, message, name + "\ud800")
    )

    assert made.value == value
    assert all(len(said) <= 20_000 for _, said in made.headers)


@pytest.mark.parametrize("text", ["evse.events:3:10-20", " evse.events:3:10-20 "])
def test_a_range_of_offsets_is_read_with_both_ends(text: str) -> None:
    """10 and 20 are in it, 9 and 21 are not."""
    span = OffsetRange.parse(text)

    assert [offset for offset in range(30) if record(offset=offset) in span] == list(range(10, 21))


def test_a_range_may_be_one_offset() -> None:
    """`topic:partition:offset` is a range of one."""
    assert OffsetRange.parse("t:0:5") == OffsetRange("t", 0, 5, 5)


@pytest.mark.parametrize("text", ["", "t", "t:0", "t:x:1-2", "t:0:2-1", "t:0:1-", "t u:0:1", "t:0:-1"])
def test_a_wrong_range_is_refused_with_the_form(text: str) -> None:
    """The message shows how it is written."""
    with pytest.raises(ValueError, match="topic:partition:from-to"):
        OffsetRange.parse(text)


def test_ranges_are_of_one_partition_of_one_topic() -> None:
    """The same offset elsewhere is not accepted."""
    accepted = {OffsetRange("evse.events", 2, 0, 99), OffsetRange("other", 3, 0, 99)}

    assert not is_accepted(record(), accepted)
    assert is_accepted(record(), accepted | {OffsetRange("evse.events", 3, 7, 7)})


def test_the_rejection_that_reaches_the_limit_is_not_counted() -> None:
    """With a limit of 3 two pass and the third does not, however often it is tried."""
    run = RejectionRun()

    assert [run.rejected(offset, 3) for offset in range(3)] == [True, True, False]
    assert not run.rejected(2, 3)
    assert (run.in_a_row, run.counted_until) == (2, 2)


def test_a_good_record_begins_the_run_anew() -> None:
    """Only rejections in a row count."""
    run = RejectionRun()
    run.rejected(0, 2)
    run.passed(1)

    assert run.rejected(2, 2)


def test_zero_is_no_limit() -> None:
    """0 lets any number pass."""
    run = RejectionRun()

    assert all(run.rejected(offset, 0) for offset in range(1000))
    assert run.in_a_row == 1000


def test_what_is_read_again_is_not_counted_again() -> None:
    """After a restart records before the checkpoint pass without a word, good ones and rejected ones."""
    run = RejectionRun(in_a_row=2, counted_until=10)

    assert run.rejected(8, 3)
    run.passed(9)
    assert run.in_a_row == 2
    assert not run.rejected(10, 3)


def test_the_last_word_names_reason_offset_and_remedy() -> None:
    """One line with topic, partition, offset, reason, and the command that goes on."""
    said = str(TooManyRejections(record(), REJECTION, 100))

    assert "\n" not in said
    for word in (
        "100 records in a row",
        "topic evse.events, partition 3",
        "at offset 7",
        "invalid_field (status must be a string, is 3)",
        "run --accept-rejections evse.events:3:7-7",
    ):
        assert word in said
