"""What a real Kafka does to the log and the publisher: limits, transactions, zombies, silence."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import groupby
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.protocol.group import LeaveGroupRequest

from service.adapters.clock import SystemClock
from service.adapters.kafka import KafkaLog, KafkaLogSettings
from service.adapters.kafka_publisher import KafkaPublisher, KafkaPublisherSettings
from service.processing.dead_letters import OffsetRange
from service.processing.ports import OwnershipLost, TooLarge, Unavailable, Unusable
from service.processing.values import Commit, Message, TopicPartition
from tests.contract.brokers import SESSION, TURNS, Member
from tests.local_kafka import JarsMissing, KafkaProcess, start_kafka
from tests.processes import free_port
from tests.raw_batches import Raw, batch_of, write_batch
from tests.services import Kafka

pytestmark = pytest.mark.allow_error_logs


def log_of(kafka: Kafka, topic: str, group: str, instance: str = "", call_timeout: float = 5.0) -> KafkaLog:
    """Build a log."""
    return KafkaLog(
        KafkaLogSettings(
            [kafka.bootstrap_servers],
            group,
            [topic],
            instance_id=instance,
            session_timeout=SESSION,
            call_timeout=call_timeout,
        )
    )


Joined = Callable[[KafkaLog], Awaitable[Member]]


@pytest.fixture
async def joined() -> AsyncIterator[Joined]:
    """Give a function that starts a log as a member; all are stopped after the test."""
    async with AsyncExitStack() as started:

        async def join(log: KafkaLog) -> Member:
            member = Member(log)
            started.push_async_callback(log.stop)
            await log.start(member.on_assigned, member.on_revoked)
            return member

        yield join


@pytest.fixture
async def publisher(kafka: Kafka) -> AsyncIterator[KafkaPublisher]:
    """Give a started publisher."""
    async with publishing(kafka) as publisher:
        yield publisher


@asynccontextmanager
async def publishing(
    kafka: Kafka, request_timeout: float = 10.0, ack_timeout: float = 10.0
) -> AsyncIterator[KafkaPublisher]:
    """Give a started publisher that is stopped whatever comes: what is left open warns in another test."""
    publisher = KafkaPublisher(
        KafkaPublisherSettings(
            [kafka.bootstrap_servers], request_timeout=request_timeout, ack_timeout=ack_timeout
        )
    )
    await publisher.start()
    try:
        yield publisher
    finally:
        await publisher.stop()


async def test_who_asks_for_ends_does_not_wait_for_records(kafka: Kafka, joined: Joined) -> None:
    """The broker answers in turn: behind a fetch that waits for half a second each question took as long."""
    topic = await kafka.create_topic()
    log, clock = log_of(kafka, topic, kafka.unique("group")), SystemClock()
    place = TopicPartition(topic, 0)
    await (await joined(log)).until_assigned(place)

    began = clock.monotonic()
    for _ in range(6):
        assert await log.end_offsets([place]) == {place: 0}

    assert clock.monotonic() - began < 2.0


async def test_a_topics_own_limit_is_told_and_hinders_nothing_after(
    kafka: Kafka, publisher: KafkaPublisher, joined: Joined
) -> None:
    """A message the topic refuses is `TooLarge`, and the partition takes what comes next."""
    topic = await kafka.create_topic(config={"max.message.bytes": "10000"})
    await publisher.publish([Message(topic, 0, b"a", b"first")])

    with pytest.raises(TooLarge):
        await publisher.publish([Message(topic, 0, b"a", b"x" * 20_000)])

    for value in (b"second", b"third"):
        await publisher.publish([Message(topic, 0, b"a", value)])
    member = await joined(log_of(kafka, topic, kafka.unique("group")))
    records = await member.read(3)
    assert [one.value for one in records] == [b"first", b"second", b"third"]


async def test_what_a_topic_refuses_for_its_size_is_named_with_the_remedy(
    kafka: Kafka, publisher: KafkaPublisher
) -> None:
    """The last word of a worker that ends so at each start: which topic, whose message, what is enough."""
    small = await kafka.create_topic(config={"max.message.bytes": "10000"})
    sizes = {b"charger-1": 1_000, b"charger-2": 20_000, b"charger-3": 3_000}

    with pytest.raises(TooLarge) as told:
        await publisher.publish([Message(small, 0, key, b"x" * size) for key, size in sizes.items()])

    assert isinstance(told.value, Unusable)
    said = re.fullmatch(
        rf"topic {small} does not take .* to partition 0 .* largest message, key b'charger-2', has 20009: "
        rf"kafka-configs.sh .* --entity-name {small} --add-config max.message.bytes=(\d+), or more",
        str(told.value),
    )
    assert said is not None
    roomy = await kafka.create_topic(config={"max.message.bytes": said[1]})
    await publisher.publish([Message(roomy, 0, key, b"x" * size) for key, size in sizes.items()])


async def test_what_a_transaction_aborted_is_not_read(kafka: Kafka, joined: Joined) -> None:
    """Aborted records were never said; the position passes them and the markers, so that no lag remains."""
    topic = await kafka.create_topic()
    place = TopicPartition(topic, 0)
    async with AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers, transactional_id=kafka.unique("transaction")
    ) as producer:
        for value, commit in ((b"kept", True), (b"aborted", False)):
            await producer.begin_transaction()
            await producer.send_and_wait(topic, value)
            await (producer.commit_transaction() if commit else producer.abort_transaction())
    member = await joined(log_of(kafka, topic, kafka.unique("group")))

    records = await member.read(1)
    ends = await member.log.end_offsets([place])
    for _ in range(TURNS):
        records += await member.log.fetch(0.5, 10)
        if member.log.position(place) == ends[place]:
            break

    assert [one.value for one in records] == [b"kept"]
    assert ends[place] == member.log.position(place) == 4


async def test_a_header_that_is_no_utf8_costs_nobody(kafka: Kafka, joined: Joined) -> None:
    """The record comes through with the rest of its batch, and can be sent on as a dead letter is."""
    topic = await kafka.create_topic()
    await write_batch(kafka, topic, batch_of([Raw(b"0"), Raw(b"1", bad_header=True), Raw(b"2")]))
    member = await joined(log_of(kafka, topic, kafka.unique("group")))

    records = await member.read(3)
    again = Message(topic, 0, b"a", b"3", records[1].headers)
    async with publishing(kafka) as publisher:
        await publisher.publish([again])

    assert [one.value for one in records] == [b"0", b"1", b"2"]
    assert (await member.read(1))[0].headers == records[1].headers
    assert records[1].headers[-1] == ("\\xff\\xfename", b"x")


async def test_whoever_was_replaced_commits_nothing(
    kafka: Kafka, publisher: KafkaPublisher, joined: Joined
) -> None:
    """A second worker under the same instance id takes over, and the first one's commit is refused."""
    topic, group = await kafka.create_topic(), kafka.unique("group")
    place = TopicPartition(topic, 0)
    await publisher.publish([Message(topic, 0, b"a", b"%d" % i) for i in range(5)])
    first = await joined(log_of(kafka, topic, group, instance="worker-1"))
    await first.read(5)
    second = await joined(log_of(kafka, topic, group, instance="worker-1"))
    await second.read(5)

    with pytest.raises(OwnershipLost):
        await first.log.commit({place: Commit(5, 0)})

    assert await second.log.committed([place]) == {place: None}


