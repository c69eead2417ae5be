"""
The one reader that keeps all open pages up to date.

Each turn it looks at two things: the EVSEs changed of late (the list of all is scored by `last_updated`),
and the next piece of a walk through the whole list. The walk finds what the first look cannot: `last_updated`
is a time of the EVSE, not of the write, so a correction of one that is silent since yesterday is not among
the newest; and `last_seen_at` and the numbers that drift move without it.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import structlog

from service.dashboard.reach import OutOfReach, Reports, Trouble
from service.dashboard.reading import Scored, View
from service.dashboard.rows import Row, row_of
from service.dashboard.totals import Counts, Totals, total

_log = structlog.get_logger()

INTERVAL_S = 1.0
"""Seconds between two turns."""

NEWEST_WINDOW_MS = 120_000
"""How far back the look at the newest goes: more than chargers' clocks and the worker's delay differ by."""

NEWEST_LIMIT = 2_000
"""EVSEs that one look at the newest gives at most; the walk finds the others."""

WALK_COUNT = 250
"""EVSEs that are read anew each turn: 10 000 within 40 s."""

FIRST_WALK_COUNT = 1_000
"""EVSEs at a time while the page starts."""

BATCH = 250
"""Documents fetched in one round trip."""

ROWS_LIMIT = 50_000
"""Rows kept in memory, about 1.5 kB each: the most recently changed ones."""

PULSE_TURNS = 10
"""Turns without any change after which a pulse shows that the poller is alive."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one turn found: changed rows, uids that are gone, and the totals if they changed."""

    rows: tuple[Row, ...] = ()
    gone: tuple[str, ...] = ()
    totals: Totals | None = None
    trouble: Trouble | None = None
    """What kept it from reading; what is in memory is shown then."""


class Fleet:
    """The rows in memory, at most `limit`; of more EVSEs those changed last are kept."""

    def __init__(self, limit: int = ROWS_LIMIT) -> None:
        self._limit = limit
        self._rows: dict[str, Row] = {}
        self._scores: dict[str, int] = {}
        self._floor = -1

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def rows(self) -> Iterable[Row]:
        """All rows, in no order; not to be kept across an await."""
        return self._rows.values()

    def get(self, uid: str) -> Row | None:
        return self._rows.get(uid)

    def wants(self, uid: str, score: int) -> bool:
        """Tell whether an EVSE has a place here."""
        return uid in self._rows or score > self._floor

    def is_current(self, uid: str, score: int) -> bool:
        """Tell whether the row is of this `last_updated`."""
        return self._scores.get(uid) == score

    def put(self, row: Row, score: int) -> bool:
        """Keep a row; tell whether it differs from before in what a page shows at once."""
        before = self._rows.get(row.uid)
        self._rows[row.uid] = row
        self._scores[row.uid] = score
        return before is None or not row.looks_like(before)

    def drop(self, uid: str) -> bool:
        """Forget a row; tell whether there was one."""
        self._scores.pop(uid, None)
        return self._rows.pop(uid, None) is not None

    def beyond(self, kept: set[str]) -> list[str]:
        """List the uids that are not among those."""
        return [uid for uid in self._rows if uid not in kept]

    def shrink(self) -> None:
        """Go back to the limit. Many at once, so that a network beyond it does not sort every second."""
        if len(self._rows) <= self._limit:
            return
        surplus = len(self._rows) - self._limit + self._limit // 50
        for uid, score in heapq.nsmallest(surplus, self._scores.items(), key=lambda item: item[1]):
            self._floor = max(self._floor, score)
            self.drop(uid)


def _to_nobody(_: Change) -> None:
    """Stand for the browsers until they are there."""


