"""
What ledger and snapshots hold of EVSEs beyond their bases, for when the log does not reach back to these.

Then closed history and the last snapshot are all there is of an EVSE without a base, and an EVSE with one has
published more since. `domain.remains` says what can be made of it. This module reads no records of the input.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Any

import orjson
import structlog

from schemas.vocabulary import ExclusionReason, Status
from service.domain.inventory import Exclusion, Gap
from service.domain.remains import LastWord, Remains, Said, revive
from service.domain.time import SECOND, Micros, micros_of_text
from service.domain.timeline import Note
from service.domain.track import NEVER, Report
from service.processing import ledger, rendering, storing
from service.processing.cutting import pieces
from service.processing.instruments import Part
from service.processing.ledger import Entry, Kind
from service.processing.options import Ports
from service.processing.planning import Defect, Planning, write
from service.processing.rebuilding import Book
from service.processing.retry import Retrying
from service.processing.states import Held, new_position
from service.processing.values import Message, Position, Record, SaveOutcome, ViewWrite

_log = structlog.get_logger()

_EVSES_AT_ONCE = 100

_KEPT = frozenset({Kind.DAY, Kind.OUTAGE, Kind.EXCLUSION, Kind.GAP, Kind.REMOVAL})

_DERIVED = frozenset({"uid", "status", "online", "uptime", "reliability", "last_updated", "connectors"})
"""Fields of a published EVSE and its connectors that come of no inventory."""


def reached_in(record: Record) -> Position | None:
    """Give the position that a snapshot is of (`outputs.Topics.snapshot`), None where it says none."""
    said = _id_words(record)
    try:
        _, _, epoch, offsets, as_of = said
        return Position(int(epoch), tuple(map(int, offsets.split("."))), int(as_of))
    except ValueError:  # a tombstone, or none of ours
        return None


def _id_words(record: Record) -> list[str]:
    """Give the words of a snapshot's id (`outputs.Topics.snapshot`); the uid may have colons itself."""
    return dict(record.headers).get("ce_id", b"").decode("utf-8", "replace").rsplit(":", 4)


def _revision_in(record: Record) -> int:
    said = _id_words(record)
    return int(said[1]) if len(said) == 5 and said[1].isdecimal() else 0  # noqa: PLR2004 - the words of the id


@dataclass(slots=True)
class Leftovers:
    """
    What is left beside the bases of a partition.

    `closed` holds by EVSE without a base what the ledger says of it, by key. `snapshots` holds the last one
    of EVSEs that have no base, or have published more since. `stale` are keys of history, by EVSE, that its
    base does not have: it is going to be folded again, maybe otherwise. `written_at`: when an EVSE was first
    written of.
    """

    book: Book
    closed: dict[str, dict[bytes, bytes]] = field(default_factory=dict)
    snapshots: dict[str, bytes] = field(default_factory=dict)
    stale: dict[str, set[bytes]] = field(default_factory=dict)
    written_at: dict[str, Micros] = field(default_factory=dict)

    @property
    def uids(self) -> list[str]:
        """The EVSEs without a base."""
        return sorted({*self.closed, *self.snapshots} - self.book.bases.keys())

    def take(self, record: Record) -> None:
        """Note a record of the ledger."""
        words = ledger.parsed_key(record.key)
        if not words or words[0] not in _KEPT or record.key is None:
            return
        kind, uid = words[0], words[1]
        if uid in self.book.early:
            return
        if uid in self.book.bases:
            if kind in ledger.CLOSED and self.book.is_beyond_base(words):
                keys = self.stale.setdefault(uid, set())
                keys.discard(record.key) if record.value is None else keys.add(record.key)
        elif record.value is None:
            self.closed.get(uid, {}).pop(record.key, None)
            if not self.closed.get(uid):
                self.closed.pop(uid, None)
        else:
            self.written_at.setdefault(uid, record.timestamp)
            self.closed.setdefault(uid, {})[record.key] = record.value

    def take_snapshot(self, record: Record) -> None:
        """Note a record of the snapshots."""
        uid = (record.key or b"").decode("utf-8", "replace")
        edge = self.book.edge(uid)
        if record.value is None or uid in self.book.early:
            self.snapshots.pop(uid, None)
        elif edge is None or _revision_in(record) > edge.revision:
            self.written_at.setdefault(uid, record.timestamp)
            self.snapshots[uid] = record.value

    def word(self, uid: str) -> LastWord | None:
        """Give what was published last of an EVSE, where no base has it."""
        value = self.snapshots.get(uid)
        return None if value is None else last_word(value)

    def remains(self, uid: str, partition: int) -> Remains:
        """Give all that is left of an EVSE without a base."""
        left = Remains(uid, partition, word=self.word(uid))
        days: dict[str, bytes] = {}
        for key, value in self.closed.get(uid, {}).items():
            kind, _, *words = ledger.parsed_key(key)
            if kind == Kind.DAY:
                days["/".join(words)] = value
            elif kind == Kind.OUTAGE:
                owner, span = storing.read_span(value)
                left.spans.setdefault(owner, []).append(span)
            elif kind == Kind.EXCLUSION:
                left.exclusions[words[0]] = _exclusion(orjson.loads(value))
            elif kind == Kind.GAP:
                left.gaps.append(_gap(uid, *map(micros_of_text, words)))
            else:
                left.removed_at = micros_of_text(orjson.loads(value)["removed_at"])
        for owner, day, amounts in storing.read_days(days)[0]:
            left.days.setdefault(owner, {})[day] = amounts
        return left


