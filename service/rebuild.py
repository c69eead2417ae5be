"""
Rebuilding the view: asked for by a new generation in Redis and in the ledger, and followed.

The workers of the group do it, each for its partitions; `inspection` finds out what is there before. This
module builds no adapters and prints nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.inspection import GroupLook
from service.processing.ledger import epoch_entry
from service.processing.outputs import Topics
from service.processing.ports import Publisher, ViewStore
from service.processing.values import Checkpoint, Epochs, TopicPartition


@dataclass(frozen=True, slots=True)
class Stage:
    """How far a rebuild is: partitions that came back, and records folded of those that the log held."""

    partitions: int
    restored: int
    records: int
    folded: int
    done: bool


class Rebuild:
    """Asks for the rebuild, and follows it."""

    def __init__(
        self,
        store: ViewStore,
        group: GroupLook,
        publisher: Publisher,
        topics: Topics,
        inputs: Sequence[str],
    ) -> None:
        self._store = store
        self._group = group
        self._publisher = publisher
        self._topics = topics
        self._inputs = tuple(inputs)

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
