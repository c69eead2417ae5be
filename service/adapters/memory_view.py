"""
The view in memory: what Redis would hold, as plain values that a test can look at.

The contract tests hold it to what the Redis store does. Like a server it can go back to what it was before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from itertools import count

from service.adapters.view_limits import on_the_map, pruning_day
from service.processing.ports import Behind, Hole, Unavailable, Unusable
from service.processing.values import (
    Checkpoint,
    ClosedHistory,
    Epochs,
    Position,
    SaveOutcome,
    Seen,
    Standing,
    StoredEvse,
    TopicPartition,
    ViewWrite,
)


@dataclass(slots=True)
class MemoryEvse:
    """Everything kept of one EVSE; the fields are the keys of `schemas.view`."""

    position: Position
    state: bytes = b""
    whole_at: Position | None = None
    since: bytes = b""
    pending: bytes = b""
    vitals: bytes = b""
    pruned_day: str = ""
    amount: tuple[int, int] | None = None
    """How many closed days and spans the last save left."""
    declared: tuple[int, int] | None = None
    """How many exclusions and gaps."""
    document: dict[str, bytes] = field(default_factory=dict)
    days: dict[str, bytes] = field(default_factory=dict)
    outages: set[tuple[int, bytes]] = field(default_factory=set)
    exclusions: dict[str, bytes] = field(default_factory=dict)
    gaps: set[tuple[int, bytes]] = field(default_factory=set)
    verdicts: set[tuple[int, bytes]] = field(default_factory=set)


@dataclass(slots=True)
class MemoryLists:
    """The lists that span EVSEs."""

    all: dict[str, int] = field(default_factory=dict)
    """uid to `last_updated` in milliseconds."""
    status: dict[str, str] = field(default_factory=dict)
    online: dict[str, str] = field(default_factory=dict)
    place: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(slots=True)
class MemoryView:
    """What a server holds for all its clients."""

    evses: dict[str, MemoryEvse] = field(default_factory=dict)
    lists: MemoryLists = field(default_factory=MemoryLists)
    checkpoints: dict[TopicPartition, Checkpoint] = field(default_factory=dict)
    epochs: Epochs = field(default_factory=Epochs)
    members: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    staged: dict[tuple[str, str], MemoryEvse] = field(default_factory=dict)
    trails: dict[int, int] = field(default_factory=dict)

    def copy(self) -> MemoryView:
        """Give an independent copy; checkpoints and epochs, which nobody changes, are shared."""
        return MemoryView(
            deepcopy(self.evses),
            deepcopy(self.lists),
            dict(self.checkpoints),
            self.epochs,
            deepcopy(self.members),
            deepcopy(self.staged),
            dict(self.trails),
        )


class MemoryServer:
    """One server. `available` false: it does not answer; `evicts`: it may delete what it likes."""

    def __init__(self) -> None:
        self.available = True
        self.evicts = False
        self.view = MemoryView()
        self.clients = count()

    def dump(self) -> MemoryView:
        """Give a copy of what it holds now, to go back to."""
        return self.view.copy()

    def go_back(self, to: MemoryView | None = None) -> None:
        """Forget everything since a dump, or everything there is."""
        self.view = MemoryView() if to is None else to.copy()


class MemoryViewStore:
    """The port `ViewStore` in memory, as one client of a server."""

    def __init__(self, server: MemoryServer | None = None) -> None:
        self.server = server or MemoryServer()
        self._name = next(self.server.clients)
        self._trail = 0

    @property
    def available(self) -> bool:
        """Whether the server answers."""
        return self.server.available

    @available.setter
    def available(self, answers: bool) -> None:
        self.server.available = answers

    @property
    def evses(self) -> dict[str, MemoryEvse]:
        """What the server holds, by uid."""
        return self.server.view.evses

    @evses.setter
    def evses(self, evses: dict[str, MemoryEvse]) -> None:
        self.server.view.evses = evses

    @property
    def lists(self) -> MemoryLists:
        """The server's lists."""
        return self.server.view.lists

    @property
    def checkpoints(self) -> dict[TopicPartition, Checkpoint]:
        """The server's checkpoints."""
        return self.server.view.checkpoints

    async def start(self) -> None:
        await self.begin()

    async def stop(self) -> None:
        """Nothing is held."""

    async def begin(self) -> None:
        self._require()
        self.server.view.trails[self._name] = self._trail

    async def ping(self) -> None:
        self._step()

    async def inspect(self) -> None:
        self._require()
        if self.server.evicts:
            raise Unusable("the view in memory may evict keys")

    async def load(self, uids: Sequence[str]) -> dict[str, StoredEvse]:
        self._require()
        return {
            uid: StoredEvse(
                position=kept.position,
                state=kept.state,
                pending=kept.pending,
                days=dict(kept.days),
                outages=tuple(outage for _, outage in sorted(kept.outages)),
                is_whole=_is_whole(kept),
                has_declared=_has_declared(kept),
                since=kept.since,
                whole_at=kept.whole_at,
            )
            for uid in uids
            if (kept := self.evses.get(uid)) is not None
        }

    async def look(self, uids: Sequence[str]) -> dict[str, Seen]:
        self._require()
        found = ((uid, self.evses.get(uid)) for uid in uids)
        return {uid: Seen(kept.position, kept.vitals) for uid, kept in found if kept is not None}

    async def members(self, partition: int) -> list[str]:
        self._require()
        return sorted(self.server.view.members[partition])

    async def delist(self, partition: int, uids: Sequence[str]) -> None:
        self._require()
        self.server.view.members[partition].difference_update(uids)

    async def standings(self, uids: Sequence[str]) -> dict[str, Standing]:
        self._require()
        status, online = self.lists.status, self.lists.online
        return {uid: Standing(status[uid], online.get(uid, "null")) for uid in uids if uid in status}

    async def save(self, writes: Sequence[ViewWrite]) -> list[SaveOutcome]:
        self._step()
        outcomes = [self._save(write) for write in writes if not self._is_behind(write)]
        if len(outcomes) < len(writes):
            raise Hole("the view in memory has lost an EVSE")
        return outcomes

    async def stage(self, token: str, histories: Sequence[ClosedHistory]) -> None:
        self._step()
        for each in histories:
            staged = self.server.view.staged.setdefault((each.uid, token), MemoryEvse(Position(0, (), 0)))
            staged.days.update(each.closed_days)
            staged.outages.update(each.closed_outages)

    async def staged(self, token: str, uids: Sequence[str]) -> dict[str, ClosedHistory]:
        self._step()
        found = ((uid, self.server.view.staged.get((uid, token))) for uid in uids)
        return {uid: ClosedHistory(uid, dict(kept.days), sorted(kept.outages)) for uid, kept in found if kept}

    async def load_checkpoint(self, partition: TopicPartition) -> Checkpoint | None:
        self._step()
        return self.checkpoints.get(partition)

    async def save_checkpoints(self, checkpoints: Mapping[TopicPartition, Checkpoint]) -> None:
        self._step()
        for partition, checkpoint in checkpoints.items():
            stored = self.checkpoints.get(partition)
            if stored is None or _reach(stored) <= _reach(checkpoint):
                self.checkpoints[partition] = checkpoint

    async def load_epochs(self) -> Epochs:
        self._require()
        return self.server.view.epochs

    async def save_epochs(self, epochs: Epochs) -> None:
        self._require()
        stored = self.server.view.epochs
        if epochs.generation > stored.generation:
            ids, partitions = epochs.ids or stored.ids, epochs.partitions or stored.partitions
            self.server.view.epochs = replace(epochs, ids=ids, partitions=partitions)
        elif epochs.generation == stored.generation:
            self.server.view.epochs = stored.identified(epochs.ids, epochs.partitions)

    def _require(self) -> None:
        if not self.available:
            raise Unavailable("the view does not answer")

    def _step(self) -> None:
        """Write, if all that was written before is still there."""
        self._require()
        if self.server.view.trails.get(self._name) != self._trail:
            raise _behind()
        self._trail += 1
        self.server.view.trails[self._name] = self._trail

    def _is_behind(self, write: ViewWrite) -> bool:
        kept = self.evses.get(write.uid)
        if kept is not None and not write.replace and _hides_loss(kept, write):
            return kept.position.judge(write.position) is SaveOutcome.SAVED
        if write.replace and self._amount_staged(write) != write.staged_amount:
            return kept is None or kept.position.judge(write.position) is SaveOutcome.SAVED
        if write.previous is None:
            return False
        return kept is None or (
            kept.position != write.previous and kept.position.judge(write.previous) is SaveOutcome.SAVED
        )

    def _amount_staged(self, write: ViewWrite) -> tuple[int, int]:
        staged = self.server.view.staged.get((write.uid, write.staged))
        return (0, 0) if staged is None else (len(staged.days), len(staged.outages))

    def _save(self, write: ViewWrite) -> SaveOutcome:
        kept = self.evses.get(write.uid)
        outcome = SaveOutcome.SAVED if kept is None else _judged(kept, write)
        staged = self.server.view.staged.pop((write.uid, write.staged), None) if write.replace else None
        self.server.view.members[write.partition].add(write.uid)
        if outcome is SaveOutcome.SAVED:
            if kept is None or write.replace:
                kept = self.evses[write.uid] = staged or MemoryEvse(write.position)
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


