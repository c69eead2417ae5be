"""
From the ledger of one partition back to the view: bases with their closed history, an EVSE at a time.

One reading is enough where the closed history fits in memory: it is written with the state. The ledger may
be far larger than that: then it is read once more, and the history is staged in the view until the state
takes it over. This module decides nothing about where to read on.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import structlog

from service.domain.packing import Edge
from service.domain.remains import LastWord, catch_up
from service.domain.state import Former
from service.domain.time import DAY, micros_of_text
from service.processing import ledger, rendering, shown, storing
from service.processing.closed_records import ClosedRecords, InMemory, Staged
from service.processing.cutting import pieces
from service.processing.dead_letters import OffsetRange
from service.processing.instruments import Part
from service.processing.ledger import Base, Entry, KeptBase, Kind, LedgerMark
from service.processing.options import Ports
from service.processing.planning import Planning, rewrite, with_history
from service.processing.ports import Unusable
from service.processing.retry import Retrying
from service.processing.states import Held, rebased
from service.processing.values import ClosedHistory, Epochs, Record, SaveOutcome, StoredEvse, ViewWrite

_log = structlog.get_logger()

EVSES_AT_ONCE = 400
_EVSES_A_TURN = 20
"""So many are made ready, before what is sent to the view gets its turn: some two milliseconds."""

_OF_NO_EVSE = frozenset({Kind.MARK, Kind.EPOCH, Kind.SKIP})


@dataclass(slots=True)
class Book:
    """What the ledger of a partition holds, and the closed history as far as it fits in memory."""

    bases: dict[str, KeptBase | Base] = field(default_factory=dict)
    """Asked for by `base`."""
    closed: ClosedRecords = field(default_factory=ClosedRecords)
    _edges: dict[str, Edge] = field(default_factory=dict)
    marks: dict[str, LedgerMark] = field(default_factory=dict)
    epochs: Epochs = field(default_factory=Epochs)
    skips: dict[OffsetRange, int] = field(default_factory=dict)
    """What an operator skipped, and the epoch of its log."""
    dead: set[bytes] = field(default_factory=set)
    """Keys whose newest record is a tombstone."""
    has_history: bool = False
    """Whether it says anything of any EVSE."""
    early: set[str] = field(default_factory=set)
    """EVSEs that will live here in a layout that does not hold yet."""

    def take(self, record: Record) -> None:
        """Note one record; of one key the newest counts, of bases the furthest: a late one may come last."""
        words = ledger.parsed_key(record.key)
        if not words:
            return
        kind, value = words[0], record.value
        if value is not None and kind not in _OF_NO_EVSE:
            self.has_history = True
        if kind in ledger.CLOSED:
            self._take_closed(words, record)
        elif kind == Kind.BASE:
            self._take_base(words[1], value)
        elif kind == Kind.MARK:
            self._take_mark(words[1], value)
        elif value is None:
            return
        elif kind == Kind.SKIP:
            span, epoch = ledger.read_skip(words[1], record.partition, value)
            self.skips[span] = epoch
        elif kind == Kind.EPOCH:
            epochs = ledger.read_epochs(value)
            if epochs.generation >= self.epochs.generation:
                self.epochs = epochs

    def _take_closed(self, words: list[str], record: Record) -> None:
        self.closed.take(words, record.value)
        if record.value is None:
            self.dead.add(record.key or b"")
        elif self.dead:
            self.dead.discard(record.key or b"")

    def _take_base(self, uid: str, value: bytes | None) -> None:
        if value is None:  # it lives in another partition now
            self.bases.pop(uid, None)
            return
        base, known = KeptBase.of(value), self.bases.get(uid)
        if known is None or known.position.judge(base.position) is not SaveOutcome.STALE:
            self.bases[uid] = base

    def _take_mark(self, topic: str, value: bytes | None) -> None:
        if value is None:  # it was of a ledger that is gone
            self.marks.pop(topic, None)
        else:
            self.marks[topic] = ledger.read_mark(value)

    def leave_out_early(self) -> None:
        """Leave out bases that do not hold yet, once all is read."""
        self.early = {uid for uid, base in self.bases.items() if base.holds_from > self.epochs.generation}
        for uid in self.early:
            del self.bases[uid]

    def base(self, uid: str) -> Base:
        """Give the base of an EVSE that has one; raise `Unusable` where another version wrote it."""
        kept = self.bases[uid]
        base = kept if isinstance(kept, Base) else kept.open()
        try:
            storing.refuse_unknown(base.state)
        except storing.UnknownVersion as error:
            raise Unusable(f"the base of EVSE {uid!r} in the ledger cannot be read: {error}") from error
        return base

    def edge(self, uid: str) -> Edge | None:
        """Give where the history of a base ends, None where there is no base; asked once all is read."""
        edge = self._edges.get(uid)
        if edge is None and uid in self.bases:
            edge = self._edges[uid] = storing.edge_of(self.base(uid).state)
        return edge

    @property
    def is_short(self) -> bool:
        """Whether bases are missing that a mark speaks of."""
        return any(mark.lacks_bases(len(self.bases)) for mark in self.marks.values())

    def forget_bases(self) -> None:
        """
        Take no base for one: the ledger was begun anew, and the closed history is not all in it yet.

        A worker that did not know of it may have written bases nevertheless, and that they reach somewhere.
        """
        self.bases, self._edges, self.marks = {}, {}, {}

    def reached(self, topic_index: int, epoch: int) -> int:
        """Give the offset of a topic before which something is in the bases, of the log of this epoch."""
        return max(
            (
                base.position.offsets[topic_index] + 1
                for base in self.bases.values()
                if base.position.epoch >= epoch and topic_index < len(base.position.offsets)
            ),
            default=0,
        )

    def is_beyond_base(self, key: Sequence[str]) -> bool:
        """Tell whether a closed day or span is of an EVSE that has a base, and is not in it."""
        uid, connector_uid, *words = key[1:]
        edge = self.edge(uid)
        if edge is None:
            return False
        if key[0] == Kind.DAY:
            return not edge.has_day(connector_uid, micros_of_text(f"{words[0]}T00:00:00Z") // DAY)
        return not edge.has_span(connector_uid, micros_of_text(words[1]))

    def history_of(self, record: Record) -> ClosedHistory | None:
        """Give the closed day or span that a record holds, if a base has it."""
        words = ledger.parsed_key(record.key)
        if not words or words[0] not in ledger.CLOSED or record.value is None or record.key in self.dead:
            return None
        if words[1] not in self.bases or self.is_beyond_base(words):
            return None
        if words[0] == Kind.DAY:
            _, uid, connector_uid, day = words
            return ClosedHistory(uid, {f"{connector_uid}/{day}": record.value}, ())
        return ClosedHistory(words[1], {}, ((micros_of_text(words[4]), record.value),))


@dataclass(slots=True)
class PutBack:
    """
    What became of bases: of each the outcome of its write.

    `closed` are the records of the ledger for what some states have closed beyond what it says.
    """

    outcomes: dict[str, SaveOutcome] = field(default_factory=dict)
    closed: dict[str, Sequence[Entry]] = field(default_factory=dict)


class _OneAtATime:
    """What is under way while the next is made ready; its error comes to whoever waits for its end."""

    def __init__(self) -> None:
        self._under_way: asyncio.Task[None] | None = None

    def begin(self, what: Coroutine[Any, Any, None]) -> None:
        """Begin; what was begun before must have ended."""
        if self._under_way is not None:
            raise RuntimeError("something is under way")
        self._under_way = asyncio.get_running_loop().create_task(what)

    async def ended(self) -> None:
        """Wait until it has ended."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            await under_way

    async def given_up(self) -> None:
        """Wait until it has ended, whatever has become of it; no call to a part outside is cancelled."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            await asyncio.gather(under_way, return_exceptions=True)


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
        book.leave_out_early()
        return book

    async def put_back(
        self,
        number: int,
        book: Book,
        planning: Planning,
        word: Callable[[str], LastWord | None] = lambda _: None,
    ) -> PutBack:
        """
        Write the bases with their history into the view, where that is not further; say what became of each.

        `word` gives what an EVSE was last published as, where its base does not say that and the log cannot.
        """
        done = PutBack()
        if not book.bases:
            return done
        histories = await self._histories(number, book)
        saving = _OneAtATime()
        try:
            for uids in pieces(sorted(book.bases), EVSES_AT_ONCE):
                if histories.token:
                    await saving.ended()  # of two calls that wait, each would hold the membership
                found = await histories.of(uids)
                writes: list[ViewWrite] = []
                for some in pieces(uids, _EVSES_A_TURN):
                    for uid in some:
                        base, history = book.base(uid), found.get(uid)
                        whole, closed = _restored(uid, base, number, history, planning, word(uid))
                        if closed:
                            done.closed[uid] = closed
                        writes.append(with_history(whole, history, histories.token))
                    await asyncio.sleep(0)  # those before are being written meanwhile
                await saving.ended()
                await self._hold()
                saving.begin(self._save(writes, done.outcomes))
            await saving.ended()
        finally:
            await saving.given_up()
        await self._hold()
        return done

    async def _save(self, writes: Sequence[ViewWrite], written: dict[str, SaveOutcome]) -> None:
        outcomes = await self._retrying(Part.STORE, partial(self._ports.store.save, writes))
        written |= zip((write.uid for write in writes), outcomes, strict=True)

    async def _histories(self, number: int, book: Book) -> InMemory | Staged:
        """Give the closed history that the bases have; stage it where it is too large to be held."""
        if book.closed.is_whole:
            return InMemory(book.edge, book.closed)
        token = uuid.uuid4().hex
        uids = await self._retrying(Part.LOG, lambda: self.stage(number, book, token))
        return Staged(self._ports.store, self._retrying, token, uids)

    async def delist_others(self, number: int, book: Book) -> None:
        """Take those out of the view's list of a partition of whom its ledger knows nothing."""
        store = self._ports.store
        members = await self._retrying(Part.STORE, lambda: store.members(number))
        others = [uid for uid in members if uid not in book.bases]
        await self._retrying(Part.STORE, lambda: store.delist(number, others))

    async def stage(self, number: int, book: Book, token: str) -> set[str]:
        """Stage the closed history that the bases have, and give the EVSEs that have any."""
        uids: set[str] = set()
        async for records in self._ports.ledger.read(number):
            found = (history for record in records if (history := book.history_of(record)) is not None)
            histories = _by_evse(found)
            if histories:
                await self._retrying(Part.STORE, partial(self._ports.store.stage, token, histories))
                uids.update(each.uid for each in histories)
            await self._hold()
        return uids

    async def take_over(self, number: int, planning: Planning) -> None:
        """Bring what the view holds of older generations into this one, as it is."""
        store = self._ports.store
        members = await self._retrying(Part.STORE, lambda: store.members(number))
        for uids in pieces(members, EVSES_AT_ONCE):
            stored = await self._retrying(Part.STORE, partial(store.load, uids))
            writes = []
            for uid, each in stored.items():
                if each.position.epoch < planning.epochs.generation:
                    position = rebased(each.position, planning.epochs, planning.inputs)
                    held = Held(storing.restore(each), position, each.pending)
                    # One that is gone by then has left its closed history with what went.
                    writes.append(replace(rewrite(uid, held, planning.rules), previous=each.position))
            await self._retrying(Part.STORE, partial(store.save, writes))
            await self._hold()


