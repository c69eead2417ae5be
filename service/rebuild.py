"""
Rebuilding the view: which logs are new, what generation comes next, and how far the workers have come.

A rebuild is asked for by a new generation in Redis and in the ledger; the workers of the group do it, each
for its partitions. This module builds no adapters and prints nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from service.processing.ledger import epoch_entry, parsed_key, read_mark
from service.processing.outputs import Topics
from service.processing.ports import (
    Checkpoint,
    Epochs,
    LedgerReader,
    Publisher,
    TopicPartition,
    ViewStore,
)

_MARK = "mark"


class GroupLook(Protocol):
    """A consumer group and its topics from the outside."""

    async def members(self) -> int: ...

    async def committed(self) -> dict[TopicPartition, int]: ...

    async def partitions(self, topics: Iterable[str]) -> list[TopicPartition]: ...

    async def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]: ...

    async def has_records(self, partition: TopicPartition, start: int, end: int) -> bool: ...


@dataclass(frozen=True, slots=True)
class Findings:
    """What is there before a rebuild; `new_logs` are topics that hold less than was processed of them."""

    epochs: Epochs
    ends: Mapping[TopicPartition, int]
    new_logs: frozenset[str]
    members: int

    def next_epochs(self, told: Iterable[str] = ()) -> Epochs:
        """Give the epochs of the rebuild; `told` are new logs that an operator names."""
        generation = self.epochs.generation + 1
        begun = dict.fromkeys(sorted({*self.new_logs, *told}), generation)
        return Epochs(generation, {**self.epochs.since, **begun})


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
        publisher: Publisher,
        topics: Topics,
        inputs: Sequence[str],
    ) -> None:
        self._store = store
        self._group = group
        self._ledger = ledger
        self._publisher = publisher
        self._topics = topics
        self._inputs = tuple(inputs)

    async def look(self) -> Findings:
        """Find out what is there, and which logs are not those that were processed."""
        epochs = await self._store.load_epochs()
        places = await self._group.partitions(self._inputs)
        ends, committed = await self._group.ends(places), await self._group.committed()
        new_logs = set()
        for place in places:
            checkpoint = await self._store.load_checkpoint(place)
            reached = [committed.get(place, 0), checkpoint.next_offset if checkpoint else 0]
            if max(reached) > ends[place]:
                new_logs.add(place.topic)
        for number in sorted({place.partition for place in places}):
            for topic, offset in (await self._marks(number, epochs)).items():
                if offset > ends.get(TopicPartition(topic, number), offset):
                    new_logs.add(topic)
        return Findings(epochs, ends, frozenset(new_logs), await self.members())

    async def members(self) -> int:
        """Count the workers that the group knows of; one that was killed is among them for a session."""
        return await self._group.members()

    async def _marks(self, number: int, epochs: Epochs) -> dict[str, int]:
        marks = {}
        async for records in self._ledger.read(number):
            for record in records:
                words = parsed_key(record.key)
                if words[:1] == [_MARK] and record.value is not None:
                    mark = read_mark(record.value)
                    if mark.epoch == epochs.of(words[1]):
                        marks[words[1]] = mark.mark.next_offset
        return marks

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
