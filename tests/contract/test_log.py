"""What every log does: one suite for memory and Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from service.processing.narrowing import NarrowedLog
from service.processing.ports import OwnershipLost, Unusable
from service.processing.values import Commit, Message, Record, Resend, TopicPartition
from tests.contract.brokers import TURNS, Member, World


async def fill(world: World, topic: str, count: int, partitions: int = 1) -> list[TopicPartition]:
    """Write `count` records to each partition; their values say where they are."""
    places = [TopicPartition(topic, i) for i in range(partitions)]
    publisher = await world.publisher()
    await publisher.publish(
        [
            Message(topic, one.partition, b"key", b"%d/%d" % (one.partition, i))
            for one in places
            for i in range(count)
        ]
    )
    return places


def values(records: Sequence[Record], partition: int = 0) -> list[int]:
    """Give the numbers of the records of one partition, in the order they came."""
    return [int((one.value or b"").split(b"/")[1]) for one in records if one.partition == partition]


async def test_records_come_in_order_from_the_beginning(world: World) -> None:
    """A group that never committed reads every record once, in order, dated in whole milliseconds."""
    topic = await world.broker.topic(2)
    await fill(world, topic, 50, partitions=2)

    records = await (await world.member(topic)).read(100)

    assert list(range(50)) == values(records, 0) == values(records, 1)
    assert list(range(50)) == [one.offset for one in records if one.partition == 1]
    assert {topic} == {one.topic for one in records}
    assert all(one.timestamp > 0 and one.timestamp % 1_000 == 0 for one in records)


async def test_a_fetch_gives_no_more_than_asked_for_and_loses_nothing(world: World) -> None:
    """`max_records` bounds a fetch; the rest comes with the next ones."""
    topic = await world.broker.topic()
    (place,) = await fill(world, topic, 10)
    member = await world.member(topic)
    seen: list[Record] = []

    for _ in range(TURNS):
        some = await member.log.fetch(1.0, 3)
        seen += some
        assert len(some) <= 3
        assert not seen or member.log.position(place) == len(seen)
        if len(seen) == 10:
            break

    assert values(seen) == list(range(10))


async def test_an_empty_topic_gives_nothing_and_does_not_hang(world: World) -> None:
    """A fetch without records comes back with none."""
    topic = await world.broker.topic()
    member = await world.member(topic)
    await member.until_assigned(TopicPartition(topic, 0))

    assert await member.log.fetch(0.05, 10) == []
    assert member.log.unknown_topics() == []


async def test_reading_goes_on_where_it_was_committed(world: World) -> None:
    """The next member of the group begins with the committed offset, whatever the last one had read."""
    topic = await world.broker.topic()
    (place,) = await fill(world, topic, 10)
    first = await world.member(topic)
    await first.read(10)
    assert {place: None} == await first.log.committed([place])

    await first.log.commit({place: Commit(4, 0)})

    assert {place: Commit(4, 0)} == await first.log.committed([place])
    assert {place: 10} == await first.log.end_offsets([place])
    await first.log.stop()
    second = await world.member(topic)
    assert list(range(4, 10)) == values(await second.read(6))
    assert second.log.position(place) == 10


async def test_another_topic_of_the_name_has_another_id(world: World) -> None:
    """A topic keeps its id; deleted and created again it has a new one, and a missing topic has none."""
    topic, other = await world.broker.topic(), await world.broker.topic()
    member = await world.member(topic)
    await member.until_assigned(TopicPartition(topic, 0))
    first = await member.log.topic_ids([topic, other, "missing"])
    again = await member.log.topic_ids([topic])

    await world.broker.recreate(other)
    second = await member.log.topic_ids([topic, other])

    assert first.keys() == {topic, other}
    assert again == {topic: first[topic]}
    assert second[topic] == first[topic]
    assert second[other] not in {first[other], first[topic]}


async def test_what_a_commit_says_beside_the_offset_comes_back(world: World) -> None:
    """The generation, what is to be sent again, the topics that were written to, and where the log began."""
    topic = await world.broker.topic(2)
    member = await world.member(topic)
    one, other = TopicPartition(topic, 0), TopicPartition(topic, 1)
    await member.until_assigned(one, other)
    commits = {
        one: Commit(0, 3, Resend.HISTORY, "2f0c", 2, 17, "a1b2", 42),
        other: Commit(0, 0, Resend.LAST_WORDS),
    }

    await member.log.commit(commits)

    assert await member.log.committed([one, other]) == commits


async def test_questions_about_nothing_have_empty_answers(world: World) -> None:
    """Asking for no partition, or committing none, is no error."""
    topic = await world.broker.topic()
    member = await world.member(topic)
    await member.until_assigned(TopicPartition(topic, 0))

    assert await member.log.committed([]) == {}
    assert await member.log.end_offsets([]) == {}
    await member.log.commit({})


async def test_a_paused_partition_stays_silent_until_resumed(world: World) -> None:
    """Pausing leaves out one partition alone, and resuming loses nothing of it."""
    topic = await world.broker.topic(2)
    member = await world.member(topic)
    quiet, loud = TopicPartition(topic, 0), TopicPartition(topic, 1)
    await member.until_assigned(quiet, loud)
    member.log.pause([quiet])
    await fill(world, topic, 20, partitions=2)

    meanwhile = [*await member.read(20), *await member.log.fetch(0.2, 100)]
    member.log.resume([quiet])
    afterwards = await member.read(20)

    assert ([], list(range(20))) == (values(meanwhile, 0), values(meanwhile, 1))
    assert (list(range(20)), []) == (values(afterwards, 0), values(afterwards, 1))


async def test_a_narrowed_log_leaves_partitions_alone(world: World) -> None:
    """They are owned, so that nobody else reads them, and neither told of nor read, after a pause either."""
    topic = await world.broker.topic(3)
    await fill(world, topic, 20, partitions=3)
    member = await world.start(Member(NarrowedLog(world.log(topic), 2)))
    kept = frozenset(TopicPartition(topic, number) for number in range(2))

    records = await member.read(40)
    member.log.pause(member.log.assignment())
    assert await member.log.fetch(0.2, 100) == []
    member.log.resume(member.log.assignment())
    records += await member.log.fetch(0.2, 100)

    assert member.assigned[-1] == member.log.assignment() == kept
    assert (list(range(20)), list(range(20)), []) == (
        values(records, 0),
        values(records, 1),
        values(records, 2),
    )
    await member.log.commit({place: Commit(20, 0) for place in kept})
    assert {place: Commit(20, 0) for place in kept} == await member.log.committed(kept)


async def test_a_seek_repeats_or_skips(world: World) -> None:
    """Reading goes on from the offset that was sought, back and forth, prefetched records or not."""
    topic = await world.broker.topic()
    (place,) = await fill(world, topic, 10)
    member = await world.member(topic)
    await member.read(10)

    member.log.seek(place, 3)
    assert member.log.position(place) == 3
    assert list(range(3, 10)) == values(await member.read(7))
    member.log.seek(place, 9)
    assert values(await member.read(1)) == [9]


async def test_a_partition_of_others_has_no_position_and_cannot_be_moved(world: World) -> None:
    """What is not assigned is left alone without complaint."""
    topic = await world.broker.topic()
    member = await world.member(topic)
    await member.until_assigned(TopicPartition(topic, 0))
    foreign = TopicPartition(topic, 7)

    member.log.seek(foreign, 3)
    member.log.pause([foreign])
    member.log.resume([foreign])

    assert member.log.position(foreign) is None


@dataclass
class Rewinding(Member):
    """Goes on from offset 5, whatever was committed, once it is allowed to."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    decided: asyncio.Event = field(default_factory=asyncio.Event)

    async def on_assigned(self, partitions: frozenset[TopicPartition]) -> None:
        self.asked.set()
        await self.decided.wait()
        await super().on_assigned(partitions)
        for partition in partitions:
            self.log.seek(partition, 5)


