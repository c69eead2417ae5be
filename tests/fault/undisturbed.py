"""What has to come of a log: one worker on memory takes it record by record, and nothing goes wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from service.adapters.memory_view import MemoryEvse, MemoryLists, MemoryViewStore
from service.domain.rules import Rules
from service.processing.options import Options
from service.processing.ports import Record, SaveOutcome, TopicPartition, ViewWrite
from service.settings import micros_of
from tests.builders import Json
from tests.driver import Driver
from tests.fault.told import LATENESS, PARTITIONS
from tests.topics import Sent

Place = tuple[int, int]
"""Partition and offset of an input record."""


@dataclass(frozen=True)
class Undisturbed:
    """
    The view, and what was published on the way to it.

    `documents`: the snapshot of each EVSE as of each of its records, by uid and offset. `due`: the offset of
    the last record of each EVSE that a snapshot (or, of a removed one, a tombstone) had to follow.
    """

    evses: Mapping[str, MemoryEvse]
    lists: MemoryLists
    documents: Mapping[tuple[str, int], bytes]
    due: Mapping[str, int]
    removed: frozenset[str]
    transitions: Mapping[str, Json]
    dead_letters: Mapping[Place, Record]


class _Kept(MemoryViewStore):
    """Keeps every snapshot that was ever saved."""

    def __init__(self) -> None:
        super().__init__()
        self.documents: dict[tuple[str, int], bytes] = {}

    async def save(self, writes: Sequence[ViewWrite]) -> list[SaveOutcome]:
        outcomes = await super().save(writes)
        for write, outcome in zip(writes, outcomes, strict=True):
            if outcome is SaveOutcome.SAVED:
                self.documents[write.uid, write.position.offsets[0]] = write.document["snapshot"]
        return outcomes


def undisturbed(records: Sequence[Sent], prefix: str) -> Undisturbed:
    """Take the records one by one; what is told of them names the topic `<prefix>events`."""
    options = Options(max_batch_records=1, tick_interval_s=0.0)
    driver = Driver(partitions=PARTITIONS, options=options, rules=Rules(allowed_lateness=micros_of(LATENESS)))
    driver.crash()
    store = driver.store = _Kept()
    driver.restart()
    driver.advance(timedelta(days=30))  # no clock of the fleet is ahead of the worker's
    for one in records:
        place = TopicPartition(options.topics[0], one.partition)
        at = None if one.timestamp_ms is None else one.timestamp_ms * 1_000
        driver.broker.append(place, one.key, one.value, one.headers, at)
    driver.settle()
    driver.stop()
    due = {_uid(record): offset_of(record) for record in driver.written("evse.snapshots")}
    return Undisturbed(
        evses=store.evses,
        lists=store.lists,
        documents=store.documents,
        due={uid: offset for uid, offset in due.items() if offset is not None},
        removed=frozenset(uid for uid, value in driver.last_snapshots().items() if value is None),
        transitions={said["id"]: _renamed(said, f"{prefix}events") for said in driver.transitions()},
        dead_letters={origin_of(letter): letter for letter in driver.dead_letters()},
    )


def _uid(record: Record) -> str:
    return (record.key or b"").decode()


def _renamed(transition: Json, topic: str) -> Json:
    return {**transition, "position": {**transition["position"], "topic": topic}}


def offset_of(published: Record) -> int | None:
    """Give the offset of the last input record that a snapshot knows of; None for a tombstone."""
    ce_id = dict(published.headers)["ce_id"].decode()
    # uid, which may hold colons, then revision, epoch, offsets, as_of
    return None if published.value is None else int(ce_id.rsplit(":", 2)[-2].split(".")[0])


def origin_of(letter: Record) -> Place:
    """Give where the record of a dead letter stood."""
    headers = dict(letter.headers)
    return int(headers["dl_partition"]), int(headers["dl_offset"])
