"""
What the loop needs of the world, as protocols: the log, the topics it writes, the view and the clock.

What passes through them stands in `values`. No vendor's word stands here. Every adapter of a port passes the
same contract tests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from service.processing.values import (
    Checkpoint,
    ClosedHistory,
    Commit,
    Epochs,
    Message,
    Record,
    SaveOutcome,
    Seen,
    Standing,
    StoredEvse,
    TopicPartition,
    ViewWrite,
)


class ErrorKind(StrEnum):
    """How a part outside failed, as far as its client tells: what errors are counted by."""

    UNANSWERED = "unanswered"
    """No answer came: there is no connection, or it broke."""
    TIMED_OUT = "timed_out"
    """No answer came in time."""
    UNREADY = "unready"
    """It answers that it cannot do so now."""
    REFUSED = "refused"
    """It answers, and somebody has to change something."""


class PortError(Exception):
    """A part outside did not do what was asked; the message names the part and the remedy."""

    kind = ErrorKind.REFUSED


class Unavailable(PortError):
    """The part does not answer now; the same call may succeed later."""

    def __init__(self, message: str = "", kind: ErrorKind = ErrorKind.UNANSWERED) -> None:
        super().__init__(message)
        self.kind = kind


class Unusable(PortError):
    """The part answers, but not as it must: waiting does not help, somebody has to change something."""


class TooLarge(Unusable):
    """A message is larger than the topic or the producer takes; sending it again cannot succeed."""


class OwnershipLost(PortError):
    """The partition belongs to another worker now; what was done for it must not be committed."""


class Behind(PortError):
    """
    The view has gone back: writes that it acknowledged are gone (a failover, an older dump, a flush).

    Nothing of the call was written, or only what stands on its own. Whoever holds states of this view forgets
    them, and restores its partitions.
    """


class Torn(PortError):
    """History, exclusions or gaps of some EVSEs are gone from the view, while the rest is as it was."""

    def __init__(self, uids: Sequence[str]) -> None:
        super().__init__(f"history is gone from the view, of {len(uids)} EVSEs, {min(uids)} among them")
        self.uids = tuple(uids)


class Hole(Behind):
    """One EVSE is older in the view than what was acknowledged, or gone in part, while the rest is there."""


class Log(Protocol):
    """The input topics, as one member of a consumer group."""

    async def start(
        self,
        on_assigned: Callable[[frozenset[TopicPartition]], Awaitable[None]],
        on_revoked: Callable[[frozenset[TopicPartition]], Awaitable[None]],
    ) -> None:
        """
        Join the group, and come back without waiting for the first assignment.

        `on_assigned` gets the whole assignment, which may be empty, and is done before `fetch` gives records
        of it; `on_revoked` is awaited before the partitions are given up and may still commit them. What
        either raises, the next `fetch` raises.
        """

    async def stop(self) -> None:
        """Leave the group; commits nothing by itself."""

    async def fetch(self, timeout_s: float, max_records: int) -> list[Record]:
        """
        Give the next records of all assigned partitions that are not paused, in order within a partition.

        Returns [] after `timeout_s` without any, also while the group is between two assignments. Never
        cancelled by the caller. After an exception this log is of no more use: stop it and build a new one.
        """

    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions owned now; none between a revocation and the next assignment."""

    async def commit(self, commits: Mapping[TopicPartition, Commit]) -> None:
        """
        Commit the next offsets of those partitions that are still owned, signed with what else is said.

        Raises `OwnershipLost`, after committing the others, if one of them is not, and `Unavailable` if the
        broker did not answer in time.
        """

    async def committed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Commit | None]:
        """What is committed of each partition, None where nothing is."""

    async def begin_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset of the first record that each partition still holds, its end where it holds none."""

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last record of each partition."""

    def unknown_topics(self) -> list[str]:
        """The input topics that the brokers do not have now, as far as they have told."""

    async def topic_ids(self, topics: Sequence[str]) -> dict[str, str]:
        """
        The ids of those topics that exist: one that was deleted and created again has another.

        None where the brokers tell no ids (Kafka before 2.8). A broker may lag for a moment.
        """

    def position(self, partition: TopicPartition) -> int | None:
        """The next offset that `fetch` will return, None while unknown."""

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Go on reading a partition from this offset."""

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Leave these partitions out of `fetch` until `resume` or the next assignment; membership goes on."""

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Take these partitions into `fetch` again."""


class Publisher(Protocol):
    """The output topics."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def publish(self, messages: Sequence[Message]) -> None:
        """
        Write all messages, in order within a partition, and return when all are acknowledged by all replicas.

        Raises `Unavailable` if any was not: the caller sends all of them again. Raises `TooLarge` before
        anything is sent if a message exceeds the producer's limit; if only the topic's own limit is
        exceeded, others may have been written.
        """


