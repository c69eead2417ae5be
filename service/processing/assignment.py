"""
The partitions this worker owns, and how far it has come in each; this module talks to nobody.

A partition is owned, then leaving (its batch is finished and may still be committed), then gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from service.processing.dead_letters import RejectionRun
from service.processing.values import Checkpoint, Commit, Mark, Record, Resend, TopicPartition


@dataclass(slots=True)
class Progress:
    """
    How far one owned partition is processed; `restored` once what is kept of it has come back.

    Everything before `done` is in the view. `mark` is how far the bases in the ledger reach, `epoch` the
    generation that all is written in, `since` the one in which its log began, at the offset `begin`, `ledger`
    and `snapshots` the ids of these topics.
    `resend`: what the output topics have to be told again, when what had been done before, `until`, has been
    done again.
    """

    restored: bool = False
    run: RejectionRun = field(default_factory=RejectionRun)
    done: int = 0
    resend: Resend = Resend.NOTHING
    ledger: str = ""
    snapshots: str = ""
    since: int = 0
    begin: int = 0
    until: int = 0
    mark: Mark | None = None
    epoch: int = 0

    def restore(self, checkpoint: Checkpoint | None) -> None:
        """Go on where the last owner stopped."""
        if checkpoint is not None:
            counted_until = max(checkpoint.next_offset, checkpoint.counted_until)
            self.run = RejectionRun(checkpoint.rejections_in_a_row, counted_until)
            self.done, self.mark, self.epoch = checkpoint.next_offset, checkpoint.mark, checkpoint.epoch
        self.restored = True

    def commit(self, next_offset: int) -> Commit:
        """Give what is committed when everything before `next_offset` is in the view and written."""
        written = (self.ledger, self.since, self.begin, self.snapshots)
        until = self.until if self.resend else 0
        return Commit(next_offset, self.epoch, self.resend, *written, until)

    def checkpoint(self, next_offset: int, ingest: bytes = b"") -> Checkpoint:
        """
        Give the checkpoint at `next_offset`, all before which is in the view.

        Records read again do not undo what was counted.
        """
        counted_until = max(next_offset, self.run.counted_until)
        return Checkpoint(next_offset, self.run.in_a_row, ingest, self.mark, self.epoch, counted_until)


class Assignment:
    """Changes as the group decides; asked by the loop before each step that only an owner may take."""

    def __init__(self) -> None:
        self._progress: dict[TopicPartition, Progress] = {}
        self._leaving: set[TopicPartition] = set()

    @property
    def owned(self) -> frozenset[TopicPartition]:
        """What may be processed and committed, leaving partitions included."""
        return frozenset(self._progress)

    def assign(self, partitions: Iterable[TopicPartition]) -> frozenset[TopicPartition]:
        """Take the whole new assignment; gives what is new in it."""
        new = frozenset(partitions) - self.owned
        for partition in new:
            self._progress[partition] = Progress()
        return new

    def leave(self, partitions: Iterable[TopicPartition]) -> None:
        """Begin to give partitions up: what is in hand is finished, nothing new is begun or waited for."""
        self._leaving |= self.owned & frozenset(partitions)

    def drop(self, partitions: Iterable[TopicPartition]) -> None:
        """Give partitions up."""
        for partition in partitions:
            self._progress.pop(partition, None)
            self._leaving.discard(partition)

    def is_leaving(self, partitions: Iterable[TopicPartition]) -> bool:
        """Tell whether one of these is no longer, or not much longer, owned."""
        return any(each not in self._progress or each in self._leaving for each in partitions)

    def still_owned(self, records: Sequence[Record]) -> list[Record]:
        """
        Leave out the records of partitions that went; one that came back is read from its committed offset.

        Records of an owned partition are never left out: they may come from before a revocation, which the
        guard forgives, but they may as well be the first after an assignment, which nobody would read again.
        """
        # A plain tuple equals the name of the partition, and takes a third of the time to make.
        return [record for record in records if (record.topic, record.partition) in self._progress]

    def unrestored(self) -> dict[int, list[TopicPartition]]:
        """Give the partitions that have not come back, by number: a number is restored as a whole."""
        numbers = {each.partition for each, progress in self._progress.items() if not progress.restored}
        return {
            number: sorted(each for each in self._progress if each.partition == number)
            for number in sorted(numbers)
        }

    def restore(
        self,
        partition: TopicPartition,
        checkpoint: Checkpoint | None,
        signed: Commit | None = None,
        *,
        until: int = 0,
    ) -> None:
        """
        Note that what is kept of a partition has come back, if it is still owned.

        `signed`: what was said with the offset that is committed, and is to be said with the next ones.
        """
        progress = self._progress.get(partition)
        if progress is not None:
            progress.restore(checkpoint)
            progress.until = until
            if signed is not None:
                progress.resend, progress.ledger, progress.snapshots = (
                    signed.resend,
                    signed.ledger,
                    signed.snapshots,
                )
                progress.since, progress.begin = signed.since or 0, signed.begin

    def begin_again(self) -> None:
        """Take all that is owned for not restored: what was known of it is void."""
        for partition in self._progress:
            self._progress[partition] = Progress()

    def progress(self) -> dict[TopicPartition, Progress]:
        """Give how far each owned partition has come; what went and comes back begins another progress."""
        return dict(self._progress)

    def are_kept(
        self, partitions: Iterable[TopicPartition], since: Mapping[TopicPartition, Progress]
    ) -> bool:
        """Tell whether these have been owned without a break since then."""
        return all(each in since and self.is_kept(each, since[each]) for each in partitions)

    def is_kept(self, partition: TopicPartition, progress: Progress) -> bool:
        """Tell whether a partition has been owned without a break since it had this progress."""
        return self._progress.get(partition) is progress


def partition_of(record: Record) -> TopicPartition:
    """Give the partition a record was read from."""
    return TopicPartition(record.topic, record.partition)
