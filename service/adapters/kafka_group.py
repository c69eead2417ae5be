"""
A consumer group and its topics from the outside, for commands: who is in it, how far it came, what the log
holds.

Joins nothing and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin import AIOKafkaAdminClient

from service.adapters.kafka import commit_from
from service.adapters.kafka_errors import Patience, patience_to_start, translated
from service.adapters.kafka_reader import KafkaReaderSettings, pieces
from service.adapters.kafka_topic_ids import topic_ids
from service.processing.values import Commit, TopicPartition


class KafkaGroup:
    """Looks at one group from `start` until `stop`."""

    def __init__(self, settings: KafkaReaderSettings, group_id: str) -> None:
        self._settings = settings
        self._group_id = group_id
        self._patience = Patience("Kafka", settings.call_timeout)
        self._admin: Any = None
        self._consumer: Any = None

    async def start(self) -> None:
        """Connect; raise `Unavailable` or `Unusable`."""
        common: dict[str, Any] = {
            "bootstrap_servers": list(self._settings.bootstrap_servers),
            "client_id": "evse-status",
            "request_timeout_ms": round(self._settings.call_timeout * 1_000),
            **self._settings.security,
        }
        starting = patience_to_start(self._settings.bootstrap_servers, self._settings.call_timeout)
        with translated():
            self._admin = AIOKafkaAdminClient(**common)
            self._consumer = AIOKafkaConsumer(
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                **common,
            )
        await starting.answer(self._admin.start())
        await starting.answer(self._consumer.start())

    async def stop(self) -> None:
        """Disconnect."""
        for client in (self._admin and self._admin.close, self._consumer and self._consumer.stop):
            if client is not None:
                await self._patience.farewell(client())

    async def members(self) -> int:
        """Count the live members of the group."""
        described = await self._patience.answer(self._admin.describe_consumer_groups([self._group_id]))
        # error code, group, state, protocol type, protocol, members, …
        return sum(len(group[5]) for response in described for group in response.groups)

    async def committed(self) -> dict[TopicPartition, Commit]:
        """Give what the group has committed."""
        found = await self._patience.answer(self._admin.list_consumer_group_offsets(self._group_id))
        return {
            TopicPartition(place.topic, place.partition): commit
            for place, said in found.items()
            if (commit := commit_from(said)) is not None
        }

    async def partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        """Give all partitions of these topics."""
        wanted = set(topics)
        described = await self._patience.answer(self._admin.describe_topics())
        return sorted(
            TopicPartition(topic["topic"], number)
            for topic in described
            if topic["topic"] in wanted
            for number in range(len(topic["partitions"]))
        )

    async def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Give the offset after the last record of each partition."""
        places = [KafkaPartition(one.topic, one.partition) for one in partitions]
        found = await self._patience.answer(self._consumer.end_offsets(places))
        return {TopicPartition(place.topic, place.partition): end for place, end in found.items()}

    async def begins(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Give the offset of the first record that each partition still holds."""
        places = [KafkaPartition(one.topic, one.partition) for one in partitions]
        found = await self._patience.answer(self._consumer.beginning_offsets(places))
        return {TopicPartition(place.topic, place.partition): begin for place, begin in found.items()}

    async def topic_ids(self, topics: Sequence[str]) -> dict[str, str]:
        """Give the ids of those topics that exist (`Log.topic_ids`)."""
        return await topic_ids(self._consumer._client, self._patience, topics)  # noqa: SLF001

    async def has_records(self, partition: TopicPartition, start: int, end: int) -> bool:
        """Tell whether a record lies between two offsets: markers of transactions take offsets, too."""
        place = KafkaPartition(partition.topic, partition.partition)
        async for piece in pieces(self._consumer, self._patience, {place: start}, {place: end}):
            if piece:
                return True
        return False