async def test_no_record_is_given_before_the_assignment_is_taken_over(world: World) -> None:
    """However long `on_assigned` takes, a seek in it comes before the first record, and nothing gets lost."""
    topic = await world.broker.topic()
    await fill(world, topic, 10)
    member = Rewinding(world.log(topic))

    joining = asyncio.ensure_future(world.start(member))
    await member.asked.wait()
    early = [one for _ in range(5) for one in await member.log.fetch(0.2, 100)]
    member.decided.set()
    await joining

    assert early == []
    assert values(await member.read(5)) == list(range(5, 10))


class Failing(Member):
    """Cannot take over what it is given."""

    async def on_assigned(self, partitions: frozenset[TopicPartition]) -> None:
        raise LookupError(f"no state for {len(partitions)} partition")


async def test_what_goes_wrong_at_assignment_comes_out_of_fetch(world: World) -> None:
    """An assignment that failed gives no records, and is not forgotten."""
    topic = await world.broker.topic()
    await fill(world, topic, 1)
    member = await world.start(Failing(world.log(topic)))

    with pytest.raises(LookupError, match="no state for 1 partition"):
        await member.read(1)
    with pytest.raises(LookupError):
        await member.log.fetch(0.1, 1)


@dataclass
class Draining(Member):
    """Commits what it has read when it has to give up its partitions, once it is allowed to."""

    read_up_to: dict[TopicPartition, int] = field(default_factory=dict)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    allowed: asyncio.Event = field(default_factory=asyncio.Event)

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        self.asked.set()
        await self.allowed.wait()
        await self.log.commit({one: Commit(self.read_up_to[one], 0) for one in partitions})
        await super().on_revoked(partitions)


