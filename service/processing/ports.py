"""
What the loop needs of the world, as protocols: the log, the topics it writes, the view and the clock.

No vendor's word stands here. Every adapter of a port passes the same contract tests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from itertools import zip_longest
from typing import NamedTuple, Protocol

Headers = tuple[tuple[str, bytes], ...]
"""Header names and values, in order; a name may stand twice."""


# What is made once a record or more is a named tuple: a frozen dataclass takes three times as long to make.


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class Record(NamedTuple):
    """
    One record of an input topic.

    `timestamp` is the record's own, in microseconds since 1970, always a time that the calendar has; 0: none.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Message(NamedTuple):
    """
    One record to be written, to an explicit partition. `value` None is a tombstone.

    `timestamp` is the record's own, in microseconds from 1970 on (Kafka keeps milliseconds); None: when it is
    written.
    """

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp: int | None = None


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


class TooLarge(PortError):
    """A message is larger than the topic or the producer takes; sending it again cannot succeed."""


class OwnershipLost(PortError):
    """The partition belongs to another worker now; what was done for it must not be committed."""


class Behind(PortError):
    """
    The view has gone back: writes that it acknowledged are gone (a failover, an older dump, a flush).

    Nothing of the call was written, or only what stands on its own. Whoever holds states of this view forgets
    them, and restores its partitions.
    """


class Resend(IntEnum):
    """What the output topics have to be told again of a partition, from the view; each includes the last."""

    NOTHING = 0
    LAST_WORDS = 1
    """The view went back, so they may hold older words than it: what they should end with."""
    HISTORY = 2
    """The ledger lost its records: all of it."""


@dataclass(frozen=True, slots=True)
class Commit:
    """
    What a group has committed of a partition; `generation` of the view it was for, None: not by a worker.

    `resend`: what has to be sent again of all that the view holds of the partition, once all before `until`,
    which had been done before, is done again: not before then is everybody known. `ledger` and `snapshots`
    are the ids of these topics that the worker wrote to, empty where brokers tell none. `since` is the
    generation in which the log began (`Epochs.since`), None where that was not said, and `begin` the offset
    at which it did (`Epochs.begins`).
    """

    next_offset: int
    generation: int | None
    resend: Resend = Resend.NOTHING
    ledger: str = ""
    since: int | None = None
    begin: int = 0
    snapshots: str = ""
    until: int = 0

    def is_beyond(self, generation: int) -> bool:
        """Tell whether a worker committed in a newer generation than this one, which others know."""
        return (self.generation or 0) > generation

    def has_lost_logs(self, generation: int) -> bool:
        """Tell whether, besides, an older log went before: what that said was in view and ledger alone."""
        return self.is_beyond(generation) and self.since != 0


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


class SaveOutcome(StrEnum):
    """What became of one guarded write: see `Position.judge`, the rule that every store follows."""

    SAVED = "saved"
    ALREADY = "already"
    """The very same position was there: done before, and the reply was lost."""
    STALE = "stale"
    """The view is ahead of this writer: somebody else owns the EVSE, or this is a zombie's late write."""


class Position(NamedTuple):
    """
    How far an EVSE has come: the guard of its view.

    `offsets` holds the last applied offset for each input topic, in the order of the settings (-1: none);
    `as_of_us` orders writes without a new record (the slow tick). A write is accepted if its `epoch` is
    greater (the log was begun anew: offsets and time may be smaller); or if it is equal, no offset is smaller
    and one is greater; or if all are equal and `as_of_us` is greater.
    """

    epoch: int
    offsets: tuple[int, ...]
    as_of_us: int

    def has_applied(self, topic_index: int, offset: int) -> bool:
        """Tell whether the record at `offset` of that topic is already in the view."""
        return self.offsets[topic_index] >= offset

    def judge(self, new: Position) -> SaveOutcome:
        """Say what becomes of a write at `new` where this position is stored; an offset left out is -1."""
        if new.epoch != self.epoch:
            return SaveOutcome.SAVED if new.epoch > self.epoch else SaveOutcome.STALE
        pairs = tuple(zip_longest(self.offsets, new.offsets, fillvalue=-1))
        if any(stored > offered for stored, offered in pairs):
            return SaveOutcome.STALE
        if any(stored < offered for stored, offered in pairs) or new.as_of_us > self.as_of_us:
            return SaveOutcome.SAVED
        return SaveOutcome.ALREADY if new.as_of_us == self.as_of_us else SaveOutcome.STALE


@dataclass(frozen=True, slots=True)
class StoredEvse:
    """What the view holds privately of one EVSE: enough to go on folding and to publish again."""

    position: Position
    state: bytes
    pending: bytes
    """The outputs of the last save (transitions), as the planner packed them; published again with it."""
    days: Mapping[str, bytes] = field(default_factory=dict)
    """The closed days as `ViewWrite.closed_days` wrote them; the state leaves them out."""
    outages: Sequence[bytes] = ()
    """The closed spans as `ViewWrite.closed_outages` wrote them, by end."""
    is_whole: bool = True
    """Whether days and spans are as many as the last save left: somebody may have deleted some by hand."""
    has_declared: bool = True
    """The same of exclusions and gaps, which the state holds, too."""

    @property
    def is_torn(self) -> bool:
        """Whether something of its history is gone from the view, though not the state."""
        return not (self.is_whole and self.has_declared)