async def test_whoever_lost_its_name_to_another_says_so_and_leaves_it_alone(
    kafka: Kafka, joined: Joined
) -> None:
    """It does not take it back, as the client would: they would put each other out for ever."""
    topic, group = await kafka.create_topic(), kafka.unique("group")
    place = TopicPartition(topic, 0)
    first = await joined(log_of(kafka, topic, group, instance="worker-1"))
    await first.until_assigned(place)
    second = await joined(log_of(kafka, topic, group, instance="worker-1"))
    await second.until_assigned(place)

    with pytest.raises(Unusable, match="INSTANCE_ID must differ between workers"):
        await first.read(1)

    assert len(first.revoked) == 1
    await first.log.stop()
    assert await second.log.fetch(0.5, 1) == []
    assert second.log.assignment() == {place}


async def test_a_static_member_that_the_broker_forgot_joins_again(kafka: Kafka, joined: Joined) -> None:
    """As after a pause longer than the session: the broker's answer is the same, and nobody has its name."""
    topic, group = await kafka.create_topic(), kafka.unique("group")
    place = TopicPartition(topic, 0)
    # Another of which the name only begins alike.
    await (await joined(log_of(kafka, topic, group, instance="worker-1-2"))).until_assigned(place)
    member = await joined(log_of(kafka, topic, group, instance="worker-1"))
    assert isinstance(member.log, KafkaLog)
    coordinator: Any = member.log._running._coordinator
    while not coordinator.member_id or not member.assigned:
        await member.log.fetch(0.1, 1)
    forgotten, times = coordinator.member_id, len(member.assigned)

    await coordinator._send_req(LeaveGroupRequest(group, forgotten))
    while len(member.assigned) == times:
        await member.log.fetch(0.1, 1)

    assert coordinator.member_id != forgotten