async def test_a_partition_is_drained_before_it_changes_hands(world: World) -> None:
    """The new member gets nothing before the old one is done, then goes on where that one committed."""
    topic = await world.broker.topic(2)
    places = await fill(world, topic, 10, partitions=2)
    old = await world.start(Draining(world.log(topic)))
    await old.read(20)
    old.read_up_to = {places[0]: 4, places[1]: 7}
    new = Member(world.log(topic))

    joining = asyncio.ensure_future(world.start(new))
    while not old.asked.is_set():
        assert await old.log.fetch(0.1, 100) == []
    assert old.log.assignment() == frozenset(places)
    assert await old.log.fetch(0.3, 100) == []
    assert new.assigned == []
    old.allowed.set()
    await joining

    shared = await read_together(9, old, new)
    assert values(shared, 0) == list(range(4, 10))
    assert values(shared, 1) == list(range(7, 10))
    assert old.revoked == [frozenset(places)]
    assert len(old.log.assignment()) == len(new.log.assignment()) == 1
    assert old.log.assignment() | new.log.assignment() == frozenset(places)


async def test_committing_what_was_lost_says_so_and_commits_the_rest(world: World) -> None:
    """`OwnershipLost` names the lost partition alone, and the others are committed all the same."""
    topic = await world.broker.topic(2)
    places = await fill(world, topic, 10, partitions=2)
    old = await world.member(topic)
    await old.read(20)
    new = await world.member(topic)
    await read_together(20, old, new)
    (mine,), (theirs,) = old.log.assignment(), new.log.assignment()

    with pytest.raises(OwnershipLost, match=f"partition={theirs.partition}"):
        await old.log.commit({mine: Commit(3, 0), theirs: Commit(8, 0)})

    assert await new.log.committed(places) == {mine: Commit(3, 0), theirs: None}


async def test_equal_partitions_of_two_topics_stay_together(world: World) -> None:
    """Partition n of each topic belongs to the same member, so that one worker has all of an EVSE."""
    topics = [await world.broker.topic(4), await world.broker.topic(4)]
    one, other = await world.member(*topics), await world.member(*topics)
    for topic in topics:
        await fill(world, topic, 1, partitions=4)
    await read_together(8, one, other)
    # The first may have read all of it before the second was in.
    while not all(len(member.log.assignment()) == 4 for member in (one, other)):
        await asyncio.gather(*(member.log.fetch(0.1, 1) for member in (one, other)))

    for member in (one, other):
        numbers = [
            {place.partition for place in member.log.assignment() if place.topic == topic} for topic in topics
        ]
        assert numbers[0] == numbers[1]
        assert len(numbers[0]) == 2


async def test_a_member_may_have_no_partition(world: World) -> None:
    """More members than partitions: the one without work is told so, and takes over when it is needed."""
    topic = await world.broker.topic()
    (place,) = await fill(world, topic, 3)
    members = [await world.member(topic), await world.member(topic)]
    await read_together(3, *members)
    while not all(member.assigned for member in members):
        await asyncio.gather(*(member.log.fetch(0.1, 1) for member in members))
    (busy,) = [member for member in members if place in member.log.assignment()]
    (idle,) = [member for member in members if member is not busy]

    assert idle.assigned[-1] == frozenset()
    await busy.log.stop()
    assert values(await idle.read(3)) == [0, 1, 2]


async def test_a_topic_that_is_not_there_is_named(world: World) -> None:
    """Nobody waits for a topic that has to be created first."""
    with pytest.raises(Unusable, match="no-such-topic"):
        await world.member("no-such-topic")


async def read_together(count: int, *members: Member) -> list[Record]:
    """Fetch with all members at once until each has heard of its partitions and `count` records have come."""
    records: list[Record] = []
    for _ in range(TURNS):
        for some in await asyncio.gather(*(member.log.fetch(0.5, 1_000) for member in members)):
            records += some
        if len(records) >= count:
            return records
    raise AssertionError(f"{count} records were expected, {len(records)} came")
