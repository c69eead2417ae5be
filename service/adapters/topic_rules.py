"""
What the topics have to be like, as pure rules over what they are: sentences that name the remedy.

Knows no client and asks nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from service.domain.time import DAY, Micros

DEAD_LETTER_MARGIN = 65_536
"""Bytes that a dead letter may be larger than the record it was: the producer's limit has them too."""

SNAPSHOT_BYTES = 2 << 20
"""Room for an inventory of a mebibyte, and for what is told of as many connectors as an EVSE may have."""

LEDGER_BYTES = 8 << 20
"""
Room for the whole state of an EVSE that has as many recent reports as may be kept, each as long as it may be.

Some 200 kB with what chargers really send: it is compressed. One that did not fit would stop its worker.
"""

DEFAULT_MESSAGE_BYTES = 1_048_588
"""Kafka's own `max.message.bytes`, assumed where it cannot be read."""

KEPT_BEYOND_LATENESS: Micros = 3 * DAY
"""How much longer than the allowed lateness the input is kept: what an outage of the worker may last."""

_MICROS_PER_MILLI = 1_000
ALTER = "kafka-configs.sh --alter --entity-type topics --entity-name"
"""How a topic is given other settings; its name and what to set follow."""


class Cleanup(StrEnum):
    """What Kafka does with old records of a topic."""

    COMPACT = "compact"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class OutputTopic:
    """
    One of the worker's own topics.

    `carries_input`: its messages hold whole records of the input. `least_bytes`: what has to fit in any case;
    0: what brokers take by themselves is enough.
    """

    name: str
    cleanup: Cleanup
    carries_input: bool = False
    least_bytes: int = 0

    def room(self, largest_input: int) -> int:
        """Give the largest message, in bytes, that has to fit; 0 where that need not be said."""
        return max(largest_input + DEAD_LETTER_MARGIN if self.carries_input else 0, self.least_bytes)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is. `config` is empty where this user may not read it; `replicas`: of each partition."""

    name: str
    partitions: int
    config: Mapping[str, str]
    replicas: int = 1

    @property
    def max_message_bytes(self) -> int:
        return int(self.config.get("max.message.bytes") or DEFAULT_MESSAGE_BYTES)

    @property
    def cleanup(self) -> frozenset[str]:
        words = self.config.get("cleanup.policy", "").split(",")
        return frozenset(word.strip() for word in words if word.strip())


@dataclass(frozen=True, slots=True)
class Finding:
    """What is not as it should be. `grave`: the worker must not start."""

    text: str
    grave: bool = True


def missing_input(name: str) -> Finding:
    """Say that an input topic is missing: how many partitions it needs only its owner knows."""
    return Finding(
        f"there is no input topic {name}, or this user may not see it: create it, with as many partitions as "
        "workers may ever share the load"
    )


def missing_output(output: OutputTopic, partitions: int) -> Finding:
    """Say that one of the worker's own topics is missing, where it may not create it."""
    return Finding(
        f"there is no topic {output.name}: create it (cleanup.policy={output.cleanup}, {partitions} "
        "partitions), or let the worker do so (EVSE_STATUS_CREATE_TOPICS=true)"
    )


def judge_counts(counts: Mapping[str, int], first_input: str) -> Iterator[Finding]:
    """Compare partition counts with that of the first input topic."""
    expected = counts[first_input]
    for name, count in counts.items():
        if count != expected:
            yield Finding(
                f"topic {name} has {count} partitions and {first_input} has {expected}, but what comes from "
                f"a partition goes to the partition of the same number: if {first_input} was given more, "
                "stop producers and workers and run `evse-status rebuild --repartition`, else create it anew "
                "with the same count"
            )


def too_few(name: str, count: int, expected: int) -> Finding:
    """Say that a topic needs more partitions, where they may not be added here."""
    return Finding(
        f"topic {name} has {count} partitions and needs {expected}: kafka-topics.sh --alter --topic {name} "
        f"--partitions {expected}, or let this command do so (EVSE_STATUS_CREATE_TOPICS=true)"
    )


def judge_input(topic: Topic, lateness: Micros) -> Iterator[Finding]:
    """Check that events stay as long as they are needed."""
    if not topic.config:
        yield _unreadable(topic)
        return
    if Cleanup.COMPACT in topic.cleanup:
        yield Finding(
            f"input topic {topic.name} is compacted, which deletes events: {ALTER} {topic.name} "
            "--add-config cleanup.policy=delete"
        )
    needed = (lateness + KEPT_BEYOND_LATENESS) // _MICROS_PER_MILLI
    if 0 <= int(topic.config.get("retention.ms") or -1) < needed:
        yield Finding(
            f"input topic {topic.name} keeps records for {topic.config['retention.ms']} ms, less than the "
            f"allowed lateness and 3 days: {ALTER} {topic.name} --add-config retention.ms={needed}"
        )
    if int(topic.config.get("retention.bytes") or -1) >= 0:
        yield Finding(
            f"input topic {topic.name} is limited in size (retention.bytes): a burst may delete records "
            "earlier than retention.ms says",
            grave=False,
        )


def judge_output(topic: Topic, output: OutputTopic, largest_input: int) -> Iterator[Finding]:
    """Check that what the worker writes stays as it was meant to; sizes in bytes."""
    if not topic.config:
        yield _unreadable(topic)
        return
    if topic.cleanup != {output.cleanup}:
        yield Finding(
            f"topic {topic.name} has cleanup.policy {','.join(sorted(topic.cleanup))} and needs "
            f"{output.cleanup}: {ALTER} {topic.name} --add-config cleanup.policy={output.cleanup}"
        )
    if topic.replicas > 1 and topic.config.get("min.insync.replicas") == "1":
        yield Finding(
            f"topic {topic.name} has {topic.replicas} replicas, of which one alone may acknowledge "
            "(min.insync.replicas=1): what that broker then loses is lost, although the input is committed: "
            f"{ALTER} {topic.name} --add-config min.insync.replicas=2",
            grave=False,
        )
    needed = output.room(largest_input)
    if topic.max_message_bytes < needed:
        then = (
            "an EVSE that needs more stops its worker" if output.least_bytes else "larger ones are cut short"
        )
        yield Finding(
            f"topic {topic.name} takes messages of {topic.max_message_bytes} bytes, so {then}: "
            f"{ALTER} {topic.name} --add-config max.message.bytes={needed}",
            grave=False,
        )


def largest_message(inputs: Sequence[Topic]) -> int:
    """Give the size in bytes of the largest record that an input topic takes."""
    return max((topic.max_message_bytes for topic in inputs), default=DEFAULT_MESSAGE_BYTES)


def _unreadable(topic: Topic) -> Finding:
    return Finding(f"this user may not read the settings of topic {topic.name}: not checked", grave=False)
