"""
From the ledger of one partition back to the view: bases with their closed history, an EVSE at a time.

The ledger may be far larger than memory: it is read twice, first the bases, then the history, which is staged
in the view until the state takes it over. This module decides nothing about where to read on.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TypeVar

from schemas.view import PORT
from service.domain.state import NAMELESS, EvseState
from service.domain.time import DAY, Micros, micros_of_text
from service.processing import ledger, storing
from service.processing.instruments import Part
from service.processing.ledger import Base, Kind, LedgerMark
from service.processing.options import Ports
from service.processing.planning import Planning, rewrite
from service.processing.ports import ClosedHistory, Epochs, Record, SaveOutcome, StoredEvse
from service.processing.retry import Retrying
from service.processing.states import Held, rebased

Each = TypeVar("Each")

_EVSES_AT_ONCE = 100
_RECORDS_STAGED_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Edge:
    """Where the closed history of a base ends: what closed later is folded again from the log."""

    first_open_day: int
    since: Mapping[str, Micros]
    """By connector, the start of the segment that was open in the base."""

    @classmethod
    def of(cls, state: EvseState) -> Edge:
        """Give the edge of a state."""
        tracks = {NAMELESS: state.base.nameless, **state.base.tracks}
        return cls(state.days_closed, {uid: track.since for uid, track in tracks.items()})

    def has_day(self, connector_uid: str, day: int) -> bool:
        """Tell whether a closed day is in the base."""
        return day < self.first_open_day and (connector_uid == PORT or connector_uid in self.since)

    def has_span(self, connector_uid: str, end: Micros) -> bool:
        """Tell whether a closed span is in the base: it ended before the segment that is open there began."""
        since = self.since.get(connector_uid)
        return since is not None and end <= since


@dataclass(slots=True)
class Book:
    """What the ledger of a partition holds, but for the closed history."""

    bases: dict[str, Base] = field(default_factory=dict)
    edges: dict[str, Edge] = field(default_factory=dict)
    marks: dict[str, LedgerMark] = field(default_factory=dict)
    epochs: Epochs = field(default_factory=Epochs)
    dead: set[bytes] = field(default_factory=set)
    """Keys whose newest record is a tombstone."""

    def take(self, record: Record) -> None:
        """Note one record; of one key the newest counts, of bases the furthest: a late one may come last."""
        words = ledger.parsed_key(record.key)
        if not words:
            return
        kind, value = words[0], record.value
        if kind in {Kind.DAY, Kind.OUTAGE} and record.key is not None:
            if value is None:
                self.dead.add(record.key)
            else:
                self.dead.discard(record.key)
        elif value is None:
            return
        elif kind == Kind.BASE:
            self._take_base(words[1], ledger.read_base(value))
        elif kind == Kind.MARK:
            self.marks[words[1]] = ledger.read_mark(value)
        elif kind == Kind.EPOCH:
            epochs = ledger.read_epochs(value)
            if epochs.generation > self.epochs.generation:
                self.epochs = epochs

    def _take_base(self, uid: str, base: Base) -> None:
        known = self.bases.get(uid)
        if known is None or known.position.judge(base.position) is not SaveOutcome.STALE:
            self.bases[uid] = base

    def find_edges(self) -> None:
        """Work out where the history of each base ends."""
        for uid, base in self.bases.items():
            self.edges[uid] = Edge.of(storing.restore(StoredEvse(base.position, base.state, b"")))

    def history_of(self, record: Record) -> ClosedHistory | None:
        """Give the closed day or span that a record holds, if a base has it."""
        words = ledger.parsed_key(record.key)
        if not words or record.value is None or record.key in self.dead:
            return None
        if words[0] == Kind.DAY:
            _, uid, connector_uid, day = words
            edge, start = self.edges.get(uid), micros_of_text(f"{day}T00:00:00Z")
            if edge is not None and edge.has_day(connector_uid, start // DAY):
                return ClosedHistory(uid, {f"{connector_uid}/{day}": record.value}, ())
        elif words[0] == Kind.OUTAGE:
            _, uid, connector_uid, _, until = words
            edge, end = self.edges.get(uid), micros_of_text(until)
            if edge is not None and edge.has_span(connector_uid, end):
                return ClosedHistory(uid, {}, ((end, record.value),))
        return None


class Rebuilding:
    """Reads the ledger and writes the view; every call to a part outside is made again until it answers."""

    def __init__(self, ports: Ports, retrying: Retrying, hold: Callable[[], Awaitable[None]]) -> None:
        self._ports = ports
        self._retrying = retrying
        self._hold = hold

    async def read(self, number: int) -> Book:
        """Read the ledger of a partition."""
        return await self._retrying(Part.LOG, lambda: self._read(number))

    async def _read(self, number: int) -> Book:
        book = Book()
        async for records in self._ports.ledger.read(number):
            for record in records:
                book.take(record)
            await self._hold()
        book.find_edges()
        return book

    async def put_back(self, number: int, book: Book, planning: Planning) -> int:
        """Write the bases with their history into the view, where that is not further; count them."""
        if not book.bases:
            return 0
        token, store = uuid.uuid4().hex, self._ports.store
        await self._retrying(Part.LOG, lambda: self._stage(number, book, token))
        for uids in _pieces(sorted(book.bases), _EVSES_AT_ONCE):
            staged = await self._retrying(Part.STORE, partial(store.staged, token, uids))
            writes = [
                rewrite(uid, _held(book.bases[uid], staged.get(uid), planning), planning, staged=token)
                for uid in uids
            ]
            await self._retrying(Part.STORE, partial(store.save, writes))
            await self._hold()
        return len(book.bases)

    async def _stage(self, number: int, book: Book, token: str) -> None:
        async for records in self._ports.ledger.read(number):
            found = (history for record in records if (history := book.history_of(record)) is not None)
            for histories in _pieces(found, _RECORDS_STAGED_AT_ONCE):
                await self._retrying(Part.STORE, partial(self._ports.store.stage, token, histories))
            await self._hold()

    async def take_over(self, number: int, planning: Planning) -> None:
        """Bring what the view holds of older generations into this one, as it is."""
        store = self._ports.store
        members = await self._retrying(Part.STORE, lambda: store.members(number))
        for uids in _pieces(members, _EVSES_AT_ONCE):
            stored = await self._retrying(Part.STORE, partial(store.load, uids))
            writes = []
            for uid, each in stored.items():
                if each.position.epoch < planning.epochs.generation:
                    position = rebased(each.position, planning.epochs, planning.inputs)
                    held = Held(storing.restore(each), position, each.pending)
                    writes.append(rewrite(uid, held, planning))
            await self._retrying(Part.STORE, partial(store.save, writes))
            await self._hold()


def _pieces(items: Iterable[Each], size: int) -> Iterator[list[Each]]:
    rest = iter(items)
    while piece := list(islice(rest, size)):
        yield piece


def _held(base: Base, history: ClosedHistory | None, planning: Planning) -> Held:
    days = {} if history is None else history.closed_days
    outages = [] if history is None else [outage for _, outage in history.closed_outages]
    state = storing.restore(StoredEvse(base.position, base.state, b"", days, outages))
    state.unsaved.exclusions = set(state.declarations.exclusions)
    state.unsaved.gaps = list(state.declarations.gaps)
    return Held(state, rebased(base.position, planning.epochs, planning.inputs))
