"""
The ledger: closed history and bases as compacted records, and back (design 2.3).

Keys are compact JSON arrays whose first word is the kind. This module reads and writes no topic.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

import orjson

from schemas.view import parse_day_field
from service.domain.time import Micros, rfc3339
from service.processing.dead_letters import OffsetRange
from service.processing.storing import from_base, of_base
from service.processing.values import Epochs, Mark, Position

Entry = tuple[list[str], Any]
"""One record: its key, and its value as plain JSON or None for a tombstone."""


class Kind(StrEnum):
    """What a record of the ledger is about."""

    DAY = "day"
    OUTAGE = "outage"
    EXCLUSION = "exclusion"
    GAP = "gap"
    REMOVAL = "removal"
    BASE = "base"
    MARK = "mark"
    SKIP = "skip"
    EPOCH = "epoch"


CLOSED: Final = frozenset({Kind.DAY, Kind.OUTAGE})
"""What of an EVSE's history is closed."""


def day_key(uid: str, field: str) -> list[str]:
    """Name a closed day by its EVSE and its field in the view, `<connector_uid>/<date>`."""
    connector_uid, day = parse_day_field(field)
    return [Kind.DAY, uid, connector_uid, day.isoformat()]


def outage_key(uid: str, connector_uid: str, start: Micros, end: Micros) -> list[str]:
    """Name a closed span; with both its ends, since one that a removal cut short is another."""
    return [Kind.OUTAGE, uid, connector_uid, rfc3339(start), rfc3339(end)]


def exclusion_key(uid: str, exclusion_id: str) -> list[str]:
    """Name an exclusion."""
    return [Kind.EXCLUSION, uid, exclusion_id]


def gap_key(uid: str, start: Micros, end: Micros) -> list[str]:
    """Name a time in which nothing could be seen of an EVSE."""
    return [Kind.GAP, uid, rfc3339(start), rfc3339(end)]


def removal_entry(uid: str, removed_at: str) -> Entry:
    """Make the record of a removal, which was at an RFC 3339 time."""
    return [Kind.REMOVAL, uid], {"removed_at": removed_at}


def packed_key(key: list[str]) -> bytes:
    """Write a key."""
    return orjson.dumps(key)


def evse_of(key: bytes | None) -> str | None:
    """Give the EVSE that a record is about, None for one about a partition, or none of ours."""
    words = parsed_key(key)
    return words[1] if len(words) > 1 and words[0] in _OF_EVSES else None


_OF_EVSES: Final = frozenset({Kind.DAY, Kind.OUTAGE, Kind.EXCLUSION, Kind.GAP, Kind.REMOVAL, Kind.BASE})


def is_closed(key: bytes | None) -> bool:
    """Tell whether a record is a closed day or span."""
    words = parsed_key(key)
    return bool(words) and words[0] in CLOSED


def parsed_key(key: bytes | None) -> list[str]:
    """Read a key; what is none of ours is an empty list."""
    try:
        words = orjson.loads(key or b"")
    except orjson.JSONDecodeError:
        return []
    return words if isinstance(words, list) and set(map(type, words)) == _TEXT else []


_TEXT = {str}


@dataclass(frozen=True, slots=True)
class Base:
    """
    The whole state of one EVSE, packed, and the position up to which the log is in it.

    `holds_from`: in older generations than this one the EVSE lives in another partition. `topics`: its events
    came from these input topics, where they are others now. `shown`: what the view shows of it, packed by
    `shown.pack`; empty where that has to be rendered.
    """

    position: Position
    state: bytes
    holds_from: int = 0
    topics: tuple[str, ...] = ()
    shown: bytes = b""


@dataclass(frozen=True, slots=True)
class KeptBase:
    """
    A base as the ledger holds it, unopened: most of it is compressed, and a partition has very many.

    `position` and `holds_from` are those of `Base`.
    """

    position: Position
    holds_from: int
    value: bytes

    @classmethod
    def of(cls, value: bytes) -> KeptBase:
        """Read the value of a base no further than these."""
        plain = orjson.loads(value)
        return cls(_position_in(plain), plain.get("holds_from", 0), value)

    def open(self) -> Base:
        """Read the whole of it."""
        return read_base(self.value)


def base_entry(uid: str, base: Base) -> Entry:
    """Make the record of a base; the state is private, and compressed since two days of reports are large."""
    position = base.position
    return [Kind.BASE, uid], {
        "position": {
            "epoch": position.epoch,
            "offsets": position.offsets,
            "as_of": rfc3339(position.as_of_us),
            "as_of_us": position.as_of_us,
        },
        "state": base64.b64encode(zlib.compress(of_base(base.state), 1)).decode(),
        "shown": base64.b64encode(base.shown).decode(),
    }


