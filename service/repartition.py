"""
Laying view and ledger out for another number of partitions (promise P7).

Where an EVSE's records come hangs on the number of partitions, and so does where its outputs go: all that the
ledger and the snapshots hold of it moves along. The ledger is what counts: once its bases hold all that was
processed, it is copied, a record of its epochs makes the copy the one that holds, and what stands in the old
places gets tombstones. The view is made anew from there, as after any loss. Each step may be begun again.

This module builds no adapters and prints nothing; it reads no records of the input.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from service.domain.time import DAY, Micros
from service.inspection import GroupLook
from service.layouts import Layouts, Prospect, Told, told_by
from service.processing import ledger
from service.processing.ingest import Ingest
from service.processing.ledger import LedgerMark
from service.processing.ports import Clock, Publisher, Unavailable, Unusable, ViewStore
from service.processing.values import Epochs, Mark, Message, Record, TopicPartition
from service.processing.watching import spread

Result = TypeVar("Result")
Tell = Callable[[int], None]
"""Told how many more records were read."""

_ATTEMPTS, _BETWEEN_S = 6, 2.0


class Repartition:
    """
    Lays out anew what `layouts` says; everything that the old one holds is processed (`Outlook.drained`).

    `silent_after` is a setting of the ingest, of which nothing here is known otherwise.
    """

    def __init__(
        self,
        store: ViewStore,
        group: GroupLook,
        publisher: Publisher,
        clock: Clock,
        layouts: Layouts,
        silent_after: Micros,
    ) -> None:
        self._store = store
        self._group = group
        self._publisher = publisher
        self._clock = clock
        self._layouts = layouts
        self._old, self._new = layouts.old, layouts.new
        self._silent_after = silent_after

    async def move(self, prospect: Prospect, tell: Tell = lambda _: None) -> Epochs:
        """
        Lay the ledger and the snapshots out anew, then let the view know; give the epochs that hold then.

        Raises `Unusable` where the ledger does not hold what the view says it does, `Unavailable` where a
        part does not answer for long: then it may be called again.
        """
        if prospect.is_done:
            plan = prospect.epochs
        elif prospect.is_begun:
            plan, said = prospect.epochs, self._old.ledger if self._layouts.are_apart else self._new.ledger
            numbers = plan.moved_from if self._layouts.are_apart else plan.partitions
            await self._finish(plan, await told_by(said, numbers), tell)
        else:
            told = await self._copy(prospect, tell)
            plan = await self._plan(prospect, told)
            await self._finish(plan, told, tell)
        holds = replace(plan, moved_from=0)
        await self._again(lambda: self._store.save_epochs(holds))
        return holds

    async def _finish(self, plan: Epochs, told: Told, tell: Tell) -> None:
        await self._switch(plan, told)
        await self._end_elsewhere(plan, tell)
        for number in range(plan.partitions, plan.moved_from):
            members = await self._store.members(number)
            await self._store.delist(number, members)
        done = ledger.epoch_entry(replace(plan, moved_from=0))
        await self._publish([self._new.topics.entry(number, done) for number in range(plan.partitions)])

    async def _copy(self, prospect: Prospect, tell: Tell) -> Told:
        """Copy what the old layout holds of EVSEs to where they will live; give what its ledger says."""
        told, topics, generation = Told(), self._new.topics, prospect.epochs.generation + 1
        left = () if self._old.inputs == self._new.inputs else self._old.inputs
        for number in range(prospect.old):
            async for records in self._old.ledger.read(number):
                for record in records:
                    told.take(number, record)
                tell(len(records))
            living = {uid for uid, home in told.living(generation - 1) if home == number}
            async for records in self._old.ledger.read(number):
                copies = self._copies(number, records, living, prospect.new, topics.ledger)
                held = [
                    replace(each, value=ledger.holding_from(generation, each.key, each.value, left))
                    for each in copies
                ]
                await self._publish(held)
                tell(len(records))
            async for records in self._old.snapshots.read(number):
                copies = self._copies(number, records, living, prospect.new, topics.snapshots)
                await self._publish(copies)
                tell(len(records))
        return told

    def _copies(
        self, number: int, records: Iterable[Record], living: Container[str], partitions: int, topic: str
    ) -> Iterator[Message]:
        """Give the records of those who live in a partition and will not, as they are to stand elsewhere."""
        for record, uid in self._of_evses(records, topic):
            home = self._layouts.producers.home(uid, partitions)
            if uid in living and (home != number or self._layouts.are_apart):
                yield Message(topic, home, record.key, record.value, record.headers, record.timestamp)

    def _of_evses(self, records: Iterable[Record], topic: str) -> Iterator[tuple[Record, str]]:
        """Give those of the records that are about an EVSE, each with its uid."""
        for record in records:
            key = record.key or b""
            is_of_ledger = topic == self._new.topics.ledger
            uid = ledger.evse_of(key) if is_of_ledger else key.decode("utf-8", "replace")
            if uid is not None:
                yield record, uid

    async def _plan(self, prospect: Prospect, told: Told) -> Epochs:
        """Give the epochs of the new layout: what lies before its logs' begins is in the bases."""
        epochs, old, inputs = prospect.epochs, self._old.inputs, self._new.inputs
        for place in (TopicPartition(topic, number) for topic in old for number in range(prospect.old)):
            mark, checkpoint = told.marks.get(place), await self._store.load_checkpoint(place)
            reached = None if checkpoint is None or checkpoint.mark is None else checkpoint.mark.next_offset
            if mark is None or mark.epoch != epochs.of(place.topic) or mark.mark.next_offset != reached:
                raise Unusable(
                    f"the ledger does not hold all of topic {place.topic}, partition {place.partition}: run "
                    "`evse-status rebuild --repartition` again"
                )
        begins = {
            topic: tuple(
                told.marks[TopicPartition(topic, number)].mark.next_offset if number < prospect.old else 0
                for number in range(prospect.new)
            )
            for topic in inputs
            if topic in old
        }
        generation = epochs.generation + 1
        ids = {**epochs.ids, **await self._group.topic_ids(inputs)}
        return Epochs(
            generation,
            {**epochs.since, **dict.fromkeys(inputs, generation)},
            {topic: each for topic, each in ids.items() if topic in inputs},
            prospect.new,
            begins,
            moved_from=prospect.old,
        )

    async def _switch(self, plan: Epochs, told: Told) -> None:
        """
        Let the copy hold: say in each partition which layout this is, and that its bases are whole.

        What is known of the ingest of the old partitions stands beside, for whoever has to begin this again.
        """
        first, day = self._old.inputs[0], self._clock.now() // DAY
        before = [told.ingest_of(number, first) for number in range(plan.moved_from)]
        like, messages = Ingest(self._silent_after, len(self._new.inputs)), []
        for number in range(plan.partitions):
            key, value = ledger.epoch_entry(plan)
            if number < plan.moved_from:
                value = {**value, "ingest": before[number].decode()}
            messages.append(self._new.topics.entry(number, (key, value)))
            ingest = spread(before, like, number, plan.partitions, self._home_in(plan))
            for topic in self._new.inputs:
                begin = plan.begin(TopicPartition(topic, number))
                mark = LedgerMark(Mark(day, begin), ingest, plan.of(topic))
                messages.append(self._new.topics.entry(number, ledger.mark_entry(topic, mark)))
        await self._publish(messages)

    def _home_in(self, plan: Epochs) -> Callable[[str], int]:
        return lambda uid: self._layouts.producers.home(uid, plan.partitions)

    async def _end_elsewhere(self, plan: Epochs, tell: Tell) -> None:
        """Write tombstones for what stands where its EVSE does not live: from before, or a copy too many."""
        topics, now = self._new.topics, self._clock.now()
        for number in range(plan.partitions):
            homes: dict[str, int] = {}
            async for records in self._new.snapshots.read(number):
                for record, uid, home in self._strangers(number, records, plan, topics.snapshots):
                    if record.value is not None:
                        homes[uid] = home
                    else:
                        homes.pop(uid, None)
                tell(len(records))
            await self._publish(
                [topics.moved(uid, number, home, plan.generation, now) for uid, home in homes.items()]
            )
            async for records in self._new.ledger.read(number):
                strangers = self._strangers(number, records, plan, topics.ledger)
                keys = {record.key for record, _, _ in strangers if record.value is not None}
                await self._publish([Message(topics.ledger, number, key, None) for key in keys])
                tell(len(records))

    def _strangers(
        self, number: int, records: Iterable[Record], plan: Epochs, topic: str
    ) -> Iterator[tuple[Record, str, int]]:
        """Give the records of a partition whose EVSEs live elsewhere in the new layout, and where."""
        for record, uid in self._of_evses(records, topic):
            home = self._layouts.producers.home(uid, plan.partitions)
            if home != number:
                yield record, uid, home

    async def _publish(self, messages: Iterable[Message]) -> None:
        if some := list(messages):
            await self._again(lambda: self._publisher.publish(some))

    async def _again(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """Make a call, and a few times again where nobody answers."""
        for _ in range(_ATTEMPTS - 1):
            try:
                return await call()
            except Unavailable:
                await self._clock.sleep(_BETWEEN_S)
        return await call()
