"""A real broker that wants TLS, certificates, passwords or tokens, and gives each user its rights alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import TopicAuthorizationFailedError
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from pydantic import SecretStr

from service import app
from service.adapters.kafka_admin import check_topics
from service.adapters.kafka_group import KafkaGroup
from service.kafka_access import kafka_security
from service.processing.ports import PortError, Unavailable, Unusable
from service.settings import Settings
from tests.acceptance.processes import Settings as Settings_
from tests.acceptance.processes import command, until_committed, worker
from tests.builders import status_reported
from tests.certificates import Authority
from tests.deploy.files import DEPLOY
from tests.secured_kafka import PASSWORD, SecuredKafka, unsigned_token
from tests.services import Kafka
from tests.token_endpoint import CLIENT, SECRET, token_server
from tests.topics import Sent, of_event, read, write

LINES = (DEPLOY / "kafka" / "acls.txt").read_text(encoding="utf-8").splitlines()
RIGHTS = [line.split() for line in LINES if line and not line.startswith("#")]

# What the client cannot connect to it logs at ERROR; so does it what a broker's nodes tell each other late.
pytestmark = pytest.mark.allow_error_logs


def rights_of(words: list[str]) -> Iterator[AclBinding]:
    """Read a line as kafka-acls.sh does."""
    options: dict[str, list[str]] = {}
    for option, value in zip(words[::2], words[1::2], strict=True):
        options.setdefault(option.removeprefix("--"), []).append(value)
    [principal] = options.pop("allow-principal")
    operations = options.pop("operation")
    [pattern] = options.pop("resource-pattern-type", ["literal"])
    [(kind, [name])] = options.items()
    for operation in operations:
        spelled = "".join(f"_{letter}" if letter.isupper() else letter for letter in operation).upper()[1:]
        yield AclBinding(
            ResourceType[kind.upper()],
            name,
            ResourcePatternType[pattern.upper()],
            principal,
            "*",
            AclOperation[spelled],
            AclPermissionType.ALLOW,
        )


@pytest.fixture(scope="module")
def broker(secured_kafka: SecuredKafka) -> SecuredKafka:
    """Give the broker with the input topic, and with the rights that are delivered."""
    asyncio.run(Kafka(secured_kafka.bootstrap_servers).create_topic("evse.events"))
    admin = AdminClient({"bootstrap.servers": secured_kafka.bootstrap_servers})
    for done in admin.create_acls([each for words in RIGHTS for each in rights_of(words)]).values():
        done.result(30)
    return secured_kafka


@pytest.fixture
async def output_topics(broker: SecuredKafka) -> SecuredKafka:
    """Give the broker with the topics that the worker creates."""
    (await check_topics(app.topics_settings(user(broker, "worker")))).require()
    return broker


def settings_of(broker: SecuredKafka, listener: str, **more: Any) -> Settings:
    """Give the settings of a client at a listener."""
    protocol = "SASL_SSL" if listener in ("SASL", "OAUTH") else "SSL"
    known: dict[str, Any] = {"kafka_security_protocol": protocol, "kafka_ca_file": broker.authority.file}
    return Settings(kafka_bootstrap_servers=(broker.server(listener),), **(known | more))


def user(broker: SecuredKafka, name: str, **more: Any) -> Settings:
    """Give the settings of a user who signs in with a password."""
    known: dict[str, Any] = {"kafka_sasl_username": name, "kafka_sasl_password": SecretStr(PASSWORD)}
    return settings_of(broker, "SASL", **(known | more))


async def sees_the_log(settings: Settings) -> bool:
    """Look at the topics as `check` does; a broker shows to each user what it may see."""
    found = await app.look_at_topics(settings)
    return found.report.partitions == 1


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"])
async def test_a_user_signs_in_with_a_password(broker: SecuredKafka, mechanism: str) -> None:
    """Over TLS, by each mechanism."""
    assert await sees_the_log(user(broker, "worker", kafka_sasl_mechanism=mechanism))


async def test_an_own_authority_is_trusted_where_it_is_named(broker: SecuredKafka) -> None:
    """And no broker that another one signed."""
    assert await sees_the_log(settings_of(broker, "TLS"))
    with pytest.raises(Unavailable, match=r"certificate verify failed.*EVSE_STATUS_KAFKA_CA_FILE"):
        await app.look_at_topics(settings_of(broker, "TLS", kafka_ca_file=None))


@pytest.mark.parametrize("password", ["", "geheim"])
async def test_a_client_shows_its_certificate(broker: SecuredKafka, password: str) -> None:
    """It is the user then; without one there is no way in."""
    own = broker.authority.sign("worker", password)
    shown = settings_of(
        broker,
        "MUTUAL",
        kafka_certificate_file=own.certificate if password else own.both,
        kafka_key_file=own.key if password else None,
        kafka_key_password=SecretStr(password) if password else None,
    )
    stranger = broker.authority.sign("stranger")

    assert await sees_the_log(shown)
    assert not await sees_the_log(settings_of(broker, "MUTUAL", kafka_certificate_file=stranger.both))
    with pytest.raises(Unavailable):
        await app.look_at_topics(settings_of(broker, "MUTUAL"))


async def test_a_certificate_that_cannot_be_used_is_told_at_once(authority: Authority) -> None:
    """Its key has a password that is not given, or belongs to another."""
    locked, other = authority.sign("locked", "geheim"), authority.sign("other")
    for key in (locked.key, other.key):
        settings = Settings(
            kafka_security_protocol="SSL", kafka_certificate_file=locked.certificate, kafka_key_file=key
        )
        with pytest.raises(Unusable, match=r"EVSE_STATUS_KAFKA_CERTIFICATE_FILE: .*locked\.crt"):
            kafka_security(settings)


async def test_a_client_signs_in_with_the_token_of_a_file(broker: SecuredKafka, tmp_path: Path) -> None:
    """Whom it names is the user; one that ran out lets nobody in."""
    path = tmp_path / "token"
    settings = settings_of(
        broker, "OAUTH", kafka_sasl_mechanism="OAUTHBEARER", kafka_oauth_token_file=_written(path, "worker")
    )
    assert await sees_the_log(settings)
    _written(path, "stranger")
    assert not await sees_the_log(settings)
    _written(path, "worker", -60)
    with pytest.raises(Unavailable, match="the broker refuses the token"):
        await app.look_at_topics(settings)


def _written(path: Path, name: str, life_s: int = 600) -> Path:
    path.write_text(unsigned_token(name, life_s))
    return path


async def test_a_client_signs_in_with_the_token_of_an_endpoint(broker: SecuredKafka) -> None:
    """It is asked once for all connections of a client."""
    with token_server(broker.authority.sign("issuer")) as server:
        settings = settings_of(
            broker,
            "OAUTH",
            kafka_sasl_mechanism="OAUTHBEARER",
            kafka_oauth_token_endpoint=server.url,
            kafka_oauth_client_id=CLIENT,
            kafka_oauth_client_secret=SecretStr(SECRET),
        )
        group = KafkaGroup(app.reader_settings(settings), "evse-status")
        await group.start()
        await group.committed()
        await group.stop()
        assert len(server.asked) == 1

        server.instead = 503
        with pytest.raises(Unavailable, match=r"the token endpoint .* answers 503"):
            await app.look_at_topics(settings)


async def test_the_command_says_what_to_look_at(broker: SecuredKafka) -> None:
    """A wrong password is a broker that lets nobody in: `check` says so and names the settings."""
    said = await command(
        "check",
        settings={
            "KAFKA_BOOTSTRAP_SERVERS": broker.server("SASL"),
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_CA_FILE": str(broker.authority.file),
            "KAFKA_SASL_USERNAME": "worker",
            "KAFKA_SASL_PASSWORD": "wrong",
        },
    )

    assert said.code == 1
    [line] = [line for line in said.out.splitlines() if line.startswith("problem Kafka")]
    assert "invalid credentials" in line
    assert "EVSE_STATUS_KAFKA_SASL_…" in line


async def test_the_command_says_of_a_broker_that_hangs_up_that_it_may_want_a_certificate(
    broker: SecuredKafka,
) -> None:
    """The client hears no more than that; whoever shows one already is not told to."""
    stranger = broker.authority.sign("late", "geheim")
    known: Settings_ = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.server("MUTUAL"),
        "KAFKA_SECURITY_PROTOCOL": "SSL",
        "KAFKA_CA_FILE": str(broker.authority.file),
    }
    bare = await command("check", settings=known)
    bad = await command("check", settings={**known, "KAFKA_CERTIFICATE_FILE": str(stranger.certificate)})

    [line] = [line for line in bare.out.splitlines() if line.startswith("problem Kafka")]
    assert "if it wants this client's certificate, set EVSE_STATUS_KAFKA_CERTIFICATE_FILE" in line
    [line] = [line for line in bad.out.splitlines() if line.startswith("problem Kafka")]
    assert str(stranger.certificate) in line
    assert "BOOTSTRAP_SERVERS" not in line


@pytest.mark.slow
async def test_the_worker_can_do_its_work_with_its_rights(broker: SecuredKafka, redis7_url: str) -> None:
    """It creates its topics, reads, publishes, restores and commits; the check finds nothing wrong."""
    own = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.server("SASL"),
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_CA_FILE": str(broker.authority.file),
        "KAFKA_SASL_USERNAME": "worker",
        "KAFKA_SASL_PASSWORD": PASSWORD,
        "REDIS_URL": redis7_url,
        "HTTP_PORT": "0",
    }
    kafka = Kafka(broker.bootstrap_servers)
    await write(kafka, "evse.events", [of_event(status_reported("AVAILABLE", "12:00"))])
    end = len(await read(kafka, "evse.events"))
    async with worker(settings=own) as running:
        await until_committed(running, kafka, "evse-status", {0: end})
        assert await running.stop() == 0
    rebuilt = await command("rebuild", "--yes", settings=own)
    checked = await command("check", settings=own)

    assert rebuilt.code == 0, rebuilt
    assert checked.code == 0, checked


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        *(
            ("reader", topic)
            for topic in ("evse.events", "evse.snapshots", "evse.transitions", "evse.ledger")
        ),
        *(("producer", topic) for topic in ("evse.snapshots", "evse.ledger")),
        *(("operator", topic) for topic in ("evse.snapshots", "evse.dead-letters")),
    ],
)
async def test_nobody_writes_what_is_not_theirs(output_topics: SecuredKafka, name: str, topic: str) -> None:
    """Who only reads writes nowhere."""
    async with _producer(user(output_topics, name)) as producer:
        with pytest.raises(TopicAuthorizationFailedError):
            await producer.send_and_wait(topic, b"{}", partition=0)


async def test_everybody_can_do_their_own(output_topics: SecuredKafka) -> None:
    """What others may not see they do not."""
    for name in ("producer", "operator"):
        async with _producer(user(output_topics, name)) as producer:
            await producer.send_and_wait("evse.events", b"{}", key=b"e1")
    for name, topic in (
        ("reader", "evse.snapshots"),
        ("reader", "evse.transitions"),
        ("operator", "evse.dead-letters"),
    ):
        await _read(user(output_topics, name), topic)
    for name, topic in (("reader", "evse.events"), ("producer", "evse.events"), ("operator", "evse.ledger")):
        with pytest.raises(PortError):
            await _read(user(output_topics, name), topic)


@pytest.mark.slow
async def test_an_operator_sends_a_dead_letter_again(output_topics: SecuredKafka) -> None:
    """With the command, as its own user."""
    told = {
        "dl_reason": b"not_json",
        "dl_message": b"no JSON",
        "dl_topic": b"evse.events",
        "dl_partition": b"0",
        "dl_offset": b"0",
        "dl_timestamp": b"2026-01-05T12:00:00Z",
        "dl_at": b"2026-01-05T12:00:00Z",
    }
    letter = Sent(b"e1", b"no JSON", headers=tuple(told.items()))
    await write(Kafka(output_topics.bootstrap_servers), "evse.dead-letters", [letter])
    own = {
        "KAFKA_BOOTSTRAP_SERVERS": output_topics.server("SASL"),
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_CA_FILE": str(output_topics.authority.file),
        "KAFKA_SASL_USERNAME": "operator",
        "KAFKA_SASL_PASSWORD": PASSWORD,
    }
    listed = await command("dead-letters", "list", settings=own)
    sent = await command("dead-letters", "replay", "--reason", "not_json", "--yes", settings=own)

    assert (listed.code, "not_json" in listed.out) == (0, True), listed
    assert sent.code == 0, sent


def _producer(settings: Settings) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        bootstrap_servers=list(settings.kafka_bootstrap_servers), **kafka_security(settings)
    )


async def _read(settings: Settings, topic: str) -> int:
    reader = app.kafka_reader(settings)
    await reader.start()
    try:
        return len([record async for record in reader.records(topic)])
    finally:
        await reader.stop()
