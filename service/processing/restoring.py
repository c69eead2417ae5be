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

from service.domain.time import DAY
from service.processing import ledger
from service.processing.instruments import Instruments, Part
from service.processing.ledger import LedgerMark
from service.processing.options import Options, Ports
from service.processing.outputs import Topics
from service.processing.planning import Planning
from service.processing.ports import Checkpoint, Commit, Epochs, Mark, OwnershipLost, TopicPartition, Unusable
from service.processing.rebuilding import Rebuilding
from service.processing.retry import Retrying

_log = structlog.get_logger()

_LOOKS = 3
_BETWEEN_LOOKS_S = 2.0


@dataclass(frozen=True, slots=True)
class Bearings:
    """
    What is known of one topic's partition: the view's checkpoint, the group's commit, and what the log holds.

    `checkpoint` is None where the view has none of the present generation; `is_new`: the log was begun anew
    with this generation, so that what was committed is of another one.
    """

    checkpoint: Checkpoint | None
    commit: Commit | None
    begin: int
    end: int
    is_new: bool = False

    @property
    def committed(self) -> int | None:
        """The next offset that the group has committed."""
        return None if self.commit is None else self.commit.next_offset

    @property
    def is_set_by_hand(self) -> bool:
        """Whether the group's offset is not as a worker left it."""
        return self.commit is not None and self.commit.generation is None

    @property
    def known(self) -> int | None:
        """The offset before which everything is in the view."""
        return None if self.checkpoint is None else self.checkpoint.next_offset

    @property
    def serves(self) -> bool:
        """Whether the view, and the log from its checkpoint on, hold everything."""
        return self.known is not None and self.known >= self.begin

    @property
    def is_beyond(self) -> bool:
        """Whether more was processed than the log holds."""
        return not self.is_new and max(self.known or 0, self.committed or 0) > self.end

    def refuse(self, place: TopicPartition, marked: int | None = None) -> None:
        """
        Raise `Unusable` where more was processed than the log holds: it is another log (promise P7).

        Also where the group's offset was set by hand: whoever set it back wants the log folded anew, and the
        guard would take all of it for repeats; whoever set it forward would leave a hole in the view.
        """
        if self.is_new:
            return
        if self.is_set_by_hand and self.known is not None and self.committed != self.known:
            raise Unusable(
                f"the group's offset of topic {place.topic}, partition {place.partition} was set to "
                f"{self.committed} by hand, and the view has all up to {self.known}: to have the log folded "
                f"anew run `evse-status rebuild`, to step over a record `run --skip`; else set it to "
                f"{self.known}"
            )
        for what, offset in (
            ("the view is", self.known),
            ("the group is", self.committed),
            ("the ledger is", marked),
        ):
            if offset is not None and offset > self.end:
                raise beyond(place, f"{what} at offset {offset}", self.end)


def beyond(place: TopicPartition, what: str, end: int) -> Unusable:
    """Say that a topic is not the one that was processed, and what helps."""
    return Unusable(
        f"topic {place.topic}, partition {place.partition} ends at offset {end} and {what}: the topic was "
        "deleted and created again, or offsets were set by hand; run `evse-status rebuild`, which begins a "
        "new epoch and keeps the history"
    )


class Renewed(Exception):
    """The log has another epoch than this worker knew: everything is restored anew."""


