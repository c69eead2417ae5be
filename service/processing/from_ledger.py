"""
How a partition comes back from the ledger, where the view does not hold it (promise P7).

The bases go first, then the log from where they reach. Where the log does not reach back so far, the last
snapshots and the closed history go before it, and what none of them holds is unobserved.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import structlog

from service.domain.time import DAY
from service.processing.announcing import Announcing
from service.processing.bearings import Bearings
from service.processing.identity import Identified, refuse_count, refuse_topics
from service.processing.ingest import Ingest
from service.processing.instruments import Instruments, Part
from service.processing.ledger import LedgerMark
from service.processing.mending import Mending
from service.processing.options import Options, Ports
from service.processing.planning import Planning
from service.processing.rebuilding import Book, Rebuilding
from service.processing.refusing import Refusing, Renewed
from service.processing.remnants import Remnants
from service.processing.restored import Restored, done_before, is_history_due, resend_due
from service.processing.retry import Retrying
from service.processing.skipping import Skipping
from service.processing.values import Checkpoint, Epochs, Mark, SaveOutcome, TopicPartition
from service.processing.watching import with_losses

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Account:
    """
    What the ledger of a partition holds, beside what view, group and log say.

    `marks`: how far its bases reach, of logs that are those of now. `gone`: where the log does not hold all
    that view and bases do not. `is_only_in_view`: neither ledger nor log hold what an older log said, or one
    that was cut. `is_begun_anew`: the ledger was, and does not hold all yet. `is_known`: anything was ever
    processed.
    """

    book: Book
    marks: Mapping[TopicPartition, LedgerMark]
    gone: Sequence[TopicPartition]
    is_only_in_view: bool
    is_begun_anew: bool
    is_known: bool
    is_moved: bool

    @classmethod
    def of(
        cls, book: Book, bearings: Mapping[TopicPartition, Bearings], epochs: Epochs, *, is_begun_anew: bool
    ) -> Self:
        """Put together what is known."""
        marks = {
            place: mark
            for place in bearings
            if (mark := book.marks.get(place.topic)) is not None and mark.epoch == epochs.of(place.topic)
        }
        offsets = {place: mark.mark.next_offset for place, mark in marks.items()}
        gone = [place for place, each in bearings.items() if each.is_gone(offsets.get(place))]
        only_before = [
            place
            for place, each in bearings.items()
            if place not in marks and (each.is_new or epochs.of(place.topic))
        ]
        return cls(
            book,
            marks,
            gone,
            bool(gone or only_before),
            is_begun_anew,
            bool(book.has_history or book.marks) or any(each.tells_something for each in bearings.values()),
            _is_moved(bearings, marks),
        )


class FromLedger:
    """Restores partitions by their number from what the ledger, the snapshots and the log hold."""

    def __init__(
        self,
        ports: Ports,
        options: Options,
        retrying: Retrying,
        instruments: Instruments,
        hold: Callable[[], Awaitable[None]],
        skipping: Skipping,
        announcing: Announcing,
    ) -> None:
        self._ports = ports
        self._retrying = retrying
        self._instruments = instruments
        self._skipping = skipping
        self._inputs, self._silent_after = options.topics, options.ingest_silent_after
        self._partitions = options.partitions
        self._rebuilding = Rebuilding(ports, retrying, hold)
        self._mending = Mending(ports, retrying, hold, self._rebuilding)
        self._remnants = Remnants(ports, retrying, hold, announcing.topics.ledger)
        self._refusing = Refusing(ports, retrying, self._remnants)
        self._announcing = announcing

    async def mend(self, uids: Sequence[str], planning: Planning) -> None:
        """Put closed history back of which the view has lost some."""
        await self._mending.mend(uids, planning)

    async def restore(
        self,
        number: int,
        bearings: Mapping[TopicPartition, Bearings],
        planning: Planning,
        topics: Identified,
    ) -> Restored:
        """Bring a partition back; raises `Unusable` where the log is another one."""
        self._tell(bearings)
        book = await self._read(number, planning.epochs)
        is_begun_anew = _is_begun_anew(number, book, bearings)
        if is_begun_anew:
            book.forget_bases()
        self._skipping.recall(number, book.skips, planning.epochs)
        account = _Account.of(book, bearings, planning.epochs, is_begun_anew=is_begun_anew)
        await self._refusing.another_log(number, bearings, account.marks, book, planning, topics)
        if account.is_only_in_view:
            await self._rebuilding.take_over(number, planning)
        restored = Restored({}, evses=len(book.bases), is_new=not account.is_known, topics=topics)
        for place, each in bearings.items():
            restored.seek[place] = self._start(place, each, restored, account)
        restored.resend = resend_due(bearings, restored.seek, topics, is_moved=account.is_moved)
        restored.until = done_before(bearings)
        if any(each.left is not None for each in bearings.values()):
            # A checkpoint stands that says more than the view will hold: whoever takes over in the midst of
            # this reads again from where the bases end.
            await self._announcing.commit(bearings, restored, planning.epochs)
        if account.gone and account.is_known:
            await self._put_back_what_is_left(number, book, planning, restored, bearings)
            restored.lost = not all(bearings[place].is_in_view for place in account.gone)
        else:
            await self._put_back_bases(number, book, planning, is_moved=account.is_moved)
        for place, each in bearings.items():
            restored.checkpoints[place] = self._read_on(place, each, restored, account, planning.epochs)
        await self._announcing.commit(bearings, restored, planning.epochs)
        identified = planning.epochs.identified(topics.ids, self._partitions)
        await self._announcing.begin_ledger(number, restored, account.marks, identified, book.epochs)
        await self._retrying(Part.STORE, lambda: self._ports.store.save_checkpoints(restored.checkpoints))
        return restored

    def _tell(self, bearings: Mapping[TopicPartition, Bearings]) -> None:
        for place, each in bearings.items():
            if each.committed is not None and not each.is_new:
                self._instruments.behind()
                _log.warning(
                    "The view does not hold what was committed; ledger and log restore the partition.",
                    action="view_behind",
                    topic=place.topic,
                    partition=place.partition,
                    checkpoint=each.known,
                    committed=each.committed,
                )

    def _start(self, place: TopicPartition, bearings: Bearings, restored: Restored, account: _Account) -> int:
        """Say from where on a log is read."""
        marked = account.marks.get(place)
        start = max(bearings.begin, bearings.known or 0, 0 if marked is None else marked.mark.next_offset)
        if restored.is_new and bearings.committed is not None:
            start = max(start, min(bearings.committed, bearings.end))  # where an operator wants it to begin
        return start

    def _read_on(
        self, place: TopicPartition, bearings: Bearings, restored: Restored, account: _Account, epochs: Epochs
    ) -> Checkpoint:
        """Give the checkpoint from which a log is read on."""
        checkpoint = self._checkpoint(restored.seek[place], bearings, account.marks.get(place), epochs)
        if restored.lost or restored.unseen or restored.behind:
            losses = (Ingest(self._silent_after, len(self._inputs)), restored.unseen, restored.behind)
            ingest = with_losses(checkpoint.ingest, *losses, lost=restored.lost)
            checkpoint = replace(checkpoint, ingest=ingest)
        is_due = account.is_begun_anew or restored.topics.has_lost_ledger
        if is_due or (account.is_only_in_view and account.is_known):
            # No mark until the bases of all are written, which is due at once.
            checkpoint = replace(checkpoint, mark=None)
        return checkpoint

    async def _read(self, number: int, epochs: Epochs) -> Book:
        """Read the ledger of a partition; raise `Renewed` where it knows of a newer generation."""
        book = await self._rebuilding.read(number)
        if book.epochs.generation >= epochs.generation:
            refuse_topics(self._inputs, book.epochs)
            refuse_count(self._partitions, book.epochs)
        if book.epochs.generation > epochs.generation:
            await self._retrying(Part.STORE, lambda: self._ports.store.save_epochs(book.epochs))
            raise Renewed
        return book

    async def _put_back_bases(self, number: int, book: Book, planning: Planning, *, is_moved: bool) -> None:
        """Restore EVSEs of which the log holds all that their bases do not."""
        await self._rebuilding.put_back(number, book, planning)
        if is_moved:
            await self._rebuilding.delist_others(number, book)

    async def _put_back_what_is_left(
        self,
        number: int,
        book: Book,
        planning: Planning,
        restored: Restored,
        bearings: Mapping[TopicPartition, Bearings],
    ) -> None:
        """Restore EVSEs of which the log does not hold what their bases do not, or that have none."""
        left = await self._remnants.read(number, book)
        done = await self._rebuilding.put_back(number, book, planning, left.word)
        outcomes = done.outcomes
        written = [uid for uid, outcome in outcomes.items() if outcome is not SaveOutcome.STALE]
        await self._remnants.drop_stale(number, left, written)
        await self._remnants.tell_closed(number, {uid: done.closed.get(uid, ()) for uid in written})
        view_is_lost = all(each.known is None and each.left is None for each in bearings.values())
        restored.unseen = await self._remnants.put_back(number, left, planning, view_is_lost=view_is_lost)
        restored.evses += len(restored.unseen)
        restored.behind = {
            uid: edge.as_of
            for uid, outcome in outcomes.items()
            if (edge := book.edge(uid)) is not None
            and (outcome is SaveOutcome.SAVED or (view_is_lost and outcome is SaveOutcome.ALREADY))
        }

    def _checkpoint(
        self, start: int, bearings: Bearings, marked: LedgerMark | None, epochs: Epochs
    ) -> Checkpoint:
        known = bearings.checkpoint
        ingest = b""
        if marked is not None and (known is None or marked.mark.next_offset > known.next_offset):
            ingest = marked.ingest
        elif known is not None:
            ingest = known.ingest
        mark = marked.mark if marked is not None else Mark(self._ports.clock.now() // DAY, start)
        return Checkpoint(start, 0, ingest, mark, epochs.generation, start)


def _is_begun_anew(number: int, book: Book, bearings: Mapping[TopicPartition, Bearings]) -> bool:
    """
    Tell whether a ledger that was begun anew lacks bases, or the history that they need.

    One that is only now found to be another than before may be a copy of it, and whole: it is counted.
    """
    if book.is_short:
        _log.warning(
            "The ledger lacks bases that it speaks of, which were in one that was deleted: none is used.",
            action="bases_missing",
            partition=number,
        )
    return book.is_short or is_history_due(bearings)


def _is_moved(
    bearings: Mapping[TopicPartition, Bearings], marks: Mapping[TopicPartition, LedgerMark]
) -> bool:
    """Tell whether the view is of before the log began, and the ledger is not: others may live here now."""
    return any(each.is_new and place in marks for place, each in bearings.items())
