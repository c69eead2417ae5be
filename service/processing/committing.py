"""
Checkpoints and commits of what is done, soon after it and not after every batch.

Both take longer than a small batch takes otherwise, and whoever comes meanwhile waits. What is done and not
committed is read again after a crash, and taken for repeats. Knows nothing of how it was done.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import structlog

from service.processing.assignment import Progress
from service.processing.instruments import Part, Step
from service.processing.options import Options, Ports
from service.processing.owned import Owned
from service.processing.ports import OwnershipLost
from service.processing.retry import Retrying
from service.processing.timing import Timing
from service.processing.values import TopicPartition

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Done:
    """How far a partition is done, what is kept of its ingest as of there, and whose progress that is."""

    next_offset: int
    ingest: bytes
    progress: Progress


class Committing:
    """Told what is done, and asked for a commit between batches; it makes one when it is time."""

    def __init__(
        self, ports: Ports, options: Options, *, owned: Owned, retrying: Retrying, timed: Timing
    ) -> None:
        self._ports = ports
        self._every_s = options.commit_every_s
        self._owned = owned
        self._retrying = retrying
        self._timed = timed
        self._done: dict[TopicPartition, _Done] = {}
        self._committed_at = -math.inf

    def done(
        self, next_offsets: Mapping[TopicPartition, int], since: Mapping[TopicPartition, Progress]
    ) -> None:
        """
        Note that all before these offsets is in the view, and its outputs are acknowledged.

        `since`: the progress of who did it. Of a partition that was not restored then nothing is noted: a
        checkpoint would wipe what is kept of it.
        """
        for place, offset in next_offsets.items():
            if place in since and since[place].restored:
                ingest = self._owned.watching.ingest_of(place.partition)
                self._done[place] = _Done(offset, ingest, since[place])

    def due_in_s(self) -> float:
        """Give the seconds until something is to be committed: 0 if it is time, infinite if nothing is."""
        if not self._done:
            return math.inf
        return max(0.0, self._committed_at + self._every_s - self._ports.clock.monotonic())

    async def commit_if_due(self) -> None:
        """Commit what is done, if it is time."""
        if self.due_in_s() <= 0:
            await self.commit()

    async def commit(self) -> None:
        """Write the checkpoints, then commit, of what is done and has been owned all the while."""
        done = {
            place: one
            for place, one in self._done.items()
            if self._owned.assignment.is_kept(place, one.progress)
        }
        if done:
            await self._commit(done)
            self._committed_at = self._ports.clock.monotonic()
        self._done = {}

    async def _commit(self, done: Mapping[TopicPartition, _Done]) -> None:
        checkpoints = {
            place: one.progress.checkpoint(one.next_offset, one.ingest) for place, one in done.items()
        }
        commits = {place: one.progress.commit(one.next_offset) for place, one in done.items()}
        with self._timed(Step.COMMIT):
            await self._retrying(Part.STORE, partial(self._ports.store.save_checkpoints, checkpoints))
            for one in done.values():
                one.progress.done = one.next_offset
            try:
                await self._retrying(Part.LOG, partial(self._ports.log.commit, commits))
            except OwnershipLost as lost:
                kept = {each.partition for each in self._ports.log.assignment()}
                self._owned.states.keep_partitions(kept)
                _log.warning(str(lost), action="ownership_lost")
                return
        _log.debug("What was done is committed.", action="committed", partitions=len(done))
