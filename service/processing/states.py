"""
The states held in memory, least recently heard first to go; this module loads and saves nothing.

Of one EVSE all records come in one partition, so what is held is dropped by partition when that goes.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from service.domain.state import EvseState
from service.processing.values import Epochs, Position, StoredEvse


@dataclass(slots=True)
class Held:
    """
    One EVSE in memory: its state, how far it has come, and the outputs of its last save.

    `acknowledged` tells that this worker knows those outputs to be written; of what comes from the store it
    does not know. `stored`: the view holds it at this position; `whole_at`: its state is there as a whole as
    of that position; `replace`: what the view holds is of an older generation, and goes with the next save.
    `heard_at`: in monotonic seconds.
    """

    state: EvseState
    position: Position
    pending: bytes = b""
    acknowledged: bool = True
    stored: bool = False
    whole_at: Position | None = None
    replace: bool = False
    heard_at: float = -math.inf


class States:
    """
    The EVSEs in memory, by uid: at most `limit`, and of those that say nothing for `idle_after_s` none.

    Seconds are monotonic ones, as `hear` was told last.
    """

    def __init__(self, limit: int, idle_after_s: float = math.inf) -> None:
        self._limit = limit
        self._idle_after_s = idle_after_s
        self._now = -math.inf
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._written: set[str] = set()

    def hear(self, now: float) -> None:
        """Take what is asked for from now on for heard at this time."""
        self._now = now

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def get(self, uid: str) -> Held | None:
        """Give what is held of an EVSE, and count it as heard."""
        held = self._held.get(uid)
        if held is not None:
            held.heard_at = self._now
            self._held.move_to_end(uid)
        return held

    def peek(self, uid: str) -> Held | None:
        """Give what is held of an EVSE without counting it as heard."""
        return self._held.get(uid)

    def put(self, uid: str, held: Held, *, heard: bool = True) -> None:
        """Hold an EVSE; `shrink` keeps the bounds, between batches. What was not heard goes first."""
        held.heard_at = self._now if heard else -math.inf
        self._held[uid] = held
        self._held.move_to_end(uid, last=heard)

    def missing(self, uids: Iterable[str]) -> list[str]:
        """Give those that are not held, each once, in order."""
        return [uid for uid in dict.fromkeys(uids) if uid not in self._held]

    def were_written(self, uid: str) -> bool:
        """Tell of one that is loaded again whether the outputs of its last save are known to be written."""
        return uid in self._written

    def forget(self, uids: Iterable[str]) -> None:
        """Drop EVSEs; they are loaded again when they are heard."""
        for uid in uids:
            self._held.pop(uid, None)
            self._written.discard(uid)

    def keep_partitions(self, kept: Collection[int]) -> None:
        """Drop the EVSEs of all partitions but those of these numbers; of no other is anything known."""
        self._written.clear()
        self.forget([uid for uid, held in self._held.items() if held.state.partition not in kept])

    def shrink(self) -> None:
        """Drop the least recently heard beyond the bounds; called between batches, when all is saved."""
        idle_since = self._now - self._idle_after_s
        while self._held:
            oldest = next(iter(self._held.values()))
            if len(self._held) <= self._limit and oldest.heard_at >= idle_since:
                return
            uid, gone = self._held.popitem(last=False)
            if gone.acknowledged and gone.pending:
                self._written.add(uid)
            else:
                self._written.discard(uid)


def new_position(generation: int, topics: int) -> Position:
    """Give the position of an EVSE of which no record has been applied."""
    return Position(generation, (-1,) * topics, -1)


def position_of(stored: StoredEvse, topics: int) -> Position:
    """Give the stored position with room for topics that were added since."""
    position = stored.position
    missing = topics - len(position.offsets)
    if missing <= 0:
        return position
    return Position(position.epoch, position.offsets + (-1,) * missing, position.as_of_us)


def rebased(position: Position, epochs: Epochs, topics: Sequence[str]) -> Position:
    """
    Give a position in the present generation: of topics whose log was begun anew nothing is applied yet.

    What was applied of their old logs stays in the state; only the offsets mean nothing any more.
    """
    if position.epoch >= epochs.generation:
        return position
    offsets = position.offsets + (-1,) * (len(topics) - len(position.offsets))
    kept = (
        -1 if epochs.of(topic) > position.epoch else offset
        for topic, offset in zip(topics, offsets, strict=True)
    )
    return Position(epochs.generation, tuple(kept), position.as_of_us)
