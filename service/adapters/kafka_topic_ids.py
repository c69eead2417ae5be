"""
The id that a broker gives a topic when it is created (KIP-516, Kafka 2.8): another of the name has another.

aiokafka 0.14 asks for metadata in versions before the one that tells ids. The tenth version of question and
answer are told here; a broker that does not have it is not asked.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from aiokafka.errors import IncompatibleBrokerVersion, NoBrokersAvailable
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from service.adapters.kafka_errors import Patience

_METADATA, _TELLS_IDS = 3, 10
_ID_BYTES = 16
_NO_ID = bytes(_ID_BYTES)


class _Uuid(AbstractType[bytes]):
    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(_ID_BYTES)


class _MetadataResponse(Response):
    API_KEY = _METADATA
    API_VERSION = _TELLS_IDS
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition_index", Int32),
                        ("leader_id", Int32),
                        ("leader_epoch", Int32),
                        ("replica_nodes", CompactArray(Int32)),
                        ("isr_nodes", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("topic_authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _MetadataRequestStruct(RequestStruct):
    API_KEY = _METADATA
    API_VERSION = _TELLS_IDS
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", _Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _MetadataRequest(Request[_MetadataRequestStruct]):
    API_KEY = _METADATA

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_MetadataRequestStruct]) -> _MetadataRequestStruct:
        topics: list[Any] = [(_NO_ID, topic, {}) for topic in self._topics]
        return request_struct_class(topics, False, False, False, {})


async def topic_ids(client: Any, patience: Patience, topics: Sequence[str]) -> dict[str, str]:
    """
    Give the ids of those topics that exist, as a broker knows them; none of a broker that tells none.

    `client` is an `AIOKafkaClient` that was started. Raises `Unavailable` where no broker answers.
    """
    answer = await patience.answer(_ask(client, _MetadataRequest(topics)))
    return {
        name: str(uuid.UUID(bytes=topic_id))
        for code, name, topic_id, *_ in ([] if answer is None else answer.topics)
        if code == 0 and topic_id != _NO_ID
    }


async def _ask(client: Any, request: _MetadataRequest) -> Any:
    node = client.get_random_node()
    if node is None:
        raise NoBrokersAvailable
    try:
        return await client.send(node, request)
    except (
        IncompatibleBrokerVersion,
        NotImplementedError,
    ):  # the client's words for a version it cannot have
        return None
