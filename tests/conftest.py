"""Fixtures for all tests: real services, and the rule that nothing is logged at ERROR unasked."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path

import hypothesis
import pytest
import redis
import structlog

from tests.certificates import Authority
from tests.local_cluster import Clusters, LocalCluster, local_cluster
from tests.local_kafka import JarsMissing
from tests.local_redis import redis_binary, valkey_binary
from tests.local_sentinel import LocalSentinels, local_sentinels
from tests.secured_kafka import SecuredKafka, start_secured_kafka
from tests.services import Kafka, Service, ServiceMissing, find_kafka, find_redis, find_valkey

SERVICES = pytest.StashKey[dict[str, Service]]()
SERVICE_FIXTURES = {
    "kafka",
    "redis_url",
    "redis7_url",
    "valkey_url",
    "redis7_cluster_url",
    "valkey_cluster_url",
    "cluster",
    "replicated",
    "sentinels",
    "quiet_sentinels",
    "secured_kafka",
    "authority",
}

# No deadline: a busy machine is not a bug. In CI the same examples each time, so that red means changed.
hypothesis.settings.register_profile("default", deadline=None)
# Nor an explanation of a failure: before Python 3.12 it traces every line, and a hang would hide the failure.
PHASES = set(hypothesis.Phase) - {hypothesis.Phase.explain}
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True, phases=PHASES)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_configure(config: pytest.Config) -> None:
    """Make room for the services of this run; refuse to share a Redis that was given between processes."""
    config.stash[SERVICES] = {}
    given = [name for name in ("REDIS_URL", "VALKEY_URL") if os.environ.get(name)]
    if given and getattr(config.option, "numprocesses", None):
        raise pytest.UsageError(
            f"{' and '.join(given)} would be emptied by each process under the tests of the other: "
            "leave -n away (make test PROCESSES=0), or the variable"
        )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for a service, before `-m` is applied."""
    for item in items:
        if SERVICE_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("services")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of the services' logs beside the failure of a test that used them."""
    report = yield
    if report.failed and item.get_closest_marker("services"):
        for name, service in item.config.stash[SERVICES].items():
            report.sections.append((f"log of {name} at {service.address}", service.log_tail()))
    return report


def _serve(config: pytest.Config, name: str, find: Callable[[], Service]) -> Iterator[Service]:
    """Give a service for the session; without one skip, or fail where CI promises that all are there."""
    try:
        service = find()
    except ServiceMissing as missing:
        if os.environ.get("CI"):
            pytest.fail(f"CI is set and {name} is missing: {missing}", pytrace=False)
        pytest.skip(f"{name} is missing: {missing}")
    config.stash[SERVICES][name] = service
    try:
        yield service
    finally:
        service.close()


@pytest.fixture(scope="session")
def _kafka_service(pytestconfig: pytest.Config) -> Iterator[Service]:
    yield from _serve(pytestconfig, "Kafka", find_kafka)


@pytest.fixture(scope="session")
def _redis_service(pytestconfig: pytest.Config) -> Iterator[Service]:
    for service in _serve(pytestconfig, "Redis", find_redis):
        _refuse_strangers_data(service)
        yield service


@pytest.fixture(scope="session")
def _valkey_service(pytestconfig: pytest.Config) -> Iterator[Service]:
    for service in _serve(pytestconfig, "Valkey", find_valkey):
        _refuse_strangers_data(service)
        yield service


def _refuse_strangers_data(service: Service) -> None:
    """Stop before a given database that is not empty: each test empties it."""
    if service.ours:
        return
    with redis.Redis.from_url(service.address) as client:
        if client.dbsize():
            pytest.exit(
                f"{service.address} holds keys and the tests would remove them: name an empty database", 1
            )


def _emptied(service: Service) -> str:
    with redis.Redis.from_url(service.address) as client:
        client.flushdb()
    return service.address


