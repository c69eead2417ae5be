"""
What is written to the output topics: snapshots, tombstones and transitions, as CloudEvents in binary mode,
and the records of the ledger.

Ids are deterministic: what is published again has the id it had. This module knows neither when to publish
nor what stands in a snapshot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from schemas.snapshot import SNAPSHOT_TYPE, TRANSITION_TYPE
from service.domain.outcomes import Transition
from service.domain.time import SECOND, Micros, rfc3339
from service.processing.instruments import OutputKind
from service.processing.ledger import Entry, packed_key
from service.processing.trimming import trimmed
from service.processing.values import Headers, Message, Position, Record


@dataclass(frozen=True, slots=True)
class Topics:
    """The names of the output topics, and who we are in `ce_source`."""

    snapshots: str
    transitions: str
    dead_letters: str
    ledger: str
    source: str

    @classmethod
    def with_prefix(cls, prefix: str, source: str) -> Topics:
        """Name the topics as design 2.3 does, behind a prefix."""
        return cls(
            f"{prefix}snapshots", f"{prefix}transitions", f"{prefix}dead-letters", f"{prefix}ledger", source
        )

    def kind(self, message: Message) -> OutputKind:
        """Tell what a message of ours is."""
        if message.topic == self.dead_letters:
            return OutputKind.DEAD_LETTER
        if message.topic == self.transitions:
            return OutputKind.TRANSITION
        if message.topic == self.ledger:
            return OutputKind.LEDGER
        if message.topic != self.snapshots:
            return OutputKind.EVENT
        return OutputKind.TOMBSTONE if message.value is None else OutputKind.SNAPSHOT

    def snapshot(self, uid: str, partition: int, position: Position, revision: int, value: bytes) -> Message:
        """Make the message of a snapshot; its time is the `as_of` of the position."""
        # The revision alone names no snapshot: the tick and a new note keep it. Position and revision do.
        offsets = ".".join(map(str, position.offsets))
        ce_id = f"{uid}:{revision}:{position.epoch}:{offsets}:{position.as_of_us}"
        headers = self._headers(ce_id, SNAPSHOT_TYPE, uid, rfc3339(position.as_of_us))
        return Message(self.snapshots, partition, uid.encode(), value, headers)

    def tombstone(self, uid: str, partition: int, position: Position) -> Message:
        """Make the message after which a compacted topic forgets the EVSE."""
        headers = self._headers(f"{uid}:removed", SNAPSHOT_TYPE, uid, rfc3339(position.as_of_us))
        return Message(self.snapshots, partition, uid.encode(), None, headers)

    def moved(self, uid: str, partition: int, to: int, generation: int, at: Micros) -> Message:
        """Make the message after which a compacted topic forgets the EVSE where it lives no more."""
        headers = self._headers(f"{uid}:moved:{generation}", SNAPSHOT_TYPE, uid, rfc3339(at))
        moved = ("ce_movedto", b"%d" % to)
        return Message(self.snapshots, partition, uid.encode(), None, (*headers, moved))

    def kept_from(self, uid: str, partition: int, pending: bytes) -> list[Message]:
        """Make the messages of what was packed with a save."""
        return self.kept(uid, partition, unpacked(pending))

    def kept(self, uid: str, partition: int, kept: Kept) -> list[Message]:
        """Make the messages of what is kept with a save: records of the ledger, then transitions."""
        messages = [self.entry(partition, entry) for entry in kept.ledger]
        messages += [
            Message(
                self.transitions,
                partition,
                uid.encode(),
                each.value,
                self._headers(each.id, TRANSITION_TYPE, uid, each.at),
            )
            for each in kept.transitions
        ]
        return messages

    def entry(self, partition: int, entry: Entry) -> Message:
        """Make the message of one record of the ledger."""
        key, value = entry
        return Message(
            self.ledger, partition, packed_key(key), None if value is None else orjson.dumps(value)
        )

    def event(self, topic: str, partition: int, event: dict[str, Any]) -> Message:
        """Make the message of an event that the worker itself writes to the input."""
        headers = (("content-type", b"application/json"),)
        return Message(topic, partition, event["evse_uid"].encode(), orjson.dumps(event), headers)

    def _headers(self, ce_id: str, ce_type: str, subject: str, time: str) -> Headers:
        return (
            _SPECVERSION,
            ("ce_id", ce_id.encode()),
            ("ce_type", ce_type.encode()),
            ("ce_source", self.source.encode()),
            ("ce_subject", subject.encode()),
            ("ce_time", time.encode()),
            _CONTENT_TYPE,
        )


_SPECVERSION: Final = ("ce_specversion", b"1.0")
_CONTENT_TYPE: Final = ("content-type", b"application/json")


@dataclass(slots=True, init=False)
class Described:
    """One transition as it is published: its id, its time as RFC 3339, and its JSON."""

    id: str
    at: str
    value: bytes

    def __init__(self, id: str, at: str, value: bytes) -> None:  # noqa: A002 - the field
        self.id, self.at, self.value = id, at, value


def described(uid: str, record: Record, transitions: Sequence[Transition]) -> list[Described]:
    """
    Describe a record's transitions (`schemas.snapshot.TransitionRecord`), as they are kept with the state.

    The id is the event's position in the log and the transition's number among those of the event.
    """
    if not transitions:
        return []
    place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    made = []
    for number, transition in enumerate(transitions):
        transition_id, at = f"{uid}:{transition.position}:{number}", rfc3339(transition.at)
        value = {
            "id": transition_id,
            "evse_uid": uid,
            "connector_uid": transition.connector_uid,
            "from_status": transition.from_status,
            "to_status": transition.to_status,
            "at": at,
            "lasted_seconds": _seconds(transition.lasted),
            "verdict": transition.verdict,
            "event_id": transition.event_id,
            "position": place,
        }
        made.append(Described(transition_id, at, orjson.dumps(value)))
    return made


class Kept(NamedTuple):
    """The outputs of an EVSE's last save, as they are kept with its state until the next."""

    transitions: Sequence[Described]
    ledger: Sequence[Entry]

    def packed(self) -> bytes:
        """Pack for the view; nothing is empty bytes."""
        if not self.transitions and not self.ledger:
            return b""
        said = orjson.dumps([[orjson.Fragment(each.value) for each in self.transitions], self.ledger])
        return trimmed(said)


def unpacked(pending: bytes) -> Kept:
    """Read the outputs kept with the state; empty bytes are none."""
    if not pending:
        return Kept((), ())
    transitions, entries = orjson.loads(pending)
    told = [Described(each["id"], each["at"], orjson.dumps(each)) for each in transitions]
    return Kept(told, [(key, value) for key, value in entries])


def _seconds(span: Micros | None) -> float | None:
    return None if span is None else span / SECOND