async def test_a_static_member_comes_back_to_its_partitions(kafka: Kafka, joined: Joined) -> None:
    """A restarted worker of the same instance id goes on without a rebalance of the others."""
    topic, group = await kafka.create_topic(partitions=2), kafka.unique("group")
    members = {name: await joined(log_of(kafka, topic, group, name)) for name in ("one", "two")}
    while not all(len(member.log.assignment()) == 1 for member in members.values()):
        for member in members.values():
            await member.log.fetch(0.1, 1)
    held = members["one"].log.assignment()
    rebalances = len(members["two"].assigned)

    await members["one"].log.stop()
    members["one"] = await joined(log_of(kafka, topic, group, "one"))
    await members["one"].until_assigned(*held)

    assert len(members["two"].assigned) == rebalances


async def test_nobody_at_the_address_is_unavailable(joined: Joined) -> None:
    """A broker that is not up yet is worth waiting for, and leaves nothing behind."""
    nobody = Kafka(f"127.0.0.1:{free_port()}")
    log = log_of(nobody, "topic", "group")
    publisher = KafkaPublisher(KafkaPublisherSettings([nobody.bootstrap_servers]))

    with pytest.raises(Unavailable):
        await joined(log)
    with pytest.raises(Unavailable):
        await publisher.start()
    await publisher.stop()


@pytest.fixture
def own_kafka(kafka: Kafka) -> Iterator[tuple[Kafka, KafkaProcess]]:  # noqa: ARG001 - marks the test as one with services
    """Give a broker that may be stopped; only a process of this machine can be."""
    try:
        process = start_kafka()
    except JarsMissing as missing:
        pytest.skip(f"no broker of our own to stop: {missing}")
    yield Kafka(process.bootstrap_servers), process
    process.close()


@pytest.mark.slow
async def test_a_broker_that_hangs_is_unavailable_and_loses_nothing(
    own_kafka: tuple[Kafka, KafkaProcess], joined: Joined
) -> None:
    """Publish, commit and questions give up in time; when the broker answers again, all goes on in order."""
    kafka, process = own_kafka
    topic, group = await kafka.create_topic(), kafka.unique("group")
    place = TopicPartition(topic, 0)
    async with publishing(kafka, request_timeout=2.0, ack_timeout=1.0) as publisher:
        await publisher.publish([Message(topic, 0, b"a", b"0")])
        member = await joined(log_of(kafka, topic, group, call_timeout=1.0))
        await member.read(1)
        await member.log.commit({place: Commit(1, 0)})

        process.signal(signal.SIGSTOP)
        for _ in range(2):
            with pytest.raises(Unavailable):
                await publisher.publish([Message(topic, 0, b"a", b"1")])
            with pytest.raises(Unavailable):
                await member.log.commit({place: Commit(0, 0)})
            with pytest.raises(Unavailable):
                await member.log.end_offsets([place])
            assert await member.log.fetch(0.1, 10) == []
        process.signal(signal.SIGCONT)

        await _again(lambda: publisher.publish([Message(topic, 0, b"a", b"1")]))
        await _again(lambda: publisher.publish([Message(topic, 0, b"a", b"2")]))
        records = await member.read(2)
        while records[-1].value != b"2":
            records += await member.read(1)
        await _again(lambda: member.log.commit({place: Commit(records[-1].offset + 1, 0)}))

    assert await member.log.committed([place]) == {place: Commit(records[-1].offset + 1, 0)}
    # Sent twice if the broker forgot the producer while it hung, but never out of order.
    assert [value for value, _ in groupby(one.value for one in records)] == [b"1", b"2"]


