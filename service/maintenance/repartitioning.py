"""Builds what a repartition needs, and takes it through its steps: process, move, restore."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from service import app
from service.adapters.clock import SystemClock
from service.adapters.kafka_admin import TopicsReport, check_topics
from service.adapters.kafka_group import KafkaGroup
from service.adapters.kafka_ledger import KafkaLedger
from service.adapters.kafka_partitioner import PARTITIONERS
from service.layouts import Layouts, Outlook, Producers, Prospect, Side
from service.maintenance.here import WorkerHere
from service.processing.dead_letters import NOTHING, Allowance
from service.processing.instruments import NoInstruments
from service.processing.narrowing import NarrowedLog
from service.processing.options import Options, Ports
from service.processing.outputs import Topics
from service.processing.ports import Clock, Publisher, Unusable, ViewStore
from service.processing.values import Epochs, Resend
from service.processing.worker import Worker
from service.rebuild import Rebuild
from service.repartition import Repartition
from service.settings import Settings, micros_of

_SHARE = 2_000
"""EVSEs whose bases or snapshots are written at once: here nobody waits for a batch."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is done now, how far that is, and of how much; None: nobody knows."""

    words: str
    reached: int
    of: int | None = None


Tell = Callable[[Step], None]


async def repartition(
    settings: Settings,
    before: Settings,
    confirm: Callable[[Prospect], bool],
    tell: Tell,
    allowance: Allowance = NOTHING,
) -> bool:
    """
    Lay view and ledger out for as many partitions as the input topics have now, and restore all there.

    `before`: the settings by which the topics so far were processed; `allowance`: what may be left out of
    what is left of these. False where `confirm` declines. Raises `Unusable` where it cannot be done, and what
    ends the worker that does the work here.
    """
    async with contextlib.AsyncExitStack() as stack:
        job = _Job(settings, before, SystemClock())
        await stack.enter_async_context(job.connected())
        prospect = await job.outlook.look()
        if prospect.members and not prospect.is_done:
            raise Unusable(
                f"workers are in the group {settings.group_id} ({prospect.members}): stop them first, and "
                "the producers (one that was killed is a member until EVSE_STATUS_SESSION_TIMEOUT is over)"
            )
        if not await asyncio.to_thread(confirm, prospect):
            return False
        topics = await check_topics(app.topics_settings(settings), extend=True)
        topics.require()
        publisher = app.kafka_publisher(settings, topics.max_message_bytes)
        stack.push_async_callback(publisher.stop)
        await publisher.start()
        if prospect.is_begun:
            await job.move(prospect, publisher, tell)
            prospect = await job.outlook.look()
        if not prospect.is_done:
            await job.drain(prospect, topics, tell, allowance)
            prospect = await job.outlook.look()
        epochs = await job.move(prospect, publisher, tell)
        await job.restore(epochs, publisher, topics, tell)
    return True


class _Job:
    """The steps, with the parts that they need."""

    def __init__(self, settings: Settings, before: Settings, clock: Clock) -> None:
        self._settings, self._before, self._clock = settings, before, clock
        self._store: ViewStore = app.view_store(settings)
        self._group = KafkaGroup(app.reader_settings(settings), settings.group_id)
        producers = Producers(settings.input_partitioner, PARTITIONERS)
        self._layouts = Layouts(_side(before), _side(settings), producers)
        self.outlook = Outlook(self._store, self._group, self._layouts)

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Connect to what is looked at."""
        async with contextlib.AsyncExitStack() as stack:
            for part in (self._store, self._group):
                stack.push_async_callback(part.stop)
                await part.start()
            yield

    async def drain(self, prospect: Prospect, topics: TopicsReport, tell: Tell, allowance: Allowance) -> None:
        """Process what is left of the old layout, and write the bases of all."""
        partitions = prospect.old
        # The ledger may know of a newer layout than a view that was not told of it any more.
        await self._store.save_epochs(prospect.epochs)

        def narrowed(ports: Ports) -> Ports:
            return replace(ports, log=NarrowedLog(ports.log, partitions))

        async def is_done() -> bool:
            drained = await self.outlook.drained(partitions)
            tell(Step("log read to its end", drained.reached, drained.of))
            return drained.done

        if await is_done():
            return
        group = KafkaGroup(app.reader_settings(self._before), self._before.group_id)
        try:
            allowance = await app.still_to_come(self._before, allowance, group)
        finally:
            await group.stop()
        here = WorkerHere(
            lambda: app.build_worker(
                _quiet(self._before),
                self._clock,
                NoInstruments(),
                allowance=allowance,
                topics=replace(topics, partitions=partitions),
                wrap=narrowed,
                change=_at_once,
            ),
            self._clock,
        )
        here.begin()
        await here.until(is_done)

    async def move(self, prospect: Prospect, publisher: Publisher, tell: Tell) -> Epochs:
        """Lay ledger and snapshots out anew."""
        moved = 0

        def more(count: int) -> None:
            nonlocal moved
            moved += count
            tell(Step("records of ledger and snapshots read", moved))

        silent_after = micros_of(self._settings.ingest_silent_after)
        job = Repartition(self._store, self._group, publisher, self._clock, self._layouts, silent_after)
        return await job.move(prospect, more)

    async def restore(self, epochs: Epochs, publisher: Publisher, topics: TopicsReport, tell: Tell) -> None:
        """Make the view anew from the ledger, and publish the last snapshots where they are now."""
        inputs = self._settings.input_topics
        job = Rebuild(self._store, self._group, publisher, self._layouts.new.topics, inputs)
        places = await self._group.partitions(inputs)
        ends = await self._group.ends(places)

        async def is_done() -> bool:
            stage = await job.stage(epochs, ends)
            tell(Step("partitions restored", stage.restored, stage.partitions))
            if not stage.done:
                return False
            commits = await self._group.committed()
            sent = sum(
                (commit := commits.get(place)) is not None and commit.resend is Resend.NOTHING
                for place in places
            )
            tell(Step("partitions whose last snapshots are sent", sent, len(places)))
            return sent == len(places)

        if await is_done():
            return

        def worker() -> Worker:
            return app.build_worker(
                _quiet(self._settings), self._clock, NoInstruments(), topics=topics, change=_in_large_shares
            )

        here = WorkerHere(worker, self._clock)
        if not await self._group.members():
            here.begin()
        await here.until(is_done)


def _side(settings: Settings) -> Side:
    reading = app.reader_settings(settings)
    return Side(
        settings.input_topics,
        Topics.with_prefix(settings.topic_prefix, "evse-status"),
        KafkaLedger(reading, settings.ledger_topic),
        KafkaLedger(reading, settings.snapshots_topic),
    )


def _quiet(settings: Settings) -> Settings:
    """Give the settings of a worker that declares nobody offline: producers stand still meanwhile."""
    return settings.model_copy(
        update={"offline_after": timedelta(0), "tick_interval": timedelta(0), "instance_id": ""}
    )


def _in_large_shares(options: Options) -> Options:
    return replace(options, tick_share=_SHARE)


def _at_once(options: Options) -> Options:
    return replace(options, tick_share=_SHARE, bases_at_once=True)
