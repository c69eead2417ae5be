"""
What view, group, ledger, snapshots and log say of each other, seen from outside: for `rebuild` and `check`.

Reads alone, joins nothing, builds no adapters and prints nothing. The rules are those of the worker
(`processing.bearings`, `identity` and `refusing`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from service.processing.bearings import Bearings, forgotten
from service.processing.identity import another, others, refuse_count, refuse_topics
from service.processing.ledger import Kind, LedgerMark, parsed_key, read_epochs, read_mark
from service.processing.ports import LedgerReader, Unusable, ViewStore
from service.processing.refusing import lost_generation
from service.processing.values import Checkpoint, Commit, Epochs, Record, TopicPartition


class GroupLook(Protocol):
    """A consumer group and its topics from the outside."""

    async def members(self) -> int: ...

    async def committed(self) -> dict[TopicPartition, Commit]: ...

    async def partitions(self, topics: Iterable[str]) -> list[TopicPartition]: ...

    async def begins(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]: ...

    async def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]: ...

    async def topic_ids(self, topics: Sequence[str]) -> dict[str, str]: ...

    async def has_records(self, partition: TopicPartition, start: int, end: int) -> bool: ...


class Kept(NamedTuple):
    """A compacted topic that may not be there yet, and what reads it."""

    topic: str
    reader: LedgerReader


@dataclass(frozen=True, slots=True)
class Findings:
    """
    What is there before a rebuild.

    `epochs` are the newest that view, ledger and commits know of, with the topics as they are now. `new_logs`
    are topics that are other ones than were processed, hold less than was, or of which nobody knows an offset
    though something was processed; `same_logs` are those among them of which only the group's commits know
    the generation. `by_hand` are offsets that somebody set beyond the end of the log. `unobserved` are EVSEs
    of which neither view nor log hold all that came after their bases.
    """

    epochs: Epochs
    ends: Mapping[TopicPartition, int]
    new_logs: frozenset[str]
    members: int
    by_hand: Mapping[TopicPartition, int] = field(default_factory=dict)
    unobserved: Sequence[str] = ()
    same_logs: frozenset[str] = frozenset()

    def next_epochs(self, told: Iterable[str] = ()) -> Epochs:
        """Give the epochs of the rebuild; `told` are new logs that an operator names."""
        generation = self.epochs.generation + 1
        begun = dict.fromkeys(sorted({*self.new_logs, *told}), generation)
        others = (self.new_logs - self.same_logs).union(told)
        begins = {topic: each for topic, each in self.epochs.begins.items() if topic not in others}
        since = {**self.epochs.since, **begun}
        return replace(self.epochs, generation=generation, since=since, begins=begins)


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether view, group and log fit together: what would stop a worker, what it would restore."""

    problems: Sequence[str]
    warnings: Sequence[str]


_WORDS = 2
"""A key that is about a topic or an EVSE has at least so many words."""


@dataclass(slots=True)
class _Known:
    """What ledger and snapshots know of a partition: who lives in it, and how far the bases reach."""

    uids: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    marks: dict[str, LedgerMark] = field(default_factory=dict)
    bases: set[str] = field(default_factory=set)
    epochs: Epochs = field(default_factory=Epochs)

    def take(self, record: Record) -> None:
        """Note a record of the ledger."""
        words = parsed_key(record.key)
        if words == [Kind.EPOCH] and record.value is not None:
            epochs = read_epochs(record.value)
            if epochs.generation >= self.epochs.generation:  # of one partition the later record holds
                self.epochs = epochs
        if len(words) < _WORDS or words[0] == Kind.SKIP:
            return
        if record.value is None:
            self._take_tombstone(words)
            return
        if words[0] == Kind.MARK:
            self.marks[words[1]] = read_mark(record.value)
        else:
            self.uids.add(words[1])
            if words[0] == Kind.REMOVAL:
                self.removed.add(words[1])
            elif words[0] == Kind.BASE:
                self.bases.add(words[1])

    def _take_tombstone(self, words: Sequence[str]) -> None:
        if words[0] == Kind.MARK:
            self.marks.pop(words[1], None)
        elif words[0] == Kind.BASE:
            self.bases.discard(words[1])

    def reached(self, topic: str, epochs: Epochs) -> int:
        """Give how far the bases reach in a topic, of the log that these epochs name."""
        mark = self.marks.get(topic)
        if mark is None or mark.epoch != epochs.of(topic) or mark.lacks_bases(len(self.bases)):
            return 0
        return mark.mark.next_offset