class Poller:
    """Reads the view once for all browsers; `publish` is called in each turn that found something."""

    def __init__(
        self,
        view: View,
        clock: Callable[[], int],
        *,
        interval_s: float = INTERVAL_S,
        limit: int = ROWS_LIMIT,
    ) -> None:
        self._view = view
        self._clock = clock
        self._interval_s = interval_s
        self._stopped = asyncio.Event()
        self.broken = False
        """Whether a bug of ours ended the turns: the page then shows what was, and has to be started anew."""
        self._cursor = 0
        self._walked: set[str] = set()
        self._quiet_turns = 0
        self.publish: Callable[[Change], None] = _to_nobody
        self.fleet = Fleet(limit)
        self.totals = Totals()
        self.complete = False
        """Whether the whole list was walked through once."""
        self.trouble: Trouble | None = None
        """What keeps it from reading; None while it reads."""
        self._reports = Reports()
        self.read_at: int | None = None
        """When Redis last answered, in microseconds since 1970."""

    def stop(self) -> None:
        """End `run` after the turn it is in: a Redis call is never cancelled."""
        self._stopped.set()

    async def run(self) -> None:
        """
        Take turns until stopped. A view that cannot be read is asked for again at the next turn.

        What else is raised is a bug of ours, which ends this and is told, here and by `broken`.
        """
        try:
            await self._turns()
        except Exception:
            self.broken = True
            _log.critical(
                "A bug of this program ended the reading of the list.", action="defect", exc_info=True
            )
            raise

    async def _turns(self) -> None:
        while not self._stopped.is_set():
            try:
                await self.turn()
            except OutOfReach as error:
                self._reports.failed(error)
                self.trouble = error.trouble
                # In each such turn: a page that hears nothing for long says that instead.
                self.publish(Change(trouble=error.trouble))
            await self._pause(self._interval_s if self.complete or self.trouble else 0.0)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopped.wait()
        except TimeoutError:
            return

    async def turn(self) -> None:
        """Look at the newest and at the next piece of the list; publish what differs."""
        was_complete, was_in_trouble = self.complete, self.trouble is not None
        counts = await self._view.counts()
        wanted = dict(await self._walk())
        if was_complete:
            since = self._clock() // 1_000 - NEWEST_WINDOW_MS
            newest = await self._view.newest(since, NEWEST_LIMIT)
            self._walked.update(uid for uid, _ in newest)
            wanted |= {uid: score for uid, score in newest if not self.fleet.is_current(uid, score)}
        changed, gone = await self._refresh(list(wanted.items()))
        gone += self._finish_walk()
        self.fleet.shrink()
        self.trouble, self.read_at = None, self._clock()
        self._reports.succeeded()
        # A page that opens while the first walk goes on is told the totals; rows come with its content.
        told = tuple(changed) if was_complete else ()
        totals = self._total(counts, moved=bool(changed or gone))
        self._tell(told, tuple(gone), totals, back=was_in_trouble)

    async def _walk(self) -> Scored:
        count = WALK_COUNT if self.complete else FIRST_WALK_COUNT
        self._cursor, piece = await self._view.scan(self._cursor, count)
        self._walked.update(uid for uid, _ in piece)
        return piece

    def _finish_walk(self) -> list[str]:
        """At the end of a walk drop what is no longer listed; begin the next one."""
        if self._cursor:
            return []
        gone = [uid for uid in self.fleet.beyond(self._walked) if self.fleet.drop(uid)]
        self._walked = set()
        self.complete = True
        return gone

    async def _refresh(self, wanted: Sequence[tuple[str, int]]) -> tuple[list[Row], list[str]]:
        changed: list[Row] = []
        gone: list[str] = []
        places = [(uid, score) for uid, score in wanted if self.fleet.wants(uid, score)]
        for start in range(0, len(places), BATCH):
            batch = places[start : start + BATCH]
            documents = await self._view.summaries([uid for uid, _ in batch])
            for uid, score in batch:
                row = row_of(uid, documents[uid]) if uid in documents else None
                if row is None:
                    gone += [uid] if self.fleet.drop(uid) else []
                elif self.fleet.put(row, score):
                    changed.append(row)
        return changed, gone

    def _total(self, counts: Counts, *, moved: bool) -> Totals | None:
        """Add up anew where it may differ; None where nothing that is shown has changed."""
        if not moved and counts == self.totals.counts and self._quiet_turns < PULSE_TURNS:
            return None
        totals = total(counts, list(self.fleet.rows))
        if totals == self.totals:
            return None
        self.totals = totals
        return totals

    def _tell(
        self, rows: tuple[Row, ...], gone: tuple[str, ...], totals: Totals | None, *, back: bool
    ) -> None:
        if rows or gone or totals or back or self._quiet_turns >= PULSE_TURNS:
            self._quiet_turns = 0
            self.publish(Change(rows, gone, totals))
        else:
            self._quiet_turns += 1
