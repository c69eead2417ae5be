"""
Builds the adapters and the worker from the settings; nothing else does, but for `page` and `maintenance`.

This module knows neither the command line nor the environment.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import structlog

from service.adapters.clock import SystemClock
from service.adapters.http import HttpServer, build_pages
from service.adapters.kafka import KafkaLog, KafkaLogSettings
from service.adapters.kafka_admin import KafkaTopicsSettings, TopicsReport, check_topics
from service.adapters.kafka_group import KafkaGroup
from service.adapters.kafka_ledger import KafkaLedger
from service.adapters.kafka_partitioner import PARTITIONERS
from service.adapters.kafka_probe import KafkaProbe, KafkaProbeSettings
from service.adapters.kafka_publisher import KafkaPublisher, KafkaPublisherSettings
from service.adapters.kafka_reader import KafkaReader, KafkaReaderSettings
from service.adapters.parent import Answers, Parent
from service.adapters.prometheus import PrometheusInstruments
from service.adapters.redis import RedisViewStore
from service.adapters.redis_cluster import RedisClusterProbe, RedisClusterViewStore
from service.adapters.redis_connection import RedisProbe
from service.adapters.topic_rules import (
    DEAD_LETTER_MARGIN,
    DEFAULT_MESSAGE_BYTES,
    LEDGER_BYTES,
    SNAPSHOT_BYTES,
    Cleanup,
    OutputTopic,
)
from service.kafka_access import kafka_security
from service.life import Life, LoopGuard, run_watched, stop_at_signals
from service.processing.dead_letters import NOTHING, Allowance, Skips
from service.processing.health import Witness
from service.processing.instruments import Instruments, Part
from service.processing.options import Options, Ports
from service.processing.ports import Clock, Unavailable, Unusable, ViewStore
from service.processing.probing import Probe, keep_asking, stop_asking
from service.processing.retry import Outages
from service.processing.tracing import NoTracing, Tracing
from service.processing.values import Epochs
from service.processing.worker import Worker
from service.reading import redis_settings
from service.settings import Settings, micros_of

_log = structlog.get_logger()

_LOOK_S = 4.0
"""Seconds that Kafka may take to answer somebody who waits at the command line."""

_AGAIN_S = 2.0
"""Seconds between two questions to a broker that does not answer."""


def kafka_publisher(settings: Settings, largest_input: int = DEFAULT_MESSAGE_BYTES) -> KafkaPublisher:
    """
    Build what writes to topics: dead letters with the largest record of the input, in bytes, and the largest
    state of an EVSE. What a topic takes of it is the topic's setting.
    """
    return KafkaPublisher(
        KafkaPublisherSettings(
            settings.kafka_bootstrap_servers,
            max_request_size=max(largest_input + DEAD_LETTER_MARGIN, LEDGER_BYTES),
            security=kafka_security(settings),
        )
    )


def kafka_reader(settings: Settings) -> KafkaReader:
    """Build what looks at topics from the outside."""
    return KafkaReader(reader_settings(settings))


def reader_settings(settings: Settings) -> KafkaReaderSettings:
    """Give how topics are read from the outside."""
    return KafkaReaderSettings(settings.kafka_bootstrap_servers, security=kafka_security(settings))


def view_store(settings: Settings) -> ViewStore:
    """Build the view that the worker writes."""
    if settings.redis_cluster:
        return RedisClusterViewStore(redis_settings(settings))
    return RedisViewStore(redis_settings(settings))


async def known_epochs(settings: Settings) -> Epochs:
    """Ask the view which logs it is of, and for how many partitions it is laid out; raise `PortError`."""
    store = view_store(settings)
    try:
        await store.start()
        return await store.load_epochs()
    finally:
        await store.stop()


def partitioner(settings: Settings) -> Callable[[bytes, int], int]:
    """Give how the producers choose the partition, of so many, of a key."""
    return PARTITIONERS[settings.input_partitioner]


def topics_settings(settings: Settings) -> KafkaTopicsSettings:
    """Give what topics there have to be."""
    return KafkaTopicsSettings(
        settings.kafka_bootstrap_servers,
        settings.input_topics,
        outputs=(
            OutputTopic(
                settings.snapshots_topic, Cleanup.COMPACT, carries_input=True, least_bytes=SNAPSHOT_BYTES
            ),
            OutputTopic(settings.transitions_topic, Cleanup.DELETE),
            OutputTopic(settings.dead_letters_topic, Cleanup.DELETE, carries_input=True),
            OutputTopic(settings.ledger_topic, Cleanup.COMPACT, carries_input=True, least_bytes=LEDGER_BYTES),
        ),
        allowed_lateness_us=micros_of(settings.allowed_lateness),
        create=settings.create_topics,
        security=kafka_security(settings),
    )


Wrap = Callable[[Ports], Ports]
"""What stands between the worker and the parts it talks to, such as a test that lets a call fail."""


Change = Callable[[Options], Options]
"""What a worker does otherwise than the settings say, where it does not run as one of several."""

_UNSEEN = TopicsReport(0, DEFAULT_MESSAGE_BYTES)
"""What is known of topics that nobody has looked at."""


TopicsCheck = Callable[[KafkaTopicsSettings], Awaitable[TopicsReport]]
"""How the topics are looked at before the start; a broker without administration needs another way."""


def build_worker(  # noqa: PLR0913 - all but three are named
    settings: Settings,
    clock: Clock,
    instruments: Instruments,
    *,
    allowance: Allowance = NOTHING,
    topics: TopicsReport = _UNSEEN,
    wrap: Wrap = lambda ports: ports,
    change: Change = lambda options: options,
    tracing: Tracing | None = None,
    check: TopicsCheck = check_topics,
) -> Worker:
    """
    Build the worker and the parts it talks to, wrapped and changed as told; nothing connects before it runs.

    `topics`: what was found when they were checked, which is done as `check` does it, and again where the
    worker finds another ledger than there was.
    """

    async def look_again() -> None:
        (await check(topics_settings(settings))).require()

    skips = Skips(allowance.skipped)
    log = KafkaLog(
        KafkaLogSettings(
            settings.kafka_bootstrap_servers,
            settings.group_id,
            settings.input_topics,
            instance_id=settings.instance_id,
            session_timeout=settings.session_timeout.total_seconds(),
            step_over=skips,
            security=kafka_security(settings),
        )
    )
    reader = reader_settings(settings)
    ledger = KafkaLedger(reader, settings.ledger_topic)
    snapshots = KafkaLedger(reader, settings.snapshots_topic)
    ports = Ports(
        log,
        kafka_publisher(settings, topics.max_message_bytes),
        view_store(settings),
        clock,
        ledger,
        snapshots,
        tracing or NoTracing(),
        look_again,
    )
    options = replace(_options(settings, topics), accepted=allowance.accepted, skipped=skips)
    return Worker(wrap(ports), change(options), settings.rules(), instruments)


def _options(settings: Settings, topics: TopicsReport) -> Options:
    """Say how the loop is set, but for what an operator allows this once."""
    session_s = settings.session_timeout.total_seconds()
    return Options(
        topics=settings.input_topics,
        partitions=topics.partitions,
        topic_prefix=settings.topic_prefix,
        max_batch_records=settings.batch_records,
        max_record_bytes=settings.max_record_bytes,
        max_dead_letter_bytes=topics.max_message_bytes + DEAD_LETTER_MARGIN,
        # A revocation waits for the batch in hand, and heartbeats go on meanwhile: half a session is safe.
        drain_budget_s=session_s / 2,
        late_after_s=session_s / 3,
        max_rejections_in_a_row=settings.max_rejections_in_a_row,
        states_limit=settings.state_limit,
        states_idle_after_s=settings.state_idle_after.total_seconds() or math.inf,
        tick_interval_s=settings.tick_interval.total_seconds(),
        silence=settings.silence_rules(),
        ingest_silent_after=micros_of(settings.ingest_silent_after),
    )


def open_tracing(settings: Settings, clock: Clock) -> Tracing:
    """Build what makes spans, where it is wanted; raise `Unusable` with the remedy where that cannot be."""
    if not settings.tracing:
        return NoTracing()
    try:
        from service.adapters.tracing import (  # noqa: PLC0415 - optional
            OpenTelemetryTracing,
            TracingSettings,
        )
    except ImportError as error:
        raise Unusable(
            f"EVSE_STATUS_TRACING is on and OpenTelemetry cannot be loaded ({error}): install "
            "evse-status[tracing], or set it to false"
        ) from error
    return OpenTelemetryTracing(
        clock, TracingSettings(settings.input_topics, settings.group_id, settings.instance_id)
    )


async def look_at_tracing(settings: Settings) -> None:
    """Try whether spans could be made; raise `Unusable` with the remedy. None is sent."""
    await open_tracing(settings, SystemClock()).stop()


async def run(
    settings: Settings,
    allowance: Allowance = NOTHING,
    check: TopicsCheck = check_topics,
    wrap: Wrap = lambda ports: ports,
    parent: Parent | None = None,
) -> None:
    """
    Run one worker until SIGTERM or SIGINT, then drain, commit and return.

    With a parent it is the parent that asks, and that may stop it, too. Raises what ends the worker:
    `TooManyRejections`, `Defect`, `Stuck` or a `PortError`.
    """

    async def look_first() -> TopicsReport:
        nonlocal allowance
        report, allowance = await _look_first(settings, allowance, check)
        return report

    clock, instruments, life = SystemClock(), PrometheusInstruments(), Life()
    tracing = open_tracing(settings, clock)
    stop_at_signals(life)
    server: HttpServer | Answers | None = None
    if parent is not None:
        server = Answers(parent, life, clock, instruments.exposition, life.stop)
    elif settings.http_port:
        pages = build_pages(life, clock, instruments.exposition)
        server = HttpServer(pages, settings.http_host, settings.http_port)
    if server is not None:
        await server.start()
    try:
        with LoopGuard():
            report = await _checked(look_first, life, instruments)
            if report is not None:
                if parent is not None:
                    parent.compares(report.partitions)
                worker = build_worker(
                    settings,
                    clock,
                    instruments,
                    allowance=allowance,
                    topics=report,
                    wrap=wrap,
                    tracing=tracing,
                    check=check,
                )
                life.works(worker)
                outages = Outages(clock, worker.health, instruments, Witness.PROBE)
                async with _probing(settings, outages, clock) as probes:
                    await run_watched(worker, clock, probes if server is None else [*probes, server.serving])
    finally:
        await tracing.stop()
        if server is not None:
            await server.stop()


async def _look_first(
    settings: Settings, allowance: Allowance, check: TopicsCheck
) -> tuple[TopicsReport, Allowance]:
    """Check the topics, and what an operator names in them; give what of that is still to come."""
    report = await check(topics_settings(settings))
    if report.problems:
        return report, allowance
    group = KafkaGroup(reader_settings(settings), settings.group_id)
    try:
        return report, await still_to_come(settings, allowance, group)
    finally:
        await group.stop()


async def still_to_come(settings: Settings, allowance: Allowance, group: KafkaGroup) -> Allowance:
    """Check what an operator names in the input topics, and give what of it is still to come."""
    if allowance == NOTHING:
        return allowance
    await group.start()
    places = await group.partitions(settings.input_topics)
    allowance.refuse_unknown(await group.ends(places))
    done = await group.begins(places)
    for place, commit in (await group.committed()).items():
        done[place] = max(done.get(place, 0), commit.next_offset)
    allowance, late = allowance.without_done(done)
    for span in late:
        _log.warning(
            f"--skip {span} is left out: that record is processed, or no longer in the log.",
            action="skip_left_out",
        )
    return allowance


@asynccontextmanager
async def _probing(
    settings: Settings, outages: Outages, clock: Clock
) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Ask the parts outside, beside the loop, whether they answer; give the tasks that do."""
    kafka = KafkaProbe(
        KafkaProbeSettings(settings.kafka_bootstrap_servers, security=kafka_security(settings))
    )
    redis = (RedisClusterProbe if settings.redis_cluster else RedisProbe)(redis_settings(settings))
    asking = [
        asyncio.create_task(keep_asking(probe, outages, clock), name=f"probe of the {probe.part}")
        for probe in (Probe(Part.LOG, kafka.ask), Probe(Part.STORE, redis.ask))
    ]
    try:
        yield asking
    finally:
        await stop_asking(asking)
        await kafka.stop()
        await redis.stop()


