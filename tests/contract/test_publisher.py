"""What every publisher does: one suite for memory and Kafka."""

from __future__ import annotations

import pytest

from service.processing.ports import TooLarge, Unusable
from service.processing.values import Message
from tests.contract.brokers import LARGEST, World


async def test_what_is_acknowledged_can_be_read(world: World) -> None:
    """Key, value and headers come out of the partition they were sent to, byte for byte."""
    topic = await world.broker.topic(3)
    publisher = await world.publisher()
    headers = (("ce_id", b"1"), ("twice", b"a"), ("twice", b"\xff\x00"), ("leer", b""))

    await publisher.publish(
        [Message(topic, 2, b"charger-1", b"\x00\xff", headers), Message(topic, 0, "Straße".encode(), b"")]
    )

    records = {one.partition: one for one in await (await world.member(topic)).read(2)}
    assert {0, 2} == set(records)
    assert (b"charger-1", b"\x00\xff", headers) == (records[2].key, records[2].value, records[2].headers)
    assert ("Straße".encode(), b"", ()) == (records[0].key, records[0].value, records[0].headers)


async def test_tombstones_and_missing_keys_stay_what_they_are(world: World) -> None:
    """A null value and a null key are not empty ones."""
    topic = await world.broker.topic()

    await (await world.publisher()).publish(
        [Message(topic, 0, b"gone", None), Message(topic, 0, None, b"keyless"), Message(topic, 0, b"", b"")]
    )

    records = await (await world.member(topic)).read(3)
    assert [(one.key, one.value) for one in records] == [(b"gone", None), (None, b"keyless"), (b"", b"")]


async def test_a_message_keeps_the_time_it_is_given(world: World) -> None:
    """One with a timestamp has it, in milliseconds; one without is dated when it is written."""
    topic = await world.broker.topic()
    given = 1_767_571_200_123_456

    await (await world.publisher()).publish(
        [
            Message(topic, 0, b"a", b"then", timestamp=given),
            Message(topic, 0, b"a", b"now"),
            Message(topic, 0, b"a", b"never", timestamp=0),
        ]
    )

    then, now, never = [one.timestamp for one in await (await world.member(topic)).read(3)]
    assert (then, never) == (given // 1_000 * 1_000, 0)
    assert now not in {0, then}


async def test_messages_of_a_partition_keep_their_order(world: World) -> None:
    """More than fits a batch, spread over partitions and calls, comes out in the order it went in."""
    topic = await world.broker.topic(3)
    publisher = await world.publisher()
    values = [b"%06d" % i + b"x" * 500 for i in range(900)]

    for start in range(0, len(values), 300):
        await publisher.publish([Message(topic, i % 3, b"key", values[i]) for i in range(start, start + 300)])

    records = await (await world.member(topic)).read(len(values))
    for partition in range(3):
        assert values[partition::3] == [one.value for one in records if one.partition == partition]


async def test_nothing_is_sent_with_a_message_that_is_too_large(world: World) -> None:
    """A message beyond the limit is refused as such, before any other of the call is written."""
    topic = await world.broker.topic()
    publisher = await world.publisher()

    with pytest.raises(TooLarge, match=topic):
        await publisher.publish(
            [Message(topic, 0, b"a", b"first"), Message(topic, 0, b"b", b"x" * (LARGEST + 1))]
        )

    await publisher.publish([Message(topic, 0, b"a", b"second")])
    assert [one.value for one in await (await world.member(topic)).read(1)] == [b"second"]


async def test_a_message_larger_than_a_batch_travels_alone(world: World) -> None:
    """Size within the limit is no reason to refuse."""
    topic = await world.broker.topic()
    values = [b"small", b"x" * (LARGEST - 1_000), b"small again"]

    await (await world.publisher()).publish([Message(topic, 0, None, value) for value in values])

    assert values == [one.value for one in await (await world.member(topic)).read(3)]


async def test_a_partition_that_is_not_there_is_named(world: World) -> None:
    """Writing beyond a topic's partitions is a mistake to be mended, not to be waited for."""
    topic = await world.broker.topic(2)
    publisher = await world.publisher()

    with pytest.raises(Unusable, match=topic):
        await publisher.publish([Message(topic, 2, b"a", b"b")])

    await publisher.publish([Message(topic, 1, b"a", b"b")])
    await publisher.publish([])