def _by_evse(histories: Iterable[ClosedHistory]) -> list[ClosedHistory]:
    """Put together what is of the same EVSE."""
    days: dict[str, dict[str, bytes]] = {}
    outages: dict[str, list[tuple[int, bytes]]] = {}
    for each in histories:
        days.setdefault(each.uid, {}).update(each.closed_days)
        outages.setdefault(each.uid, []).extend(each.closed_outages)
    return [ClosedHistory(uid, days[uid], outages[uid]) for uid in days]


def _restored(
    uid: str,
    base: Base,
    number: int,
    history: ClosedHistory | None,
    planning: Planning,
    word: LastWord | None,
) -> tuple[ViewWrite, Sequence[Entry]]:
    """
    Give the write of a base, less its closed history: as it was shown, or rendered anew.

    And the records of the ledger for what its state has closed since the base, as it was caught up.
    """
    if word is None:
        position = rebased(base.position, planning.epochs, planning.inputs)
        as_shown = shown.unpack(uid, number, base, position, planning.rules)
        if as_shown is not None:
            return as_shown, ()
    held = held_of(base, number, history, planning, word)
    whole = rewrite(uid, held, planning.rules, replace=True)
    if not held.state.unsaved:
        return whole, ()
    return whole, rendering.document(held.state, held.position.as_of_us, planning.rules).ledger


def held_of(
    base: Base, number: int, history: ClosedHistory | None, planning: Planning, word: LastWord | None
) -> Held:
    """Make the state of a base again; the EVSE lives in the partition in whose ledger that stands."""
    days = {} if history is None else history.closed_days
    outages = [] if history is None else [outage for _, outage in history.closed_outages]
    state = storing.restore(StoredEvse(base.position, base.state, b"", days, outages))
    if state.partition is not None and (state.partition != number or base.topics):
        state.former.append(Former(base.position.epoch, state.partition, base.topics))
    state.partition = number
    position = rebased(base.position, planning.epochs, planning.inputs)
    if word is not None and word.revision > state.revision:
        catch_up(state, word)
        position = position._replace(as_of_us=max(position.as_of_us, state.as_of))
    return Held(state, position)
