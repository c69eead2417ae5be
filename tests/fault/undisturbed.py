"""What has to come of a log: one worker on memory takes it record by record, and nothing goes wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from service.adapters.memory_view import MemoryEvse, MemoryLists
from service.domain.rules import Rules
from service.processing.ledger import Kind, parsed_key
from service.processing.options import Options
from service.processing.values import Record, TopicPartition
from service.settings import micros_of
from tests.builders import Json
from tests.driver import Driver
from tests.fault.told import LATENESS, PARTITIONS

Place = tuple[int, int]
"""Partition and offset of an input record."""

_NEVER = 1 << 60
"""Microseconds that no silence lasts."""

_BOOKKEEPING = {Kind.BASE, Kind.MARK, Kind.EPOCH}
"""What the ledger says of itself: when it is written hangs on the clock."""


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
    ledger: Mapping[bytes, bytes]


def undisturbed(records: Sequence[Record], prefix: str) -> Undisturbed:
    """Take the records of `<prefix>events` one by one; gaps that workers found in it stand there already."""
    options = Options(max_batch_records=1, tick_interval_s=0.0, ingest_silent_after=_NEVER)
    driver = Driver(partitions=PARTITIONS, options=options, rules=Rules(allowed_lateness=micros_of(LATENESS)))
    driver.advance(timedelta(days=30))  # no clock of the fleet is ahead of the worker's
    for one in records:
        place = TopicPartition(options.topics[0], one.partition)
        driver.broker.append(place, one.key, one.value, one.headers, one.timestamp)
    documents = driver.run(_one_by_one(driver))
    driver.stop()
    due = {_uid(record): offset_of(record) for record in driver.written("evse.snapshots")}
    return Undisturbed(
        evses=driver.store.evses,
        lists=driver.store.lists,
        documents=documents,
        due={uid: offset for uid, offset in due.items() if offset is not None},
        removed=frozenset(uid for uid, value in driver.last_snapshots().items() if value is None),
        transitions={said["id"]: _renamed(said, f"{prefix}events") for said in driver.transitions()},
        dead_letters={origin_of(letter): letter for letter in driver.dead_letters()},
        ledger=ledger_of(driver.written("evse.ledger")),
    )


async def _one_by_one(driver: Driver) -> dict[tuple[str, int], bytes]:
    """Let the worker take record after record, and give each snapshot that was in the view."""
    documents: dict[tuple[str, int], bytes] = {}
    while await driver.worker.turn():
        for uid, kept in driver.store.evses.items():
            documents.setdefault((uid, kept.position.offsets[0]), kept.document["snapshot"])
    return documents


def ledger_of(records: Iterable[Record]) -> dict[bytes, bytes]:
    """Give what a compacted ledger holds in the end, less what hangs on the clock."""
    newest = {record.key or b"": record.value for record in records}
    return {
        key: value
        for key, value in newest.items()
        if value is not None and parsed_key(key)[0] not in _BOOKKEEPING
    }


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
