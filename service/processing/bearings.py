"""
What is known of a partition before it comes back: by the view, by the group, and by the log itself.

It tells whether the view serves, whether the log reaches back, and whether it is another log than the one
that was processed. This module asks nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.processing.ports import Unusable
from service.processing.values import Checkpoint, Commit, Epochs, TopicPartition


@dataclass(frozen=True, slots=True)
class Bearings:
    """
    What is known of one topic's partition: the view's checkpoint, the group's commit, and what the log holds.

    `checkpoint` is None where the view has none of the present generation, or lost an EVSE; `left` is then
    how far what it holds was. `is_new`: the log was begun anew with this generation, so that what was
    committed is of another one.
    """

    checkpoint: Checkpoint | None
    commit: Commit | None
    begin: int
    end: int
    is_new: bool = False
    left: int | None = None

    @classmethod
    def of(cls, stored: Checkpoint | None, commit: Commit | None, epochs: Epochs, topic: str) -> Bearings:
        """Put together what view and group say; the log has not been asked yet."""
        epoch = stored.epoch if stored is not None else -1
        is_new = epochs.generation > max(epoch, 0) and epochs.of(topic) > max(epoch, 0)
        # A view from before a rebuild that the commit knows of: the ledger says which.
        is_older = commit is not None and (commit.generation or 0) > epochs.generation
        current = stored if epoch == epochs.generation and not is_older else None
        left = None if stored is None or current is not None else stored.next_offset
        return cls(current, commit, 0, 0, is_new, left)

    @property
    def committed(self) -> int | None:
        """The next offset that the group has committed."""
        return None if self.commit is None else self.commit.next_offset

    @property
    def processed(self) -> int | None:
        """The same, if it was a worker that did: what somebody set by hand tells nothing of the log."""
        return None if self.is_set_by_hand else self.committed

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
    def tells_something(self) -> bool:
        """Whether view or group know that anything was ever processed."""
        is_in_view = self.known is not None or self.left is not None
        return is_in_view or self.is_new or (self.commit is not None and not self.is_set_by_hand)

    @property
    def is_forgotten(self) -> bool:
        """Whether neither view nor group know anything: where the ledger does, the log may be another one."""
        return self.commit is None and self.known is None and self.left is None and not self.is_new

    def is_gone(self, mark: int | None) -> bool:
        """Whether the log does not hold everything from where view and bases (up to `mark`) end."""
        return self.begin > max(self.known or 0, mark or 0) or (self.is_new and mark is None)

    @property
    def is_in_view(self) -> bool:
        """Whether the view holds, though of an older generation or with a hole, all that the log does not."""
        return self.left is not None and (self.is_new or self.left >= self.begin)

    @property
    def is_beyond(self) -> bool:
        """Whether more was processed than the log holds."""
        return not self.is_new and max(self.known or 0, self.processed or 0) > self.end

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
            ("the group is", self.processed),
            ("ledger or snapshots are", marked),
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


def forgotten(place: TopicPartition) -> Unusable:
    """Say that nobody knows how far a topic was processed, though it was, and what helps."""
    return Unusable(
        f"the ledger or the snapshots know of topic {place.topic}, partition {place.partition}, and neither "
        "the view nor the group has an offset of it: the topic was deleted and created again while the view "
        "was lost, or the group is another one (GROUP_ID) or expired; run `evse-status rebuild`, which "
        "begins a new epoch and keeps what ledger and snapshots hold"
    )
