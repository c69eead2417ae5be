"""
The embedded parts of the demonstration: a Valkey server from a wheel, and librdkafka's in-memory broker.

Good for looking at the project on one machine and for nothing else: both forget everything at exit, and the
broker keeps about 5 MB a partition.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException, Message, Producer

from service.domain.time import Micros
from service.processing.ports import PortError

_BROKER_ANSWERS_S = 10.0
_VALKEY_ENDS_S = 10.0


class EmbeddedValkey:
    """A real Valkey server on a free loopback port, without persistence; it ends with this process."""

    def __init__(self) -> None:
        self.url = ""
        """Where it listens, once it does."""
        self._keeper: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", "service.demo.valkey"],
            stdin=subprocess.PIPE,  # closed when this process is gone, however it went: the server ends then
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C reaches the whole group, and the worker still needs the server to end in order.
            start_new_session=True,
        )
        said = self._keeper.stdout
        self.url = said.readline().strip() if said is not None else ""
        if not self.url.startswith("redis://"):
            self._end()
            raise PortError(f"the embedded Valkey does not start: {self.url or 'it said nothing'}")
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._keeper is None:
            return
        try:
            self._keeper.communicate(timeout=_VALKEY_ENDS_S)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.communicate()


class EmbeddedBroker:
    """
    A Kafka-protocol broker inside this process, with the producer that it belongs to.

    `ends` gives for each partition of the topic the offset after the last record that the broker has taken.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._producer = Producer({"test.mock.num.brokers": 1, "linger.ms": 20, "log_level": 2})
        self.ends: dict[int, int] = {}
        self._failure: str | None = None

    @property
    def bootstrap_server(self) -> str:
        """Where it listens."""
        try:
            broker = next(iter(self._producer.list_topics(timeout=_BROKER_ANSWERS_S).brokers.values()))
        except (KafkaException, StopIteration) as error:
            raise PortError(f"the embedded broker does not answer: {error}") from error
        return f"{broker.host}:{broker.port}"

    def write(self, key: str, value: bytes, at: Micros | None = None) -> None:
        """
        Append one record; returns at once, `settle` waits for the broker.

        `at` is the record's timestamp; None: now.
        """
        timestamp = 0 if at is None else at // 1000  # 0 is now, for the producer
        try:
            self._producer.produce(self._topic, value, key, timestamp=timestamp, on_delivery=self._taken)
        except BufferError:
            self.settle()
            self._producer.produce(self._topic, value, key, timestamp=timestamp, on_delivery=self._taken)

    def settle(self) -> None:
        """Wait until the broker has taken everything; raise `PortError` where it has not."""
        self._producer.flush(_BROKER_ANSWERS_S)
        if self._failure is not None:
            raise PortError(f"the embedded broker took a record no more: {self._failure}")

    def _taken(self, error: object, message: Message) -> None:
        if error is not None:
            self._failure = str(error)
            return
        self.ends[message.partition() or 0] = (message.offset() or 0) + 1


class WorkFolder:
    """A temporary folder for the worker's log; kept where the worker failed, so that it can be read."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="evse-status-demo-"))

    def __enter__(self) -> Path:
        return self.path

    def __exit__(
        self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        if kind is None or not issubclass(kind, PortError):
            shutil.rmtree(self.path, ignore_errors=True)