class LedgerReader(Protocol):
    """The ledger, read back when the view has lost what it held."""

    def read(self, partition: int) -> AsyncIterator[Sequence[Record]]:
        """
        Give all records that the partition holds now, in order, in pieces; an empty one says it still reads.

        May be begun again: each call reads from the beginning.
        """


class ViewStore(Protocol):
    """
    The view of every EVSE, readable by others through `schemas.view`.

    `save`, `stage`, `staged`, `save_checkpoints`, `load_checkpoint` and `ping` raise `Behind` when a write
    that this store acknowledged before, since `start` or the last `begin`, is no longer there; `load` may,
    where it does not find what should be there.
    """

    async def start(self) -> None:
        """Connect, load the scripts, `begin`; refuse a store that would evict data, naming the remedy."""

    async def stop(self) -> None: ...

    async def begin(self) -> None:
        """Take the view as it is now for what it should be: what it lost before is no longer noticed."""

    async def load(self, uids: Sequence[str]) -> dict[str, StoredEvse]:
        """Give the stored states of those that exist, in one round trip."""

    async def look(self, uids: Sequence[str]) -> dict[str, Seen]:
        """Give position and vitals of those that exist, in one round trip, without their states."""

    async def members(self, partition: int) -> list[str]:
        """Give every EVSE that was ever saved in the partition of this number, and maybe some more."""

    async def delist(self, partition: int, uids: Sequence[str]) -> None:
        """Take EVSEs that live elsewhere out of a partition's list; whoever saves one there enlists it."""

    async def standings(self, uids: Sequence[str]) -> dict[str, Standing]:
        """
        Give how those stand that are in the lists, in one round trip that touches no EVSE.

        The lists may lag behind the documents. A removed EVSE is online `null`.
        """

    async def save(self, writes: Sequence[ViewWrite]) -> list[SaveOutcome]:
        """Write each EVSE atomically under its guard, many in one script call on one node; then the lists."""

    async def stage(self, token: str, histories: Sequence[ClosedHistory]) -> None:
        """
        Add to closed history that nobody reads yet, until a write that replaces takes it over by this token.

        Too much for one call, it comes in pieces. What nobody takes over is gone after a day.
        """

    async def staged(self, token: str, uids: Sequence[str]) -> dict[str, ClosedHistory]:
        """Give what was staged of these EVSEs under a token."""

    async def load_checkpoint(self, partition: TopicPartition) -> Checkpoint | None:
        """How far this partition's records are in the view, by its last checkpoint."""

    async def save_checkpoints(self, checkpoints: Mapping[TopicPartition, Checkpoint]) -> None:
        """Written after the saves and before the commit; one that is less far than the stored is ignored."""

    async def load_epochs(self) -> Epochs:
        """Give the epochs of the input topics."""

    async def save_epochs(self, epochs: Epochs) -> None:
        """
        Write the epochs; where the stored ones are newer those stay.

        Of the same generation ids and the number of partitions are added where there are none. A newer one
        that names ids names all topics that are read in it.
        """

    async def ping(self) -> None:
        """Prove that the store can be written; raise `Unavailable` otherwise."""

    async def inspect(self) -> None:
        """Raise `Unusable` where the store is set so that it would lose data now, as `start` does."""


class Clock(Protocol):
    """The only source of processing time."""

    def now(self) -> int:
        """Wall-clock microseconds since 1970, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` of this clock pass."""
