"""What Kafka's client gives becomes a record of ours, whatever its producer wrote."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from service.adapters.kafka_records import record_from
from service.domain.time import rfc3339
from service.processing.values import Record


@dataclass
class ClientRecord:
    """As aiokafka's, as far as it is read."""

    timestamp: int
    headers: tuple[tuple[str, bytes | None], ...] = ()
    topic: str = "t"
    partition: int = 3
    offset: int = 17
    key: bytes | None = b"k"
    value: bytes | None = b"v"


def test_a_record_is_translated_field_by_field() -> None:
    """Milliseconds become microseconds, and a header without a value has an empty one."""
    headers = (("a", b"1"), ("b", None), ("a", b"2"))

    record = record_from(ClientRecord(1_767_571_200_123, headers))

    kept = (("a", b"1"), ("b", b""), ("a", b"2"))
    assert record == Record("t", 3, 17, 1_767_571_200_123_000, b"k", b"v", kept)


@pytest.mark.parametrize(
    ("milliseconds", "micros"),
    [
        (-1, 0),
        (0, 0),
        (1_767_571_200, 1_767_571_200_000),
        (253_402_300_799_999, 253_402_300_799_999_000),
        (253_402_300_800_000, 0),
        (1_767_571_200_000_000, 0),
        ((1 << 63) - 1, 0),
    ],
)
def test_a_timestamp_that_no_calendar_has_is_none(milliseconds: int, micros: int) -> None:
    """Counted in microseconds it would be the year 57 981; what is left can be written."""
    record = record_from(ClientRecord(milliseconds))

    assert record.timestamp == micros
    assert rfc3339(record.timestamp).endswith("Z")
