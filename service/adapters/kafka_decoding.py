"""
How aiokafka decodes what it fetched, made tolerant: one record that it cannot read costs nobody else.

Two things are changed, for the whole process:

- The name of a header may be any bytes, since no broker checks them. aiokafka insists on UTF-8 and fails
  before anybody has seen the record. Here it is decoded again, with what is not UTF-8 written in hexadecimal.
- What cannot be read at all (a damaged batch) is told with its place, after everything before it was given,
  and can be stepped over by who says so.

Knows nothing of what a record means.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import structlog
from aiokafka.consumer import fetcher
from aiokafka.errors import UnsupportedCodecError
from aiokafka.record.default_records import DefaultRecord, _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint

from service.processing.dead_letters import OffsetRange
from service.processing.ports import Unusable

_log = structlog.get_logger()

# Where in a batch its length stands, in bytes (it counts what follows), and where the version of its form.
_LENGTH_AT, _LENGTH_ENDS = 8, 12
_VERSION_AT = 16
_VERSION_WITH_HEADERS = 2

_PartitionRecords: Any = fetcher.PartitionRecords


class StepOver:
    """
    The places that an operator gave up, handed to the decoder the only way there is to it.

    It stands where aiokafka takes what deserializes keys.
    """

    def __init__(self, ranges: Collection[OffsetRange]) -> None:
        self._ranges = ranges

    def __call__(self, key: bytes | None) -> bytes | None:
        return key

    def names(self, topic: str, partition: int, first: int, last: int) -> bool:
        """Tell whether a place between two offsets, both included, is named."""
        return any(
            (one.topic, one.partition) == (topic, partition) and one.first <= last and first <= one.last
            for one in self._ranges
        )


def decode_tolerantly() -> None:
    """Let every consumer of this process decode with what is here; a second call changes nothing."""
    # The fetcher finds both by these names, and offers no other place.
    names: Any = fetcher
    names.MemoryRecords = _Batches
    names.PartitionRecords = _Records


class _Batches:
    """Stands for aiokafka's `MemoryRecords`: the batches in the bytes of one answer."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._batches = MemoryRecords(data)
        self._next_at = 0
        self.next_offset = 0
        """The offset after the last batch handed out, which may be one that cannot be read."""

    def has_next(self) -> bool:
        return self._batches.has_next()

    def size_in_bytes(self) -> int:
        return self._batches.size_in_bytes()

    def next_batch(self) -> Any:
        batch: Any = self._batches.next_batch()
        begin = self._next_at
        length = int.from_bytes(self._data[begin + _LENGTH_AT : begin + _LENGTH_ENDS])
        self._next_at = begin + _LENGTH_ENDS + length
        self.next_offset = batch.next_offset
        if self._data[begin + _VERSION_AT] < _VERSION_WITH_HEADERS:
            return batch
        return _Batch(batch, memoryview(self._data)[begin : self._next_at])


class _Batch:
    """A batch that decodes itself again where the client's own decoder fails at the name of a header."""

    def __init__(self, batch: Any, data: memoryview) -> None:
        self._batch = batch
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self._batch
        except UnsupportedCodecError:
            raise
        except Exception:  # noqa: BLE001 - the client has no one name for it; what lasts is raised again below
            # From the beginning: who reads passes over what it has been given.
            yield from _records_of(self._data)


def _records_of(data: memoryview) -> Iterator[Any]:
    """Decode the records of a batch; see KIP-98 for how they are written."""
    batch: Any = _DefaultRecordBatchPy(data)
    batch._maybe_uncompress()  # noqa: SLF001 - the codecs are the client's
    buffer, at = batch._buffer, batch._pos  # noqa: SLF001
    for _ in range(batch._num_records):  # noqa: SLF001
        length, at = decode_varint(buffer, at)
        yield _record(batch, buffer[at : at + length])
        at += length


def _record(batch: Any, data: bytearray) -> Any:
    timestamp_delta, at = decode_varint(data, 1)
    offset_delta, at = decode_varint(data, at)
    key, at = _bytes(data, at)
    value, at = _bytes(data, at)
    count, at = decode_varint(data, at)
    headers = []
    for _ in range(count):
        name, at = _bytes(data, at)
        content, at = _bytes(data, at)
        headers.append(((name or b"").decode(errors="backslashreplace"), content))
    if at != len(data):
        raise ValueError(f"a record of {len(data)} bytes ends at {at}")
    appended = batch.timestamp_type == batch.LOG_APPEND_TIME
    return DefaultRecord(
        batch.base_offset + offset_delta,
        batch.max_timestamp if appended else batch.first_timestamp + timestamp_delta,
        batch.timestamp_type,
        key,
        value,
        headers,
    )


def _bytes(data: bytearray, at: int) -> tuple[bytes | None, int]:
    """Read bytes that stand behind their length; a negative one means none at all."""
    length, at = decode_varint(data, at)
    return (None, at) if length < 0 else (bytes(data[at : at + length]), at + length)


class _Records(_PartitionRecords):  # type: ignore[misc]
    """The records of one partition in one answer, up to the first that cannot be read."""

    next_fetch_offset: int

    def __init__(self, tp: Any, records: _Batches, *rest: Any) -> None:
        aborted, fetch_offset, key_deserializer, *more = rest
        self._gave_some = False
        self._step_over = key_deserializer if isinstance(key_deserializer, StepOver) else StepOver(())
        super().__init__(tp, records, aborted, fetch_offset, None, *more)

    def __next__(self) -> Any:
        while True:
            try:
                record = super().__next__()
            except (StopIteration, UnsupportedCodecError):
                raise
            except Exception as failure:  # noqa: BLE001 - the client has no one name for what cannot be decoded
                self._stop_or_step_over(failure)
            else:
                self._gave_some = True
                return record

    def _stop_or_step_over(self, failure: Exception) -> None:
        topic, partition, first = self._tp.topic, self._tp.partition, self.next_fetch_offset
        last = max(first, self._records.next_offset - 1)
        if self._step_over.names(topic, partition, first, last):
            place = {"topic": topic, "partition": partition, "offset": first, "last_offset": last}
            _log.warning(
                "What cannot be read is stepped over.",
                action="unreadable_skipped",
                error=repr(failure),
                **place,
            )
            self.next_fetch_offset = last + 1
            self._records_iterator = self._unpack_records()
        elif self._gave_some:
            # What was given is finished first; the next answer begins here.
            raise StopIteration
        else:
            raise Unusable(
                f"in topic {topic}, partition {partition}, the records from offset {first} to {last} cannot "
                f"be read ({failure!r}): restore them on the broker, or go on behind them with "
                f"`run --skip {topic}:{partition}:{first}`"
            ) from failure
