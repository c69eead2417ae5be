"""What every store of the view does: one suite for memory, Redis and Valkey, and for clusters of these."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis, RedisCluster

from service.adapters.memory_view import MemoryViewStore
from service.adapters.redis_connection import RedisSettings
from service.processing.ports import Behind
from service.processing.values import (
    Checkpoint,
    ClosedHistory,
    Epochs,
    Mark,
    Position,
    SaveOutcome,
    Seen,
    Standing,
    StoredEvse,
    TopicPartition,
)
from tests.contract.stores import (
    REDIS_SERVERS,
    Kept,
    Listed,
    MemoryLook,
    RedisLook,
    Subject,
    position,
    redis_store,
    write,
)

SAVED, ALREADY, STALE = SaveOutcome.SAVED, SaveOutcome.ALREADY, SaveOutcome.STALE
DAY = 86_400_000_000
AWKWARD_UIDS = ["a{b}c", "{}", "100%", "%7B", "Straße 1/ü🔌", "a b\nc", "x" * 500, "evse:{x}:days", "*[?]\\"]


@pytest.fixture(
    params=[
        "memory",
        *REDIS_SERVERS,
    ]
)
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    """Give a started, empty store of each kind."""
    if request.param == "memory":
        memory = MemoryViewStore()
        await memory.start()
        yield Subject(memory, MemoryLook(memory))
        return
    url: str = request.getfixturevalue(f"{request.param}_url")
    settings = RedisSettings(url, cluster=request.param.endswith("_cluster"))
    store = redis_store(settings)
    client = (RedisCluster if settings.cluster else Redis).from_url(url)
    await store.start()
    yield Subject(store, RedisLook(client))
    await client.aclose()
    await store.stop()


async def test_a_first_write_is_saved_whole(subject: Subject) -> None:
    """State, document, history and lists are there after the first save."""
    whole = write(
        closed_days={"c1/2026-01-01": b"{}", "/2026-01-01": b"port"},
        closed_outages=[(2, b"second"), (1, b"first")],
        exclusions={"x": b"{}"},
        gaps=[(3, b"gap")],
        verdicts=[(4, b"7 corrected")],
        coordinates=(4.35, 50.85),
    )

    outcomes = await subject.store.save([whole])

    assert outcomes == [SAVED]
    assert {
        "charger-1": StoredEvse(
            whole.position,
            b"state a",
            b"pending a",
            whole.closed_days,
            (b"first", b"second"),
            whole_at=whole.position,
        )
    } == await subject.store.load(["charger-1"])
    assert Kept(
        dict(whole.document),
        dict(whole.closed_days),
        [(1, b"first"), (2, b"second")],
        {"x": b"{}"},
        [(3, b"gap")],
        [(4, b"7 corrected")],
    ) == await subject.kept("charger-1")
    assert Listed(1_000, {"AVAILABLE"}, {"true"}, True) == await subject.listed("charger-1")


@pytest.mark.parametrize(
    ("stored", "offered", "outcome"),
    [
        (position(7), position(8), SAVED),
        (position(7), position(7), ALREADY),
        (position(7), position(6), STALE),
        (position(7, as_of_us=5), position(7, as_of_us=6), SAVED),
        (position(7, as_of_us=5), position(7, as_of_us=4), STALE),
        (position(7, as_of_us=5), position(8, as_of_us=4), SAVED),
        (position(7), position(6, as_of_us=2_000_000_000_000_000), STALE),
        (position(7, 3), position(7, 4), SAVED),
        (position(7, 3), position(8, 2), STALE),
        (position(7, 3), position(7, 3), ALREADY),
        (position(7), position(7, 0), SAVED),
        (position(7, 0), position(9), STALE),
        (position(-1, 3), position(0, 3), SAVED),
        (position(7, epoch=1), position(9, epoch=0), STALE),
        (position(7, epoch=1), position(0, epoch=2, as_of_us=1), SAVED),
        (position(9_007_199_254_740_990), position(9_007_199_254_740_991), SAVED),
        (position(10), position(9), STALE),
    ],
)
async def test_the_guard_judges_by_the_position(
    subject: Subject, stored: Position, offered: Position, outcome: SaveOutcome
) -> None:
    """Every store judges as `Position.judge` does, and what is not accepted changes nothing."""
    await subject.store.save([write(at=stored)])

    outcomes = await subject.store.save([write(at=offered, word="b", closed_outages=[(9, b"b")])])

    accepted = outcome is SAVED
    loaded = (await subject.store.load(["charger-1"]))["charger-1"]
    kept = await subject.kept("charger-1")
    assert [outcome] == outcomes
    assert outcome is stored.judge(offered)
    assert (offered if accepted else stored) == loaded.position
    assert (b"state b" if accepted else b"state a", b"pending b" if accepted else b"pending a") == (
        loaded.state,
        loaded.pending,
    )
    assert (b"snapshot b" if accepted else b"snapshot a") == kept.document["snapshot"]
    assert ([(9, b"b")] if accepted else []) == kept.outages


async def test_each_of_many_evses_is_judged_by_itself(subject: Subject) -> None:
    """One call holds writes of many EVSEs, and a stale one among them hinders nobody."""
    uids = [f"charger-{i}" for i in range(450)]
    await subject.store.save([write(uid, position(10)) for uid in uids[:3]])
    offered = [position(9), position(10), position(11), *(position(i) for i in range(len(uids) - 3))]

    outcomes = await subject.store.save(
        [
            write(
                uid,
                at,
                word="b",
                closed_days={uid: b"1", "more": b"2"},
                drop_days=["gone", "gone too", "all gone"],
                drop_outages=[b"void"],
                closed_outages=[(1, b"one"), (2, b"two")],
                exclusions={"new": b"1", "old": None},
                drop_gaps=[b"void", b"void too"],
                gaps=[(3, b"three")],
            )
            for uid, at in zip(uids, offered, strict=True)
        ]
    )

    loaded = await subject.store.load(uids)
    assert [STALE, ALREADY, *[SAVED] * (len(uids) - 2)] == outcomes
    assert uids == list(loaded)
    assert [b"state a", b"state a", *[b"state b"] * (len(uids) - 2)] == [loaded[uid].state for uid in uids]
    assert (await subject.kept(uids[0])).days == {}
    assert (await subject.kept(uids[-1])).days == {uids[-1]: b"1", "more": b"2"}


async def test_documents_with_other_fields_go_together(subject: Subject) -> None:
    """Writes of one call may have different fields in their documents."""
    writes = [
        write("a", document={"snapshot": b"1", "status": b"2"}),
        write("b", document={"status": b"3", "snapshot": b"4", "recent": b"5"}),
        write("c", document={}),
    ]

    assert await subject.store.save(writes) == [SAVED] * 3
    assert [dict(one.document) for one in writes] == [
        (await subject.kept(one.uid)).document for one in writes
    ]


async def test_two_writes_of_one_evse_in_a_call_keep_their_order(subject: Subject) -> None:
    """The second write of a call is judged by the first."""
    outcomes = await subject.store.save(
        [write(at=position(1)), write(at=position(2), word="b"), write(at=position(1))]
    )

    assert outcomes == [SAVED, SAVED, STALE]
    assert (await subject.store.load(["charger-1"]))["charger-1"].state == b"state b"


async def test_a_large_state_is_saved_and_loaded(subject: Subject) -> None:
    """States of megabytes go through, whatever bytes they hold."""
    state = bytes(range(256)) * 8_000

    assert await subject.store.save([write("a", state=state), write("b", state=state)]) == [SAVED] * 2
    assert [state] * 2 == [one.state for one in (await subject.store.load(["a", "b"])).values()]


async def test_thousands_of_days_and_outages_are_written_at_once(subject: Subject) -> None:
    """A save after a long absence closes more days and spans than a script's stack holds."""
    days = {f"c{i % 30}/{i:010d}": b"{}" for i in range(9_001)}
    outages = [(i, b"%d" % i) for i in range(9_001)]

    assert await subject.store.save([write(closed_days=days, closed_outages=outages)]) == [SAVED]
    kept = await subject.kept("charger-1")
    assert (days, outages) == (kept.days, kept.outages)
    assert await subject.store.save([write(at=position(8), drop_days=list(days)[:9_000])]) == [SAVED]
    assert list(days)[9_000:] == list((await subject.kept("charger-1")).days)


