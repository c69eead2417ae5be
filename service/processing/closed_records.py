"""
Closed days and spans as the ledger of a partition has them, held in memory as long as they are few enough.

A ledger may be far larger than memory: where it holds more, nothing is held, and they are staged in the view.
Whoever writes bases asks `InMemory` or `Staged` for theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial

from schemas.view import PORT
from service.domain.packing import Edge
from service.domain.time import Micros, micros_of_text
from service.processing.instruments import Part
from service.processing.ledger import Kind
from service.processing.ports import ViewStore
from service.processing.retry import Retrying
from service.processing.values import ClosedHistory

MOST_BYTES = 256 * 2**20
"""What is held of one partition at most, with what Python needs for it."""

_BYTES_A_RECORD, _BYTES_AN_EVSE = 130, 500
"""What a record, and an EVSE, take beyond what they say (measured)."""

_DAY_WORDS, _SPAN_WORDS = 4, 5
"""How many words the keys have."""

_EPOCH = date(1970, 1, 1)


@dataclass(slots=True)
class _Records:
    """The newest of each key, of one EVSE: days by their field in the view, spans by the end of their key."""

    days: dict[str, bytes] = field(default_factory=dict)
    spans: dict[str, bytes] = field(default_factory=dict)


class ClosedRecords:
    """What was taken of a partition, by EVSE; `is_whole` tells whether that is all there is."""

    def __init__(self, most_bytes: int | None = None) -> None:
        self._of: dict[str, _Records] = {}
        self._left = MOST_BYTES if most_bytes is None else most_bytes
        self.is_whole = True

    def take(self, words: list[str], value: bytes | None) -> None:
        """Note a record by the words of its key; None takes out what it said before."""
        if not self.is_whole or len(words) != (_DAY_WORDS if words[0] == Kind.DAY else _SPAN_WORDS):
            return
        uid = words[1]
        records = self._of.get(uid)
        if records is None:
            if value is None:
                return
            records = self._of[uid] = _Records()
            self._left -= _BYTES_AN_EVSE
        name = "/".join(words[2:])
        known = records.days if len(words) == _DAY_WORDS else records.spans
        if value is None:
            known.pop(name, None)
            return
        known[name] = value
        # One that takes another's place is counted once more: a bound need not be exact.
        self._left -= _BYTES_A_RECORD + len(name) + len(value)
        if self._left < 0:
            self.is_whole = False
            self._of.clear()

    def pop(self, uid: str, edge_of: Callable[[str], Edge | None]) -> ClosedHistory | None:
        """Give the days and spans of an EVSE that are in its base, once; None where there are none."""
        records = self._of.pop(uid, None)
        edge = None if records is None else edge_of(uid)
        if records is None or edge is None:
            return None
        days = _days_before(records.days, edge)
        spans = _spans_before(records.spans, edge)
        return ClosedHistory(uid, days, spans) if days or spans else None


class InMemory:
    """Closed history of bases as it was read with them."""

    token = ""

    def __init__(self, edge: Callable[[str], Edge | None], closed: ClosedRecords) -> None:
        """`edge` says where the closed history of a base ends."""
        self._edge = edge
        self._closed = closed

    async def of(self, uids: Sequence[str]) -> dict[str, ClosedHistory]:
        """Give that of some EVSEs, once."""
        found = {uid: self._closed.pop(uid, self._edge) for uid in uids}
        return {uid: history for uid, history in found.items() if history is not None}


class Staged:
    """Closed history of bases as it was staged in the view under a token, of those EVSEs that have any."""

    def __init__(self, store: ViewStore, retrying: Retrying, token: str, uids: Container[str]) -> None:
        self._store = store
        self._retrying = retrying
        self.token = token
        self._uids = uids

    async def of(self, uids: Sequence[str]) -> dict[str, ClosedHistory]:
        """Give that of some EVSEs."""
        some = [uid for uid in uids if uid in self._uids]
        if not some:
            return {}
        return await self._retrying(Part.STORE, partial(self._store.staged, self.token, some))


def _days_before(days: dict[str, bytes], edge: Edge) -> dict[str, bytes]:
    first_open = (_EPOCH + timedelta(days=edge.first_open_day)).isoformat()
    before = {}
    for name, value in days.items():
        connector_uid, _, day = name.rpartition("/")
        if day < first_open and (connector_uid == PORT or connector_uid in edge.since):
            before[name] = value
    return before


def _spans_before(spans: dict[str, bytes], edge: Edge) -> list[tuple[Micros, bytes]]:
    before = []
    for name, value in spans.items():
        connector_uid, _, until = name.rsplit("/", 2)
        end = micros_of_text(until)
        if edge.has_span(connector_uid, end):
            before.append((end, value))
    return sorted(before)
