"""Which records count, which are dead letters, and where a partition stops."""

from __future__ import annotations

from collections import defaultdict

from schemas.vocabulary import RejectionReason
from service.domain.events import HeartbeatReceived
from service.processing.dead_letters import OffsetRange, RejectionRun
from service.processing.rejection import Rejection
from service.processing.sifting import Item, Rejected, Sifted, Sifting, sift
from service.processing.values import Record, TopicPartition

BAD = Rejection(RejectionReason.NOT_JSON, "no JSON")


def record(offset: int, partition: int = 0) -> Record:
    """Give a record of a place."""
    return Record("evse.events", partition, offset, 0, b"", b"")


def good(offset: int, partition: int = 0, uid: str = "e1") -> Item:
    """Give a record that holds an event."""
    return Item(record(offset, partition), HeartbeatReceived(f"h{offset}", uid, offset, 1, 1))


def bad(offset: int, partition: int = 0) -> Rejected:
    """Give a record that was rejected."""
    return Rejected(record(offset, partition), BAD)


class Bench:
    """Sifts, with homes and runs of rejections that last from batch to batch."""

    def __init__(
        self, limit: int = 0, homes: dict[str, int] | None = None, accepted: tuple[OffsetRange, ...] = ()
    ) -> None:
        self.runs: defaultdict[TopicPartition, RejectionRun] = defaultdict(RejectionRun)
        self._sifting = Sifting((homes or {}).get, self.runs.__getitem__, limit, accepted)

    def sift(self, *entries: Item | Rejected) -> Sifted:
        return sift(entries, self._sifting)


def offsets(entries: list[Item] | list[Rejected]) -> list[tuple[int, int]]:
    """Give the places of records."""
    return [(entry.record.partition, entry.record.offset) for entry in entries]


def test_good_and_bad_records_part() -> None:
    """Each keeps its order, and both count as done."""
    sifted = Bench().sift(good(0), bad(1), good(2), bad(0, partition=1))

    assert offsets(sifted.items) == [(0, 0), (0, 2)]
    assert offsets(sifted.rejected) == [(0, 1), (1, 0)]
    assert sifted.next_offsets == {TopicPartition("evse.events", 0): 3, TopicPartition("evse.events", 1): 1}
    assert sifted.too_many is None


def test_an_evse_out_of_its_partition_is_a_dead_letter() -> None:
    """Two partitions would make two owners; the message names both."""
    sifted = Bench(homes={"e1": 2}).sift(good(0, partition=1), good(0, partition=2))

    assert offsets(sifted.items) == [(2, 0)]
    assert sifted.rejected[0].rejection.reason is RejectionReason.WRONG_PARTITION
    assert "lives in partition 2 and appears in 1" in sifted.rejected[0].rejection.message
    assert sifted.rejected[0].rejection.uid == "e1"


def test_a_new_evse_lives_where_it_is_first_heard() -> None:
    """Also within the batch in which it is first heard."""
    sifted = Bench().sift(good(0, partition=1), good(0, partition=0), good(1, partition=1))

    assert offsets(sifted.items) == [(1, 0), (1, 1)]
    assert offsets(sifted.rejected) == [(0, 0)]


def test_the_partition_stops_before_the_rejection_that_hits_the_limit() -> None:
    """What is before it counts, it and what follows do not, and other partitions go on."""
    sifted = Bench(limit=2).sift(good(0), bad(1), bad(2), good(3), good(0, partition=1, uid="e2"))

    assert offsets(sifted.items) == [(0, 0), (1, 0)]
    assert offsets(sifted.rejected) == [(0, 1)]
    assert sifted.next_offsets == {TopicPartition("evse.events", 0): 2, TopicPartition("evse.events", 1): 1}
    assert sifted.too_many is not None
    assert sifted.too_many.record.offset == 2
    assert "2 records in a row" in str(sifted.too_many)


def test_rejections_in_a_row_are_counted_over_batches_and_partitions_apart() -> None:
    """One batch ends with a rejection, the next begins with one."""
    bench = Bench(limit=3)

    assert bench.sift(bad(0), bad(0, partition=1), bad(1)).too_many is None
    assert bench.sift(bad(1, partition=1)).too_many is None
    assert bench.sift(bad(2)).too_many is not None


def test_a_misplaced_evse_counts_as_a_rejection() -> None:
    """A producer with another partitioner stops the worker, too."""
    sifted = Bench(limit=2, homes={"e1": 1}).sift(good(0), good(1))

    assert offsets(sifted.rejected) == [(0, 0)]
    assert sifted.too_many is not None
    assert sifted.too_many.rejection.reason is RejectionReason.WRONG_PARTITION


def test_accepted_rejections_become_dead_letters_without_limit() -> None:
    """After them a new run begins."""
    bench = Bench(limit=2, accepted=(OffsetRange("evse.events", 0, 1, 5),))
    sifted = bench.sift(*(bad(offset) for offset in range(8)))

    assert offsets(sifted.rejected) == [(0, offset) for offset in range(7)]
    assert sifted.too_many is not None
    assert sifted.too_many.record.offset == 7


def test_sifting_again_counts_once() -> None:
    """A batch that is taken again, whole or in part, hits the limit where it did."""
    bench = Bench(limit=4)
    for _ in range(3):
        assert bench.sift(bad(0), bad(1), bad(2)).too_many is None

    assert bench.sift(bad(2), bad(3)).too_many is not None
