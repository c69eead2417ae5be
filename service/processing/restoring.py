"""
How a partition comes back when it is assigned, or when the view has lost what it held (promise P7).

The view's checkpoint says how far the log is in the view, the group's commit how far it was. Where the view
is behind, the log is read again from the checkpoint; where it does not reach back so far, or the view holds
nothing, the bases of the ledger go before. What neither holds is said, and unobserved. This module reads no
records of the input.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import structlog

from service.domain.time import DAY, Micros, rfc3339
from service.processing import ledger
from service.processing.bearings import Bearings
from service.processing.identity import Identified, Identity, others, refuse_count
from service.processing.ingest import Ingest
from service.processing.instruments import Instruments, Part
from service.processing.ledger import LedgerMark
from service.processing.options import Options, Ports
from service.processing.outputs import Topics
from service.processing.planning import Planning
from service.processing.ports import (
    Checkpoint,
    Commit,
    Epochs,
    Mark,
    OwnershipLost,
    Resend,
    SaveOutcome,
    TopicPartition,
)
from service.processing.rebuilding import Book, Rebuilding
from service.processing.refusing import Refusing, Renewed
from service.processing.remnants import Remnants, named
from service.processing.retry import Retrying
from service.processing.skipping import Skipping
from service.processing.watching import with_losses

_log = structlog.get_logger()

_LOOKS = 3
_BETWEEN_LOOKS_S = 2.0


@dataclass(slots=True)
class Restored:
    """
    How a partition came back: its checkpoints, and from where to read on, whatever was fetched before.

    `lost`: records between what is known and what the log holds are gone. `unseen` are EVSEs that were made
    again of what was left, each with the time from which nothing is known of it; `behind` those whose base
    is all there is, likewise. `resend`: what the output topics have to be told anew. `topics`: the ids of
    those that are read and written to. `commits`: what is committed, and signed so from now on.
    """

    checkpoints: dict[TopicPartition, Checkpoint]
    seek: dict[TopicPartition, int] = field(default_factory=dict)
    lost: bool = False
    unseen: dict[str, Micros] = field(default_factory=dict)
    behind: dict[str, Micros] = field(default_factory=dict)
    resend: Resend = Resend.NOTHING
    until: dict[TopicPartition, int] = field(default_factory=dict)
    evses: int = 0
    is_new: bool = False
    topics: Identified = field(default_factory=Identified)
    commits: dict[TopicPartition, Commit] = field(default_factory=dict)


class Restoring:
    """Restores partitions by their number: the partition of that number of every input topic."""

    def __init__(
        self,
        ports: Ports,
        options: Options,
        retrying: Retrying,
        instruments: Instruments,
        hold: Callable[[], Awaitable[None]],
    ) -> None:
        self._ports = ports
        self._retrying = retrying
        self._instruments = instruments
        self._topics = Topics.with_prefix(options.topic_prefix, options.source)
        self._inputs, self._silent_after = options.topics, options.ingest_silent_after
        self._partitions = options.partitions
        self._rebuilding = Rebuilding(ports, retrying, hold)
        self.skipping = Skipping(ports, retrying, hold, options.skipped, self._topics)
        self._remnants = Remnants(ports, retrying, hold, self._topics.ledger)
        self._identity = Identity(ports, retrying, options.topics, self._topics)
        self._refusing = Refusing(ports, retrying, self._remnants)

    async def partition(self, number: int, planning: Planning, *, has_hole: bool = False) -> Restored:
        """
        Bring back what is kept of a partition; raises `Unusable` where the log is another one.

        `has_hole`: the view has lost some EVSE although its checkpoint stands, so the bases go before it and
        the log is read again from them; those who are further take it for repeats.
        Doing it twice, or after half of it, does no harm.
        """
        refuse_count(self._partitions, planning.epochs)
        if number >= (planning.epochs.partitions or number + 1):
            refuse_count(number + 1, planning.epochs)  # it was given more under this worker
        places = [TopicPartition(topic, number) for topic in self._inputs]
        bearings = await self._bearings(places, planning.epochs)
        for place, each in bearings.items():
            each.refuse(place)
        topics = await self._identity.of(bearings.values(), planning.epochs)
        if topics.has_lost_snapshots:
            _log.warning(
                "The snapshots were deleted and created again: the last of every EVSE is sent again.",
                action="snapshots_lost",
                partition=number,
            )
        if has_hole:
            bearings = {
                place: replace(each, checkpoint=None, left=each.known or each.left)
                for place, each in bearings.items()
            }
        await self.skipping.remember(number, planning.epochs)
        if all(each.serves for each in bearings.values()) and not others(planning.epochs.ids, topics.ids):
            return await self._from_the_view(number, bearings, planning.epochs, topics)
        began = self._ports.clock.monotonic()
        restored = await self._from_the_ledger(number, bearings, planning, topics)
        if restored.is_new:
            _log.info(
                "A partition is new: nothing is known of it.", action="partition_begun", partition=number
            )
            return restored
        seconds = self._ports.clock.monotonic() - began
        self._instruments.restored(restored.evses, seconds)
        self._tell(number, restored, seconds)
        return restored

    async def mend(self, uids: Sequence[str], planning: Planning) -> None:
        """Put closed history back of which the view has lost some."""
        await self._rebuilding.mend(uids, planning)

    def _tell(self, number: int, restored: Restored, seconds: float) -> None:
        is_whole = not (restored.lost or restored.unseen or restored.behind)
        _log.warning(
            "A partition is restored: bases from the ledger, the rest is read again from the log. "
            + ("Nothing is lost." if is_whole else "Records between them are gone: unobserved."),
            action="partition_restored",
            partition=number,
            evses=restored.evses,
            read_on_from={place.topic: one.next_offset for place, one in restored.checkpoints.items()},
            lost=not is_whole,
            seconds=round(seconds, 1),
        )
        for what, uids in (
            (
                "have no base: closed history and their last snapshot are all there is of them",
                restored.unseen,
            ),
            ("are as of their base: what the log said since is gone", restored.behind),
        ):
            if uids:
                _log.warning(
                    f"{len(uids)} EVSEs {what}. Their time since then is unobserved until a charger of "
                    "the partition is heard.",
                    action="evses_unobserved",
                    partition=number,
                    evses=len(uids),
                    evse_uids=list(named(sorted(uids))),
                )
            for uid, since in uids.items():
                _log.debug(
                    "The time of an EVSE is unobserved.",
                    action="evse_unobserved",
                    evse_uid=uid,
                    since=rfc3339(since),
                )

    async def _bearings(
        self, places: Sequence[TopicPartition], epochs: Epochs
    ) -> dict[TopicPartition, Bearings]:
        log, load = self._ports.log, self._ports.store.load_checkpoint
        begins = await self._retrying(Part.LOG, lambda: log.begin_offsets(places))
        checkpoints = {place: await self._retrying(Part.STORE, partial(load, place)) for place in places}
        # Asked after the checkpoints, which may be those of a worker that took the partition over meanwhile:
        # what they say was committed is.
        committed = await self._retrying(Part.LOG, lambda: log.committed(places))
        bearings = {}
        for place, checkpoint in checkpoints.items():
            each = Bearings.of(checkpoint, committed[place], epochs, place.topic)
            bearings[place] = replace(each, begin=max(begins[place], epochs.begin(place)))
        for _ in range(_LOOKS):
            # Asked last: whatever was processed before is below it. A new leader may lag for a moment.
            ends = await self._retrying(Part.LOG, lambda: log.end_offsets(places))
            bearings = {place: replace(each, end=ends[place]) for place, each in bearings.items()}
            if not any(each.is_beyond for each in bearings.values()):
                break
            await self._ports.clock.sleep(_BETWEEN_LOOKS_S)
        return bearings

    async def _from_the_view(
        self,
        number: int,
        bearings: Mapping[TopicPartition, Bearings],
        epochs: Epochs,
        topics: Identified,
    ) -> Restored:
        checkpoints, seek = {}, {}
        for place, each in bearings.items():
            if each.checkpoint is None:  # never: it serves
                continue
            checkpoints[place] = each.checkpoint
            known = each.checkpoint.next_offset
            if each.commit is not None and each.commit.resend:
                # What was read again may not have come to its end: repeats do no harm.
                known = max(each.begin, min(known, each.commit.next_offset))
                checkpoints[place] = replace(each.checkpoint, next_offset=known)
            seek[place] = known
            if each.committed is not None and each.committed > known:
                self._instruments.behind()
                _log.warning(
                    "The view is behind what was committed; the log is read again from where the view is.",
                    action="view_behind",
                    topic=place.topic,
                    partition=place.partition,
                    checkpoint=known,
                    committed=each.committed,
                )
        restored = Restored(checkpoints, seek, topics=topics)
        restored.resend, restored.until = _resend(bearings, seek, topics), _done_before(bearings)
        if topics.has_lost_ledger or _is_history_due(bearings):
            # The bases went with the old ledger, whatever a worker that did not know of it has said since.
            checkpoints |= {place: replace(each, mark=None) for place, each in checkpoints.items()}
        if topics.has_lost_ledger:
            _log.warning(
                "The ledger was deleted and created again: the view's whole history is written to it anew.",
                action="ledger_lost",
                partition=number,
            )
            await self._retrying(Part.STORE, lambda: self._ports.store.save_checkpoints(checkpoints))
            await self._begin_ledger(number, restored, {}, epochs.identified(topics.ids, self._partitions))
        await self._commit(bearings, restored, epochs)
        return restored

    async def _commit(
        self,
        bearings: Mapping[TopicPartition, Bearings],
        restored: Restored,
        epochs: Epochs,
    ) -> None:
        """
        Commit from where reading goes on, so that the group's lag is the true one.

        It is ahead of the commit where a crash came between checkpoint and commit, and behind it where the
        view was behind. A commit stands before anything is written of a partition: where the ledger knows of
        one without, the group's offsets went, and with them maybe the log.
        """
        restored.commits = {
            place: _commit(place, at, restored, epochs) for place, at in restored.seek.items()
        }
        commits = {
            place: commit for place, commit in restored.commits.items() if commit != bearings[place].commit
        }
        try:
            await self._retrying(Part.LOG, lambda: self._ports.log.commit(commits))
        except OwnershipLost as lost:
            _log.warning(str(lost), action="ownership_lost")

    async def _from_the_ledger(
        self,
        number: int,
        bearings: Mapping[TopicPartition, Bearings],
        planning: Planning,
        topics: Identified,
    ) -> Restored:
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
        book = await self._read(number, planning.epochs)
        is_begun_anew = _is_begun_anew(number, book, bearings)
        if is_begun_anew:
            book.forget_bases()
        self.skipping.recall(number, book.skips, planning.epochs)
        marks = {
            place: mark
            for place in bearings
            if (mark := book.marks.get(place.topic)) is not None
            and mark.epoch == planning.epochs.of(place.topic)
        }
        await self._refusing.another_log(number, bearings, marks, book, planning, topics)
        offsets = {place: mark.mark.next_offset for place, mark in marks.items()}
        gone = [place for place, each in bearings.items() if each.is_gone(offsets.get(place))]
        only_in_view = bool(gone) or any(
            place not in marks and (each.is_new or planning.epochs.of(place.topic))
            for place, each in bearings.items()
        )
        if only_in_view:
            # Neither ledger nor log hold what an older log said, or one that was cut: the view alone does.
            await self._rebuilding.take_over(number, planning)
        something = bool(book.has_history or book.marks) or any(
            each.known is not None or each.left is not None for each in bearings.values()
        )
        something |= any(each.commit is not None and not each.is_set_by_hand for each in bearings.values())
        something |= any(each.is_new for each in bearings.values())
        restored = Restored({}, evses=len(book.bases), is_new=not something, topics=topics)
        if gone and something:
            await self._put_back_what_is_left(number, book, planning, restored, bearings)
            restored.lost = not all(bearings[place].is_in_view for place in gone)
        else:
            await self._put_back_bases(number, book, planning, is_moved=_is_moved(bearings, marks))
        for place, each in bearings.items():
            start = max(each.begin, each.known or 0, offsets.get(place, 0))
            if restored.is_new and each.committed is not None:
                start = max(start, min(each.committed, each.end))  # where an operator wants it to begin
            restored.seek[place] = start
            checkpoint = self._checkpoint(start, each, marks.get(place), planning.epochs)
            if restored.lost or restored.unseen or restored.behind:
                losses = (Ingest(self._silent_after, len(self._inputs)), restored.unseen, restored.behind)
                ingest = with_losses(checkpoint.ingest, *losses, lost=restored.lost)
                checkpoint = replace(checkpoint, ingest=ingest)
            if (only_in_view and something) or topics.has_lost_ledger or is_begun_anew:
                # No mark until the bases of all are written, which is due at once.
                checkpoint = replace(checkpoint, mark=None)
            restored.checkpoints[place] = checkpoint
        restored.resend = _resend(bearings, restored.seek, topics, is_moved=_is_moved(bearings, marks))
        restored.until = _done_before(bearings)
        await self._commit(bearings, restored, planning.epochs)
        identified = planning.epochs.identified(topics.ids, self._partitions)
        await self._begin_ledger(number, restored, marks, identified, book.epochs)
        await self._retrying(Part.STORE, lambda: self._ports.store.save_checkpoints(restored.checkpoints))
        return restored

    async def _read(self, number: int, epochs: Epochs) -> Book:
        """Read the ledger of a partition; raise `Renewed` where it knows of a newer generation."""
        book = await self._rebuilding.read(number)
        if book.epochs.generation >= epochs.generation:
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
        outcomes = await self._rebuilding.put_back(number, book, planning, left.word)
        written = [uid for uid, outcome in outcomes.items() if outcome is not SaveOutcome.STALE]
        await self._remnants.drop_stale(number, left, written)
        view_is_lost = all(each.known is None and each.left is None for each in bearings.values())
        restored.unseen = await self._remnants.put_back(number, left, planning, view_is_lost=view_is_lost)
        restored.evses += len(restored.unseen)
        restored.behind = {
            uid: book.edges[uid].as_of
            for uid, outcome in outcomes.items()
            if outcome is SaveOutcome.SAVED or (view_is_lost and outcome is SaveOutcome.ALREADY)
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

    async def _begin_ledger(
        self,
        number: int,
        restored: Restored,
        marks: Mapping[TopicPartition, LedgerMark],
        epochs: Epochs,
        said: Epochs | None = None,
    ) -> None:
        """
        Say in the ledger from where on its bases will be complete, and of which log, where it does not.

        A mark that came into one that was begun anew is taken out: it tells of the bases of another.
        """
        messages = []
        if said != epochs:
            messages.append(self._topics.entry(number, ledger.epoch_entry(epochs)))
        for place, checkpoint in restored.checkpoints.items():
            if checkpoint.mark is None and restored.topics.has_lost_ledger:
                messages.append(self._topics.entry(number, ledger.no_mark(place.topic)))
            elif place not in marks and checkpoint.mark is not None:
                mark = LedgerMark(checkpoint.mark, checkpoint.ingest, epochs.of(place.topic))
                messages.append(self._topics.entry(number, ledger.mark_entry(place.topic, mark)))
        if messages:
            await self._retrying(Part.PUBLISHER, lambda: self._ports.publisher.publish(messages))


def _commit(place: TopicPartition, at: int, restored: Restored, epochs: Epochs) -> Commit:
    topics = restored.topics
    return Commit(
        at,
        epochs.generation,
        restored.resend,
        topics.ledger,
        epochs.of(place.topic),
        epochs.begin(place),
        topics.snapshots,
    )


def _is_moved(
    bearings: Mapping[TopicPartition, Bearings], marks: Mapping[TopicPartition, LedgerMark]
) -> bool:
    """Tell whether the view is of before the log began, and the ledger is not: others may live here now."""
    return any(each.is_new and place in marks for place, each in bearings.items())


def _resend(
    bearings: Mapping[TopicPartition, Bearings],
    seek: Mapping[TopicPartition, int],
    topics: Identified,
    *,
    is_moved: bool = False,
) -> Resend:
    """
    Tell what the output topics do not hold of the view, or hold in older words.

    While the log is read again, what was published before is published again from then on. Where that is
    interrupted by a view that has more (a replica that was not emptied), nobody would go on with it.
    `is_moved`: the last snapshots of some EVSEs were in other partitions, where tombstones end them now.
    """
    if topics.has_lost_ledger:
        return Resend.HISTORY
    commits = {place: each.commit for place, each in bearings.items() if each.commit is not None}
    is_read_again = any(
        each.generation is not None and each.next_offset > seek[place] for place, each in commits.items()
    )
    is_short = is_moved or is_read_again or topics.has_lost_snapshots
    least = Resend.LAST_WORDS if is_short else Resend.NOTHING
    return max([least, *(each.resend for each in commits.values())])


def _is_history_due(bearings: Mapping[TopicPartition, Bearings]) -> bool:
    """Tell whether the ledger was begun anew, and what it is to hold of the view is not all in it yet."""
    return any(each.commit is not None and each.commit.resend is Resend.HISTORY for each in bearings.values())


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
    return book.is_short or _is_history_due(bearings)


def _done_before(bearings: Mapping[TopicPartition, Bearings]) -> dict[TopicPartition, int]:
    """Give how far each log had been processed; of a new log nothing was."""
    return {
        place: 0 if each.is_new else max(each.known or 0, each.committed or 0)
        for place, each in bearings.items()
    }
