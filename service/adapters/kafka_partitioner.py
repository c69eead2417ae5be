"""Where Kafka's own clients put a record: by murmur2 of its key. Knows nothing of what a key means."""

from __future__ import annotations

from aiokafka.partitioner import murmur2

_POSITIVE = 0x7FFFFFFF


def partition_of_key(key: bytes, partitions: int) -> int:
    """Give the partition, of so many, that the Java client's default partitioner gives a key."""
    hashed: int = murmur2(key)
    return (hashed & _POSITIVE) % partitions
