"""
The view in memory: what Redis would hold, as plain values that a test can look at.

The contract tests hold it to what the Redis store does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from service.adapters.view_limits import on_the_map, pruning_day
from service.processing.ports import (
    Checkpoint,
    Position,
    SaveOutcome,
    StoredEvse,
    TopicPartition,
    Unavailable,
    ViewWrite,
)


@dataclass(slots=True)
class MemoryEvse:
    """Everything kept of one EVSE; the fields are the keys of `schemas.view`."""

    position: Position
    state: bytes = b""
    pending: bytes = b""
    pruned_day: str = ""
    document: dict[str, bytes] = field(default_factory=dict)
    days: dict[str, bytes] = field(default_factory=dict)
    outages: set[tuple[int, bytes]] = field(default_factory=set)
    exclusions: dict[str, bytes] = field(default_factory=dict)
    gaps: set[tuple[int, bytes]] = field(default_factory=set)


@dataclass(slots=True)
class MemoryLists:
    """The lists that span EVSEs."""

    all: dict[str, int] = field(default_factory=dict)
    """uid to `last_updated` in milliseconds."""
    status: dict[str, str] = field(default_factory=dict)
    online: dict[str, str] = field(default_factory=dict)
    place: dict[str, tuple[float, float]] = field(default_factory=dict)


class MemoryViewStore:
    """The port `ViewStore` in memory. `available` false: it does not answer."""

    def __init__(self) -> None:
        self.available = True
        self.evses: dict[str, MemoryEvse] = {}
        self.lists = MemoryLists()
        self.checkpoints: dict[TopicPartition, Checkpoint] = {}

    async def start(self) -> None:
        self._require()

    async def stop(self) -> None:
        """Nothing is held."""

    async def ping(self) -> None:
        self._require()

    async def load(self, uids: Sequence[str]) -> dict[str, StoredEvse]:
        self._require()
        return {
            uid: StoredEvse(
                position=kept.position,
                state=kept.state,
                pending=kept.pending,
                days=dict(kept.days),
                outages=tuple(outage for _, outage in sorted(kept.outages)),
            )
            for uid in uids
            if (kept := self.evses.get(uid)) is not None
        }

    async def save(self, writes: Sequence[ViewWrite]) -> list[SaveOutcome]:
        self._require()
        return [self._save(write) for write in writes]

    async def load_checkpoint(self, partition: TopicPartition) -> Checkpoint | None:
        self._require()
        return self.checkpoints.get(partition)

    async def save_checkpoints(self, checkpoints: Mapping[TopicPartition, Checkpoint]) -> None:
        self._require()
        self.checkpoints |= checkpoints

    def _require(self) -> None:
        if not self.available:
            raise Unavailable("the view does not answer")

    def _save(self, write: ViewWrite) -> SaveOutcome:
        kept = self.evses.get(write.uid)
        outcome = SaveOutcome.SAVED if kept is None else kept.position.judge(write.position)
        if outcome is SaveOutcome.SAVED:
            if kept is None:
                kept = self.evses[write.uid] = MemoryEvse(write.position)
            _change(kept, write)
        if outcome is not SaveOutcome.STALE:
            self._index(write)
        return outcome

    def _index(self, write: ViewWrite) -> None:
        lists, uid = self.lists, write.uid
        if lists.all.get(uid, write.last_updated_ms) > write.last_updated_ms:
            return
        lists.all[uid] = write.last_updated_ms
        lists.status[uid] = write.status
        lists.online.pop(uid, None)
        lists.place.pop(uid, None)
        if write.removed:
            return
        lists.online[uid] = write.online
        if (place := on_the_map(write.coordinates)) is not None:
            lists.place[uid] = place


def _change(kept: MemoryEvse, write: ViewWrite) -> None:
    kept.position, kept.state, kept.pending = write.position, write.state, write.pending
    kept.document.update(write.document)
    kept.days.update(write.closed_days)
    for name in write.drop_days:
        kept.days.pop(name, None)
    kept.outages = {one for one in kept.outages if one[1] not in write.drop_outages}
    kept.outages.update(write.closed_outages)
    for name, exclusion in write.exclusions.items():
        if exclusion is None:
            kept.exclusions.pop(name, None)
        else:
            kept.exclusions[name] = exclusion
    kept.gaps = {one for one in kept.gaps if one[1] not in write.drop_gaps}
    kept.gaps.update(write.gaps)
    if write.keep_from_us > 0:
        _prune(kept, write.keep_from_us)


def _prune(kept: MemoryEvse, keep_from_us: int) -> None:
    start, date = pruning_day(keep_from_us)
    if date == kept.pruned_day:
        return
    kept.pruned_day = date
    kept.days = {name: day for name, day in kept.days.items() if name[-10:] >= date}
    kept.outages = {one for one in kept.outages if one[0] >= start}
    kept.gaps = {one for one in kept.gaps if one[0] >= start}
