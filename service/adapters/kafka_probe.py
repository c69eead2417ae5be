"""
Whether any broker of Kafka answers, asked over a connection of its own.

Knows nothing of groups and records: what the worker's own clients wait for shows there.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, NodeNotReadyError
from aiokafka.protocol.metadata import MetadataRequest

from service.adapters.kafka_errors import BRIEF_S, Patience, patience_to_start, translated
from service.processing.ports import Unavailable

_METADATA_AGE_S = 3600


@dataclass(frozen=True, slots=True)
class KafkaProbeSettings:
    """Whom to ask; times in seconds."""

    bootstrap_servers: Sequence[str]
    timeout: float = 2.0
    """How long one broker may take to answer."""
    security: Mapping[str, Any] = field(default_factory=dict)
    """Passed on to the client: `security_protocol`, `ssl_context`, `sasl_mechanism`, …"""


class KafkaProbe:
    """Asks the brokers one after the other until one answers."""

    def __init__(self, settings: KafkaProbeSettings) -> None:
        self._settings = settings
        # Where one broker hangs the next one is asked; where more do, Kafka is in trouble.
        self._patience = Patience("Kafka", 2 * settings.timeout)
        self._client: AIOKafkaClient | None = None

    async def ask(self) -> None:
        """Come back if a broker answers; raise `Unavailable` if none does."""
        if self._client is None:
            await self._connect()
            return
        try:
            await self._patience.answer(self._ask_brokers(self._client))
        except Unavailable:
            # The next question begins with the servers of the settings: the brokers may have moved.
            await self.stop()
            raise

    async def stop(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            await self._patience.farewell(client.close(), BRIEF_S)

    async def _connect(self) -> None:
        with translated():
            client = AIOKafkaClient(
                bootstrap_servers=list(self._settings.bootstrap_servers),
                client_id="evse-status-probe",
                request_timeout_ms=round(self._settings.timeout * 1_000),
                metadata_max_age_ms=_METADATA_AGE_S * 1_000,
                **self._settings.security,
            )
        try:
            await patience_to_start(self._settings.bootstrap_servers, self._settings.timeout).answer(
                client.bootstrap()
            )
        except BaseException:
            await self._patience.farewell(client.close(), BRIEF_S)
            raise
        self._client = client

    async def _ask_brokers(self, client: AIOKafkaClient) -> None:
        brokers = [broker.nodeId for broker in client.cluster.brokers()]
        failure: KafkaError = NodeNotReadyError("no broker is known")
        for broker in random.sample(brokers, len(brokers)):
            try:
                # Of no topic: the smallest question that every broker answers.
                await client.send(broker, MetadataRequest([]))
            except KafkaError as error:
                failure = error
            else:
                return
        raise failure