def _newer(one: Epochs, other: Epochs) -> Epochs:
    if other.generation == one.generation:
        newer = one.identified(other.ids, other.partitions)
        return replace(newer, moved_from=max(one.moved_from, other.moved_from))
    return max(one, other, key=lambda each: each.generation)


def _newest(epochs: Epochs, known_of: Mapping[int, _Known]) -> Epochs:
    """Give the newest epochs that view and ledger know of."""
    for known in known_of.values():
        epochs = _newer(epochs, known.epochs)
    return epochs


@dataclass(frozen=True, slots=True)
class _Place:
    """One partition of an input topic, by view, group, ledger and log."""

    place: TopicPartition
    checkpoint: Checkpoint | None
    commit: Commit | None
    begin: int
    end: int

    @property
    def is_unknown(self) -> bool:
        """Whether neither view nor group know anything of it."""
        return self.checkpoint is None and self.commit is None

    @property
    def signed(self) -> Commit | None:
        """What a worker committed: what somebody set by hand tells nothing of the log."""
        return self.commit if self.commit is not None and self.commit.generation is not None else None


@dataclass(frozen=True, slots=True)
class _There:
    """All that can be asked without reading a topic."""

    epochs: Epochs
    places: Sequence[_Place]
    ids: Mapping[str, str]

    @property
    def partitions(self) -> int:
        """How many partitions the input topics have."""
        return len({each.place.partition for each in self.places})

    def begins_of(self, topics: Iterable[str]) -> dict[str, tuple[int, ...]]:
        """Give where the logs of some topics begin, as the group's commits know."""
        commits = {each.place: each.signed for each in self.places}
        places = {topic: [place for place in commits if place.topic == topic] for topic in topics}
        return {
            topic: tuple(0 if (one := commits[place]) is None else one.begin for place in sorted(here))
            for topic, here in places.items()
        }


