"""A record as Kafka's client gives it, in the words of the ports; knows nothing of where it was read."""

from __future__ import annotations

from typing import Any

from service.processing.values import Record

_MICROS_PER_MILLI = 1_000

_END_OF_CALENDAR = 253_402_300_800_000
"""The year 10 000 in milliseconds since 1970: a producer counted in another unit than milliseconds."""


def record_from(record: Any) -> Record:
    """Translate one record; a timestamp that is no time of the calendar becomes 0, which is none."""
    timestamp = record.timestamp if 0 <= record.timestamp < _END_OF_CALENDAR else 0
    return Record(
        record.topic,
        record.partition,
        record.offset,
        timestamp * _MICROS_PER_MILLI,
        record.key,
        record.value,
        tuple((name, value or b"") for name, value in record.headers) if record.headers else (),
    )
