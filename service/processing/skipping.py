"""
What an operator skipped is remembered in the ledger, so that it needs naming once only.

A view that is restored or rebuilt reads the record again, and so does the next worker where one died on its
way past it. This module skips nothing by itself: whoever reads looks at `Skips`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from service.processing import ledger
from service.processing.dead_letters import OffsetRange, Skips
from service.processing.instruments import Part
from service.processing.ledger import Kind
from service.processing.options import Ports
from service.processing.outputs import Topics
from service.processing.retry import Retrying
from service.processing.values import Epochs, Record


class Skipping:
    """Keeps the ledger and the skips at hand in step; every call is made again until it is answered."""

    def __init__(
        self,
        ports: Ports,
        retrying: Retrying,
        hold: Callable[[], Awaitable[None]],
        skips: Skips,
        topics: Topics,
    ) -> None:
        self._ports = ports
        self._retrying = retrying
        self._hold = hold
        self._skips = skips
        self._topics = topics

    async def remember(self, number: int, epochs: Epochs) -> None:
        """Write into the ledger what an operator names of the partitions of a number."""
        named = sorted(one for one in self._skips.named if one.partition == number)
        if named:
            entries = [ledger.skip_entry(one, epochs.of(one.topic)) for one in named]
            messages = [self._topics.entry(number, entry) for entry in entries]
            await self._retrying(Part.PUBLISHER, lambda: self._ports.publisher.publish(messages))

    def recall(self, number: int, found: Mapping[OffsetRange, int], epochs: Epochs) -> None:
        """Take over what the ledger says, with the epoch of each; offsets of another log mean nothing."""
        self._skips.remember(number, [one for one, epoch in found.items() if epoch == epochs.of(one.topic)])

    async def knows(self, record: Record | None, epochs: Epochs) -> bool:
        """
        Tell whether the ledger remembers that a record was skipped: asked where our own code fails on it.

        A worker that reads on from the view has not read the ledger.
        """
        if record is None or any(record in one for one in self._skips):
            return False
        number = record.partition
        self.recall(number, await self._retrying(Part.LOG, lambda: self._read(number)), epochs)
        return any(record in one for one in self._skips)

    async def _read(self, number: int) -> dict[OffsetRange, int]:
        found: dict[OffsetRange, int] = {}
        async for records in self._ports.ledger.read(number):
            for record in records:
                words = ledger.parsed_key(record.key)
                if words[:1] == [Kind.SKIP] and record.value is not None:
                    span, epoch = ledger.read_skip(words[1], number, record.value)
                    found[span] = epoch
            await self._hold()
        return found
