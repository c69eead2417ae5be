"""
The input of a scenario from the outside: written in portions, cut at its old end, and read back whole;
and the ledger, which is deleted.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from random import Random

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from service.adapters.kafka_group import KafkaGroup
from service.adapters.kafka_reader import KafkaReaderSettings
from service.processing.ledger import Kind, parsed_key, read_mark
from service.processing.values import Record, Resend
from tests.fault.told import PARTITIONS
from tests.services import Kafka
from tests.topics import Sent, read

_PAUSES_S = 0.6
"""Seconds at most that the pauses between the chunks of a portion last together."""

Offsets = Mapping[int, int]
"""An offset for each partition that has one."""


class InputLog:
    """The topic `<prefix>events`, and how far its group has come."""

    def __init__(self, kafka: Kafka, prefix: str, group: str) -> None:
        self._kafka = kafka
        self._prefix = prefix
        self._topic = f"{prefix}events"
        self._ledger = f"{prefix}ledger"
        self._group = group
        self._cut: dict[tuple[int, int], Record] = {}

    async def create(self) -> None:
        """Create the topic."""
        await self._kafka.create_topic(self._topic, partitions=PARTITIONS)

    async def write(self, records: Sequence[Sent], chunks: int, random: Random) -> None:
        """Write records, in chunks with a pause between."""
        size = len(records) // chunks + 1
        async with AIOKafkaProducer(
            bootstrap_servers=self._kafka.bootstrap_servers, enable_idempotence=True
        ) as producer:
            for begin in range(0, len(records), size):
                sent = [
                    await producer.send(
                        self._topic,
                        one.value,
                        key=one.key,
                        partition=one.partition,
                        timestamp_ms=one.timestamp_ms,
                        headers=list(one.headers),
                    )
                    for one in records[begin : begin + size]
                ]
                await asyncio.gather(*sent)
                await asyncio.sleep(random.uniform(0.0, _PAUSES_S) / chunks)

    async def read(self) -> list[Record]:
        """Give all records that ever were in it, those of each partition in order."""
        there = await read(self._kafka, self._topic)
        # A broker that is killed may come back with what was deleted.
        known = {(record.partition, record.offset) for record in there}
        return [one for place, one in sorted(self._cut.items()) if place not in known] + there

    async def cut_behind_bases(self, kept: Offsets) -> Offsets:
        """
        Delete what the bases of the ledger hold, as the retention does; give what the log now begins at.

        `kept` says how far the view is: what it lacks still comes from the log.
        """
        marks = marks_of(await read(self._kafka, self._ledger), self._topic)
        records = await read(self._kafka, self._topic)
        async with self._kafka.admin() as admin:
            committed = await self.committed(admin)
            begins = {
                number: min(mark, committed.get(number, 0), kept.get(number, 0))
                for number, mark in marks.items()
            }
            deleted = {
                self._place(number): RecordsToDelete(begin) for number, begin in begins.items() if begin
            }
            if deleted:
                await admin.delete_records(deleted)
        gone = [record for record in records if record.offset < begins.get(record.partition, 0)]
        self._cut |= {(record.partition, record.offset): record for record in gone}
        return begins

    def is_gone_before(self, kept: Offsets) -> bool:
        """Tell whether records were deleted that a view which holds what came before these offsets lacks."""
        return any(offset >= kept.get(number, 0) for number, offset in self._cut)

    async def delete_ledger(self) -> None:
        """Delete the ledger and create it again, empty."""
        await self._kafka.delete_topic(self._ledger)
        await self._kafka.create_topic(
            self._ledger, partitions=PARTITIONS, config={"cleanup.policy": "compact"}
        )

    async def written_anew(self) -> set[int]:
        """
        Give the partitions of which the ledger that is there now holds all, by what their owners commit.

        Bases alone do not tell: an owner that has not noticed writes them without the history before.
        """
        group = KafkaGroup(KafkaReaderSettings([self._kafka.bootstrap_servers]), self._group)
        await group.start()
        try:
            ids, commits = await group.topic_ids([self._ledger]), await group.committed()
        finally:
            await group.stop()
        is_there = {
            place.partition
            for place, one in commits.items()
            if one.ledger == ids.get(self._ledger) and one.resend is Resend.NOTHING
        }
        return is_there & await self.marked()

    async def marked(self) -> set[int]:
        """Give the partitions of which the ledger says how far its bases reach."""
        return set(marks_of(await read(self._kafka, self._ledger), self._topic))

    async def ends(self, consumer: AIOKafkaConsumer) -> Offsets:
        """Give where it ends."""
        ends = await consumer.end_offsets([self._place(number) for number in range(PARTITIONS)])
        return {place.partition: end for place, end in ends.items() if end}

    async def committed(self, admin: AIOKafkaAdminClient) -> Offsets:
        """Give what the group has committed, where it has read any."""
        offsets = await admin.list_consumer_group_offsets(self._group)
        return {place.partition: said.offset for place, said in offsets.items() if said.offset}

    def _place(self, number: int) -> KafkaPartition:
        return KafkaPartition(self._topic, number)


def marks_of(ledger: Iterable[Record], topic: str) -> dict[int, int]:
    """Give how far the bases of each partition reach; a mark without its bases is of another ledger."""
    newest: dict[tuple[int, bytes], bytes | None] = {}
    for record in ledger:
        newest[record.partition, record.key or b""] = record.value
    said = {place: value for place, value in newest.items() if value is not None}
    bases = Counter(number for number, key in said if parsed_key(key)[:1] == [Kind.BASE])
    marks = {
        number: read_mark(value)
        for (number, key), value in said.items()
        if parsed_key(key) == [Kind.MARK, topic]
    }
    return {
        number: mark.mark.next_offset for number, mark in marks.items() if not mark.lacks_bases(bases[number])
    }
