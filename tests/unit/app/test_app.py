"""What is built from the settings, before anything connects."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from pydantic import SecretStr

from service.adapters.clock import ManualClock
from service.adapters.topic_rules import Cleanup
from service.app import build_worker, topics_settings
from service.kafka_access import kafka_security
from service.processing.instruments import NoInstruments
from service.processing.ports import Unusable
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
    assert [(one.name, one.cleanup, one.carries_input) for one in wanted.outputs] == [
        ("fleet.snapshots", Cleanup.COMPACT, False),
        ("fleet.transitions", Cleanup.DELETE, False),
        ("fleet.dead-letters", Cleanup.DELETE, True),
        ("fleet.ledger", Cleanup.COMPACT, True),
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
