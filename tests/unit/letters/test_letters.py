"""What a dead letter says of itself, which are meant, and the record it was."""

from __future__ import annotations

import pytest

from schemas.vocabulary import RejectionReason
from service.letters import Homes, Letter, Selection, sort_out
from service.processing.dead_letters import OffsetRange, dead_letter
from service.processing.rejection import Rejection
from service.processing.values import Epochs, Headers, Message, Record

TOPIC = "evse.dead-letters"
AT = 1_767_571_200_000_000


def rejected(  # noqa: PLR0913 - all but the offset are named
    offset: int = 17,
    *,
    partition: int = 3,
    topic: str = "evse.events",
    value: bytes | None = b"{oops",
    key: bytes | None = b"charger-1",
    timestamp: int = AT,
    headers: Headers = (("ce_id", b"1"),),
    reason: RejectionReason = RejectionReason.NOT_JSON,
    max_bytes: int = 1_000_000,
) -> Letter:
    """Make a dead letter as the worker does, and read it from the topic again."""
    record = Record(topic, partition, offset, timestamp, key, value, headers)
    rejection = Rejection(reason, "the value is not JSON", None)
    message = dead_letter(record, rejection, TOPIC, at=1_767_571_201_000_000, max_bytes=max_bytes)
    return Letter.read(kept(message))


def kept(message: Message) -> Record:
    """Give a message as the dead-letter topic holds it."""
    return Record(message.topic, message.partition, 0, 0, message.key, message.value, message.headers)


def test_a_letter_says_why_and_from_where() -> None:
    """What the worker wrote is read back."""
    letter = rejected()

    assert (letter.reason, letter.message) == ("not_json", "the value is not JSON")
    assert letter.place == "evse.events:3:17"
    assert not letter.cut


def test_the_record_it_was_comes_back_unchanged() -> None:
    """Key, value, headers, topic, partition and its own time; what the worker added is gone."""
    restored = rejected().restored()

    headers = (("ce_id", b"1"),)
    assert restored == Message("evse.events", 3, b"charger-1", b"{oops", headers, AT)


OWN: Headers = (
    ("dl_team", b"a"),
    ("dl_value_length", b"3"),
    ("dl_reason", b"theirs"),
    ("dl_topic", b"theirs"),
    ("dl_headers_dropped", b"1"),
    ("dl_field", b"theirs"),
)


def test_headers_of_the_record_that_are_named_like_ours_come_back_and_are_not_read() -> None:
    """A record may have been a dead letter before, in a topic of somebody else; ours are the last."""
    letter = rejected(headers=OWN)

    assert (letter.reason, letter.place, letter.cut) == ("not_json", "evse.events:3:17", False)
    assert letter.restored().headers == OWN


def test_a_record_without_our_reason_says_nothing_of_where_it_came_from() -> None:
    """It is no letter of ours: whatever its headers are called, they are its own."""
    place = (("dl_topic", b"evse.events"), ("dl_partition", b"0"), ("dl_offset", b"1"))
    letter = Letter.read(Record(TOPIC, 0, 0, 0, None, b"", place))

    assert (letter.reason, letter.origin) == ("unknown", None)


def test_what_was_added_behind_ours_on_the_way_stays() -> None:
    """As by whoever copies the topic from cluster to cluster."""
    letter = rejected()
    record = letter.record
    copied = Record(TOPIC, 0, 0, 0, record.key, record.value, (*record.headers, ("copied-by", b"x")))

    assert Letter.read(copied).restored().headers == (("ce_id", b"1"), ("copied-by", b"x"))


@pytest.mark.parametrize(
    ("said", "timestamp"),
    [
        (b"2026-01-05T00:00:00.123Z", AT + 123_000),
        (b"1969-12-31T23:59:59.999Z", 0),
        (b"yesterday", None),
        (b"", None),
    ],
)
def test_a_time_that_is_none_is_not_sent(said: bytes, timestamp: int | None) -> None:
    """A record without a time has -1 ms in Kafka, which no producer may write: 0 counts as no time, too."""
    place = (("dl_topic", b"evse.events"), ("dl_partition", b"3"), ("dl_offset", b"17"))
    headers = (("dl_reason", b"empty"), *place, ("dl_timestamp", said))
    letter = Letter.read(Record(TOPIC, 0, 0, 0, None, b"", headers))

    assert letter.restored().timestamp == timestamp


