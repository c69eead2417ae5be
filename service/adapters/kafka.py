"""
The port `Log` on aiokafka's consumer.

Knows nothing of what a record means. What is known of aiokafka 0.14 has shaped it:

- A `getmany` that raises or is cancelled switches the poll watchdog off for good: it is never cancelled, and
  after an exception this log refuses to go on.
- `getmany` waits without end while the group is between two assignments: it runs in a task that may outlive
  its `fetch`, and what it finds when nobody waits any more is put back by a seek.
- `commit` tries without end while no coordinator answers: it may outlive its caller too, and the next one
  waits for it, so that no commit overtakes another.
- Exceptions of the rebalance listener are logged and forgotten: it keeps its own, and `fetch` raises them.
- A static member that lost its place to another of its name takes it back: see `kafka_instance`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError

from service.adapters.kafka_decoding import StepOver, decode_tolerantly
from service.adapters.kafka_errors import Patience, check_tasks, partitions_of, patience_to_start, translated
from service.adapters.kafka_instance import Instance
from service.adapters.kafka_records import record_from
from service.adapters.kafka_topic_ids import topic_ids
from service.processing.dead_letters import OffsetRange
from service.processing.ports import OwnershipLost
from service.processing.values import Commit, Record, Resend, TopicPartition

Callback = Callable[[frozenset[TopicPartition]], Awaitable[None]]

_NONE: frozenset[TopicPartition] = frozenset()
_HEARTBEATS_PER_SESSION = 5
_IDLE_FETCH_MS = 100
"""
How long the broker holds a fetch back that finds nothing; 500 is usual.