@pytest.mark.parametrize("uid", AWKWARD_UIDS)
async def test_any_uid_is_kept_apart(subject: Subject, uid: str) -> None:
    """Braces, percent signs and whatever else a uid holds neither break its keys nor mix it with others."""
    other = uid + "}"

    await subject.store.save([write(uid), write(other, word="b")])

    loaded = await subject.store.load([uid, other])
    assert {uid: b"state a", other: b"state b"} == {one: stored.state for one, stored in loaded.items()}
    assert (await subject.kept(uid)).document["snapshot"] == b"snapshot a"
    assert {"AVAILABLE"} == (await subject.listed(uid)).statuses


async def test_what_was_never_saved_is_not_loaded(subject: Subject) -> None:
    """Unknown uids are left out, and asking twice or for nothing does no harm."""
    await subject.store.save([write("a")])

    assert list(await subject.store.load(["nobody", "a", "a"])) == ["a"]
    assert await subject.store.load([]) == {}
    assert await subject.store.save([]) == []


async def test_spans_and_gaps_can_be_taken_back(subject: Subject) -> None:
    """What is dropped goes before what is written, so that the same span may come back at once."""
    await subject.store.save(
        [write(at=position(1), closed_outages=[(1, b"x"), (2, b"y")], gaps=[(3, b"x"), (4, b"y")])]
    )

    await subject.store.save(
        [
            write(
                at=position(2),
                drop_outages=[b"x", b"y", b"never"],
                closed_outages=[(2, b"y")],
                drop_gaps=[b"x", b"y"],
                gaps=[(4, b"y")],
            )
        ]
    )

    kept = await subject.kept("charger-1")
    assert list(kept.outages) == [(2, b"y")]
    assert list(kept.gaps) == [(4, b"y")]


