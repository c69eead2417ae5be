"""The partitions a worker owns, and the states it holds."""

from __future__ import annotations

from service.domain.state import EvseState
from service.processing.assignment import Assignment, Progress
from service.processing.states import Held, States, new_position, position_of
from service.processing.values import Checkpoint, Position, Record, StoredEvse, TopicPartition

P0, P1, P2 = (TopicPartition("evse.events", number) for number in range(3))


def record(partition: TopicPartition, offset: int = 0) -> Record:
    """Give a record of a place."""
    return Record(partition.topic, partition.partition, offset, 0, b"", b"")


def held(partition: int | None) -> Held:
    """Give a state that lives in a partition."""
    return Held(EvseState("e", partition=partition), new_position(0, 1))


def test_an_assignment_gives_what_is_new_in_it() -> None:
    """What stays is not restored again."""
    assignment = Assignment()

    assert assignment.assign([P0, P1]) == {P0, P1}
    assignment.progress()[P0].restore(None)
    assert assignment.assign([P0, P1, P2]) == {P2}
    assert assignment.unrestored() == {1: [P1], 2: [P2]}
    assert assignment.owned == {P0, P1, P2}


def test_a_leaving_partition_is_owned_until_it_is_dropped() -> None:
    """What is in hand may be committed; nothing is waited for any more."""
    assignment = Assignment()
    assignment.assign([P0, P1])
    assignment.leave([P0, P2])

    assert assignment.is_leaving([P1, P0])
    assert not assignment.is_leaving([P1])
    before = assignment.progress()
    assert assignment.are_kept([P0], before)
    assignment.drop([P0])
    assert assignment.owned == {P1}
    assert assignment.is_leaving([P0])
    assert not assignment.are_kept([P0], before)


def test_records_of_partitions_that_went_are_left_out() -> None:
    """Those of the others stay, in order."""
    assignment = Assignment()
    assignment.assign([P0, P1])
    assignment.drop([P0])

    assert assignment.still_owned([record(P0), record(P1), record(P1, 1)]) == [record(P1), record(P1, 1)]


def test_a_partition_that_came_back_is_new() -> None:
    """Its checkpoint is looked up again, and what was begun before is not committed."""
    assignment = Assignment()
    assignment.assign([P0])
    before = assignment.progress()
    before[P0].restore(Checkpoint(5, 2))
    assignment.drop([P0])

    assert assignment.assign([P0]) == {P0}
    assert assignment.unrestored() == {0: [P0]}
    assert assignment.progress()[P0].run.in_a_row == 0
    assert not assignment.are_kept([P0], before)


def test_a_restored_partition_goes_on_counting_rejections() -> None:
    """From the checkpoint on; what is read again below it is not counted again."""
    assignment = Assignment()
    assignment.assign([P0])
    assignment.progress()[P0].restore(Checkpoint(next_offset=5, rejections_in_a_row=2))
    run = assignment.progress()[P0].run

    assert run.rejected(4, limit=3)
    assert not run.rejected(5, limit=3)


def test_a_checkpoint_says_what_is_done_and_what_was_counted() -> None:
    """Records read again do not undo what was counted beyond them, nor are they done for it."""
    progress = Progress()
    progress.restore(Checkpoint(10, 1))

    assert progress.checkpoint(7) == Checkpoint(7, 1, counted_until=10)
    progress.run.passed(10)
    assert progress.checkpoint(11, b"[]") == Checkpoint(11, 0, b"[]", counted_until=11)


def test_a_number_is_restored_as_a_whole() -> None:
    """The partitions of one number, of every topic, are one: its EVSEs are told of in all of them."""
    other = TopicPartition("more.events", 1)
    assignment = Assignment()
    assignment.assign([P1, other, P2])
    assignment.restore(P1, None)
    assignment.restore(P0, None)
    assignment.restore(P2, None)

    assert assignment.unrestored() == {1: [P1, other]}
    assignment.begin_again()
    assert assignment.unrestored() == {1: [P1, other], 2: [P2]}


def test_the_least_recently_heard_go_first() -> None:
    """Beyond the limit, when asked to shrink; a look that is no hearing does not count."""
    states = States(limit=2)
    for uid in "abc":
        states.put(uid, held(0))
    states.get("a")
    states.peek("b")
    assert len(states) == 3
    states.shrink()

    assert list(states) == ["c", "a"]
    assert states.missing(["a", "b", "b", "d"]) == ["b", "d"]


def test_what_says_nothing_goes_out_of_memory_and_what_was_only_looked_at_goes_first() -> None:
    """Idle since before the bound, when asked to shrink; of what nobody heard nothing stays."""
    states = States(limit=10, idle_after_s=100.0)
    for now, uid in ((0.0, "a"), (60.0, "b"), (90.0, "c")):
        states.hear(now)
        states.put(uid, held(0))
    states.hear(100.0)
    states.get("a")
    states.put("d", held(0), heard=False)
    states.shrink()
    assert list(states) == ["b", "c", "a"]

    states.hear(161.0)
    states.shrink()
    assert list(states) == ["c", "a"]
    states.hear(1_000.0)
    states.shrink()
    assert not list(states)


def test_states_go_with_their_partition() -> None:
    """Those that never found a partition, too."""
    states = States(limit=10)
    for uid, partition in (("a", 0), ("b", 1), ("c", None), ("d", 2)):
        states.put(uid, held(partition))
    states.keep_partitions({0, 2})

    assert list(states) == ["a", "d"]


def test_a_position_has_room_for_topics_that_were_added() -> None:
    """Of a topic that is new nothing has been applied."""
    stored = StoredEvse(Position(1, (5,), 7), b"", b"")

    assert position_of(stored, 1) == stored.position
    assert position_of(stored, 3) == Position(1, (5, -1, -1), 7)


def test_what_went_and_came_back_was_not_kept() -> None:
    """Another may have owned it in between: what was looked up for the first time of owning is void."""
    assignment = Assignment()
    assignment.assign([P0, P1])
    since = assignment.progress()
    assert assignment.are_kept([P0, P1], since)
    assignment.drop([P1])
    assert not assignment.are_kept([P0, P1], since)
    assignment.assign([P0, P1])
    assert assignment.are_kept([P0], since)
    assert not assignment.are_kept([P1], since)