class Remnants:
    """Reads what is left and writes it into the view, where that holds nothing of the EVSE."""

    def __init__(
        self, ports: Ports, retrying: Retrying, hold: Callable[[], Awaitable[None]], ledger_topic: str
    ) -> None:
        self._ports = ports
        self._retrying = retrying
        self._hold = hold
        self._ledger = ledger_topic

    async def reached(self, number: int) -> Position | None:
        """Give the furthest position that the snapshots of a partition are of, None where there is none."""
        return await self._retrying(Part.LOG, lambda: self._reached(number))

    async def _reached(self, number: int) -> Position | None:
        furthest: Position | None = None
        async for records in self._ports.snapshots.read(number):
            for position in filter(None, map(reached_in, records)):
                furthest = position if furthest is None else _further(furthest, position)
            await self._hold()
        return furthest

    async def read(self, number: int, book: Book) -> Leftovers:
        """Read what is left of a partition beside the bases of `book`."""
        return await self._retrying(Part.LOG, lambda: self._read(number, book))

    async def _read(self, number: int, book: Book) -> Leftovers:
        left = Leftovers(book)
        async for records in self._ports.ledger.read(number):
            for record in records:
                left.take(record)
            await self._hold()
        async for records in self._ports.snapshots.read(number):
            for record in records:
                left.take_snapshot(record)
            await self._hold()
        return left

    async def drop_stale(self, number: int, left: Leftovers, uids: Sequence[str]) -> None:
        """Take out of the ledger what closed after the bases of these EVSEs, which begin there again."""
        keys = [key for uid in uids for key in sorted(left.stale.get(uid, ()))]
        await self._publish([Message(self._ledger, number, key, None) for key in keys])

    async def tell_closed(self, number: int, entries: Mapping[str, Sequence[Entry]]) -> None:
        """
        Tell the ledger what states have closed as they were caught up, and their bases do not have.

        A connector that was first named after the base starts with what held for all before.
        """
        told = [
            Message(
                self._ledger, number, ledger.packed_key(key), None if value is None else orjson.dumps(value)
            )
            for some in entries.values()
            for key, value in some
        ]
        await self._publish(told)

    async def put_back(
        self, number: int, left: Leftovers, planning: Planning, *, view_is_lost: bool
    ) -> dict[str, Micros]:
        """
        Write what is left of EVSEs without a base, and make the ledger say the same.

        Gives those that the view now holds so, each with the time from which on nothing is known of it. Who
        was removed is not among them. What the view holds itself stays; where it is lost, what it holds is
        what was put back before.
        """
        lost: dict[str, Micros] = {}
        for uids in pieces(left.uids, _EVSES_AT_ONCE):
            made = [self._revived(uid, number, left, planning) for uid in uids]
            outcomes = await self._retrying(
                Part.STORE, partial(self._ports.store.save, [each.write for each in made])
            )
            for uid, each, outcome in zip(uids, made, outcomes, strict=True):
                is_back = outcome is SaveOutcome.ALREADY and view_is_lost
                if outcome is SaveOutcome.SAVED or is_back:
                    await self._publish(each.messages)
                    self._tell_dropped(uid, each.messages)
                    if each.since is not None:
                        lost[uid] = each.since
            await self._hold()
        return lost

    def _tell_dropped(self, uid: str, messages: list[Message]) -> None:
        """Say which closed history goes: it lies behind the last whole day, where nothing is certain."""
        dropped = [ledger.parsed_key(each.key) for each in messages if each.value is None]
        if dropped:
            _log.warning(
                "Outages after the last closed day of an EVSE are dropped: that time is unobserved.",
                action="history_dropped",
                evse_uid=uid,
                outages=[words[2:] for words in dropped if words[0] == Kind.OUTAGE],
            )

    async def _publish(self, messages: list[Message]) -> None:
        if messages:
            await self._retrying(Part.PUBLISHER, lambda: self._ports.publisher.publish(messages))

    def _revived(self, uid: str, number: int, left: Leftovers, planning: Planning) -> _Revived:
        try:
            remains = left.remains(uid, number)
            since = None
            if remains.removed_at is None:
                known = remains.lost_since()
                since = left.written_at.get(uid, 0) if known is None else known
            state = revive(remains, planning.rules)
            epochs, topics = planning.epochs, len(planning.inputs)
            position = new_position(epochs.generation, topics)._replace(as_of_us=state.as_of)
            held = Held(state, position)
            rendered = rendering.document(state, state.as_of, planning.rules)
            whole = write(uid, held, rendered, position, b"")
        except Exception as error:  # whatever it is, it is ours
            raise Defect(uid, None) from error
        said = {
            ledger.packed_key(key): orjson.dumps(value) for key, value in rendered.ledger if value is not None
        }
        was = left.closed.get(uid, {})
        messages = [
            Message(self._ledger, number, key, None)
            for key in was
            if ledger.parsed_key(key)[0] in ledger.CLOSED and key not in said
        ]
        messages += [
            Message(self._ledger, number, key, value) for key, value in said.items() if was.get(key) != value
        ]
        return _Revived(
            # Nothing was staged under this word: what the view held is replaced by what is written.
            replace(whole, replace=True, staged=uuid.uuid4().hex),
            messages,
            since,
        )


