"""
Which records of a batch count and which are dead letters (promise P8).

An EVSE belongs to the partition it was first heard in; too many rejections in a row stop a partition. Nothing
here folds, waits or talks to anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from schemas.vocabulary import RejectionReason
from service.domain.events import Event
from service.processing.assignment import partition_of
from service.processing.dead_letters import OffsetRange, RejectionRun, TooManyRejections, is_accepted
from service.processing.rejection import Rejection
from service.processing.values import Record, TopicPartition


@dataclass(slots=True, init=False)
class Item:
    """A record and the event it holds."""

    record: Record
    event: Event

    def __init__(self, record: Record, event: Event) -> None:
        self.record, self.event = record, event


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record and why it becomes a dead letter."""

    record: Record
    rejection: Rejection


@dataclass(slots=True)
class Sifted:
    """
    The records of a batch that count, in log order, and those that do not.

    `next_offsets` is what is committed when all of it is done; `too_many` then stops the worker: the record
    that hit the limit, and what follows it in its partition, are in neither list.
    """

    items: list[Item] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    next_offsets: dict[TopicPartition, int] = field(default_factory=dict)
    too_many: TooManyRejections | None = None


@dataclass(frozen=True, slots=True)
class Sifting:
    """
    What sifting asks: where an EVSE lives, the runs of rejections, their limit, and what is accepted.

    `home` gives the partition an EVSE was first heard in, None if it was never heard.
    """

    home: Callable[[str], int | None]
    run: Callable[[TopicPartition], RejectionRun]
    limit: int
    accepted: Collection[OffsetRange]


def sift(decoded: Iterable[Item | Rejected], sifting: Sifting) -> Sifted:
    """
    Tell records that count from dead letters, and stop each partition before one rejection too many.

    Sifting the same records twice counts each rejection once.
    """
    sifted = Sifted()
    homes: dict[str, int | None] = {}
    stopped: set[TopicPartition] = set()
    partition, run = TopicPartition("", -1), RejectionRun()
    for each in decoded:
        entry = _at_home(each, homes, sifting.home)
        record = entry.record
        # Records of one partition come together: to make its name for each would cost more than to compare.
        if record.partition != partition.partition or record.topic != partition.topic:
            partition = partition_of(record)
            run = sifting.run(partition)
        if partition in stopped:
            continue
        if isinstance(entry, Item):
            run.passed(record.offset)
            sifted.items.append(entry)
        elif _may_be_rejected(entry, run, sifting):
            sifted.rejected.append(entry)
        else:
            stopped.add(partition)
            sifted.too_many = TooManyRejections(record, entry.rejection, run.in_a_row + 1)
            continue
        sifted.next_offsets[partition] = record.offset + 1
    return sifted


def _at_home(
    entry: Item | Rejected, homes: dict[str, int | None], home: Callable[[str], int | None]
) -> Item | Rejected:
    if isinstance(entry, Rejected):
        return entry
    uid, partition = entry.event.evse_uid, entry.record.partition
    if uid not in homes:
        homes[uid] = home(uid)
    lives_in = homes[uid]
    if lives_in is None:
        homes[uid] = partition
    elif lives_in != partition:
        return Rejected(entry.record, misplaced(entry.event, lives_in, partition))
    return entry


def misplaced(event: Event, lives_in: int, partition: int) -> Rejection:
    """Say that an EVSE appears in another partition than its own: it would have two owners."""
    return Rejection(
        RejectionReason.WRONG_PARTITION,
        f"EVSE {event.evse_uid!r} lives in partition {lives_in} and appears in {partition}: let all "
        "producers use one partitioner, with the uid as key",
        None,
        event.evse_uid,
        event.event_id,
    )


def _may_be_rejected(entry: Rejected, run: RejectionRun, sifting: Sifting) -> bool:
    if is_accepted(entry.record, sifting.accepted):
        run.passed(entry.record.offset)
        return True
    return run.rejected(entry.record.offset, sifting.limit)