It answers a connection's questions in turn, so whatever is asked of offsets waits behind that: twice for each
partition that is restored, and at each look at the log.
"""

_METADATA_MS = 10_000
_SIGNED = r"evse-status generation (\d+)"
_RESEND = {"resend": Resend.LAST_WORDS, "resend-history": Resend.HISTORY}
_LEDGER, _SNAPSHOTS, _SINCE, _BEGIN = "ledger ", "snapshots ", "log since ", "log from "
_UNTIL = "done until "
# Seconds that a poll is given beyond its own timeout to come back by itself.
_GRACE = 0.2


@dataclass(frozen=True, slots=True)
class KafkaLogSettings:
    """How to read the input topics; times in seconds, sizes in bytes."""

    bootstrap_servers: Sequence[str]
    group_id: str
    topics: Sequence[str]
    instance_id: str = ""
    """Name of a static member of the group, another for each worker; empty: dynamic membership."""
    session_timeout: float = 30.0
    max_poll_interval: float = 300.0
    call_timeout: float = 15.0
    """How long a commit or a question may take before the broker counts as unavailable."""
    fetch_max_bytes: int = 32 * 1024 * 1024
    """At most so much in one answer of one broker, but always one record, however large."""
    partition_fetch_max_bytes: int = 8 * 1024 * 1024
    step_over: Collection[OffsetRange] = ()
    """What an operator gave up: where nothing can be read there, reading goes on behind it."""
    security: Mapping[str, Any] = field(default_factory=dict)
    """Passed on to the client: `security_protocol`, `ssl_context`, `sasl_mechanism`, …"""


class KafkaLog:
    """The input topics, as one member of a consumer group."""

    def __init__(self, settings: KafkaLogSettings) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None
        self._poll: asyncio.Task[_Found] | None = None
        self._attended = False
        self._failure: Exception | None = None
        self._patience = Patience("Kafka", settings.call_timeout)
        self._group = _Membership(
            Instance(settings.instance_id, self._patience, lambda: self._running._coordinator)  # noqa: SLF001
        )
        self._starting = patience_to_start(settings.bootstrap_servers, settings.call_timeout)

    async def start(self, on_assigned: Callback, on_revoked: Callback) -> None:
        self._group.tell(on_assigned, on_revoked)
        # Built here and not before: the client binds itself to the running loop.
        consumer = _consumer(self._settings)
        self._consumer = consumer
        try:
            await self._starting.answer(consumer.start())
            for topic in self._settings.topics:
                await self._starting.answer(partitions_of(consumer._client, topic))  # noqa: SLF001
            # Only now: the client's own start would wait for the first assignment, which may never come.
            consumer.subscribe(topics=tuple(self._settings.topics), listener=self._group)
        except BaseException:
            # Else it would go on connecting, and be missed only by the garbage collector.
            await self.stop()
            raise

    async def stop(self) -> None:
        if self._consumer is not None:
            await self._patience.farewell(_closed(self._consumer))
        if self._poll is not None:
            # The consumer is gone, and with it what cancelling would harm.
            self._poll.cancel()
            await asyncio.wait((self._poll,))
            self._poll = None

    async def fetch(self, timeout_s: float, max_records: int) -> list[Record]:
        """Give the next records, those already prefetched without waiting; see the port."""
        self._raise_failure()
        if self._poll is not None and self._poll.done():
            self._poll = None  # nobody waited for it, so it has put back what it found
        if self._poll is None and self._group.settled:
            found = await self._getmany(0.0, max_records, attended=True)
            if found.records:
                return found.records
            self._raise_failure()
        if self._poll is None:
            self._poll = asyncio.ensure_future(self._getmany(timeout_s, max_records))
        self._attended = True
        await asyncio.wait((self._poll,), timeout=timeout_s + _GRACE)
        self._attended = False
        self._raise_failure()
        if not self._poll.done():
            return []
        found, self._poll = self._poll.result(), None
        # What was found before a revocation is read again by whoever owns the partition now.
        return found.records if found.generation == self._group.generation else []

    def assignment(self) -> frozenset[TopicPartition]:
        return self._group.assignment

    async def commit(self, commits: Mapping[TopicPartition, Commit]) -> None:
        owned = {one: commit for one, commit in commits.items() if one in self._group.assignment}
        if owned:
            offsets = {_kafka(one): (each.next_offset, _signature(each)) for one, each in owned.items()}
            with translated():
                try:
                    await self._patience.turn(lambda: self._running.commit(offsets))
                except (CommitFailedError, IllegalStateError) as error:
                    raise OwnershipLost(f"not committed, the group has moved on: {sorted(owned)}") from error
        if lost := sorted(commits.keys() - owned.keys()):
            raise OwnershipLost(f"not committed, they belong to another worker now: {lost}")

    async def committed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Commit | None]:
        wanted = list(partitions)
        # `committed()` of the client leaves out the metadata, which say who committed.
        coordinator: Any = self._running._coordinator  # noqa: SLF001
        found = await self._patience.answer(coordinator.fetch_committed_offsets(list(map(_kafka, wanted))))
        return {one: commit_from(found.get(_kafka(one))) for one in wanted}

    async def begin_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        wanted = list(partitions)
        if not wanted:
            return {}
        begins = await self._patience.answer(self._running.beginning_offsets([_kafka(one) for one in wanted]))
        return {one: begins[_kafka(one)] for one in wanted}

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        wanted = list(partitions)
        if not wanted:
            return {}
        ends = await self._patience.answer(self._running.end_offsets([_kafka(one) for one in wanted]))
        return {one: ends[_kafka(one)] for one in wanted}

    def unknown_topics(self) -> list[str]:
        # From the metadata that the client asks for anew every few seconds; asking by name may create one.
        cluster = self._running._client.cluster  # noqa: SLF001
        return [topic for topic in self._settings.topics if not cluster.partitions_for_topic(topic)]

    async def topic_ids(self, topics: Sequence[str]) -> dict[str, str]:
        return await topic_ids(self._running._client, self._patience, topics)  # noqa: SLF001

    def position(self, partition: TopicPartition) -> int | None:
        if partition not in self._group.assignment:
            return None
        # `position()` of the client waits until there is one, and whoever asks here wants to know now. It
        # cannot be counted from the records: markers of transactions move it, and no record comes out.
        state = self._running._subscription._assigned_state(_kafka(partition))  # noqa: SLF001
        return int(state.position) if state.has_valid_position else None

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if partition in self._group.assignment:
            self._running.seek(_kafka(partition), offset)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self._running.pause(*(_kafka(one) for one in self._group.assignment.intersection(partitions)))

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._running.resume(*(_kafka(one) for one in self._group.assignment.intersection(partitions)))

    @property
    def _running(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise RuntimeError("this log was not started")
        return self._consumer

    async def _getmany(self, timeout_s: float, max_records: int, *, attended: bool = False) -> _Found:
        """Poll once; put back what nobody waits for, and what comes before `on_assigned` has had its say."""
        try:
            batches = await self._running.getmany(
                timeout_ms=_milliseconds(timeout_s), max_records=max_records
            )
        except asyncio.CancelledError:
            # Not ours, if the group's task was cancelled: the client passes that on.
            if not _tasks(self._running)["the group"].cancelled():
                raise
            batches = {}
        except Exception as failure:  # noqa: BLE001 - whatever it is, this log is of no more use: see the top
            self._failure = failure
            batches = {}
        if batches and not (self._group.settled and (attended or self._attended)):
            for partition, records in batches.items():
                if partition in self._running.assignment():
                    self._running.seek(partition, records[0].offset)
            batches = {}
        return _Found(self._group.generation, [record_from(one) for some in batches.values() for one in some])

    def _raise_failure(self) -> None:
        failure = self._group.failure
        if failure is None:  # else the group's task may have been ended because of it
            check_tasks("consumer", _tasks(self._running))
            failure = self._failure
        if failure is not None:
            with translated():
                raise failure


@dataclass(frozen=True, slots=True)
class _Found:
    """What a poll found, and in which generation of the assignment."""

    generation: int
    records: list[Record]


class _Membership(ConsumerRebalanceListener):
    """
    What this member owns. aiokafka calls it within its own task, one call after the other.

    `settled`: `on_assigned` has come to its end, and no revocation has begun. `generation` counts
    revocations.
    """

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self.assignment = _NONE
        self.settled = False
        self.generation = 0
        self.failure: Exception | None = None
        self._on_assigned: Callback | None = None
        self._on_revoked: Callback | None = None

    def tell(self, on_assigned: Callback, on_revoked: Callback) -> None:
        self._on_assigned, self._on_revoked = on_assigned, on_revoked

    async def on_partitions_revoked(self, revoked: Iterable[KafkaPartition]) -> None:  # noqa: ARG002 - always all
        self.settled = False
        self.generation += 1
        if self.assignment:
            await self._call(self._on_revoked)
        self.assignment = _NONE
        if (displaced := await self._instance.displaced()) is not None:
            self.failure = displaced
            # Ends the client's task for the group before it takes the place back.
            raise asyncio.CancelledError

    async def on_partitions_assigned(self, assigned: Iterable[KafkaPartition]) -> None:
        self.assignment = frozenset(TopicPartition(one.topic, one.partition) for one in assigned)
        self._instance.joined()
        await self._call(self._on_assigned)
        self.settled = self.failure is None

    async def _call(self, callback: Callback | None) -> None:
        if callback is None:
            return
        try:
            await callback(self.assignment)
        except Exception as failure:  # noqa: BLE001 - aiokafka would log and forget it; `fetch` raises it
            self.failure = failure


def _tasks(consumer: Any) -> dict[str, asyncio.Task[Any]]:
    """Give the tasks that a started consumer lives by; it watches the first one itself, and not always."""
    return {
        "the group": consumer._coordinator._coordination_task,  # noqa: SLF001
        "fetching": consumer._fetcher._fetch_task,  # noqa: SLF001
        "metadata": consumer._client._sync_task,  # noqa: SLF001
    }


async def _closed(consumer: Any) -> None:
    """Close a consumer, also one whose task for the group is cancelled while it waits for that."""
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        if not _tasks(consumer)["the group"].cancelled():
            raise
        for rest in (  # of what its own `stop` would have done
            consumer._coordinator._stop_heartbeat_task,  # noqa: SLF001
            consumer._coordinator._stop_commit_offsets_refresh_task,  # noqa: SLF001
            consumer._fetcher.close,  # noqa: SLF001
            consumer._client.close,  # noqa: SLF001
        ):
            await rest()


def _consumer(settings: KafkaLogSettings) -> AIOKafkaConsumer:
    decode_tolerantly()
    return AIOKafkaConsumer(
        bootstrap_servers=list(settings.bootstrap_servers),
        client_id="evse-status",
        group_id=settings.group_id,
        group_instance_id=settings.instance_id or None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        # Equal partitions of several topics go to the same member.
        partition_assignment_strategy=(RangePartitionAssignor,),
        session_timeout_ms=_milliseconds(settings.session_timeout),
        heartbeat_interval_ms=_milliseconds(settings.session_timeout / _HEARTBEATS_PER_SESSION),
        max_poll_interval_ms=_milliseconds(settings.max_poll_interval),
        request_timeout_ms=_milliseconds(settings.call_timeout),
        # So soon a topic that was made anew, or has more partitions, is noticed; else it takes five minutes.
        metadata_max_age_ms=_METADATA_MS,
        fetch_max_wait_ms=_IDLE_FETCH_MS,
        fetch_max_bytes=settings.fetch_max_bytes,
        max_partition_fetch_bytes=settings.partition_fetch_max_bytes,
        key_deserializer=StepOver(settings.step_over),
        # What a producer's transaction aborted was never said.
        isolation_level="read_committed",
        **settings.security,
    )


def _kafka(partition: TopicPartition) -> KafkaPartition:
    return KafkaPartition(partition.topic, partition.partition)


def commit_from(said: Any) -> Commit | None:
    """Read a committed offset and who signed it, as the client gives both."""
    if said is None or said.offset < 0:
        return None
    words = said.metadata.split(",")
    signed = re.fullmatch(_SIGNED, words[0])
    resend = max((_RESEND.get(word, Resend.NOTHING) for word in words), default=Resend.NOTHING)
    ledger, since, begin, until = (_told(words, name) for name in (_LEDGER, _SINCE, _BEGIN, _UNTIL))
    return Commit(
        said.offset,
        int(signed[1]) if signed else None,
        resend,
        ledger or "",
        None if since is None else int(since),
        int(begin or 0),
        _told(words, _SNAPSHOTS) or "",
        int(until or 0),
    )


def _told(words: Iterable[str], name: str) -> str | None:
    return next((word.removeprefix(name) for word in words if word.startswith(name)), None)


def _signature(commit: Commit) -> str:
    words = [f"evse-status generation {commit.generation}"]
    words += [word for word, resend in _RESEND.items() if resend is commit.resend]
    words += [
        name + told for name, told in ((_LEDGER, commit.ledger), (_SNAPSHOTS, commit.snapshots)) if told
    ]
    if commit.since is not None:
        words.append(f"{_SINCE}{commit.since}")
    words += [
        f"{name}{offset}" for name, offset in ((_BEGIN, commit.begin), (_UNTIL, commit.until)) if offset
    ]
    return ",".join(words)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1_000)