@pytest.mark.slow
async def test_a_broker_that_hangs_is_not_waited_for_once_more_at_the_end(
    own_kafka: tuple[Kafka, KafkaProcess], joined: Joined
) -> None:
    """Whoever stops a worker waits for the call in hand, and then for next to nothing."""
    kafka, process = own_kafka
    topic, clock = await kafka.create_topic(), SystemClock()
    publisher = KafkaPublisher(KafkaPublisherSettings([kafka.bootstrap_servers], ack_timeout=4.0))
    await publisher.publish([Message(topic, 0, b"a", b"0")])
    log = log_of(kafka, topic, kafka.unique("group"), call_timeout=4.0)
    await (await joined(log)).read(1)
    process.signal(signal.SIGSTOP)
    publishing, asking = await asyncio.gather(
        publisher.publish([Message(topic, 0, b"a", b"1")]),
        log.end_offsets([TopicPartition(topic, 0)]),
        return_exceptions=True,
    )
    assert isinstance(publishing, Unavailable)
    assert isinstance(asking, Unavailable)

    left: list[Any] = [publisher._producer, log._running]

    for stop in (publisher.stop, log.stop):
        began = clock.monotonic()
        await stop()
        assert clock.monotonic() - began < 3.0

    # What was left goes with its process, which here goes on.
    process.signal(signal.SIGCONT)
    for part in (left[0]._sender, left[1]._coordinator, left[1]._fetcher, left[0].client, left[1]._client):
        await part.close()


@pytest.mark.slow
async def test_who_asks_again_for_the_same_only_waits_on(
    own_kafka: tuple[Kafka, KafkaProcess], joined: Joined
) -> None:
    """A broker slower than a caller waits is fast enough: what was sent to it is not sent once more."""
    kafka, process = own_kafka
    topic = await kafka.create_topic()
    async with publishing(kafka, request_timeout=30.0, ack_timeout=0.5) as publisher:
        await _again(lambda: publisher.publish([Message(topic, 0, b"a", b"0")]))

        process.signal(signal.SIGSTOP)
        with pytest.raises(Unavailable):
            await publisher.publish([Message(topic, 0, b"a", b"1")])
        process.signal(signal.SIGCONT)

        await _again(lambda: publisher.publish([Message(topic, 0, b"a", b"1")]))
        await _again(lambda: publisher.publish([Message(topic, 0, b"a", b"2")]))

    member = await joined(log_of(kafka, topic, kafka.unique("group")))
    assert [one.value for one in await member.read(3)] == [b"0", b"1", b"2"]


@pytest.mark.slow
async def test_a_topic_that_a_hanging_broker_was_asked_for_is_not_missing(
    own_kafka: tuple[Kafka, KafkaProcess],
) -> None:
    """A producer that has not met the topic yet waits for the broker and does not call it missing."""
    kafka, process = own_kafka
    async with publishing(kafka, request_timeout=0.5, ack_timeout=10.0) as publisher:
        topic = await kafka.create_topic()

        process.signal(signal.SIGSTOP)
        with pytest.raises(Unavailable, match="was asked for"):
            await publisher.publish([Message(topic, 0, b"a", b"1")])
        process.signal(signal.SIGCONT)

        await _again(lambda: publisher.publish([Message(topic, 0, b"a", b"1")]))


async def _again(call: Callable[[], Awaitable[None]]) -> None:
    """Make a call until it is answered, as the worker does."""
    for _ in range(TURNS):
        try:
            await call()
        except Unavailable:
            continue
        return
    raise AssertionError("still unavailable")


@pytest.mark.slow
async def test_a_batch_that_the_disk_damaged_is_named_and_can_be_stepped_over(
    own_kafka: tuple[Kafka, KafkaProcess], joined: Joined
) -> None:
    """What comes before is read and committed; the last word names the place; told to, the log goes on."""
    kafka, process = own_kafka
    topic, group = await kafka.create_topic(), kafka.unique("group")
    for number in range(3):
        await write_batch(kafka, topic, batch_of([Raw(b"%d" % number), Raw(b"damaged?" * 9)]))
    process.signal(signal.SIGTERM)
    process.wait()
    segment = process.folder / "data" / f"{topic}-0" / f"{0:020}.log"
    damaged = segment.read_bytes().split(b"damaged?")
    segment.write_bytes(b"damaged?".join(damaged[:10]) + b"damaged!" + b"damaged?".join(damaged[10:]))
    process.run()

    member = await joined(log_of(kafka, topic, group))
    assert [one.offset for one in await member.read(2)] == [0, 1]
    with pytest.raises(
        Unusable, match=f"in topic {topic}, partition 0, the records from offset 2 to 3 cannot"
    ):
        await member.read(1)
    await member.log.stop()
    told = KafkaLogSettings(
        [kafka.bootstrap_servers],
        kafka.unique("group"),
        [topic],
        session_timeout=SESSION,
        step_over=[OffsetRange.parse(f"{topic}:0:2")],
    )
    other = await joined(KafkaLog(told))
    assert [one.offset for one in await other.read(4)] == [0, 1, 4, 5]