def _judged(kept: MemoryEvse, write: ViewWrite) -> SaveOutcome:
    outcome, previous = kept.position.judge(write.position), write.previous
    if outcome is not SaveOutcome.SAVED:
        return outcome
    # What was folded from a state without what somebody else has added would undo that.
    undoes = previous is not None and previous.judge(kept.position) is SaveOutcome.SAVED
    adds_elsewhere = write.adds_to is not None and write.adds_to != kept.whole_at
    return SaveOutcome.STALE if undoes or adds_elsewhere else outcome


def _change(kept: MemoryEvse, write: ViewWrite) -> None:
    counts_anew = kept.amount is None or _changes_history(kept, write)
    declares = kept.declared is None or _declares(kept, write)
    kept.position, kept.pending = write.position, write.pending
    if write.adds_to is None:
        kept.state, kept.whole_at, kept.since = write.state, write.position, b""
    else:
        kept.since = write.state
    kept.vitals = write.vitals
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
    kept.verdicts.update(write.verdicts)
    if write.keep_from_us > 0:
        _prune(kept, write.keep_from_us)
    if counts_anew:
        kept.amount = (len(kept.days), len(kept.outages))
    if declares:
        kept.declared = (len(kept.exclusions), len(kept.gaps))


def _is_whole(kept: MemoryEvse) -> bool:
    return kept.amount in {None, (len(kept.days), len(kept.outages))}


