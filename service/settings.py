"""
Every setting of the worker and its commands; the only module that reads the environment.

A variable `EVSE_STATUS_<NAME>` goes before the key `<name>` of the TOML file, that before the default; an
empty variable counts as absent. Whatever is wrong is said at once, and no secret is part of what is said.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from service import setting_kinds
from service.domain.definitions import OBSERVED, Definition
from service.domain.rules import Rules
from service.domain.time import Micros
from service.durations import parse_duration, written_duration
from service.kafka_settings import KafkaAccess
from service.processing.silence import SilenceRules
from service.redaction import HIDDEN, redacted_url
from service.redis_settings import RedisAccess
from service.setting_kinds import Duration, Names
from service.setting_problems import (
    SettingsError,
    in_words,
    read_file,
    unknown_variables,
)
from service.tracing_variables import tracing_problems

PREFIX = setting_kinds.PREFIX
"""What every variable begins with."""


def _by_name(value: object) -> object:
    """Take `a=5m,b=1h` for durations by name; TOML may also give a table."""
    if isinstance(value, str):
        pairs = [part.rpartition("=") for part in value.split(",") if part.strip()]
        value = {name.strip(): span for name, _, span in pairs}
        if "" in value or len(value) < len(pairs):
            raise ValueError("must name each source once, with its duration; write gateway-a=5m,gateway-b=1h")
    if not isinstance(value, Mapping):
        return value
    return {name: _duration_of(name, span) for name, span in value.items()}


def _duration_of(name: object, span: object) -> timedelta:
    try:
        return parse_duration(span)
    except ValueError as error:
        raise ValueError(f"of {name}: {error}") from None


Durations = Annotated[Mapping[str, timedelta], NoDecode, BeforeValidator(_by_name)]
"""Spans of time by name."""


class Settings(RedisAccess, KafkaAccess):
    """What can be set. The defaults run against a broker and a Redis on this machine."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    topic_prefix: str = Field(
        default="evse.",
        pattern=r"^[a-zA-Z0-9._-]{0,200}$",
        description="What the names of all topics begin with: `<prefix>snapshots`, `<prefix>transitions`, …",
    )
    input_topics: Names = Field(
        default_factory=lambda known: (known.get("topic_prefix", "evse.") + "events",),
        min_length=1,
        description="Topics to read, comma-separated, all with the same key and partition count. "
        "Default: `<prefix>events`. Replayed dead letters go back to where they came from.",
    )
    input_partitioner: Literal["murmur2", "crc32"] = Field(
        default="murmur2",
        description="How the producers choose the partition of a `uid`: `murmur2` as the clients in Java do, "
        "`crc32` as librdkafka and what is built on it does.",
    )
    group_id: str = Field(
        default="evse-status", min_length=1, description="The consumer group of the workers."
    )
    instance_id: str = Field(
        default="",
        description="Name of this worker as a static member of the group: another for each worker and the "
        "same after its restart. Empty: dynamic membership.",
    )
    session_timeout: Duration = Field(
        default=timedelta(seconds=30),
        ge=timedelta(seconds=6),
        le=timedelta(minutes=30),
        description="After this long without a heartbeat the group gives a worker's partitions to others.",
    )
    create_topics: bool = Field(
        default=True,
        description="Create missing output topics, with the right cleanup policy and partition count.",
    )
    allowed_lateness: Duration = Field(
        default=timedelta(hours=48),
        gt=timedelta(0),
        description="How far behind the newest time of its EVSE an event may lie and still correct history.",
    )
    recent_limit: int = Field(
        default=4096,
        ge=1,
        description="Reports that one EVSE keeps for late events, at most; beyond it the horizon moves up.",
    )
    offline_after: Duration = Field(
        default=timedelta(minutes=15),
        description="An EVSE that sends heartbeats or speaks of its link is offline when it was not heard "
        "for so long; three heartbeats where their interval is known. 0: nobody is declared offline "
        "for silence.",
    )
    offline_after_by_source: Durations = Field(
        default_factory=dict,
        description="The same for EVSEs last heard through a source, as `gateway-a=5m,gateway-b=1h` or "
        "a table in TOML. 0: not for that source.",
    )
    ingest_silent_after: Duration = Field(
        default=timedelta(minutes=5),
        ge=timedelta(seconds=1),
        description="When nothing of any charger came to a partition for so long, or for 20 times the usual "
        "interval where that is longer, the time is unobserved.",
    )
    status_rule: Literal["in_use_first"] = Field(
        default="in_use_first", description="How an EVSE gets one status from those of its connectors."
    )
    max_record_bytes: int = Field(
        default=1_048_576,
        ge=1024,
        description="Records with a larger value (in bytes) become dead letters unread.",
    )
    max_rejections_in_a_row: int = Field(
        default=100,
        ge=0,
        description="So many rejected records in a row in one partition stop the worker; 0: no limit.",
    )
    batch_records: int = Field(
        default=50_000,
        ge=1,
        description="Records in one batch, at most: of several of one EVSE in it, one snapshot is made.",
    )
    state_limit: int = Field(
        default=200_000,
        ge=1,
        description="States of EVSEs kept in memory; beyond it the least recently heard are read again.",
    )
    state_idle_after: Duration = Field(
        default=timedelta(minutes=30),
        description="The state of an EVSE that was not heard for so long is put out of memory, and "
        "read again when it is; 0: never.",
    )
    tick_interval: Duration = Field(
        default=timedelta(hours=1),
        description="How often every snapshot is published anew, since numbers drift with time; 0: never.",
    )
    http_host: str = Field(
        default="0.0.0.0",  # noqa: S104 - probes and scrapes come from outside the container; the pages hold no secret
        description="Address to serve health and metrics on.",
    )
    http_port: int = Field(default=8080, ge=0, le=65535, description="Port of health and metrics; 0: none.")
    tracing: bool = Field(
        default=False,
        description="Send a span for each batch to OpenTelemetry, by OTLP over HTTP (needs the extra "
        "`tracing`). The standard variables say where and how many: `OTEL_EXPORTER_OTLP_ENDPOINT`, "
        "`OTEL_TRACES_SAMPLER`, …",
    )
    dashboard_root_path: str = Field(
        default="",
        pattern=r"^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$",
        max_length=200,
        description="What stands before every address of the page behind a proxy that leaves it there, as "
        "`/evse`. A proxy that takes it away needs nothing.",
    )
    dashboard_token: SecretStr | None = Field(
        default=None,
        description="What every request to the page but `/health/live` has to show as "
        "`Authorization: Bearer …`: 16 letters or more. Empty: nothing.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least level that is logged."
    )
    log_format: Literal["json", "console"] = Field(
        default="json", description="One JSON object a line for machines, or coloured lines for people."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment go before what the file gave."""
        return env_settings, init_settings

    @field_validator("input_topics")
    @classmethod
    def _check_topics(cls, topics: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        outputs = {
            info.data.get("topic_prefix", "") + name
            for name in ("snapshots", "transitions", "dead-letters", "ledger")
        }
        for topic in topics:
            if not re.fullmatch(r"[a-zA-Z0-9._-]{1,249}", topic):
                raise ValueError(f"{topic!r} is no topic name; use letters, digits, '.', '_' and '-'")
            if topic in outputs:
                raise ValueError(
                    f"{topic!r} is what the worker writes to; name another topic or change the prefix"
                )
        if len(set(topics)) < len(topics):
            raise ValueError("a topic stands there twice; name each once")
        return topics

    @field_validator("dashboard_token")
    @classmethod
    def _check_token(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and not re.fullmatch(r"[!-~]{16,512}", token.get_secret_value()):
            raise ValueError(
                "is no token; write 16 to 512 letters, digits and signs, as `openssl rand -hex 32` gives them"
            )
        return token

    @property
    def snapshots_topic(self) -> str:
        """The compacted topic of enriched EVSEs."""
        return self.topic_prefix + "snapshots"

    @property
    def transitions_topic(self) -> str:
        """The topic of applied changes of status."""
        return self.topic_prefix + "transitions"

    @property
    def ledger_topic(self) -> str:
        """The compacted topic of closed history and bases."""
        return self.topic_prefix + "ledger"

    @property
    def dead_letters_topic(self) -> str:
        """The topic of what could not be processed."""
        return self.topic_prefix + "dead-letters"

    def rules(self, definitions: tuple[Definition, ...] = (OBSERVED,)) -> Rules:
        """Give what the fold depends on; `replay` and the worker have it from here, so they agree."""
        return Rules(
            allowed_lateness=micros_of(self.allowed_lateness),
            recent_limit=self.recent_limit,
            definitions=definitions,
            status_rule=self.status_rule,
        )

    def silence_rules(self) -> SilenceRules:
        """Give when silence is noticed."""
        by_source = {source: micros_of(span) for source, span in self.offline_after_by_source.items()}
        return SilenceRules(offline_after=micros_of(self.offline_after), by_source=by_source)

    def effective(self) -> list[tuple[str, str]]:
        """Give each variable's name with its value as it may be shown: secrets hidden."""
        shown = {name: _shown(getattr(self, name)) for name in type(self).model_fields}
        shown["redis_url"] = redacted_url(self.redis_url.get_secret_value())
        return [(PREFIX + name.upper(), value) for name, value in shown.items()]


def micros_of(span: timedelta) -> Micros:
    """Give a span in microseconds."""
    return span // timedelta(microseconds=1)


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, timedelta):
        return written_duration(value)
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, Mapping):
        return ",".join(f"{name}={written_duration(span)}" for name, span in value.items())
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def load_settings(config: Path | None = None) -> Settings:
    """Read the environment and the TOML file; raise `SettingsError` with everything that is wrong."""
    known = set(Settings.model_fields)
    from_file, problems = ({}, []) if config is None else read_file(config, known)
    problems += unknown_variables(os.environ, PREFIX, known)
    try:
        settings = Settings(**from_file)
    except ValidationError as error:
        given = {name.upper(): value for name, value in os.environ.items() if value}
        found = [one for one in error.errors() if one["type"] != "default_factory_not_called"]
        raise SettingsError([in_words(one, PREFIX, given, config) for one in found] + problems) from error
    if settings.tracing:
        problems += tracing_problems(os.environ, PREFIX)
    if problems:
        raise SettingsError(problems)
    return settings


def environment_with(own: dict[str, str]) -> dict[str, str]:
    """Give the environment of a child process: this one's without its settings, and the child's own ones."""
    # Their case does not matter, as it does not where they are read.
    inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    return inherited | {PREFIX + name: value for name, value in own.items()}


def environment_changed(changed: Mapping[str, str]) -> dict[str, str]:
    """Give the environment of a child process: this one's, settings included, but for these ones."""
    replaced = {PREFIX + name for name in changed}
    kept = {name: value for name, value in os.environ.items() if name.upper() not in replaced}
    return kept | {PREFIX + name: value for name, value in changed.items()}
