"""Where Kafka's clients put a record by its key, as their defaults do. Knows nothing of what a key means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from zlib import crc32

from aiokafka.partitioner import murmur2

_POSITIVE = 0x7FFFFFFF


def by_murmur2(key: bytes, partitions: int) -> int:
    """Give the partition, of so many, that the clients in Java and aiokafka give a key."""
    hashed: int = murmur2(key)
    return (hashed & _POSITIVE) % partitions


def by_crc32(key: bytes, partitions: int) -> int:
    """Give the partition, of so many, that librdkafka and the clients on it give a key."""
    return crc32(key) % partitions


PARTITIONERS: Mapping[str, Callable[[bytes, int], int]] = {"murmur2": by_murmur2, "crc32": by_crc32}
"""By the names that settings have for them."""