@pytest.fixture
def kafka(_kafka_service: Service) -> Kafka:
    """Give a real broker; it keeps what other tests wrote, so take unique names."""
    return Kafka(_kafka_service.address)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Give who signs certificates."""
    if shutil.which("openssl") is None:
        if os.environ.get("CI"):
            pytest.fail("CI is set and no openssl is there to make certificates with", pytrace=False)
        pytest.skip("no openssl to make certificates with")
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secured_kafka(authority: Authority) -> Iterator[SecuredKafka]:
    """Give a broker that wants to know who comes."""
    try:
        broker = start_secured_kafka(authority)
    except JarsMissing as missing:
        if os.environ.get("CI"):
            pytest.fail(f"CI is set and Kafka is missing: {missing}", pytrace=False)
        pytest.skip(f"Kafka is missing: {missing}")
    with closing(broker):
        yield broker


@pytest.fixture
def redis7_url(_redis_service: Service) -> str:
    """Give the address of a real, empty Redis."""
    return _emptied(_redis_service)


@pytest.fixture
def valkey_url(_valkey_service: Service) -> str:
    """Give the address of a real, empty Valkey."""
    return _emptied(_valkey_service)


def _found(server: Path | None) -> Path:
    """Give the server for a cluster, which is always of processes of this machine."""
    if server is not None:
        return server
    if os.environ.get("CI"):
        pytest.fail("CI is set and no server is installed for a cluster", pytrace=False)
    pytest.skip("no server is installed for a cluster")


@pytest.fixture(scope="session")
def _redis7_cluster() -> Iterator[LocalCluster]:
    with local_cluster(_found(redis_binary())) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def _valkey_cluster() -> Iterator[LocalCluster]:
    with local_cluster(_found(valkey_binary())) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def _clusters(request: pytest.FixtureRequest) -> Iterator[Clusters]:
    of_module = [item for item in request.session.items if item.path == request.path]
    without, with_ = (
        sum(name in getattr(item, "fixturenames", ()) for item in of_module)
        for name in ("cluster", "replicated")
    )
    with closing(Clusters(_found(redis_binary()), without, with_)) as clusters:
        yield clusters


@pytest.fixture
def redis7_cluster_url(_redis7_cluster: LocalCluster) -> str:
    """Give the address of a node of an empty Redis Cluster of three."""
    _redis7_cluster.wipe()
    return _redis7_cluster.url


@pytest.fixture
def valkey_cluster_url(_valkey_cluster: LocalCluster) -> str:
    """Give the address of a node of an empty Valkey Cluster of three."""
    _valkey_cluster.wipe()
    return _valkey_cluster.url


@pytest.fixture
def cluster(_clusters: Clusters) -> Iterator[LocalCluster]:
    """Give a Redis Cluster of one's own, to do it harm."""
    with _clusters.one() as cluster:
        yield cluster


@pytest.fixture
def replicated(_clusters: Clusters) -> Iterator[LocalCluster]:
    """Give a Redis Cluster of one's own in which each primary has a replica."""
    with _clusters.one(with_replicas=True) as cluster:
        yield cluster


@pytest.fixture
def sentinels() -> Iterator[LocalSentinels]:
    """Give a Redis of one's own that Sentinels watch, to do it harm."""
    with local_sentinels(_found(redis_binary())) as watched:
        yield watched


@pytest.fixture(scope="module")
def quiet_sentinels() -> Iterator[LocalSentinels]:
    """Give a Redis that Sentinels watch, and that stays as it is."""
    with local_sentinels(_found(redis_binary())) as watched:
        yield watched


@pytest.fixture(params=["redis7", "valkey"])
def redis_url(request: pytest.FixtureRequest) -> str:
    """Give the address of a real, empty server: the test runs on Redis and on Valkey."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


class _ErrorKeeper(logging.Handler):
    """Keeps what is logged at ERROR or above."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(logging.Formatter("%(name)s: %(message)s").format(record))


@pytest.fixture(autouse=True)
def _no_error_logged_unasked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test in which something was logged at ERROR, by logging or structlog, unless it is marked so."""
    keeper = _ErrorKeeper()
    root = logging.getLogger()
    root.addHandler(keeper)
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    yield
    root.removeHandler(keeper)
    structlog.reset_defaults()
    if keeper.lines and request.node.get_closest_marker("allow_error_logs") is None:
        pytest.fail("logged at ERROR:\n" + "\n".join(keeper.lines), pytrace=False)
