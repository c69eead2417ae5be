"""Writes what a batch has to say and waits until it is acknowledged; knows nothing of how it came about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from service.processing.dead_letters import dead_letter
from service.processing.instruments import Instruments, Part
from service.processing.options import Ports
from service.processing.outputs import Topics
from service.processing.ports import TooLarge
from service.processing.retry import Retrying
from service.processing.sifting import Rejected
from service.processing.values import Message


class Outbox:
    """The output topics, with the patience to have everything written."""

    def __init__(
        self,
        ports: Ports,
        topics: Topics,
        max_dead_letter_bytes: int,
        retrying: Retrying,
        instruments: Instruments,
    ) -> None:
        self._publish = ports.publisher.publish
        self._clock = ports.clock
        self._tracing = ports.tracing
        self._topics = topics
        self._max_dead_letter_bytes = max_dead_letter_bytes
        self._retrying = retrying
        self._instruments = instruments

    async def publish(self, messages: Sequence[Message], rejected: Sequence[Rejected]) -> None:
        """Write the messages, and the rejected records as dead letters; return when all are acknowledged."""
        if not messages and not rejected:
            return
        messages = self._traced(messages)
        try:
            await self._send([*messages, *self._letters(rejected, self._max_dead_letter_bytes)])
        except TooLarge:
            if not rejected:
                raise
            # The topic takes less than we were told: keep of each dead letter what fits anywhere.
            await self._send([*messages, *self._letters(rejected, 0)])

    async def _send(self, messages: Sequence[Message]) -> None:
        await self._retrying(Part.PUBLISHER, lambda: self._publish(messages))
        for kind, count in Counter(map(self._topics.kind, messages)).items():
            self._instruments.published(kind, count)

    def _traced(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Give the messages with the trace of their batch; a dead letter keeps that of its own record."""
        headers, ledger = self._tracing.headers, self._topics.ledger
        if not headers:
            return messages
        # Nobody follows the ledger, and what it holds outlives every trace.
        return [
            each if each.topic == ledger else replace(each, headers=each.headers + headers)
            for each in messages
        ]

    def _letters(self, rejected: Sequence[Rejected], max_bytes: int) -> list[Message]:
        now, topic = self._clock.now(), self._topics.dead_letters
        return [
            dead_letter(each.record, each.rejection, topic, at=now, max_bytes=max_bytes) for each in rejected
        ]