class Inspection:
    """Looks at what is there; `inputs` are the input topics."""

    def __init__(
        self,
        store: ViewStore,
        group: GroupLook,
        ledger: Kept,
        snapshots: Kept,
        inputs: Sequence[str],
    ) -> None:
        self._store = store
        self._group = group
        self._ledger = ledger
        self._snapshots = snapshots
        self._inputs = tuple(inputs)

    async def findings(self) -> Findings:
        """Find out what is there, and which logs are not those that were processed."""
        known_of = await self._known(
            {place.partition for place in await self._group.partitions(self._inputs)}
        )
        there = await self._there()
        epochs = _newest(there.epochs, known_of)
        refuse_topics(self._inputs, epochs)
        refuse_count(there.partitions, epochs)
        new_logs, lost_logs = set(others(epochs.ids, there.ids)), set()
        by_hand, unobserved = {}, set()
        for each in there.places:
            known, topic, signed = known_of[each.place.partition], each.place.topic, each.signed
            if each.commit is not None and signed is None and each.commit.next_offset > each.end:
                by_hand[each.place] = each.commit.next_offset
            reached = max(
                each.checkpoint.next_offset if each.checkpoint else 0,
                signed.next_offset if signed else 0,
                known.reached(topic, epochs),
            )
            # Of a generation that nobody else knows of, what came before its log is in the snapshots alone.
            if signed is not None and signed.has_lost_logs(epochs.generation):
                lost_logs.add(topic)
            if reached > each.end or (each.is_unknown and known.uids):
                new_logs.add(topic)
        same_logs = lost_logs - new_logs
        new_logs |= lost_logs
        for each in there.places:
            known, topic = known_of[each.place.partition], each.place.topic
            stored, is_new = each.checkpoint, topic in new_logs
            begin = max(each.begin, epochs.begin(each.place))
            is_in_view = stored is not None and (stored.next_offset >= begin or is_new)
            reaches_back = begin <= known.reached(topic, epochs) and not each.is_unknown
            if not is_in_view and not (reaches_back and not is_new):
                unobserved |= known.uids - known.removed
        signed_in = (each.signed.generation or 0 for each in there.places if each.signed is not None)
        newest = replace(
            epochs,
            generation=max([epochs.generation, *signed_in]),
            ids={**epochs.ids, **there.ids},
            partitions=there.partitions,
            begins={**epochs.begins, **there.begins_of(same_logs)},
        )
        ends = {each.place: each.end for each in there.places}
        members = await self._group.members()
        return Findings(
            newest,
            ends,
            frozenset(new_logs),
            members,
            by_hand,
            sorted(unobserved),
            frozenset(same_logs),
        )

    async def fit(self) -> Fit:
        """Compare as a worker does at its start; the ledger is read where nothing else tells."""
        there = await self._there()
        unknown = {
            each.place.partition
            for each in there.places
            if each.is_unknown or (each.commit and each.commit.is_beyond(there.epochs.generation))
        }
        known_of = await self._known(unknown)
        epochs = _newest(there.epochs, known_of)
        strange = others(epochs.ids, there.ids)
        problems, warnings = [str(another(topic)) for topic in strange], []
        try:
            refuse_topics(self._inputs, epochs)
            refuse_count(there.partitions, epochs)
        except Unusable as problem:
            return Fit([*problems, str(problem)], ())
        for each in (one for one in there.places if one.place.topic not in strange):
            bearings = Bearings.of(each.checkpoint, each.commit, there.epochs, each.place.topic)
            bearings = replace(bearings, begin=max(each.begin, epochs.begin(each.place)), end=each.end)
            try:
                bearings.refuse(each.place)
                if each.commit is not None and each.commit.has_lost_logs(epochs.generation):
                    raise lost_generation(each.place, each.commit, epochs.generation)
                if bearings.is_forgotten and known_of[each.place.partition].uids:
                    raise forgotten(each.place)
            except Unusable as problem:
                problems.append(str(problem))
            else:
                warnings += _warnings(each.place, bearings)
        return Fit(problems, warnings)

    async def _there(self) -> _There:
        epochs = await self._store.load_epochs()
        places = await self._group.partitions(self._inputs)
        begins = await self._group.begins(places)
        checkpoints = {place: await self._store.load_checkpoint(place) for place in places}
        committed = await self._group.committed()
        # Asked last: what workers have processed meanwhile lies below it, or else their log is another one.
        ends = await self._group.ends(places)
        ids = await self._group.topic_ids(self._inputs)
        found = [
            _Place(place, checkpoints[place], committed.get(place), begins[place], ends[place])
            for place in places
        ]
        return _There(epochs, found, ids)

    async def _known(self, numbers: Iterable[int]) -> dict[int, _Known]:
        """Read what ledger and snapshots know of some partitions, as far as these topics are there."""
        known_of = {number: _Known() for number in sorted(numbers)}
        topics = (self._ledger.topic, self._snapshots.topic)
        there = {place.topic for place in await self._group.partitions(topics)} if known_of else set()
        for number, known in known_of.items():
            if self._ledger.topic in there:
                async for records in self._ledger.reader.read(number):
                    for record in records:
                        known.take(record)
            if self._snapshots.topic in there:
                async for records in self._snapshots.reader.read(number):
                    known.uids |= {(each.key or b"").decode() for each in records if each.value is not None}
        return known_of


def _warnings(place: TopicPartition, bearings: Bearings) -> list[str]:
    """Say what a worker would restore, or could not."""
    name = f"topic {place.topic}, partition {place.partition}"
    known, has_been_there = bearings.known, bearings.commit is not None or bearings.left is not None
    if known is None:
        is_missed = has_been_there and bearings.end
        return (
            [f"the view does not hold {name}: a worker restores it from ledger and log"] if is_missed else []
        )
    if known >= bearings.begin:
        return []
    said = f"{name} begins at offset {bearings.begin}, and the view has all up to {known}"
    return [f"{said}: what lies between is gone, and will be unobserved"]