def test_a_letter_of_which_only_the_beginning_was_kept_is_not_sent_again() -> None:
    """A cut value would be another record."""
    letter = rejected(value=b"x" * 200_000, max_bytes=100_000)

    chosen = sort_out([letter], {"evse.events": 12})

    assert letter.cut
    assert chosen.ready == ()
    assert "only its beginning was kept" in chosen.left[0][1]


@pytest.mark.parametrize(
    ("letter", "obstacle"),
    [
        (rejected(topic="old.events"), "topic old.events is not among INPUT_TOPICS"),
        (rejected(partition=12), "has no partition 12 any more"),
        (Letter.read(Record(TOPIC, 0, 0, 0, None, b"not ours", ())), "do not say where it came from"),
        (
            Letter.read(
                Record(
                    TOPIC,
                    0,
                    0,
                    0,
                    None,
                    b"",
                    (("dl_reason", b"x"), ("dl_topic", b"t"), ("dl_partition", b"x")),
                )
            ),
            "do not say where it came from",
        ),
    ],
)
def test_what_cannot_be_sent_says_why(letter: Letter, obstacle: str) -> None:
    """A letter is left with its reason, and costs the others nothing."""
    chosen = sort_out([letter, rejected(1)], {"evse.events": 12})

    assert [one.place for one in chosen.ready] == ["evse.events:3:1"]
    assert obstacle in chosen.left[0][1]


def test_a_record_from_before_there_were_more_partitions_is_sent_to_where_its_evse_lives_now() -> None:
    """And so is one that came to a wrong partition since; any other goes to where it came from."""
    epochs = Epochs(1, {"evse.events": 1}, {}, 8, {"evse.events": (0, 0, 0, 20, 0, 0, 0, 0)})
    homes = Homes(epochs, lambda key, partitions: len(key) % partitions)
    wrong = RejectionReason.WRONG_PARTITION

    assert rejected(17).restored(homes).partition == len("charger-1") % 8
    assert rejected(20).restored(homes).partition == 3
    assert rejected(20, reason=wrong).restored(homes).partition == len("charger-1") % 8
    assert rejected(17, topic="other").restored(homes).partition == 3
    assert rejected(17, reason=wrong).restored(Homes(Epochs(), homes.partitioner)).partition == 3
    assert rejected(17).restored().partition == 3


def test_letters_are_sent_once_and_in_the_order_of_the_log() -> None:
    """A record that was read again after a crash was rejected twice, and counts once."""
    chosen = sort_out([rejected(9), rejected(2), rejected(9)], {"evse.events": 12})

    assert [letter.place for letter in chosen.ready] == ["evse.events:3:2", "evse.events:3:9"]


@pytest.mark.parametrize(
    "other",
    [
        rejected(9, timestamp=AT + 1_000_000),
        rejected(9, value=b"{another"),
        rejected(9, value=None),
        rejected(9, key=b"charger-2"),
        rejected(9, key=None),
    ],
)
def test_records_of_two_logs_at_one_place_are_both_sent(other: Letter) -> None:
    """The topic was deleted and created again; a repeat of either still counts once."""
    chosen = sort_out([rejected(9), other, rejected(9), other, rejected(2)], {"evse.events": 12})

    assert chosen.ready == (rejected(2), rejected(9), other)
    assert chosen.left == ()


def test_a_selection_takes_reasons_and_places_together() -> None:
    """Given both, both must fit; given none, all do."""
    letter = rejected()
    here, there = OffsetRange.parse("evse.events:3:10-20"), OffsetRange.parse("evse.events:4:17")

    assert letter in Selection()
    assert letter in Selection(frozenset({"not_json"}), (there, here))
    assert letter not in Selection(frozenset({"empty"}), (here,))
    assert letter not in Selection(frozenset(), (there,))
    assert Letter.read(Record(TOPIC, 0, 0, 0, None, b"", ())) not in Selection(frozenset(), (here,))


@pytest.mark.parametrize(
    ("value", "preview"),
    [
        (None, "(no value)"),
        (b'{"a":\n  1}', '{"a": 1}'),
        (b"\xff\xfe", r"\xff\xfe"),
        (b"x" * 100, "x" * 59 + "…"),
    ],
)
def test_a_preview_is_one_short_line(value: bytes | None, preview: str) -> None:
    """Whatever the bytes are."""
    assert rejected(value=value).preview() == preview
