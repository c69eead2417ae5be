"""
Kafka's part in memory: a broker with topics and consumer groups, a log and a publisher on it.

For tests and for trying things out in one process. The contract tests hold it to what Kafka does.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from service.adapters.clock import ManualClock
from service.processing.ports import Clock, OwnershipLost, TooLarge, Unavailable, Unusable
from service.processing.values import Commit, Headers, Message, Record, TopicPartition

Callback = Callable[[frozenset[TopicPartition]], Awaitable[None]]

_NONE: frozenset[TopicPartition] = frozenset()


class MemoryBroker:
    """Topics, their records and the groups that read them. `available` false: nobody gets an answer."""

    def __init__(self, topics: Mapping[str, int] | None = None, clock: Clock | None = None) -> None:
        """Begin with `topics` (name to partition count); `clock`, or a manual one, dates the records."""
        self.available = True
        self.clock = clock or ManualClock()
        self._records: dict[TopicPartition, list[Record]] = {}
        self._ids: dict[str, str] = {}
        self._cut: dict[TopicPartition, int] = {}
        self._groups: defaultdict[str, _Group] = defaultdict(lambda: _Group(self))
        self._waiting: set[asyncio.Future[None]] = set()
        for topic, partitions in (topics or {}).items():
            self.create_topic(topic, partitions)

    def create_topic(self, topic: str, partitions: int = 1) -> None:
        for partition in range(partitions):
            self._records.setdefault(TopicPartition(topic, partition), [])
        self._ids.setdefault(topic, str(uuid.uuid4()))

    def partitions_of(self, topic: str) -> list[TopicPartition]:
        return sorted(partition for partition in self._records if partition.topic == topic)

    def append(
        self,
        partition: TopicPartition,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        timestamp: int | None = None,
    ) -> int:
        """Write one record, at `timestamp` (microseconds; Kafka keeps milliseconds); give its offset."""
        records = self.records(partition)
        moment = self.clock.now() if timestamp is None else timestamp
        records.append(
            Record(
                partition.topic,
                partition.partition,
                self.end(partition),
                moment - moment % 1_000,
                key,
                value,
                headers,
            )
        )
        self.wake()
        return self.end(partition) - 1

    def records(self, partition: TopicPartition) -> list[Record]:
        """All records of a partition; raise `Unusable` if there is no such partition."""
        try:
            return self._records[partition]
        except KeyError:
            raise Unusable(
                f"there is no partition {partition.partition} of topic {partition.topic}"
            ) from None

    def id_of(self, topic: str) -> str | None:
        """The id of a topic, None where there is none of the name."""
        return self._ids.get(topic)

    def begin(self, partition: TopicPartition) -> int:
        """The offset of the first record kept."""
        return self._cut.get(partition, 0)

    def end(self, partition: TopicPartition) -> int:
        """The offset of the next record."""
        return self.begin(partition) + len(self.records(partition))

    def cut(self, partition: TopicPartition, offset: int) -> None:
        """Delete the records before an offset, as retention does."""
        del self.records(partition)[: offset - self.begin(partition)]
        self._cut[partition] = offset

    def recreate(self, topic: str) -> None:
        """Delete a topic and create it again, empty; groups forget what they committed of it."""
        for partition in self.partitions_of(topic):
            self._records[partition] = []
            self._ids[topic] = str(uuid.uuid4())
            self._cut.pop(partition, None)
            for group in self._groups.values():
                group.committed.pop(partition, None)

    def group(self, name: str) -> _Group:
        return self._groups[name]

    def require(self) -> None:
        if not self.available:
            raise Unavailable("the broker does not answer")

    def wake(self) -> None:
        """Let everybody who waits for records look again."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, timeout_s: float) -> None:
        """Return when something was written or assigned, or after `timeout_s` of the clock."""
        woken = asyncio.get_running_loop().create_future()
        self._waiting.add(woken)
        slept = asyncio.ensure_future(self.clock.sleep(timeout_s))
        try:
            await asyncio.wait((woken, slept), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting.discard(woken)
            slept.cancel()
            with suppress(asyncio.CancelledError):
                await slept


class _Group:
    """One consumer group: who is in it, who owns what, and what was committed."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._members: list[MemoryLog] = []
        self._rebalancing = asyncio.Lock()
        self.committed: dict[TopicPartition, int] = {}
        self.signed: dict[TopicPartition, Commit] = {}
        self.owners: dict[TopicPartition, MemoryLog] = {}

    def commit_of(self, partition: TopicPartition) -> Commit | None:
        """What is committed of a partition: signed, if it is as a member left it."""
        offset, signed = self.committed.get(partition), self.signed.get(partition)
        if offset is None:
            return None
        return signed if signed is not None and signed.next_offset == offset else Commit(offset, None)

    async def join(self, member: MemoryLog) -> None:
        async with self._rebalancing:
            self._members.append(member)
            await self._rebalance()

    async def leave(self, member: MemoryLog) -> None:
        async with self._rebalancing:
            if member in self._members:
                self._members.remove(member)
                await self._rebalance()

    async def put_out(self, member: MemoryLog) -> None:
        """Take a member for gone, as after a silence; it hears so, and may join again."""
        async with self._rebalancing:
            await member.revoke()
            self._members.remove(member)
            await self._rebalance()

    async def _rebalance(self) -> None:
        """Take everything from everybody, as eager assignors do, then deal it out in ranges by topic."""
        for member in self._members:
            await member.revoke()
        self.owners = {}
        for topic in sorted({topic for member in self._members for topic in member.topics}):
            readers = [member for member in self._members if topic in member.topics]
            partitions = self._broker.partitions_of(topic)
            share, extra = divmod(len(partitions), len(readers))
            for i, member in enumerate(readers):
                start = share * i + min(i, extra)
                for partition in partitions[start : start + share + (i < extra)]:
                    self.owners[partition] = member
        for member in self._members:
            await member.assign(frozenset(one for one, owner in self.owners.items() if owner is member))
        self._broker.wake()


class MemoryLog:
    """
    The port `Log` on a `MemoryBroker`.

    Unless `patient`, `fetch` gives [] at once where nothing is there, so that a test need not move the clock.
    """

    def __init__(
        self,
        broker: MemoryBroker,
        topics: Sequence[str],
        group: str = "evse-status",
        *,
        patient: bool = False,
    ) -> None:
        self.topics = tuple(topics)
        self._broker = broker
        self._group = broker.group(group)
        self._patient = patient
        self._on_assigned: Callback | None = None
        self._on_revoked: Callback | None = None
        self._assignment = _NONE
        self._settled = False
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._failure: Exception | None = None

    async def start(self, on_assigned: Callback, on_revoked: Callback) -> None:
        self._broker.require()
        for topic in self.topics:
            if not self._broker.partitions_of(topic):
                raise Unusable(f"there is no topic {topic}: create it")
        self._on_assigned, self._on_revoked = on_assigned, on_revoked
        await self._group.join(self)

    async def stop(self) -> None:
        self._forget()
        await self._group.leave(self)

    async def expel(self) -> None:
        """Let the group take this member for dead without telling it: a zombie with a stale assignment."""
        await self._group.leave(self)

    async def revoke(self) -> None:
        """Take everything away; called by the group."""
        self._settled = False
        if self._assignment and self._on_revoked is not None:
            await self._tell(self._on_revoked, self._assignment)
        self._forget()

    async def assign(self, assignment: frozenset[TopicPartition]) -> None:
        """Give a whole new assignment; called by the group."""
        self._assignment, self._settled = assignment, False
        self._positions = {one: self._group.committed.get(one, 0) for one in assignment}
        if self._on_assigned is not None:
            await self._tell(self._on_assigned, assignment)
        self._settled = True

    async def fetch(self, timeout_s: float, max_records: int) -> list[Record]:
        if not (records := self._take(max_records)):
            await (self._broker.wait(timeout_s) if self._patient else asyncio.sleep(0))
            records = self._take(max_records)
        return records

    def assignment(self) -> frozenset[TopicPartition]:
        return self._assignment

    async def commit(self, commits: Mapping[TopicPartition, Commit]) -> None:
        self._broker.require()
        owned = {one: commit for one, commit in commits.items() if self._group.owners.get(one) is self}
        self._group.committed |= {one: commit.next_offset for one, commit in owned.items()}
        self._group.signed |= owned
        if lost := commits.keys() - owned.keys():
            raise OwnershipLost(f"not committed, they belong to another worker now: {sorted(lost)}")

    async def committed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Commit | None]:
        self._broker.require()
        return {one: self._group.commit_of(one) for one in partitions}

    async def begin_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        self._broker.require()
        return {one: self._broker.begin(one) for one in partitions}

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        self._broker.require()
        return {one: self._broker.end(one) for one in partitions}

    def unknown_topics(self) -> list[str]:
        return [topic for topic in self.topics if not self._broker.partitions_of(topic)]

    async def topic_ids(self, topics: Sequence[str]) -> dict[str, str]:
        self._broker.require()
        found = {topic: self._broker.id_of(topic) for topic in topics}
        return {topic: one for topic, one in found.items() if one is not None}

    def position(self, partition: TopicPartition) -> int | None:
        return self._positions.get(partition)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if partition in self._assignment:
            self._positions[partition] = offset

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self._paused |= self._assignment.intersection(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._paused.difference_update(partitions)
        self._broker.wake()

    def _take(self, max_records: int) -> list[Record]:
        if self._failure is not None:
            raise self._failure
        taken: list[Record] = []
        if not (self._settled and self._broker.available):
            return taken
        for partition in sorted(self._assignment - self._paused):
            begin = self._broker.begin(partition)
            position = max(self._positions[partition], begin)
            first = position - begin
            records = self._broker.records(partition)[first : first + max_records - len(taken)]
            self._positions[partition] = position + len(records)
            taken += records
        return taken

    def _forget(self) -> None:
        self._assignment = _NONE
        self._positions = {}
        self._paused = set()

    async def _tell(self, callback: Callback, partitions: frozenset[TopicPartition]) -> None:
        try:
            await callback(partitions)
        except Exception as failure:  # noqa: BLE001 - whatever it is, the next fetch raises it, as the port says
            self._failure = failure


class MemoryPublisher:
    """The port `Publisher` on a `MemoryBroker`; `max_message_bytes` counts key and value."""

    def __init__(self, broker: MemoryBroker, max_message_bytes: int = 1_048_576) -> None:
        self._broker = broker
        self._max_message_bytes = max_message_bytes

    async def start(self) -> None:
        self._broker.require()

    async def stop(self) -> None:
        """Nothing is held."""

    async def publish(self, messages: Sequence[Message]) -> None:
        self._broker.require()
        for message in messages:
            size = len(message.key or b"") + len(message.value or b"")
            if size > self._max_message_bytes:
                raise TooLarge(
                    f"a message of {size} bytes for {message.topic}: {self._max_message_bytes} are allowed"
                )
            self._broker.records(TopicPartition(message.topic, message.partition))
        for message in messages:
            partition = TopicPartition(message.topic, message.partition)
            self._broker.append(partition, message.key, message.value, message.headers, message.timestamp)


class MemoryLedger:
    """The port `LedgerReader` on a `MemoryBroker`."""

    def __init__(self, broker: MemoryBroker, topic: str, piece: int = 500) -> None:
        self._broker = broker
        self._topic = topic
        self._piece = piece

    async def read(self, partition: int) -> AsyncIterator[Sequence[Record]]:
        self._broker.require()
        records = list(self._broker.records(TopicPartition(self._topic, partition)))
        for start in range(0, len(records), self._piece):
            yield records[start : start + self._piece]
