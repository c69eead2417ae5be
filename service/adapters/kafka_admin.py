"""
The topics as they have to be: checked at the start, and the worker's own created where they are missing.

What they have to be like stands in `topic_rules`. librdkafka's in-memory broker has no administration:
`touch_topics` serves there, by merely asking for the topics.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import UnknownTopicOrPartitionError, for_code

from service.adapters import topic_rules as rules
from service.adapters.kafka_errors import Patience, missing_topic, patience_to_start
from service.adapters.topic_rules import Finding, OutputTopic, Topic
from service.domain.time import Micros
from service.processing.ports import Unusable

_TOPIC_EXISTS = 36
_LOOKS, _BETWEEN_LOOKS_S = 50, 0.2


@dataclass(frozen=True, slots=True)
class KafkaTopicsSettings:
    """Which topics there have to be, and where; times in seconds unless named otherwise."""

    bootstrap_servers: Sequence[str]
    inputs: Sequence[str]
    outputs: Sequence[OutputTopic]
    allowed_lateness_us: Micros
    create: bool = True
    call_timeout: float = 15.0
    security: Mapping[str, Any] = field(default_factory=dict)
    """Passed on to the client: `security_protocol`, `ssl_context`, `sasl_mechanism`, …"""


@dataclass(frozen=True, slots=True)
class TopicsReport:
    """What was found. `problems` must stop the worker; `warnings` need not."""

    partitions: int
    """How many partitions the input topics have, and the others must have; 0 if there is no input topic."""
    max_message_bytes: int
    """The largest record that an input topic takes."""
    created: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def require(self) -> None:
        """Raise `Unusable` with all problems, if there are any."""
        if self.problems:
            raise Unusable("; ".join(self.problems))


async def check_topics(settings: KafkaTopicsSettings, *, extend: bool = False) -> TopicsReport:
    """
    Check all topics, and create the worker's own that are missing, if that is allowed.

    `extend`: likewise give those that have too few partitions as many as the input has.
    """
    patience = Patience("Kafka", settings.call_timeout)
    client = AIOKafkaAdminClient(
        bootstrap_servers=list(settings.bootstrap_servers),
        client_id="evse-status",
        request_timeout_ms=round(settings.call_timeout * 1_000),
        **settings.security,
    )
    try:
        await patience_to_start(settings.bootstrap_servers, settings.call_timeout).answer(client.start())
        return await _check(settings, _Cluster(client, patience), extend=extend)
    finally:
        await patience.farewell(client.close())


async def touch_topics(settings: KafkaTopicsSettings) -> TopicsReport:
    """Ask for all topics, so that a broker that creates them unasked does so; compare partition counts."""
    producer = AIOKafkaProducer(
        bootstrap_servers=list(settings.bootstrap_servers), client_id="evse-status", **settings.security
    )
    patience = Patience("Kafka", settings.call_timeout)
    counts: dict[str, int] = {}
    try:
        await patience_to_start(settings.bootstrap_servers, settings.call_timeout).answer(producer.start())
        for topic in (*settings.inputs, *(output.name for output in settings.outputs)):
            counts[topic] = await patience.answer(_count(producer, topic))
    finally:
        await patience.farewell(producer.stop())
    first = settings.inputs[0]
    return _report(counts[first], rules.DEFAULT_MESSAGE_BYTES, (), rules.judge_counts(counts, first))


async def _count(producer: AIOKafkaProducer, topic: str) -> int:
    try:
        return len(await producer.partitions_for(topic))
    except UnknownTopicOrPartitionError as error:
        raise missing_topic(topic) from error


class _Cluster:
    """The few questions to the administration, in this project's words."""

    def __init__(self, client: AIOKafkaAdminClient, patience: Patience) -> None:
        self._client = client
        self._patience = patience

    async def topics(self, names: Sequence[str]) -> dict[str, Topic]:
        """Describe those topics that exist: all are listed first, since asking by name might create one."""
        known = await self._patience.answer(self._client.list_topics())
        present = [name for name in names if name in known]
        if not present:
            return {}
        described = await self._patience.answer(self._client.describe_topics(present))
        configs = await self._configs(present)
        return {
            one["topic"]: Topic(
                one["topic"],
                len(one["partitions"]),
                configs.get(one["topic"], {}),
                replicas=min((len(each["replicas"]) for each in one["partitions"]), default=0),
            )
            for one in described
        }

    async def create(self, output: OutputTopic, partitions: int, largest_input: int) -> Finding | None:
        """Create a topic, with the broker's own replication factor; give what went wrong."""
        config = {"cleanup.policy": str(output.cleanup)}
        if room := output.room(largest_input):
            config["max.message.bytes"] = str(room)
        # -1, and an empty assignment so that the client takes it: default.replication.factor of the broker.
        new = NewTopic(output.name, partitions, -1, replica_assignments={}, topic_configs=config)
        response: Any = await self._patience.answer(self._client.create_topics([new]))
        for name, code, *said in response.topic_errors:
            # Another worker that starts at the same time may have been faster.
            if code not in (0, _TOPIC_EXISTS):
                reason = next(filter(None, said), None) or for_code(code).__name__
                return Finding(
                    f"topic {name} is missing and could not be created ({reason}): create it by hand"
                )
        return None

    async def extend(self, name: str, partitions: int) -> Finding | None:
        """Give a topic so many partitions, and wait until the brokers tell of them; give what went wrong."""
        try:
            await self._patience.answer(
                self._client.create_partitions({name: NewPartitions(total_count=partitions)})
            )
        except Unusable as error:
            return Finding(
                f"topic {name} needs {partitions} partitions, and they could not be added ({error}): "
                f"kafka-topics.sh --alter --topic {name} --partitions {partitions}"
            )
        for _ in range(_LOOKS):
            [described] = await self._patience.answer(self._client.describe_topics([name]))
            if len(described["partitions"]) >= partitions:
                break
            await asyncio.sleep(_BETWEEN_LOOKS_S)
        return None

    async def _configs(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        responses: list[Any] = await self._patience.answer(self._client.describe_configs(resources))
        return {
            name: {entry[0]: entry[1] for entry in entries}
            for response in responses
            for code, _, _, name, entries in response.resources
            if code == 0
        }


async def _check(settings: KafkaTopicsSettings, cluster: _Cluster, *, extend: bool) -> TopicsReport:
    topics = await cluster.topics([*settings.inputs, *(output.name for output in settings.outputs)])
    inputs = [topics[name] for name in settings.inputs if name in topics]
    largest = rules.largest_message(inputs)
    findings = [rules.missing_input(name) for name in settings.inputs if name not in topics]
    if not inputs:
        return _report(0, largest, (), findings)
    created: list[str] = []
    if extend:
        findings += [finding async for finding in _extended(settings, cluster, topics, inputs[0].partitions)]
    for output in settings.outputs:
        if output.name in topics:
            findings += rules.judge_output(topics[output.name], output, largest)
        elif not settings.create:
            findings.append(rules.missing_output(output, inputs[0].partitions))
        elif (problem := await cluster.create(output, inputs[0].partitions, largest)) is not None:
            findings.append(problem)
        else:
            created.append(output.name)
    findings += rules.judge_counts(
        {name: topic.partitions for name, topic in topics.items()}, first_input=inputs[0].name
    )
    for topic in inputs:
        findings += rules.judge_input(topic, settings.allowed_lateness_us)
    return _report(inputs[0].partitions, largest, created, findings)


async def _extended(
    settings: KafkaTopicsSettings, cluster: _Cluster, topics: dict[str, Topic], partitions: int
) -> AsyncIterator[Finding]:
    """Give outputs that have too few partitions as many; give what went wrong."""
    for name in (output.name for output in settings.outputs if output.name in topics):
        count = topics[name].partitions
        if count >= partitions:
            continue
        if not settings.create:
            yield rules.too_few(name, count, partitions)
        elif (problem := await cluster.extend(name, partitions)) is not None:
            yield problem
        topics[name] = replace(topics[name], partitions=partitions)


def _report(
    partitions: int, largest: int, created: Iterable[str], findings: Iterable[Finding]
) -> TopicsReport:
    found = list(findings)
    return TopicsReport(
        partitions,
        largest,
        tuple(created),
        tuple(finding.text for finding in found if finding.grave),
        tuple(finding.text for finding in found if not finding.grave),
    )