async def test_exclusions_and_days_can_be_taken_back(subject: Subject) -> None:
    """What is withdrawn or dropped is gone, and the rest stays."""
    await subject.store.save(
        [write(at=position(1), exclusions={"x": b"1", "y": b"2"}, closed_days={"a": b"1", "b": b"2"})]
    )

    await subject.store.save(
        [write(at=position(2), exclusions={"x": None, "z": b"3", "never": None}, drop_days=["a", "never"])]
    )

    kept = await subject.kept("charger-1")
    assert kept.exclusions == {"y": b"2", "z": b"3"}
    assert kept.days == {"b": b"2"}


async def test_writing_history_again_adds_nothing(subject: Subject) -> None:
    """A span or a gap that is written a second time stands there once."""
    first = write(at=position(1), closed_outages=[(1, b"one")], gaps=[(2, b"two")])

    await subject.store.save([first])
    await subject.store.save([replace(first, position=position(2))])

    kept = await subject.kept("charger-1")
    assert (kept.outages, kept.gaps) == ([(1, b"one")], [(2, b"two")])


async def test_what_started_before_the_day_to_keep_from_is_deleted(subject: Subject) -> None:
    """Days, spans and gaps that started before the UTC day of `keep_from_us` go, the others stay."""
    keep = 20_000 * DAY  # 2024-10-04
    await subject.store.save(
        [
            write(
                at=position(1),
                closed_days={"c1/2024-10-03": b"old", "c1/2024-10-04": b"kept", "/2024-10-03": b"old"},
                closed_outages=[(keep - 1, b"old"), (keep, b"kept")],
                gaps=[(keep - 1, b"old"), (keep, b"kept")],
            )
        ]
    )

    await subject.store.save([write(at=position(2), keep_from_us=keep + DAY // 2)])

    kept = await subject.kept("charger-1")
    assert kept.days == {"c1/2024-10-04": b"kept"}
    assert [(keep, b"kept")] == kept.outages == kept.gaps


async def test_lists_follow_the_document(subject: Subject) -> None:
    """An EVSE moves between the lists, never stands in two of a kind, and leaves the map with its place."""
    first = write(at=position(1), coordinates=(4.35, 50.85))
    await subject.store.save([first])

    await subject.store.save(
        [write(at=position(2), status="CHARGING", online="false", last_updated_ms=2_000, coordinates=None)]
    )

    assert Listed(2_000, {"CHARGING"}, {"false"}, False) == await subject.listed("charger-1")


async def test_lists_do_not_follow_a_stale_write(subject: Subject) -> None:
    """Whoever was overtaken changes no list."""
    await subject.store.save([write(at=position(2), status="CHARGING", last_updated_ms=2_000)])

    await subject.store.save([write(at=position(1), status="OUTOFORDER", last_updated_ms=3_000)])

    assert Listed(2_000, {"CHARGING"}, {"true"}, False) == await subject.listed("charger-1")


async def test_lists_keep_what_was_updated_later(subject: Subject) -> None:
    """An older `last_updated` moves nothing in the lists, even where the document was written."""
    await subject.store.save([write(at=position(1), status="CHARGING", last_updated_ms=2_000)])

    await subject.store.save([write(at=position(2), status="OUTOFORDER", last_updated_ms=1_000)])

    assert Listed(2_000, {"CHARGING"}, {"true"}, False) == await subject.listed("charger-1")


async def test_a_removed_evse_is_found_among_the_removed_alone(subject: Subject) -> None:
    """It leaves the lists by place and by online, and stays among all and among its status."""
    await subject.store.save([write(at=position(1), coordinates=(4.35, 50.85))])

    gone = write(at=position(2), status="REMOVED", removed=True, coordinates=(4.35, 50.85), last_updated_ms=5)
    await subject.store.save([replace(gone, last_updated_ms=2_000)])

    assert Listed(2_000, {"REMOVED"}, set(), False) == await subject.listed("charger-1")


async def test_a_place_off_the_map_costs_only_the_place(subject: Subject) -> None:
    """Coordinates that the geographic index cannot hold do not fail the save."""
    outcomes = await subject.store.save([write(coordinates=(4.35, 89.0))])

    assert outcomes == [SAVED]
    assert Listed(1_000, {"AVAILABLE"}, {"true"}, False) == await subject.listed("charger-1")


async def test_checkpoints_are_kept_by_partition(subject: Subject) -> None:
    """A checkpoint comes back as it was, the latest one, and none where none was written."""
    one, two = TopicPartition("evse.events", 1), TopicPartition("evse.events", 2)
    await subject.store.save_checkpoints({one: Checkpoint(5, 0), two: Checkpoint(9, 3)})
    await subject.store.save_checkpoints({one: Checkpoint(6, 1)})
    await subject.store.save_checkpoints({})

    assert Checkpoint(6, 1) == await subject.store.load_checkpoint(one)
    assert Checkpoint(9, 3) == await subject.store.load_checkpoint(two)
    assert await subject.store.load_checkpoint(TopicPartition("evse.events", 3)) is None


async def test_a_checkpoint_keeps_all_that_is_known_of_its_partition(subject: Subject) -> None:
    """Ingest, mark, epoch and how far rejections were counted come back with it."""
    place = TopicPartition("evse.events", 1)
    whole = Checkpoint(5, 2, b"[1]", Mark(20_000, 3), 1, 8)
    await subject.store.save_checkpoints({place: whole})

    assert whole == await subject.store.load_checkpoint(place)


async def test_a_checkpoint_never_goes_back_within_its_epoch(subject: Subject) -> None:
    """A worker that was overtaken changes nothing; a new epoch begins anew."""
    place = TopicPartition("evse.events", 1)
    await subject.store.save_checkpoints({place: Checkpoint(9, 0)})
    await subject.store.save_checkpoints({place: Checkpoint(5, 0)})
    assert Checkpoint(9, 0) == await subject.store.load_checkpoint(place)

    await subject.store.save_checkpoints({place: Checkpoint(2, 0, epoch=1)})
    await subject.store.save_checkpoints({place: Checkpoint(9, 0)})
    assert Checkpoint(2, 0, epoch=1) == await subject.store.load_checkpoint(place)


async def test_epochs_are_raised_and_never_lowered(subject: Subject) -> None:
    """They come back as they were written, and an older generation changes nothing."""
    assert Epochs() == await subject.store.load_epochs()
    await subject.store.save_epochs(Epochs(2, {"evse.events": 1}))
    await subject.store.save_epochs(Epochs(1, {"evse.events": 1, "other": 1}))

    assert Epochs(2, {"evse.events": 1}) == await subject.store.load_epochs()


async def test_an_id_of_a_topic_stands_for_its_generation(subject: Subject) -> None:
    """
    The first that is told holds until a rebuild tells another one; an older generation tells none.

    A newer one that tells any tells all: a topic that was left is none of the view any more.
    """
    store = subject.store
    await store.save_epochs(Epochs(0, {}, {"evse.events": "one"}))
    await store.save_epochs(Epochs(0, {}, {"evse.events": "two", "other": "three"}))
    assert Epochs(0, {}, {"evse.events": "one", "other": "three"}) == await store.load_epochs()

    await store.save_epochs(Epochs(1, {"evse.events": 1}, {"evse.events": "two"}))
    await store.save_epochs(Epochs(0, {}, {"more": "four"}))
    assert Epochs(1, {"evse.events": 1}, {"evse.events": "two"}) == await store.load_epochs()

    await store.save_epochs(Epochs(2, {"evse.events": 1}))
    assert Epochs(2, {"evse.events": 1}, {"evse.events": "two"}) == await store.load_epochs()


async def test_for_how_many_partitions_all_is_laid_out_stands_with_the_epochs(subject: Subject) -> None:
    """And where their logs begin: told once in a generation, and anew with the next one."""
    store, begins = subject.store, {"evse.events": (5, 0, 7), "other": (0, 0, 1)}
    await store.save_epochs(Epochs(0, {}, {}, 2))
    await store.save_epochs(Epochs(0, {}, {}, 3, begins))
    assert Epochs(0, {}, {}, 2) == await store.load_epochs()

    moved = Epochs(1, {"evse.events": 1, "other": 1}, {}, 3, begins)
    await store.save_epochs(moved)
    assert moved == await store.load_epochs()

    await store.save_epochs(Epochs(2, {"evse.events": 2, "other": 1}, {}, 3, {"other": (0, 0, 1)}))
    assert (await store.load_epochs()).begins == {"other": (0, 0, 1)}


async def test_who_lives_elsewhere_goes_from_a_partitions_list(subject: Subject) -> None:
    """The EVSE stays, and whoever saves it there puts it back."""
    await subject.store.save([write("a"), write("b"), write("c")])
    await subject.store.delist(0, ["a", "b", "nobody"])
    await subject.store.delist(1, [])

    assert await subject.store.members(0) == ["c"]
    assert set(await subject.store.look(["a", "b"])) == {"a", "b"}
    await subject.store.save([write("a", position(8))])
    assert await subject.store.members(0) == ["a", "c"]


async def test_members_and_vitals_are_known_by_partition(subject: Subject) -> None:
    """Who lives in a partition, how far it is and how it is, without its state."""
    await subject.store.save([write("a", position(1)), write("b", position(2), "b"), write("c", partition=1)])

    assert await subject.store.members(0) == ["a", "b"]
    assert await subject.store.members(2) == []
    assert {
        "a": Seen(position(1), b"vitals a"),
        "b": Seen(position(2), b"vitals b"),
    } == await subject.store.look(["a", "b", "nobody"])


async def test_how_evses_stand_is_known_without_their_documents(subject: Subject) -> None:
    """By the lists, many at once: whom they lack is left out, and who was removed is nowhere by online."""
    offline = write("b{}", status="OUTOFORDER", online="false")
    await subject.store.save([write("a"), offline, write("c", status="REMOVED", removed=True)])

    assert {
        "a": Standing("AVAILABLE", "true"),
        "b{}": Standing("OUTOFORDER", "false"),
        "c": Standing("REMOVED", "null"),
    } == await subject.store.standings(["a", "nobody", "b{}", "c"])
    assert await subject.store.standings([]) == {}


async def test_a_write_after_an_older_position_than_the_writer_knew_is_behind(subject: Subject) -> None:
    """The view has gone back: the write, whose closed history would have a hole, is not made."""
    await subject.store.save([write("a", position(5)), write("b", position(5))])

    for known, offered in ((position(7), position(8)), (position(5, as_of_us=2**52), position(8))):
        with pytest.raises(Behind):
            await subject.store.save([write("a", offered, "b", previous=known)])
    with pytest.raises(Behind):
        await subject.store.save([write("nobody", position(8), previous=position(7))])

    assert (await subject.store.load(["a"]))["a"].position == position(5)
    assert await subject.store.load(["nobody"]) == {}


async def test_a_view_that_forgot_is_noticed_by_any_write_until_begun_anew(subject: Subject) -> None:
    """Nothing is written into it meanwhile, so that nothing looks as if it were whole."""
    store, place = subject.store, TopicPartition("evse.events", 0)
    await store.save([write("a")])
    await subject.wipe()

    with pytest.raises(Behind):
        await store.ping()
    with pytest.raises(Behind):
        await store.save([write("b")])
    with pytest.raises(Behind):
        await store.stage("t", [ClosedHistory("b", {"c1/2026-01-01": b"{}"}, ())])
    with pytest.raises(Behind):
        await store.staged("t", ["b"])
    with pytest.raises(Behind):
        await store.save_checkpoints({place: Checkpoint(5, 0)})
    with pytest.raises(Behind):
        await store.load_checkpoint(place)
    assert await subject.kept("b") == Kept()

    await store.begin()
    await store.ping()
    assert await store.save([write("b")]) == [SAVED]
    assert await store.load_checkpoint(place) is None
    assert await store.members(0) == ["b"]


@pytest.mark.parametrize("previous", [Position(0, (5,), 1), Position(0, (5, -1), 1), None])
async def test_a_write_that_goes_on_from_what_is_stored_is_made(
    subject: Subject, previous: Position | None
) -> None:
    """Also where the writer has room for topics that came later, or says nothing of what it knew."""
    await subject.store.save([write("a", Position(0, (5,), 1))])

    assert await subject.store.save([write("a", Position(0, (8, -1), 2), previous=previous)]) == [SAVED]


@pytest.mark.parametrize("stored", [position(5), position(4, as_of_us=2**52)])
async def test_a_write_that_goes_on_from_less_than_is_stored_is_stale(
    subject: Subject, stored: Position
) -> None:
    """That somebody else went on is no going back, but what was folded without it would undo it."""
    await subject.store.save([write("a", stored, "b")])

    offered = write("a", position(8, as_of_us=2**53), previous=position(4))
    assert await subject.store.save([offered]) == [STALE]
    assert (await subject.store.load(["a"]))["a"].position == stored


async def test_what_was_added_to_a_state_stands_beside_it_until_all_is_written_anew(subject: Subject) -> None:
    """Each time all that was added, in place of what was added before."""
    store, whole = subject.store, position(7)

    await store.save([write("a", whole, "whole")])
    for offset, word in ((8, "one"), (9, "one and another")):
        assert await store.save([write("a", position(offset), word, adds_to=whole)]) == [SAVED]
        added = (await store.load(["a"]))["a"]
        assert (added.position, added.state, added.whole_at) == (position(offset), b"state whole", whole)
        assert added.since == f"state {word}".encode()
    await store.save([write("a", position(10), "all")])

    anew = (await store.load(["a"]))["a"]
    assert (anew.state, anew.whole_at, anew.since) == (b"state all", position(10), b"")


@pytest.mark.parametrize("other", [position(6), position(7, as_of_us=1), None])
async def test_what_adds_to_another_whole_than_is_stored_is_stale(
    subject: Subject, other: Position | None
) -> None:
    """Somebody else wrote all of it meanwhile: what was added to one whole is not to another."""
    store = subject.store
    await store.save([write("a", position(7), "whole")])
    if other is None:
        await store.save([write("a", position(8), "whole")])

    offered = write("a", position(9), "b", adds_to=other or position(7), closed_outages=[(1, b"one")])
    assert await store.save([offered]) == [STALE]
    kept = (await store.load(["a"]))["a"]
    assert (kept.state, kept.since, kept.outages) == (b"state whole", b"", ())


@pytest.mark.parametrize("key", ["days", "outages"])
async def test_closed_history_that_somebody_deleted_shows(subject: Subject, key: str) -> None:
    """At the next load, and before more of it is written, which would hide it."""
    store = subject.store
    closed: dict[str, Any] = {
        "closed_days": {"c1/2026-01-01": b"{}", "/2026-01-01": b"{}"},
        "closed_outages": [(1, b"x")],
    }
    await store.save([write("a", position(1), **closed), write("b", position(1), **closed)])
    whole = await store.load(["a", "b"])
    await subject.lose_history("a", key)

    torn = await store.load(["a", "b"])
    assert [each.is_whole for each in (whole["a"], whole["b"], torn["a"], torn["b"])] == [1, 1, 0, 1]
    assert await store.save([write("a", position(2))]) == [SAVED], "what closes nothing costs nothing"
    with pytest.raises(Behind):
        await store.save([write("a", position(3), closed_days={"c1/2026-01-02": b"{}"})])
    await store.stage("t", [ClosedHistory("a", {"c1/2026-01-01": b"{}", "/2026-01-01": b"{}"}, [(1, b"x")])])
    await store.save([write("a", position(4), replace=True, staged="t", staged_amount=(2, 1))])
    assert (await store.load(["a"]))["a"].is_whole


@pytest.mark.parametrize("key", ["exclusions", "gaps"])
async def test_declarations_that_somebody_deleted_show(subject: Subject, key: str) -> None:
    """At the next load, and before more is declared or time to keep has passed, which would hide it."""
    store = subject.store
    declared: dict[str, Any] = {"exclusions": {"x": b"{}"}, "gaps": [(DAY, b"gap")]}
    await store.save([write("a", position(1), **declared), write("b", position(1), **declared)])
    whole = await store.load(["a", "b"])
    await subject.lose_history("a", key)

    torn = await store.load(["a", "b"])
    assert [each.has_declared for each in (whole["a"], whole["b"], torn["a"], torn["b"])] == [1, 1, 0, 1]
    assert await store.save([write("a", position(2))]) == [SAVED], "what declares nothing costs nothing"
    for more in ({"exclusions": {"y": b"{}"}}, {"gaps": [(2 * DAY, b"more")]}, {"keep_from_us": DAY}):
        with pytest.raises(Behind):
            await store.save([write("a", position(3), **more)])
    assert await store.save([write("a", position(4), replace=True, staged="t", **declared)]) == [SAVED]
    assert (await store.load(["a"]))["a"].has_declared
    assert await store.save([write("b", position(4), exclusions={"x": None}, keep_from_us=2 * DAY)]) == [
        SAVED
    ]
    assert (await store.load(["b"]))["b"].has_declared


async def test_what_is_staged_takes_the_place_of_what_is_stored(subject: Subject) -> None:
    """All of the old goes; what came in pieces is there whole, and nobody saw it before."""
    old = replace(
        write("a", position(1)),
        closed_days={"c1/2025-12-31": b"old"},
        closed_outages=[(1, b"old")],
        verdicts=[(1, b"1 late")],
        exclusions={"x": b"old"},
        gaps=[(1, b"old")],
    )
    await subject.store.save([old])
    await subject.store.stage("t", [ClosedHistory("a", {"c1/2026-01-01": b"one"}, [(5, b"five")])])
    await subject.store.stage("t", [ClosedHistory("a", {"c1/2026-01-02": b"two"}, [(4, b"four")])])
    history = (await subject.store.staged("t", ["a"]))["a"]
    before = await subject.kept("a")

    restored = write(
        "a",
        position(2),
        "b",
        replace=True,
        staged="t",
        staged_amount=(2, 2),
        closed_days={"c1/2026-01-03": b"three"},
    )
    assert await subject.store.save([restored]) == [SAVED]

    kept = await subject.kept("a")
    assert (dict(history.closed_days), list(history.closed_outages)) == (
        {"c1/2026-01-01": b"one", "c1/2026-01-02": b"two"},
        [(4, b"four"), (5, b"five")],
    )
    assert before.days == {"c1/2025-12-31": b"old"}
    assert kept.days == {"c1/2026-01-01": b"one", "c1/2026-01-02": b"two", "c1/2026-01-03": b"three"}
    assert kept.outages == [(4, b"four"), (5, b"five")]
    assert (kept.exclusions, kept.gaps, kept.verdicts) == ({}, [], [])


async def test_what_is_staged_for_a_view_that_is_further_changes_nothing(subject: Subject) -> None:
    """The guard holds for a restoration, too."""
    await subject.store.save([write("a", position(3), closed_days={"c1/2026-01-01": b"stored"})])
    await subject.store.stage("t", [ClosedHistory("a", {"c1/2026-01-01": b"staged"}, ())])

    restored = write("a", position(2), replace=True, staged="t", staged_amount=(1, 0))
    assert await subject.store.save([restored]) == [STALE]
    assert (await subject.kept("a")).days == {"c1/2026-01-01": b"stored"}


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_restoration_whose_history_went_meanwhile_writes_nothing(
    subject: Subject, *, is_there: bool
) -> None:
    """Neither over what is there nor anew: the next one would take it for whole, since it is as far."""
    store, closed = subject.store, {"c1/2026-01-01": b"{}"}
    if is_there:
        await store.save([write("a", position(1), closed_days=closed)])
    restored = write("a", position(4), replace=True, staged="t", staged_amount=(1, 1))
    await store.stage("t", [ClosedHistory("a", closed, [(1, b"x")])])
    await subject.lose_staged("a", "t")

    with pytest.raises(Behind):
        await store.save([restored])

    assert (await subject.kept("a")).days == (closed if is_there else {})
    await store.stage("t", [ClosedHistory("a", closed, [(1, b"x")])])
    assert await store.save([restored]) == [SAVED]
    assert (await subject.kept("a")).outages == [(1, b"x")]


async def test_a_store_that_answers_can_be_pinged(subject: Subject) -> None:
    """`ping` of a writable store says nothing and leaves no EVSE behind."""
    await subject.store.ping()

    assert await subject.store.load(["ping"]) == {}
