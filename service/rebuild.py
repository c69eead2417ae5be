"""
Rebuilding the view: which logs are new, what generation comes next, and how far the workers have come.

A rebuild is asked for by a new generation in Redis and in the ledger; the workers of the group do it, each
for its partitions. This module builds no adapters and prints nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from service.processing.bearings import Bearings
from service.processing.ledger import Kind, epoch_entry, parsed_key, read_mark
from service.processing.outputs import Topics
from service.processing.ports import (
    Checkpoint,
    Commit,
    Epochs,
    LedgerReader,
    Publisher,
    Record,
    TopicPartition,
    Unusable,
    ViewStore,
)


class GroupLook(Protocol):
    """A consumer group and its topics from the outside."""

    async def members(self) -> int: ...

    async def committed(self) -> dict[TopicPartition, Commit]: ...

    async def partitions(self, topics: Iterable[str]) -> list[TopicPartition]: ...

    async def begins(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]: ...

    async def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]: ...

    async def has_records(self, partition: TopicPartition, start: int, end: int) -> bool: ...


@dataclass(frozen=True, slots=True)
class Findings:
    """
    What is there before a rebuild.

    `new_logs` are topics that hold less than was processed of them, or of which nobody knows an offset though
    something was processed. `by_hand` are offsets that somebody set beyond the end of the log. `unobserved`
    are EVSEs of which neither view nor log hold all that came after their bases.
    """

    epochs: Epochs
    ends: Mapping[TopicPartition, int]
    new_logs: frozenset[str]
    members: int
    by_hand: Mapping[TopicPartition, int] = field(default_factory=dict)
    unobserved: Sequence[str] = ()

    def next_epochs(self, told: Iterable[str] = ()) -> Epochs:
        """Give the epochs of the rebuild; `told` are new logs that an operator names."""
        generation = self.epochs.generation + 1
        begun = dict.fromkeys(sorted({*self.new_logs, *told}), generation)
        return Epochs(generation, {**self.epochs.since, **begun})


@dataclass(slots=True)
class _Known:
    """What ledger and snapshots know of a partition: who lives in it, and how far the bases reach."""

    uids: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    marks: dict[str, int] = field(default_factory=dict)

    def take(self, record: Record, epochs: Epochs) -> None:
        """Note a record of the ledger."""
        words = parsed_key(record.key)
        if len(words) < _WORDS or record.value is None or words[0] == Kind.SKIP:
            return
        if words[0] == Kind.MARK:
            mark = read_mark(record.value)
            if mark.epoch == epochs.of(words[1]):
                self.marks[words[1]] = mark.mark.next_offset
            return
        self.uids.add(words[1])
        if words[0] == Kind.REMOVAL:
            self.removed.add(words[1])


_WORDS = 2
"""A key that is about a topic or an EVSE has at least so many words."""


@dataclass(frozen=True, slots=True)
class Stage:
    """How far a rebuild is: partitions that came back, and records folded of those that the log held."""

    partitions: int
    restored: int
    records: int
    folded: int
    done: bool


class Rebuild:
    """Looks, asks for the rebuild, and follows it."""

    def __init__(
        self,
        store: ViewStore,
        group: GroupLook,
        ledger: LedgerReader,
        snapshots: LedgerReader,
        publisher: Publisher,
        topics: Topics,
        inputs: Sequence[str],
    ) -> None:
        self._store = store
        self._group = group
        self._ledger = ledger
        self._snapshots = snapshots
        self._publisher = publisher
        self._topics = topics
        self._inputs = tuple(inputs)

    async def look(self) -> Findings:
        """Find out what is there, and which logs are not those that were processed."""
        epochs = await self._store.load_epochs()
        places = await self._group.partitions(self._inputs)
        begins = await self._group.begins(places)
        known_of = {
            number: await self._known(number, epochs)
            for number in sorted({place.partition for place in places})
        }
        checkpoints = {place: await self._store.load_checkpoint(place) for place in places}
        committed = await self._group.committed()
        # Asked last: what workers have processed meanwhile lies below it, or else their log is another one.
        ends = await self._group.ends(places)
        new_logs, by_hand, unobserved = set(), {}, set()
        for number, known in known_of.items():
            for place in (one for one in places if one.partition == number):
                checkpoint, commit = checkpoints[place], committed.get(place)
                is_signed = commit is not None and commit.generation is not None
                if commit is not None and not is_signed and commit.next_offset > ends[place]:
                    by_hand[place] = commit.next_offset
                reached = max(
                    checkpoint.next_offset if checkpoint else 0,
                    commit.next_offset if commit is not None and is_signed else 0,
                    known.marks.get(place.topic, 0),
                )
                is_forgotten = checkpoint is None and commit is None and bool(known.uids)
                if reached > ends[place] or is_forgotten:
                    new_logs.add(place.topic)
                is_in_view = checkpoint is not None and (
                    checkpoint.next_offset >= begins[place] or place.topic in new_logs
                )
                reaches_back = begins[place] <= known.marks.get(place.topic, 0) and not is_forgotten
                if not is_in_view and not (reaches_back and place.topic not in new_logs):
                    unobserved |= known.uids - known.removed
        members = await self.members()
        return Findings(epochs, ends, frozenset(new_logs), members, by_hand, sorted(unobserved))

    async def _known(self, number: int, epochs: Epochs) -> _Known:
        known = _Known()
        async for records in self._ledger.read(number):
            for record in records:
                known.take(record, epochs)
        async for records in self._snapshots.read(number):
            known.uids |= {(each.key or b"").decode() for each in records if each.value is not None}
        return known

    async def members(self) -> int:
        """Count the workers that the group knows of; one that was killed is among them for a session."""
        return await self._group.members()

    async def ask(self, epochs: Epochs) -> None:
        """Ask for the rebuild: the ledger first, so that a Redis that loses it again finds it there."""
        numbers = {place.partition for place in await self._group.partitions(self._inputs)}
        await self._publisher.publish(
            [self._topics.entry(number, epoch_entry(epochs)) for number in sorted(numbers)]
        )
        await self._store.save_epochs(epochs)

    async def stage(self, epochs: Epochs, ends: Mapping[TopicPartition, int]) -> Stage:
        """Tell how far the rebuild is that these epochs asked for, of what the log held at `ends`."""
        checkpoints: dict[TopicPartition, Checkpoint] = {}
        for place in ends:
            checkpoint = await self._store.load_checkpoint(place)
            if checkpoint is not None and checkpoint.epoch >= epochs.generation:
                checkpoints[place] = checkpoint
        reached = {place: min(ends[place], each.next_offset) for place, each in checkpoints.items()}
        left = [place for place in ends if reached.get(place, -1) < ends[place]]
        done = len(reached) == len(ends) and not [
            place for place in left if await self._group.has_records(place, reached[place], ends[place])
        ]
        return Stage(len(ends), len(reached), sum(ends.values()), sum(reached.values()), done)


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether view, group and log fit together: what would stop a worker, what it would restore."""

    problems: Sequence[str]
    warnings: Sequence[str]


async def look_at_fit(store: ViewStore, group: GroupLook, inputs: Sequence[str]) -> Fit:
    """Compare the view's checkpoints with the group's offsets and the log, as a worker does at its start."""
    epochs = await store.load_epochs()
    places = await group.partitions(inputs)
    checkpoints = {place: await store.load_checkpoint(place) for place in places}
    committed = await group.committed()
    begins, ends = await group.begins(places), await group.ends(places)
    problems, warnings = [], []
    for place in places:
        stored, name = checkpoints[place], f"topic {place.topic}, partition {place.partition}"
        each = Bearings.of(stored, committed.get(place), epochs, place.topic)
        each = replace(each, begin=begins[place], end=ends[place])
        try:
            each.refuse(place)
        except Unusable as problem:
            problems.append(str(problem))
            continue
        if each.known is None and (each.commit is not None or each.left is not None) and ends[place]:
            warnings.append(f"the view does not hold {name}: a worker restores it from ledger and log")
        elif each.known is not None and each.known < each.begin:
            warnings.append(
                f"{name} begins at offset {each.begin}, and the view has all up to {each.known}: "
                "what lies between is gone, and will be unobserved"
            )
    return Fit(problems, warnings)
