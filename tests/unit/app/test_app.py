"""What is built from the settings, before anything connects."""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from service.adapters.clock import ManualClock
from service.adapters.topic_rules import Cleanup
from service.app import build_worker, look_at_tracing, open_tracing, topics_settings
from service.kafka_access import kafka_security
from service.processing.instruments import NoInstruments
from service.processing.ports import Unusable
from service.processing.tracing import NoTracing
from service.settings import Settings

HOUR_US = 3_600_000_000


def test_plain_kafka_asks_for_nothing() -> None:
    """No certificates and no user."""
    assert kafka_security(Settings()) == {"security_protocol": "PLAINTEXT"}


def test_a_user_signs_in_over_tls() -> None:
    """The password comes out of its hiding place here and nowhere else."""
    settings = Settings(
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_username="worker",
        kafka_sasl_password=SecretStr("geheim"),
    )

    security = kafka_security(settings)

    assert isinstance(security.pop("ssl_context"), ssl.SSLContext)
    assert security == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "worker",
        "sasl_plain_password": "geheim",
    }


def test_a_file_without_certificates_is_named(tmp_path: Path) -> None:
    """The message holds the variable and the path."""
    path = tmp_path / "ca.pem"
    path.write_text("not a certificate")

    with pytest.raises(Unusable, match=r"EVSE_STATUS_KAFKA_CA_FILE: .*ca\.pem"):
        kafka_security(Settings(kafka_security_protocol="SSL", kafka_ca_file=path))


def test_the_topics_follow_the_prefix() -> None:
    """Snapshots are compacted, the others deleted in time, and dead letters hold whole records."""
    wanted = topics_settings(Settings(topic_prefix="fleet.", create_topics=False))

    assert list(wanted.inputs) == ["fleet.events"]
    assert [(one.name, one.cleanup, one.room(1_000_000)) for one in wanted.outputs] == [
        ("fleet.snapshots", Cleanup.COMPACT, 2 << 20),
        ("fleet.transitions", Cleanup.DELETE, 0),
        ("fleet.dead-letters", Cleanup.DELETE, 1_065_536),
        ("fleet.ledger", Cleanup.COMPACT, 8 << 20),
    ]
    assert wanted.allowed_lateness_us == 48 * HOUR_US
    assert not wanted.create


async def test_building_connects_to_nothing() -> None:
    """The worker is there, with its health, although nobody answers at these addresses."""
    settings = Settings(
        kafka_bootstrap_servers=("127.0.0.1:1",), redis_url=SecretStr("redis://127.0.0.1:1/0")
    )

    worker = build_worker(settings, ManualClock(), NoInstruments())

    assert worker.health.live(0.0).ok
    assert not worker.health.ready(0.0).ok


def test_the_fold_is_set_as_the_settings_say() -> None:
    """In microseconds, for the worker and for replay alike."""
    rules = Settings(recent_limit=7).rules()

    assert (rules.allowed_lateness, rules.recent_limit, rules.status_rule) == (
        48 * HOUR_US,
        7,
        "in_use_first",
    )


def test_nothing_that_makes_spans_is_loaded_unless_it_is_wanted() -> None:
    """It takes time and memory, and need not be installed."""
    code = (
        "import sys; from service.app import open_tracing; from service.settings import Settings; "
        "from service.adapters.clock import SystemClock; open_tracing(Settings(), SystemClock()); "
        "sys.exit(bool({'service.adapters.tracing', 'opentelemetry.exporter'} & sys.modules.keys()))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 - fixed


async def test_tracing_without_its_extra_names_both_remedies(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line; `check` says the same."""
    monkeypatch.delitem(sys.modules, "service.adapters.tracing", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)

    with pytest.raises(Unusable, match=r"install evse-status\[tracing\], or set it to false") as told:
        await look_at_tracing(Settings(tracing=True))

    assert str(told.value).startswith("EVSE_STATUS_TRACING is on and OpenTelemetry cannot be loaded")
    assert "\n" not in str(told.value)
    assert isinstance(open_tracing(Settings(), ManualClock()), NoTracing)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "many", "OTEL_SPAN_LINK_COUNT_LIMIT must be a non-negative integer"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "max_queue_size must be a positive integer"),
    ],
)
async def test_a_standard_variable_that_is_wrong_is_one_line(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    """What OpenTelemetry says of it, and where to look."""
    monkeypatch.setenv(variable, value)

    with pytest.raises(Unusable, match=rf"^spans cannot be sent \({said}.*correct the variable OTEL_"):
        await look_at_tracing(Settings(tracing=True))