def read_base(value: bytes) -> Base:
    """Read the value of a base."""
    plain = orjson.loads(value)
    state = from_base(zlib.decompress(base64.b64decode(plain["state"])))
    shown = base64.b64decode(plain.get("shown", ""))
    holds_from, topics = plain.get("holds_from", 0), tuple(plain.get("topics", ()))
    return Base(_position_in(plain), state, holds_from, topics, shown)


def _position_in(plain: dict[str, Any]) -> Position:
    at = plain["position"]
    return Position(at["epoch"], tuple(at["offsets"]), at["as_of_us"])


def holds_from(value: bytes) -> int:
    """Read the value of a base no further than from which generation on it holds."""
    generation: int = orjson.loads(value).get("holds_from", 0)
    return generation


def holding_from(
    generation: int, key: bytes | None, value: bytes | None, topics: Sequence[str] = ()
) -> bytes | None:
    """
    Give a record's value for another partition, in which it is to hold from a generation on.

    `topics` are the input topics until then, where they are others from then on; a base that was not written
    again since an earlier move keeps those of before that.
    """
    if value is None or parsed_key(key)[:1] != [Kind.BASE]:
        return value
    said = {"topics": topics} if topics else {}
    return orjson.dumps({**said, **orjson.loads(value), "holds_from": generation})


@dataclass(frozen=True, slots=True)
class LedgerMark:
    """
    How far the bases of a partition reach in one topic, and the packed ingest as of there.

    `bases`: how many EVSEs have one at least. A ledger that is deleted while a mark is on its way holds it
    and not the bases: the producer sends it until there is a topic of that name.
    """

    mark: Mark
    ingest: bytes
    epoch: int
    bases: int = 0

    def lacks_bases(self, there: int) -> bool:
        """Tell whether it speaks of more bases than are there: they were in a ledger that is gone."""
        return self.bases > there


def mark_entry(topic: str, each: LedgerMark) -> Entry:
    """Make the record that says how far the bases of a partition reach."""
    return [Kind.MARK, topic], {
        "day": date.fromordinal(_FIRST_DAY + each.mark.day).isoformat(),
        "next_offset": each.mark.next_offset,
        "epoch": each.epoch,
        "ingest": each.ingest.decode(),
        "bases": each.bases,
    }


def no_mark(topic: str) -> Entry:
    """Make the record after which nothing says how far the bases of a partition reach."""
    return [Kind.MARK, topic], None


_FIRST_DAY: Final = date(1970, 1, 1).toordinal()


def read_mark(value: bytes) -> LedgerMark:
    """Read the value of a mark."""
    plain = orjson.loads(value)
    day = date.fromisoformat(plain["day"]).toordinal() - _FIRST_DAY
    mark = Mark(day, plain["next_offset"])
    return LedgerMark(mark, plain["ingest"].encode(), plain["epoch"], plain.get("bases", 0))


def epoch_entry(epochs: Epochs) -> Entry:
    """Make the record of the epochs; it stands in every partition."""
    return [Kind.EPOCH], {
        "generation": epochs.generation,
        "since": dict(epochs.since),
        "ids": dict(epochs.ids),
        "partitions": epochs.partitions,
        "begins": {topic: list(offsets) for topic, offsets in epochs.begins.items()},
        "moved_from": epochs.moved_from,
    }


def read_epochs(value: bytes) -> Epochs:
    """Read the value of the epochs."""
    plain = orjson.loads(value)
    begins = {topic: tuple(offsets) for topic, offsets in plain.get("begins", {}).items()}
    return Epochs(
        plain["generation"],
        plain["since"],
        plain.get("ids", {}),
        plain.get("partitions", 0),
        begins,
        plain.get("moved_from", 0),
    )


def skip_entry(span: OffsetRange, epoch: int) -> Entry:
    """Make the record that remembers what an operator skipped, in the partition of the same number."""
    key = [Kind.SKIP, span.topic, str(span.first), str(span.last)]
    return key, {"first": span.first, "last": span.last, "epoch": epoch}


def read_skip(topic: str, number: int, value: bytes) -> tuple[OffsetRange, int]:
    """Read what an operator skipped in a partition of this number, and the epoch of its log."""
    plain = orjson.loads(value)
    return OffsetRange(topic, number, plain["first"], plain["last"]), plain["epoch"]


def day_entries(
    uid: str, closed: Mapping[str, bytes], dropped: Iterable[str]
) -> list[tuple[list[str], bytes | None]]:
    """Make the records of days that were closed, and the tombstones of days that were dropped."""
    entries: list[tuple[list[str], bytes | None]] = [
        (day_key(uid, name), day) for name, day in closed.items()
    ]
    entries += [(day_key(uid, name), None) for name in dropped]
    return entries
