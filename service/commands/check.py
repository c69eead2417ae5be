"""`check`: whether the settings are good and everything they name answers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import typer
from rich.text import Text

from service import app, maintenance
from service.commands.console import ConfigOption, results
from service.processing.ports import ErrorKind, PortError, Unavailable
from service.setting_kinds import PREFIX
from service.settings import Settings, load_settings

Answer = TypeVar("Answer")

_TRIES = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the check: `word` is ok, warning or problem."""

    word: str
    part: str
    text: str


_CLOSED = re.compile(r"Connection at \S+ closed")
"""How Kafka's client says that the broker hung up at the handshake."""

_STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def check(config: ConfigOption = None) -> None:
    """
    Show the settings in effect, with secrets hidden, and try Kafka, its topics and Redis.

    Nothing is created. Exits with 1 if there is a problem; each line says what helps.
    """
    settings = load_settings(config)
    console = results()
    for name, value in settings.effective():
        console.print(Text(f"{name}={value}"))
    console.print()
    findings = asyncio.run(_look(settings))
    for finding in findings:
        line = Text.assemble((f"{finding.word:8}", _STYLES[finding.word]), f"{finding.part}: {finding.text}")
        console.print(line)
    if any(finding.word == "problem" for finding in findings):
        raise typer.Exit(1)


async def _look(settings: Settings) -> list[Finding]:
    """Try the parts side by side, so that one that is silent does not delay the word of the others."""
    kafka, redis = await asyncio.gather(_look_at_kafka(settings), _look_at_redis(settings))
    found = [*kafka, *redis, *await _look_at_tracing(settings)]
    if not any(finding.word == "problem" for finding in found):
        found += await _look_at_fit(settings)
    return found


async def _look_at_kafka(settings: Settings) -> list[Finding]:
    try:
        found = await app.look_at_topics(settings)
    except PortError as error:
        return [Finding("problem", "Kafka", _advised(error, _kafka_advice(settings, error)))]
    servers = ",".join(settings.kafka_bootstrap_servers)
    return [Finding("ok", "Kafka", f"{servers} answers"), *_topics(found, settings)]


async def _look_at_tracing(settings: Settings) -> list[Finding]:
    """Look whether spans could be sent; whether somebody takes them is told by the worker's log."""
    if not settings.tracing:
        return []
    try:
        await app.look_at_tracing(settings)
    except PortError as error:
        return [Finding("problem", "tracing", str(error))]
    return [Finding("ok", "tracing", "OpenTelemetry is there, and its variables can be used")]


async def _look_at_fit(settings: Settings) -> list[Finding]:
    """Look whether a worker could go on where the last one ended."""
    try:
        found = await when_ready(lambda: maintenance.fit(settings))
    except PortError as error:
        return [Finding("problem", "view", str(error))]
    findings = [Finding("problem", "view", text) for text in found.problems]
    findings += [Finding("warning", "view", text) for text in found.warnings]
    return findings or [Finding("ok", "view", "it fits the log and the group's offsets")]


async def when_ready(ask: Callable[[], Awaitable[Answer]], pause_s: float = 0.5) -> Answer:
    """Ask again while a broker is not ready: a new one names no coordinator until it was asked for one."""
    for _ in range(_TRIES - 1):
        try:
            return await ask()
        except Unavailable as error:
            if error.kind is not ErrorKind.UNREADY:
                raise
        await asyncio.sleep(pause_s)
    return await ask()


def _topics(found: app.TopicsLook, settings: Settings) -> Iterator[Finding]:
    report = found.report
    if report.partitions:
        yield Finding(
            "ok", "topics", f"{', '.join(settings.input_topics)} with {report.partitions} partitions"
        )
    for name in found.missing:
        yield Finding("ok", "topics", f"{name} is missing, the worker will create it")
    for text in report.warnings:
        yield Finding("warning", "topics", text)
    for text in report.problems:
        yield Finding("problem", "topics", text)


def _advised(error: PortError, advice: str) -> str:
    """Say an error with what to look at, unless it names its setting itself."""
    return str(error) if PREFIX in str(error) else f"{error}; {advice}"


def _kafka_advice(settings: Settings, error: PortError) -> str:
    over_tls = settings.kafka_security_protocol.endswith("SSL")
    if over_tls and settings.kafka_certificate_file is None and _CLOSED.search(str(error)):
        # A broker says no more than that where it wants one.
        return (
            f"if it wants this client's certificate, set {PREFIX}KAFKA_CERTIFICATE_FILE; "
            f"check {_kafka_variables(settings)}"
        )
    return f"check {_kafka_variables(settings)}"


def _kafka_variables(settings: Settings) -> str:
    names = ["EVSE_STATUS_KAFKA_BOOTSTRAP_SERVERS", "EVSE_STATUS_KAFKA_SECURITY_PROTOCOL"]
    if settings.kafka_certificate_file is not None:
        names.append("EVSE_STATUS_KAFKA_CERTIFICATE_FILE")
    if settings.kafka_security_protocol.startswith("SASL"):
        by_token = settings.kafka_sasl_mechanism == "OAUTHBEARER"
        names.append("EVSE_STATUS_KAFKA_OAUTH_…" if by_token else "EVSE_STATUS_KAFKA_SASL_…")
    return ", ".join(names[:-1]) + " and " + names[-1]


async def _look_at_redis(settings: Settings) -> list[Finding]:
    try:
        store = app.view_store(settings)
        try:
            await store.start()
        finally:
            await store.stop()
    except PortError as error:
        return [Finding("problem", "Redis", _advised(error, "check EVSE_STATUS_REDIS_URL"))]
    url = dict(settings.effective())["EVSE_STATUS_REDIS_URL"]
    return [Finding("ok", "Redis", f"{url} answers, takes writes and evicts nothing")]
