"""
What passes through the ports: records and messages, positions and commits, and what the view takes and gives.

No vendor's word stands here, and nothing that waits: it is compiled with what makes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from itertools import zip_longest
from types import MappingProxyType
from typing import Final, NamedTuple

Headers = tuple[tuple[str, bytes], ...]
"""Header names and values, in order; a name may stand twice."""


# What is made once a record or more is changed by nobody, but not frozen: that would take three times as
# long. Its `__init__` is written out, so that the compiled worker need not call an interpreted one.


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


@dataclass(slots=True, init=False)
class Record:
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
    headers: Headers

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int,
        timestamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
    ) -> None:
        self.topic, self.partition = topic, partition
        self.offset, self.timestamp = offset, timestamp
        self.key, self.value = key, value
        self.headers = headers


@dataclass(slots=True, init=False)
class Message:
    """
    One record to be written, to an explicit partition. `value` None is a tombstone.

    `timestamp` is the record's own, in microseconds from 1970 on (Kafka keeps milliseconds); None: when it is
    written.
    """

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int | None

    def __init__(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        timestamp: int | None = None,
    ) -> None:
        self.topic, self.partition = topic, partition
        self.key, self.value = key, value
        self.headers, self.timestamp = headers, timestamp


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
    """The state as a whole, as of `whole_at`."""
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
    since: bytes = b""
    """What was added to the state since `whole_at`."""
    whole_at: Position | None = None
    """The position of the save that wrote `state`; None where nobody noted it, as in versions before."""

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


_NONE: Final[Mapping[str, bytes]] = MappingProxyType({})


@dataclass(slots=True, init=False)
class ViewWrite:
    """
    Everything one save changes for one EVSE, written atomically under the guard of `position`.

    `document` holds the fields of the document hash as `schemas.view` names them. `closed_days` maps
    `<connector_uid>/<YYYY-MM-DD>` to JSON; `closed_outages` holds (end in microseconds, JSON); `exclusions`
    maps ids to JSON or to None (gone); `gaps` holds (end in microseconds, JSON); what ended before
    `keep_from_us` is deleted from days, outages, gaps and verdicts. The last four fields feed the lists.

    Not frozen, for the time that would take, and changed by nobody.

    `state` is a whole, or what was added since the whole that was written at the position `adds_to`: that has
    to be the one that is stored.

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
    closed_days: Mapping[str, bytes]
    closed_outages: Sequence[tuple[int, bytes]]
    exclusions: Mapping[str, bytes | None]
    gaps: Sequence[tuple[int, bytes]]
    drop_days: Sequence[str]
    drop_outages: Sequence[bytes]
    """Spans that turned out not to belong here (a removal came to apply earlier), as they were written."""
    drop_gaps: Sequence[bytes]
    verdicts: Sequence[tuple[int, bytes]]
    """(effective time in microseconds, `<position> <verdict>`) of events that corrected history."""
    adds_to: Position | None
    previous: Position | None
    replace: bool
    staged: str
    staged_amount: tuple[int, int]
    keep_from_us: int
    status: str
    online: str
    last_updated_ms: int
    coordinates: tuple[float, float] | None
    """(longitude, latitude) in degrees, for the list by place."""
    removed: bool

    def __init__(  # noqa: PLR0913, PLR0917 - the fields
        self,
        uid: str,
        partition: int,
        position: Position,
        state: bytes,
        pending: bytes,
        vitals: bytes,
        document: Mapping[str, bytes],
        closed_days: Mapping[str, bytes] = _NONE,
        closed_outages: Sequence[tuple[int, bytes]] = (),
        exclusions: Mapping[str, bytes | None] = _NONE,
        gaps: Sequence[tuple[int, bytes]] = (),
        drop_days: Sequence[str] = (),
        drop_outages: Sequence[bytes] = (),
        drop_gaps: Sequence[bytes] = (),
        verdicts: Sequence[tuple[int, bytes]] = (),
        adds_to: Position | None = None,
        previous: Position | None = None,
        replace: bool = False,
        staged: str = "",
        staged_amount: tuple[int, int] = (0, 0),
        keep_from_us: int = 0,
        status: str = "",
        online: str = "null",
        last_updated_ms: int = 0,
        coordinates: tuple[float, float] | None = None,
        removed: bool = False,
    ) -> None:
        self.uid, self.partition, self.position = uid, partition, position
        self.state, self.pending, self.vitals = state, pending, vitals
        self.document = document
        self.closed_days, self.closed_outages = closed_days, closed_outages
        self.exclusions, self.gaps = exclusions, gaps
        self.drop_days, self.drop_outages, self.drop_gaps = drop_days, drop_outages, drop_gaps
        self.verdicts = verdicts
        self.adds_to, self.previous, self.replace = adds_to, previous, replace
        self.staged, self.staged_amount = staged, staged_amount
        self.keep_from_us = keep_from_us
        self.status, self.online = status, online
        self.last_updated_ms, self.coordinates = last_updated_ms, coordinates
        self.removed = removed


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