@dataclass(frozen=True, slots=True)
class ClosedHistory:
    """Closed days and spans of one EVSE, as `ViewWrite` has them."""

    uid: str
    closed_days: Mapping[str, bytes]
    closed_outages: Sequence[tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class Epochs:
    """
    Which log the offsets are of (promise P7): a number per input topic, raised by `rebuild` alone.

    `generation` is raised by every rebuild; `since` holds for each topic whose log was begun anew (deleted
    and created again, or given more partitions) the generation at which it was. What was stored in an older
    generation is rebuilt. `ids` are those of the topics that are read in this generation, as far as brokers
    have told them. `partitions`: so many has each input topic, and for so many view and ledger are laid out;
    0 where nobody has said. `begins`: where the log of a topic does not begin with its first record, the
    offset at which it does, for each partition. `moved_from`: the ledger is being laid out anew, and so many
    partitions hold what it held before; 0 where that is done.
    """

    generation: int = 0
    since: Mapping[str, int] = field(default_factory=dict)
    ids: Mapping[str, str] = field(default_factory=dict)
    partitions: int = 0
    begins: Mapping[str, Sequence[int]] = field(default_factory=dict)
    moved_from: int = 0

    def of(self, topic: str) -> int:
        """Give the epoch of a topic."""
        return self.since.get(topic, 0)

    def begin(self, place: TopicPartition) -> int:
        """Give the offset at which the log of a partition begins; what lies before is of another epoch."""
        begins = self.begins.get(place.topic, ())
        return begins[place.partition] if place.partition < len(begins) else 0

    def identified(self, ids: Mapping[str, str], partitions: int = 0) -> Epochs:
        """Give the same, with the ids of those topics of which none was known, and so with the partitions."""
        return replace(self, ids={**ids, **self.ids}, partitions=self.partitions or partitions)


@dataclass(frozen=True, slots=True)
class Seen:
    """The little that the watchdog and the sweeps need to know of a stored EVSE."""

    position: Position
    vitals: bytes


class Standing(NamedTuple):
    """How an EVSE stands in the lists: its status and whether it is online, as `ViewWrite` has them."""

    status: str
    online: str


@dataclass(slots=True)
class ViewWrite:
    """
    Everything one save changes for one EVSE, written atomically under the guard of `position`.

    `document` holds the fields of the document hash as `schemas.view` names them. `closed_days` maps
    `<connector_uid>/<YYYY-MM-DD>` to JSON; `closed_outages` holds (end in microseconds, JSON); `exclusions`
    maps ids to JSON or to None (gone); `gaps` holds (end in microseconds, JSON); what ended before
    `keep_from_us` is deleted from days, outages, gaps and verdicts. The last four fields feed the lists.

    Not frozen, for the time that would take, and changed by nobody.

    `previous` is the position this worker last knew to be stored, None where it knows of none: a view that
    holds an older one has gone back. `replace`: what is stored of the EVSE is deleted first, and what was
    staged under the token `staged` (`ViewStore.stage`) takes its place: so many days and outages, or the view
    has gone back since.
    """

    uid: str
    partition: int
    position: Position
    state: bytes
    pending: bytes
    vitals: bytes
    document: Mapping[str, bytes]
    closed_days: Mapping[str, bytes] = field(default_factory=dict)
    closed_outages: Sequence[tuple[int, bytes]] = ()
    exclusions: Mapping[str, bytes | None] = field(default_factory=dict)
    gaps: Sequence[tuple[int, bytes]] = ()
    drop_days: Sequence[str] = ()
    drop_outages: Sequence[bytes] = ()
    """Spans that turned out not to belong here (a removal came to apply earlier), as they were written."""
    drop_gaps: Sequence[bytes] = ()
    verdicts: Sequence[tuple[int, bytes]] = ()
    """(effective time in microseconds, `<position> <verdict>`) of events that corrected history."""
    previous: Position | None = None
    replace: bool = False
    staged: str = ""
    staged_amount: tuple[int, int] = (0, 0)
    keep_from_us: int = 0
    status: str = ""
    online: str = "null"
    last_updated_ms: int = 0
    coordinates: tuple[float, float] | None = None
    """(longitude, latitude) in degrees, for the list by place."""
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """
    How far the bases in the ledger reach: all records before `next_offset` are in them.

    Written when the bases of a partition are, after the UTC day `day` (counted from 1970) had begun.
    """

    day: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """
    `next_offset` whose predecessors are all in the view, and what else is known of a partition at that point.

    Rejections in a row were counted up to `counted_until`, where a batch that was given up had come further.
    `ingest` is the packed state of `processing.ingest`; `mark` how far the ledger's bases reach; `epoch` the
    generation in which the view was written.
    """

    next_offset: int
    rejections_in_a_row: int
    ingest: bytes = b""
    mark: Mark | None = None
    epoch: int = 0
    counted_until: int = 0


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
