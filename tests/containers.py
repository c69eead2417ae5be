"""Services in containers, for machines with a container engine; imported only once an engine has answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from testcontainers.core.container import DockerContainer
from testcontainers.core.exceptions import ContainerIsNotRunning

from tests.local_kafka import NODE_SETTINGS, kafka_version, serves_groups
from tests.local_redis import answers_ping
from tests.processes import free_port, wait_until

REDIS_IMAGE = "redis:7.0"
VALKEY_IMAGE = "valkey/valkey:8.1"
REDIS_PORT = 6379
KAFKA_PORT = 9092
CONTROLLER_PORT = 9093


class Container:
    """A container that serves at `address`."""

    def __init__(
        self, container: DockerContainer, port: int, answers: Callable[[str, int], bool], form: str = "{}:{}"
    ) -> None:
        self._container = container.start()
        try:
            host, outside = container.get_container_host_ip(), container.get_exposed_port(port)
            self.address = form.format(host, outside)
            wait_until(lambda: answers(host, outside), self._fail_if_ended)
        except BaseException:  # whatever ends the start, Ctrl-C too, must not leave a container behind
            self.close()
            raise

    def _fail_if_ended(self) -> None:
        self._container.reload()
        if self._container.status == "exited":
            raise ContainerIsNotRunning(self.log_tail())

    def log_tail(self) -> str:
        """Return the last lines the container wrote."""
        return "\n".join(b"".join(self._container.get_logs()).decode(errors="replace").splitlines()[-40:])

    def close(self) -> None:
        """Remove the container."""
        self._container.stop()


def redis_container(image: str) -> Container:
    """Start Redis or Valkey as the worker demands it: it evicts nothing."""
    container = DockerContainer(image).with_exposed_ports(REDIS_PORT)
    container.with_command("--protected-mode no --save '' --appendonly no --maxmemory-policy noeviction")
    return Container(container, REDIS_PORT, answers_ping, "redis://{}:{}/0")


def kafka_container() -> Container:
    """Start the same Kafka as the local process would be, with the same settings."""
    outside = free_port()
    container = DockerContainer(f"apache/kafka:{kafka_version()}").with_bind_ports(KAFKA_PORT, outside)
    settings = {
        **NODE_SETTINGS,
        "controller.quorum.voters": f"1@localhost:{CONTROLLER_PORT}",
        "listeners": f"PLAINTEXT://:{KAFKA_PORT},CONTROLLER://:{CONTROLLER_PORT}",
        "advertised.listeners": f"PLAINTEXT://{container.get_docker_client().host()}:{outside}",
    }
    for key, value in settings.items():
        container.with_env("KAFKA_" + key.replace(".", "_").upper(), value)
    return Container(container, KAFKA_PORT, serves_groups)


START: Mapping[str, Callable[[], Container]] = {
    "kafka": kafka_container,
    "redis": partial(redis_container, REDIS_IMAGE),
    "valkey": partial(redis_container, VALKEY_IMAGE),
}