async def _checked(
    check: Callable[[], Awaitable[TopicsReport]], life: Life, instruments: Instruments
) -> TopicsReport | None:
    """
    Check the topics as soon as the broker answers; None if the process is to stop before.

    Raises `Unusable` with everything that must not be.
    """
    while not life.stopped.is_set():
        try:
            report = await life.unless_stopped(check())
        except Unavailable as error:
            life.waits(str(error))
            instruments.retried(Part.LOG)
            instruments.failed(Part.LOG, error.kind)
            _log.warning(
                "Kafka does not answer; the topics are checked again.",
                action="retry_scheduled",
                error=str(error),
            )
            await life.pause(_AGAIN_S)
        else:
            if report is None:
                break
            report.require()
            for topic in report.created:
                _log.info("A topic was missing and is created.", action="topic_created", topic=topic)
            for warning in report.warnings:
                _log.warning(warning, action="topic_checked")
            return report
    return None


@dataclass(frozen=True, slots=True)
class TopicsLook:
    """What a look at the topics found; `missing` will be created by the worker, which may do so."""

    report: TopicsReport
    missing: tuple[str, ...]


async def look_at_topics(settings: Settings) -> TopicsLook:
    """Check the topics and create none; raise `PortError` where Kafka does not answer or refuses."""
    reader = KafkaReader(
        KafkaReaderSettings(
            settings.kafka_bootstrap_servers, call_timeout=_LOOK_S, security=kafka_security(settings)
        )
    )
    try:
        await reader.start()
        known = await reader.topics()
    finally:
        await reader.stop()
    wanted = replace(topics_settings(settings), call_timeout=_LOOK_S)
    missing = tuple(one.name for one in wanted.outputs if settings.create_topics and one.name not in known)
    outputs = [one for one in wanted.outputs if one.name not in missing]
    return TopicsLook(await check_topics(replace(wanted, outputs=outputs, create=False)), missing)
