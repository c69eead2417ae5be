"""
Builds what a rebuild needs and follows it, and looks whether view and log fit together.

This module knows neither the command line nor the environment.
"""

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
from service.life import run_watched
from service.processing.instruments import NoInstruments
from service.processing.outputs import Topics
from service.processing.ports import Clock, Epochs, ViewStore
from service.processing.worker import Worker
from service.rebuild import Rebuild, Stage
from service.settings import Settings

_FOLLOW_S = 0.5
"""Seconds between two looks at how far a rebuild is."""


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
    (await check_topics(app.topics_settings(settings))).require()
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
        here = _WorkerHere(settings, clock)
        if not findings.members:
            here.begin()
        try:
            await _follow(job, epochs, findings, tell, here)
        finally:
            await here.end()
    return True


class _WorkerHere:
    """A worker in this process, for a rebuild that nobody else does."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._worker: Worker | None = None
        self._working: asyncio.Future[None] | None = None

    @property
    def begun(self) -> bool:
        return self._working is not None

    @property
    def ended(self) -> bool:
        return self._working is not None and self._working.done()

    def begin(self) -> None:
        self._worker = app.build_worker(self._settings, self._clock, NoInstruments())
        self._working = asyncio.ensure_future(run_watched(self._worker, self._clock))

    async def end(self) -> None:
        """Stop it, if it was begun; raises what ended it."""
        if self._worker is not None and self._working is not None:
            self._worker.stop()
            await self._working


async def _follow(
    job: Rebuild,
    epochs: Epochs,
    findings: Findings,
    tell: Callable[[Stage], None],
    here: _WorkerHere,
) -> None:
    """
    Tell how far a rebuild is until it is done, or until the worker that does it here has ended.

    A worker that was killed is a member until its session is over: with the last one gone it is done here.
    """
    while not here.ended:
        stage = await job.stage(epochs, findings.ends)
        tell(stage)
        if stage.done:
            return
        if not here.begun and not await job.members():
            here.begin()
        await asyncio.sleep(_FOLLOW_S)