def _has_declared(kept: MemoryEvse) -> bool:
    return kept.declared in {None, (len(kept.exclusions), len(kept.gaps))}


def _hides_loss(kept: MemoryEvse, write: ViewWrite) -> bool:
    is_torn = _changes_history(kept, write) and not _is_whole(kept)
    return is_torn or (_declares(kept, write) and not _has_declared(kept))


def _changes_history(kept: MemoryEvse, write: ViewWrite) -> bool:
    closed = write.closed_days or write.drop_days or write.drop_outages or write.closed_outages
    return _prunes(kept, write) or bool(closed)


def _declares(kept: MemoryEvse, write: ViewWrite) -> bool:
    return _prunes(kept, write) or bool(write.exclusions or write.gaps or write.drop_gaps)


def _prunes(kept: MemoryEvse, write: ViewWrite) -> bool:
    return write.keep_from_us > 0 and pruning_day(write.keep_from_us)[1] != kept.pruned_day


def _prune(kept: MemoryEvse, keep_from_us: int) -> None:
    start, date = pruning_day(keep_from_us)
    if date == kept.pruned_day:
        return
    kept.pruned_day = date
    kept.days = {name: day for name, day in kept.days.items() if name[-10:] >= date}
    kept.outages = {one for one in kept.outages if one[0] >= start}
    kept.gaps = {one for one in kept.gaps if one[0] >= start}
    kept.verdicts = {one for one in kept.verdicts if one[0] >= start}


def _reach(checkpoint: Checkpoint) -> tuple[int, int]:
    return checkpoint.epoch, checkpoint.next_offset


def _behind() -> Behind:
    return Behind("the view in memory has gone back")
