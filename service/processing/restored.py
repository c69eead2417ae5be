"""
What comes of restoring a partition: what is known of it then, what is committed, and what is sent again.

Functions of what view, group and ledger say; nothing here asks anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.domain.time import Micros
from service.processing.bearings import Bearings
from service.processing.identity import Identified
from service.processing.values import Checkpoint, Commit, Epochs, Resend, TopicPartition


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


def commit_at(place: TopicPartition, at: int, restored: Restored, epochs: Epochs) -> Commit:
    """Give the commit of a partition that is read from `at` on."""
    topics = restored.topics
    return Commit(
        at,
        epochs.generation,
        restored.resend,
        topics.ledger,
        epochs.of(place.topic),
        epochs.begin(place),
        topics.snapshots,
        restored.until.get(place, 0) if restored.resend else 0,
    )


def resend_due(
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


def is_history_due(bearings: Mapping[TopicPartition, Bearings]) -> bool:
    """Tell whether the ledger was begun anew, and what it is to hold of the view is not all in it yet."""
    return any(each.commit is not None and each.commit.resend is Resend.HISTORY for each in bearings.values())


def done_before(bearings: Mapping[TopicPartition, Bearings]) -> dict[TopicPartition, int]:
    """Give how far each log was processed, by view, group or who owned it before; of a new one nothing."""
    return {place: 0 if each.is_new else _done_before(each) for place, each in bearings.items()}


def _done_before(each: Bearings) -> int:
    until = 0 if each.commit is None else each.commit.until
    return max(each.known or 0, each.committed or 0, until)
