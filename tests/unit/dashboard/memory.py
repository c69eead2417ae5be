"""The view in memory, for tests of the page that need no Redis: the same documents, found the same way."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence

import httpx
from starlette.applications import Starlette

from service.dashboard.app import app_over
from service.dashboard.gate import Gate
from service.dashboard.reach import OutOfReach, Trouble
from service.dashboard.reading import Scored, Stored
from service.dashboard.rows import Fields
from service.dashboard.totals import Counts
from tests.unit.dashboard.stories import NOW, Seeded

PRIVATE = "10.1.2.3:6379"
"""What the log may name, and no page."""


def stored_of(seeded: Seeded) -> Stored:
    """Give an EVSE as the view gives it."""
    outages, gaps = (
        [line for _, line in sorted(members, reverse=True)] for members in (seeded.outages, seeded.gaps)
    )
    return Stored(seeded.document, seeded.days, outages, seeded.exclusions, gaps)


class MemoryView:
    """Documents by uid; `down` makes it answer like a Redis that is in `trouble`: not there, if not told."""

    def __init__(self, evses: Iterable[Seeded] = ()) -> None:
        self.evses = {seeded.uid: seeded for seeded in evses}
        self.down = False
        self.trouble = Trouble.SILENT
        self.read: list[str] = []
        self.asked = asyncio.Event()

    def put(self, seeded: Seeded) -> None:
        """Write an EVSE."""
        self.evses[seeded.uid] = seeded

    def _answer(self) -> None:
        self.asked.set()
        if self.down:
            raise OutOfReach(f"Connection refused by {PRIVATE}", self.trouble)

    async def counts(self) -> Counts:
        self._answer()
        evses = self.evses.values()
        return Counts(
            len(evses),
            Counter(seeded.document["status"] for seeded in evses),
            Counter(seeded.document["online"] for seeded in evses if not seeded.removed),
        )

    async def newest(self, since_ms: int, limit: int) -> Scored:
        self._answer()
        found = [(seeded.uid, seeded.last_updated_ms) for seeded in self.evses.values()]
        found.sort(key=lambda pair: -pair[1])
        return [(uid, score) for uid, score in found if score >= since_ms][:limit]

    async def scan(self, cursor: int, count: int) -> tuple[int, Scored]:
        self._answer()
        uids = sorted(self.evses)
        piece = uids[cursor : cursor + count]
        after = cursor + count
        scores = [(uid, self.evses[uid].last_updated_ms) for uid in piece]
        return (after if after < len(uids) else 0), scores

    async def summaries(self, uids: Sequence[str]) -> dict[str, Fields]:
        self._answer()
        self.read += uids
        return {uid: self.evses[uid].document for uid in uids if uid in self.evses}

    async def stored(self, uid: str) -> Stored | None:
        self._answer()
        return stored_of(self.evses[uid]) if uid in self.evses else None


OPEN = Gate()


async def opened(
    view: MemoryView, now: int = NOW, root_path: str = "", gate: Gate = OPEN
) -> tuple[Starlette, httpx.AsyncClient]:
    """Make the page over a view, with the list read once, and a client that asks it without a network."""
    app = app_over(view, clock=lambda: now, gate=gate)
    while not app.state.poller.complete:
        await app.state.poller.turn()
    transport = httpx.ASGITransport(app, root_path=root_path)
    return app, httpx.AsyncClient(transport=transport, base_url="http://page")


async def asked(view: MemoryView, path: str, now: int = NOW) -> httpx.Response:
    """Ask the page over a view for one address."""
    _, client = await opened(view, now)
    async with client:
        return await client.get(path)
