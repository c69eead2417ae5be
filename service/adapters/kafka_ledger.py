"""
The port `LedgerReader` on Kafka: one partition of the ledger from its beginning to where it ends now.

Knows nothing of what a record means. Every reading has a client of its own, without a group.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition

from service.adapters.kafka_errors import Patience, translated
from service.adapters.kafka_reader import KafkaReaderSettings, pieces
from service.processing.values import Record


class KafkaLedger:
    """Reads the ledger."""

    def __init__(self, settings: KafkaReaderSettings, topic: str) -> None:
        self._settings = settings
        self._topic = topic

    async def read(self, partition: int) -> AsyncIterator[Sequence[Record]]:
        """Give the records in pieces; raise `Unavailable` where the broker does not answer."""
        patience = Patience("Kafka", self._settings.call_timeout)
        place = KafkaPartition(self._topic, partition)
        with translated():
            consumer = AIOKafkaConsumer(
                bootstrap_servers=list(self._settings.bootstrap_servers),
                client_id="evse-status",
                request_timeout_ms=round(self._settings.call_timeout * 1_000),
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                **self._settings.security,
            )
        try:
            await patience.answer(consumer.start())
            starts = await patience.answer(consumer.beginning_offsets([place]))
            ends = await patience.answer(consumer.end_offsets([place]))
            async for piece in pieces(consumer, patience, starts, ends):
                yield piece
        finally:
            await patience.farewell(consumer.stop())
