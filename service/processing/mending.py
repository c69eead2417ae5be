"""
Closed history put back that the view has lost, though not the states it belongs to.

What comes back with its whole partition is written by `rebuilding`.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from itertools import islice

import orjson
import structlog

from service.domain.time import micros_of_text
from service.processing import ledger, storing
from service.processing.closed_records import ClosedRecords
from service.processing.cutting import pieces
from service.processing.instruments import Part
from service.processing.ledger import Base, Kind
from service.processing.options import Ports
from service.processing.outputs import unpacked
from service.processing.planning import Planning, rewrite, with_history
from service.processing.rebuilding import EVSES_AT_ONCE, Book, Rebuilding, held_of
from service.processing.retry import Retrying
from service.processing.values import ClosedHistory, StoredEvse

_log = structlog.get_logger()


class Mending:
    """Mends EVSEs by their uid; every call to a part outside is made again until it answers."""

    def __init__(
        self, ports: Ports, retrying: Retrying, hold: Callable[[], Awaitable[None]], rebuilding: Rebuilding
    ) -> None:
        self._ports = ports
        self._retrying = retrying
        self._hold = hold
        self._rebuilding = rebuilding

    async def mend(self, uids: Sequence[str], planning: Planning) -> None:
        """
        Put history back of which the view has lost some, though not the states it belongs to.

        The ledger holds all closed days and spans but what the last save closed, which is kept with the
        state; where none of these are gone, they stay as they stand. Exclusions and gaps are in the state.
        It is written as of now, as the slow tick does, so that the guard takes it.
        """
        store, now = self._ports.store, self._ports.clock.now()
        stored = await self._retrying(Part.STORE, lambda: store.load(uids))
        homes: dict[int, list[str]] = {}
        for uid, each in stored.items():
            homes.setdefault(storing.restore(each).partition or 0, []).append(uid)
        for number, here in homes.items():
            book = Book(
                bases={uid: Base(stored[uid].position, storing.whole_of(stored[uid])) for uid in here}
            )
            token = uuid.uuid4().hex
            await self._stage_closed(number, book, stored, token)
            for some in pieces(here, EVSES_AT_ONCE):
                staged = await self._retrying(Part.STORE, partial(store.staged, token, some))
                writes = []
                for uid in some:
                    history = staged.get(uid)
                    held = held_of(book.base(uid), number, history, planning, None)
                    as_of = max(now, held.position.as_of_us + 1)
                    held.position = held.position._replace(as_of_us=as_of)
                    held.pending = stored[uid].pending
                    write = rewrite(uid, held, planning.rules, replace=True)
                    writes.append(with_history(write, history, token))
                await self._retrying(Part.STORE, partial(store.save, writes))
            _log.warning(
                "History was gone from the view (days, outages, exclusions or gaps); it is put back.",
                action="history_mended",
                partition=number,
                evses=len(here),
                evse_uids=list(islice(here, 20)),
            )

    async def _stage_closed(
        self, number: int, book: Book, stored: Mapping[str, StoredEvse], token: str
    ) -> None:
        """Stage the closed days and spans of the EVSEs of `book`: from the ledger where some are gone."""
        torn = {uid: base for uid, base in book.bases.items() if not stored[uid].is_whole}
        if torn:
            lost = Book(bases=torn, closed=ClosedRecords(0))
            await self._retrying(Part.LOG, partial(self._take_dead, number, lost))
            lost.leave_out_early()
            await self._retrying(Part.LOG, partial(self._rebuilding.stage, number, lost, token))
        said = [(_kept_with if uid in torn else _as_stored)(uid, stored[uid]) for uid in book.bases]
        await self._retrying(Part.STORE, partial(self._ports.store.stage, token, said))

    async def _take_dead(self, number: int, book: Book) -> None:
        """Note which days and spans the ledger no longer holds."""
        async for records in self._ports.ledger.read(number):
            for record in records:
                if ledger.is_closed(record.key):
                    book.take(record)
            await self._hold()


def _as_stored(uid: str, stored: StoredEvse) -> ClosedHistory:
    """Give the closed history that the view holds."""
    outages = [(storing.read_span(outage)[1].end, outage) for outage in stored.outages]
    return ClosedHistory(uid, stored.days, outages)


def _kept_with(uid: str, stored: StoredEvse) -> ClosedHistory:
    """Give the closed history among the outputs of a last save, which may not have come to the ledger yet."""
    days: dict[str, bytes] = {}
    outages: list[tuple[int, bytes]] = []
    for key, value in unpacked(stored.pending).ledger:
        if value is not None and key[0] == Kind.DAY:
            days["/".join(key[2:])] = orjson.dumps(value)
        elif value is not None and key[0] == Kind.OUTAGE:
            outages.append((micros_of_text(key[4]), orjson.dumps(value)))
    return ClosedHistory(uid, days, outages)
