"""Builds what a rebuild needs and follows it, and looks whether view and log fit together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from service import app
from service.adapters.clock import SystemClock
from service.adapters.kafka_admin import check_topics
from service.adapters.kafka_group import KafkaGroup
from service.adapters.kafka_ledger import KafkaLedger
from service.inspection import Findings, Fit, Inspection, Kept
from service.maintenance.here import WorkerHere
from service.processing.instruments import NoInstruments
from service.processing.outputs import Topics
from service.processing.ports import ViewStore
from service.rebuild import Rebuild, Stage
from service.settings import Settings


async def fit(settings: Settings) -> Fit:
    """Look whether the view, the group's offsets and the log fit together; raise `PortError`."""
    store, group = app.view_store(settings), KafkaGroup(app.reader_settings(settings), settings.group_id)
    async with contextlib.AsyncExitStack() as stack:
        for part in (store, group):
            stack.push_async_callback(part.stop)
            await part.start()
        return await _inspection(settings, store, group).fit()


def _inspection(settings: Settings, store: ViewStore, group: KafkaGroup) -> Inspection:
    reading = app.reader_settings(settings)
    ledger, snapshots = (
        Kept(topic, KafkaLedger(reading, topic))
        for topic in (settings.ledger_topic, settings.snapshots_topic)
    )
    return Inspection(store, group, ledger, snapshots, settings.input_topics)


async def rebuild(
    settings: Settings,
    told: frozenset[str],
    confirm: Callable[[Findings], bool],
    tell: Callable[[Stage], None],
) -> bool:
    """
    Ask for a rebuild and follow it to its end; where no worker runs, one does it in this process.

    `told` are new logs that an operator names; False where `confirm` declines. Raises what ends the worker.
    """
    clock, store, publisher = SystemClock(), app.view_store(settings), app.kafka_publisher(settings)
    group = KafkaGroup(app.reader_settings(settings), settings.group_id)
    topics = await check_topics(app.topics_settings(settings))
    topics.require()
    job = Rebuild(
        store,
        group,
        publisher,
        Topics.with_prefix(settings.topic_prefix, "evse-status"),
        settings.input_topics,
    )
    async with contextlib.AsyncExitStack() as stack:
        for part in (store, publisher, group):
            stack.push_async_callback(part.stop)
            await part.start()
        findings = await _inspection(settings, store, group).findings()
        if not await asyncio.to_thread(confirm, findings):
            return False
        epochs = findings.next_epochs(told)
        await job.ask(epochs)
        here = WorkerHere(lambda: app.build_worker(settings, clock, NoInstruments(), topics=topics), clock)
        if not findings.members:
            here.begin()

        async def is_done() -> bool:
            stage = await job.stage(epochs, findings.ends)
            tell(stage)
            # A worker that was killed is a member until its session is over: then it is done here.
            if not stage.done and not here.begun and not await job.members():
                here.begin()
            return stage.done

        await here.until(is_done)
    return True
