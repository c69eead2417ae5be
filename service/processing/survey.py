"""
The look at the log every second and at the view every few, and at where records come from.

It tells health and metrics how far the partitions are, and notices what nobody says: a log or a ledger that
is another one, a log that was cut before it was read, a view that went back, a rebuild that was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import structlog

from service.processing.assignment import partition_of
from service.processing.bearings import beyond
from service.processing.health import Health
from service.processing.identity import another, others
from service.processing.instruments import Instruments, Part
from service.processing.options import Options, Ports
from service.processing.outputs import Topics
from service.processing.owned import Owned
from service.processing.ports import Unavailable, Unusable
from service.processing.refusing import Renewed
from service.processing.retry import Retrying
from service.processing.values import Epochs, Record, TopicPartition

_log = structlog.get_logger()

_MISSED = 3
"""So many looks without the ledger or the snapshots are no broker that has just started."""


class Survey:
    """Asked by the loop once a turn; its questions are not repeated, the next survey asks again."""

    def __init__(
        self,
        ports: Ports,
        options: Options,
        owned: Owned,
        health: Health,
        retrying: Retrying,
        instruments: Instruments,
    ) -> None:
        self._ports = ports
        self._view_every_s = options.survey_interval_s
        self._log_every_s = options.watch_interval_s
        self._assignment = owned.assignment
        self._watching = owned.watching
        self._health = health
        self._retrying = retrying
        self._instruments = instruments
        self._log_at = self._view_at = ports.clock.monotonic()
        self._expected: dict[TopicPartition, int] = {}
        self._shrunk: set[TopicPartition] = set()
        topics = Topics.with_prefix(options.topic_prefix, options.source)
        self._kept = {topics.ledger: "ledger", topics.snapshots: "snapshots"}
        self._topics = (*options.topics, *self._kept)
        self._kept_ids: dict[str, str] = {}
        self._missed = dict.fromkeys(self._kept, 0)
        self._changed: dict[str, str] = {}

    def reads_from(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Note from where partitions are read on by our own will."""
        self._expected |= offsets

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """Note that partitions went."""
        for partition in partitions:
            self._expected.pop(partition, None)

    async def notice_jumps(self, records: Sequence[Record]) -> None:
        """
        Compare where records come from with where the last ones ended.

        Going back without a seek of ours means another log: raises `Unusable`. Going forward may mean that
        the log was cut before it was read.
        """
        first: dict[TopicPartition, int] = {}
        last: dict[TopicPartition, int] = {}
        place = TopicPartition("", -1)
        for record in records:
            if record.partition != place.partition or record.topic != place.topic:
                place = partition_of(record)
                first.setdefault(place, record.offset)
            last[place] = record.offset + 1
        for place, offset in first.items():
            expected = self._expected.get(place, offset)
            if offset < expected:
                raise beyond(place, f"records up to offset {expected} were processed", offset)
            if offset > expected:
                await self._notice_cut(place, expected)
        self._expected |= last

    async def _notice_cut(self, place: TopicPartition, expected: int) -> None:
        """Tell a log that was cut from one whose offsets have holes, as transactions and compaction leave."""
        begins = await self._retrying(Part.LOG, partial(self._ports.log.begin_offsets, [place]))
        if begins[place] > expected:
            self._watching.lost(place.partition)
            _log.error(
                "The log was cut before it was read: that time is unobserved.",
                action="records_lost",
                topic=place.topic,
                partition=place.partition,
                offset=expected,
                begins=begins[place],
            )

    async def look(self, epochs: Epochs, *, all_is_processed: bool) -> None:
        """
        Ask how far the log goes, and less often whether the view is as it was left, if it is time.

        `epochs` are those that this worker works in; `all_is_processed`: no fetched record waits. Raises
        `Behind`, `Renewed` where the view is of a newer generation or the ledger is another one, and
        `Unusable` where the log is another one, or the view would lose data.
        """
        now = self._ports.clock.monotonic()
        if now >= self._log_at:
            self._log_at = now + self._log_every_s
            await self._look_at_the_log(all_is_processed=all_is_processed)
        if now >= self._view_at:
            self._view_at = now + self._view_every_s
            await self._look_at_the_topics(epochs)
            await self._look_at_the_view(epochs)

    async def look_while_waiting(self) -> None:
        """Ask how far the log goes while a batch waits for a part outside: metrics and alerts tell of it."""
        now = self._ports.clock.monotonic()
        # Who waits for Kafka is not to wait for it twice.
        if now >= self._log_at and self._health.answers(Part.LOG) and self._health.answers(Part.PUBLISHER):
            self._log_at = now + self._log_every_s
            await self._look_at_the_log(all_is_processed=False)

    async def _look_at_the_log(self, *, all_is_processed: bool) -> None:
        log, asked_at = self._ports.log, self._ports.clock.now()
        progress = self._assignment.progress()
        self._health.misses(log.unknown_topics())
        try:
            ends = await log.end_offsets(self._assignment.owned)
        except Unavailable as error:
            self._retrying.unanswered(Part.LOG, error)
            return
        self._retrying.answered(Part.LOG)
        # What went while the broker was asked is another's, and nothing is said of it, also if it came back.
        is_kept = self._assignment.is_kept
        ends = {place: end for place, end in ends.items() if is_kept(place, progress[place])}
        reached = {partition: log.position(partition) for partition in ends}
        self._refuse_shrunk(ends, reached)
        for partition, end in ends.items():
            position = reached[partition]
            self._health.seen(partition, position, end, self._ports.clock.monotonic())
            here = progress[partition]
            if not all_is_processed and here.restored:
                # What was fetched waits, too. Where nothing does, the markers of transactions are behind us.
                position = min(position or 0, here.done)
            self._instruments.lag(partition, max(0, end - (position or 0)))
            if position is not None:
                self._instruments.position(partition, position)
        if all_is_processed:
            self._watching.surveyed(asked_at, ends, reached)

    async def _look_at_the_topics(self, epochs: Epochs) -> None:
        """Raise where a topic twice has another id than it had: a broker may be late to know of one."""
        try:
            ids = await self._ports.log.topic_ids(self._topics)
        except Unavailable as error:
            self._retrying.unanswered(Part.LOG, error)
            return
        self._kept_ids = {topic: ids[topic] for topic in self._kept if topic in ids} | self._kept_ids
        for topic in self._kept:
            self._missed[topic] = (
                self._missed[topic] + 1 if topic in self._kept_ids.keys() - ids.keys() else 0
            )
            if self._missed[topic] >= _MISSED:
                raise Unusable(
                    f"there is no topic {topic}, it was deleted: start the worker again, which creates it "
                    "(CREATE_TOPICS) and writes to it all that the view holds"
                )
        changed = {topic: ids[topic] for topic in others({**epochs.ids, **self._kept_ids}, ids)}
        changed |= {topic: ids[topic] for topic in self._signed_otherwise(ids)}
        again = {topic for topic, each in changed.items() if self._changed.get(topic) == each}
        self._changed = changed
        for topic in sorted(again - self._kept.keys()):
            raise another(topic)
        for topic in sorted(again):
            self._kept_ids[topic] = ids[topic]
            raise Renewed(f"the {self._kept[topic]} topic was deleted and created again")

    def _signed_otherwise(self, ids: Mapping[str, str]) -> list[str]:
        """Give those of our topics that were others when a partition came, which may be before any look."""
        here = [one for one in self._assignment.progress().values() if one.restored]
        signed = {"ledger": {one.ledger for one in here}, "snapshots": {one.snapshots for one in here}}
        return [
            topic for topic, kind in self._kept.items() if topic in ids and signed[kind] - {"", ids[topic]}
        ]

    async def _look_at_the_view(self, epochs: Epochs) -> None:
        store = self._ports.store
        try:
            await store.ping()
            await store.inspect()
            stored = await store.load_epochs()
            is_lost = stored.generation < epochs.generation or bool(epochs.ids.keys() - stored.ids.keys())
            is_lost |= bool(epochs.partitions and not stored.partitions)
            if is_lost:
                await store.save_epochs(epochs)
        except Unavailable as error:
            self._retrying.unanswered(Part.STORE, error)
            return
        self._retrying.answered(Part.STORE)
        if stored.generation > epochs.generation:
            raise Renewed
        if is_lost:
            # Somebody deleted them: had the view gone back, the ping before would have raised `Behind`.
            self._instruments.behind()
            _log.warning(
                "The view had lost the epochs of the input topics; they are put back.",
                action="epochs_put_back",
                generation=epochs.generation,
            )

    def _refuse_shrunk(
        self, ends: Mapping[TopicPartition, int], reached: Mapping[TopicPartition, int | None]
    ) -> None:
        """Raise `Unusable` where a log twice ends before what was read of it: a new leader may lag once."""
        shrunk = {place for place, end in ends.items() if (reached[place] or 0) > end}
        for place in sorted(shrunk & self._shrunk):
            raise beyond(place, f"records up to offset {reached[place]} were read", ends[place])
        self._shrunk = shrunk