@dataclass(frozen=True, slots=True)
class _Revived:
    write: ViewWrite
    messages: list[Message]
    since: Micros | None


def _further(one: Position, other: Position) -> Position:
    if one.epoch != other.epoch:
        return max(one, other)
    offsets = tuple(map(max, one.offsets, other.offsets))
    return Position(one.epoch, offsets, max(one.as_of_us, other.as_of_us))


def _exclusion(plain: dict[str, Any]) -> Exclusion:
    uids = plain["connector_uids"]
    return Exclusion(
        NEVER,
        withdrawn=False,
        from_=micros_of_text(plain["from"]),
        until=None if plain["until"] is None else micros_of_text(plain["until"]),
        reason=ExclusionReason(plain["reason"]),
        connector_uids=None if uids is None else tuple(uids),
        note=plain["note"],
    )


def _gap(uid: str, start: Micros, end: Micros) -> Gap:
    return Gap(start, end, (end, -1), f"gap:{uid}:{start}")


def last_word(value: bytes) -> LastWord:
    """Read a snapshot of ours as the last word about its EVSE."""
    plain = orjson.loads(value)
    evse, states = plain["evse"], plain["connectors"]
    published = {each["uid"]: each for each in evse.get("connectors") or ()}
    said = {each["connector_uid"]: _said(each, published, evse) for each in states}
    inventory, note, window = _inventory(evse), plain["note"], plain["windows"][0]
    taken_out = frozenset(said.keys() - published.keys())
    spoken = _spoken_of(published)
    seen = window["up_seconds"] + window["down_seconds"] + window["excluded_seconds"]
    return LastWord(
        revision=plain["revision"],
        last_updated=micros_of_text(evse["last_updated"]),
        last_seen_at=_time(plain["last_seen_at"]),
        note=note and Note(_report(note["status"], note), micros_of_text(note["at"])),
        evse=inventory,
        connectors=spoken if spoken or taken_out else None,
        taken_out=taken_out,
        said=said,
        since=micros_of_text(window["until"]) - round(seen * SECOND),
    )


def _spoken_of(published: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """
    Give the connectors that an inventory must have spoken of, with their fields.

    They stand first, in its order; others follow by their uids. One that says nothing but its uid, in an
    order that could be that of the others, may have been in none: then nothing takes it out.
    """
    uids = list(published)
    described = [_inventory(published[uid]) for uid in uids]
    count = max((place + 1 for place, fields in enumerate(described) if fields), default=0)
    while any(one > other for one, other in pairwise(uids[count:])):
        count += 1
    return dict(zip(uids[:count], described, strict=False))


def _said(state: Mapping[str, Any], published: Mapping[str, Mapping[str, Any]], evse: Any) -> Said:
    """Put together what a snapshot says of a connector; one that is taken out has no status and no online."""
    connector = published.get(state["connector_uid"], {})
    since, status = _time(state["status_since"]), connector.get("status")
    report = None if since is None or status is None else _report(status, state)
    updated = micros_of_text(connector.get("last_updated") or evse["last_updated"])
    online = connector.get("online")
    return Said(report, since, online, None if online is None else _time(state["online_since"]), updated)


def _report(status: str, words: Mapping[str, Any]) -> Report:
    return Report(Status(status), words["raw_status"], words["error_code"])


def _inventory(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in plain.items() if name not in _DERIVED}


def _time(text: str | None) -> Micros | None:
    return None if text is None else micros_of_text(text)


def named(uids: list[str], most: int = 20) -> Iterator[str]:
    """Give some of many uids for people, and how many more there are."""
    yield from uids[:most]
    if len(uids) > most:
        yield f"and {len(uids) - most} more, each of them named with LOG_LEVEL=debug"


__all__ = ["Leftovers", "Remnants", "last_word", "named", "reached_in"]