@dataclass(slots=True)
class Restored:
    """
    How a partition came back: its checkpoints, and from where to read on, whatever was fetched before.

    `lost`: records between what is known and what the log holds are gone. `must_resend`: the output topics
    may end with older words than the view, and have to be told anew.
    """

    checkpoints: dict[TopicPartition, Checkpoint]
    seek: dict[TopicPartition, int] = field(default_factory=dict)
    lost: bool = False
    must_resend: bool = False
    until: dict[TopicPartition, int] = field(default_factory=dict)
    evses: int = 0
    is_new: bool = False


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
        self._inputs = options.topics
        self._rebuilding = Rebuilding(ports, retrying, hold)

    async def partition(self, number: int, planning: Planning, *, has_hole: bool = False) -> Restored:
        """
        Bring back what is kept of a partition; raises `Unusable` where the log is another one.

        `has_hole`: the view has lost some EVSE although its checkpoint stands, so the bases go before it and
        the log is read again from them; those who are further take it for repeats.
        Doing it twice, or after half of it, does no harm.
        """
        places = [TopicPartition(topic, number) for topic in self._inputs]
        bearings = await self._bearings(places, planning.epochs)
        for place, each in bearings.items():
            each.refuse(place)
        if has_hole:
            bearings = {place: replace(each, checkpoint=None) for place, each in bearings.items()}
        if all(each.serves for each in bearings.values()):
            return await self._from_the_view(bearings, planning.epochs.generation)
        began = self._ports.clock.monotonic()
        restored = await self._from_the_ledger(number, bearings, planning)
        if restored.is_new:
            _log.info(
                "A partition is new: nothing is known of it.", action="partition_begun", partition=number
            )
            return restored
        seconds = self._ports.clock.monotonic() - began
        self._instruments.restored(restored.evses, seconds)
        _log.warning(
            "A partition is restored: bases from the ledger, the rest is read again from the log. "
            + ("Records between them are gone: unobserved." if restored.lost else "Nothing is lost."),
            action="partition_restored",
            partition=number,
            evses=restored.evses,
            read_on_from={place.topic: one.next_offset for place, one in restored.checkpoints.items()},
            lost=restored.lost,
            seconds=round(seconds, 1),
        )
        return restored

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
            stored = checkpoint.epoch if checkpoint is not None else -1
            is_new = epochs.generation > max(stored, 0) and epochs.of(place.topic) > max(stored, 0)
            commit = committed[place]
            # A view from before a rebuild that the commit knows of: the ledger says which.
            is_older = commit is not None and (commit.generation or 0) > epochs.generation
            current = checkpoint if stored == epochs.generation and not is_older else None
            bearings[place] = Bearings(current, commit, begins[place], 0, is_new)
        for _ in range(_LOOKS):
            # Asked last: whatever was processed before is below it. A new leader may lag for a moment.
            ends = await self._retrying(Part.LOG, lambda: log.end_offsets(places))
            bearings = {place: replace(each, end=ends[place]) for place, each in bearings.items()}
            if not any(each.is_beyond for each in bearings.values()):
                break
            await self._ports.clock.sleep(_BETWEEN_LOOKS_S)
        return bearings

    async def _from_the_view(self, bearings: Mapping[TopicPartition, Bearings], generation: int) -> Restored:
        checkpoints, seek = {}, {}
        for place, each in bearings.items():
            if each.checkpoint is None:  # never: it serves
                continue
            checkpoints[place] = each.checkpoint
            known = each.checkpoint.next_offset
            if each.commit is not None and each.commit.must_resend:
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
        restored = Restored(checkpoints, seek, must_resend=_must_resend(bearings, seek))
        restored.until = _done_before(bearings)
        await self._commit(bearings, restored, generation)
        return restored

    async def _commit(
        self,
        bearings: Mapping[TopicPartition, Bearings],
        restored: Restored,
        generation: int,
    ) -> None:
        """
        Commit from where reading goes on, so that the group's lag is the true one.

        It is ahead of the commit where a crash came between checkpoint and commit, and behind it where the
        view was behind.
        """
        commits = {
            place: commit
            for place, at in restored.seek.items()
            if (commit := Commit(at, generation, restored.must_resend)) != bearings[place].commit
            and (at or bearings[place].commit)
        }
        try:
            await self._retrying(Part.LOG, lambda: self._ports.log.commit(commits))
        except OwnershipLost as lost:
            _log.warning(str(lost), action="ownership_lost")

    async def _from_the_ledger(
        self, number: int, bearings: Mapping[TopicPartition, Bearings], planning: Planning
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
        book = await self._rebuilding.read(number)
        if book.epochs.generation > planning.epochs.generation:
            await self._retrying(Part.STORE, lambda: self._ports.store.save_epochs(book.epochs))
            raise Renewed
        marks = {
            place: mark
            for place in bearings
            if (mark := book.marks.get(place.topic)) is not None
            and mark.epoch == planning.epochs.of(place.topic)
        }
        for place, mark in marks.items():
            bearings[place].refuse(place, mark.mark.next_offset)
        gone = [place for place, each in bearings.items() if each.begin > _reach(each, marks.get(place))]
        only_in_view = any(
            each.is_new or (place not in marks and (place in gone or planning.epochs.of(place.topic)))
            for place, each in bearings.items()
        )
        if only_in_view:
            # Neither ledger nor log hold what an older log said: the view alone does.
            await self._rebuilding.take_over(number, planning)
        evses = await self._rebuilding.put_back(number, book, planning)
        something = bool(marks or book.bases or any(each.known is not None for each in bearings.values()))
        is_new = not something and all(
            each.commit is None or each.is_set_by_hand for each in bearings.values()
        )
        restored = Restored({}, lost=bool(gone) and something, evses=evses, is_new=is_new)
        for place, each in bearings.items():
            start = max(each.begin, _reach(each, marks.get(place)))
            if is_new and each.committed is not None:
                start = max(start, min(each.committed, each.end))  # where an operator wants it to begin
            restored.seek[place] = start
            checkpoint = self._checkpoint(start, each, marks.get(place), planning.epochs)
            if only_in_view:  # no mark until the bases of all are written, which is due at once
                checkpoint = replace(checkpoint, mark=None)
            restored.checkpoints[place] = checkpoint
        await self._begin_ledger(number, restored, marks, planning.epochs)
        restored.must_resend, restored.until = _must_resend(bearings, restored.seek), _done_before(bearings)
        await self._commit(bearings, restored, planning.epochs.generation)
        await self._retrying(Part.STORE, lambda: self._ports.store.save_checkpoints(restored.checkpoints))
        return restored

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
    ) -> None:
        """Say in the ledger from where on its bases will be complete, where it does not say so yet."""
        messages = []
        for place, checkpoint in restored.checkpoints.items():
            if place not in marks and checkpoint.mark is not None:
                mark = LedgerMark(checkpoint.mark, checkpoint.ingest, epochs.of(place.topic))
                messages.append(self._topics.entry(number, ledger.mark_entry(place.topic, mark)))
        if messages:
            await self._retrying(Part.PUBLISHER, lambda: self._ports.publisher.publish(messages))


def _must_resend(bearings: Mapping[TopicPartition, Bearings], seek: Mapping[TopicPartition, int]) -> bool:
    """
    Tell whether the output topics may hold older words than the view.

    While the log is read again, what was published before is published again from then on. Where that is
    interrupted by a view that has more (a replica that was not emptied), nobody would go on with it.
    """
    return any(
        each.commit is not None
        and (
            each.commit.must_resend
            or (each.commit.generation is not None and each.commit.next_offset > seek[place])
        )
        for place, each in bearings.items()
    )


def _done_before(bearings: Mapping[TopicPartition, Bearings]) -> dict[TopicPartition, int]:
    """Give how far each log had been processed; of a new log nothing was."""
    return {
        place: 0 if each.is_new else max(each.known or 0, each.committed or 0)
        for place, each in bearings.items()
    }


def _reach(bearings: Bearings, mark: LedgerMark | None) -> int:
    """Give the offset before which the view or the bases hold everything."""
    return max(bearings.known or 0, 0 if mark is None else mark.mark.next_offset)
