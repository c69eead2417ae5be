"""Holds what workers left behind to what an undisturbed run gives; every difference is a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from redis.asyncio import Redis, RedisCluster

from schemas.view import Keys, uid_of
from schemas.vocabulary import Status
from service.adapters.memory_view import MemoryEvse, MemoryLists
from service.processing.values import Record
from tests.fault.told import PARTITIONS
from tests.fault.undisturbed import Undisturbed, ledger_of, offset_of, origin_of
from tests.topics import Sent

_SHOWN = 300
"""Characters of a value that a difference shows."""

_DEGREES = 1e-4
"""The server keeps places on a grid of less than a metre."""

_ONLINE = ("true", "false", "null")


@dataclass(frozen=True)
class Published:
    """All records of the output topics, in order within a partition."""

    snapshots: Sequence[Record]
    transitions: Sequence[Record]
    dead_letters: Sequence[Record]
    ledger: Sequence[Record]


def log_differences(log: Sequence[Record], sent: Sequence[Sent]) -> list[str]:
    """Compare what the input holds with what was written to it, less what workers have to say of silence."""
    differences = []
    for number in range(PARTITIONS):
        wanted = [(one.key, one.value) for one in sent if one.partition == number]
        found = [(one.key, one.value) for one in log if one.partition == number and not _is_gap(one)]
        if wanted != found:
            differences.append(f"partition {number}: {len(found)} records, not the {len(wanted)} written")
    return differences


def _is_gap(record: Record) -> bool:
    return b'"event_id":"gap:' in (record.value or b"")


async def view_differences(client: Redis | RedisCluster, keys: Keys, expected: Undisturbed) -> list[str]:
    """Compare every key that readers may see."""
    found = {key.decode() async for key in client.scan_iter(match=f"{keys.prefix}:*", count=1000)}
    strangers = {uid_of(key) for key in found} - set(expected.evses)
    differences = [f"view: there is an EVSE {uid} that nobody spoke of" for uid in sorted(strangers)]
    for uid, kept in sorted(expected.evses.items()):
        differences += _compared(f"view of {uid}", _expected_evse(kept), await _found_evse(client, keys, uid))
    lists = await _found_lists(client, keys)
    differences += _compared(
        "lists", _expected_lists(expected.lists), {**lists, "place": set(lists["place"])}
    )
    differences += await _unlisted(client, keys, expected)
    for uid, place in expected.lists.place.items():
        if not _near(lists["place"].get(uid), place):
            differences.append(f"lists: {uid} is at {lists['place'].get(uid)}, not at {place}")
    return differences


async def _unlisted(client: Any, keys: Keys, expected: Undisturbed) -> list[str]:
    """Name those that their partition's list lacks: nobody would watch them, or tell a new ledger of them."""
    homes = {uid: int(kept.document["partition"]) for uid, kept in expected.evses.items()}
    listed = {
        number: {uid.decode() for uid in await client.smembers(keys.members(number))}
        for number in set(homes.values())
    }
    return [
        f"view of {uid}: it is not in the list of partition {number}"
        for uid, number in sorted(homes.items())
        if uid not in listed[number]
    ]


def _expected_evse(kept: MemoryEvse) -> dict[str, Any]:
    return {
        "position": kept.position.offsets[0],
        **_document({name.encode(): value for name, value in kept.document.items()}),
        **{f"day {name}": orjson.loads(day) for name, day in kept.days.items()},
        "outages": _scored(kept.outages),
        "exclusions": {name: orjson.loads(one) for name, one in kept.exclusions.items()},
        "gaps": _scored(kept.gaps),
        "verdicts": sorted((score, member.decode()) for score, member in kept.verdicts),
    }


async def _found_evse(client: Any, keys: Keys, uid: str) -> dict[str, Any]:
    pipeline = client.pipeline(transaction=False)
    pipeline.hget(keys.private(uid), "position")
    pipeline.hgetall(keys.document(uid))
    pipeline.hgetall(keys.days(uid))
    pipeline.zrange(keys.outages(uid), 0, -1, withscores=True)
    pipeline.hgetall(keys.exclusions(uid))
    pipeline.zrange(keys.gaps(uid), 0, -1, withscores=True)
    pipeline.zrange(keys.verdicts(uid), 0, -1, withscores=True)
    position, document, days, outages, exclusions, gaps, verdicts = await pipeline.execute()
    return {
        "position": None if position is None else int(position.decode().rsplit("|", 1)[1].split(",")[0]),
        **_document(document),
        **{f"day {name.decode()}": orjson.loads(day) for name, day in days.items()},
        "outages": _scored((score, member) for member, score in outages),
        "exclusions": {name.decode(): orjson.loads(one) for name, one in exclusions.items()},
        "gaps": _scored((score, member) for member, score in gaps),
        "verdicts": sorted((int(score), member.decode()) for member, score in verdicts),
    }


def _document(fields: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Read the document, JSON as what it says."""
    texts = {name.decode(): value.decode() for name, value in fields.items()}
    return texts | {name: orjson.loads(texts[name]) for name in ("snapshot", "recent") if name in texts}


def _scored(members: Iterable[tuple[float, bytes]]) -> list[Any]:
    """Give scored members in one order; two of one score have none."""
    return sorted(([int(score), orjson.loads(member)] for score, member in members), key=orjson.dumps)


def _expected_lists(lists: MemoryLists) -> dict[str, Any]:
    found: dict[str, Any] = {"all": lists.all, "place": set(lists.place)}
    found |= {f"status {word}": _having(lists.status, word) for word in Status}
    return found | {f"online {word}": _having(lists.online, word) for word in _ONLINE}


def _having(words: Mapping[str, str], wanted: str) -> set[str]:
    return {uid for uid, word in words.items() if word == wanted}


async def _found_lists(client: Any, keys: Keys) -> dict[str, Any]:
    found: dict[str, Any] = {
        "all": {uid.decode(): int(at) for uid, at in await client.zrange(keys.all, 0, -1, withscores=True)}
    }
    for word in Status:
        found[f"status {word}"] = {uid.decode() for uid in await client.smembers(keys.status(word))}
    for online in _ONLINE:
        found[f"online {online}"] = {uid.decode() for uid in await client.smembers(keys.online(online))}
    uids = await client.zrange(keys.place, 0, -1)
    places = await client.geopos(keys.place, *uids) if uids else []
    found["place"] = {uid.decode(): place for uid, place in zip(uids, places, strict=True)}
    return found


def _near(found: tuple[float, float] | None, place: tuple[float, float]) -> bool:
    return found is not None and all(
        abs(one - other) < _DEGREES for one, other in zip(found, place, strict=True)
    )


def topic_differences(published: Published, expected: Undisturbed) -> list[str]:
    """Compare everything that was ever published."""
    return [
        *_snapshots(published.snapshots, expected),
        *_transitions(published.transitions, expected),
        *_dead_letters(published.dead_letters, expected),
        *_compared("ledger", _read(expected.ledger), _read(ledger_of(published.ledger))),
    ]


def _read(ledger: Mapping[bytes, bytes]) -> dict[str, Any]:
    return {key.decode(): orjson.loads(value) for key, value in ledger.items()}


def _snapshots(records: Sequence[Record], expected: Undisturbed) -> Iterator[str]:
    """Each snapshot is that of the position it names; the last of each EVSE lacks nothing."""
    last: dict[str, Record] = {}
    for record in records:
        uid = (record.key or b"").decode()
        last[uid] = record
        offset = offset_of(record)
        if offset is None or record.value is None:
            continue
        document = expected.documents.get((uid, offset))
        if document is None:
            yield f"snapshot of {uid}: there is no record of it at offset {offset}"
        else:
            yield from _compared(
                f"snapshot of {uid} at offset {offset}", orjson.loads(document), orjson.loads(record.value)
            )
    for uid in sorted(expected.removed):
        if uid not in last or last[uid].value is not None:
            yield f"snapshot of {uid}: it was removed, and its last record is no tombstone"
    for uid, due in sorted(expected.due.items()):
        offset = offset_of(last[uid]) if uid in last else None
        if offset is None:
            yield f"snapshot of {uid}: there is none, or a tombstone"
        elif offset < due:
            yield f"snapshot of {uid}: the last one knows offset {offset} and should know {due}"
    for uid in sorted(last.keys() - expected.due.keys() - expected.removed):
        yield f"snapshot of {uid}: nobody spoke of it"


def _transitions(records: Sequence[Record], expected: Undisturbed) -> Iterator[str]:
    """Each transition is there, maybe more than once and then the same."""
    found: set[str] = set()
    for record in records:
        said = orjson.loads(record.value or b"")
        name: str = said["id"]
        found.add(name)
        if name not in expected.transitions:
            yield f"transition {name}: it never was ({_short(said)})"
        else:
            yield from _compared(f"transition {name}", expected.transitions[name], said)
    for name in sorted(expected.transitions.keys() - found):
        yield f"transition {name}: missing"


def _dead_letters(records: Sequence[Record], expected: Undisturbed) -> Iterator[str]:
    found = set()
    for record in records:
        place = origin_of(record)
        found.add(place)
        letter = expected.dead_letters.get(place)
        if letter is None:
            yield f"dead letter of {place}: nothing was wrong with that record ({_short(record.headers)})"
        else:
            yield from _compared(f"dead letter of {place}", _letter(letter), _letter(record))
    for place in sorted(expected.dead_letters.keys() - found):
        yield f"dead letter of {place}: missing"


def _letter(record: Record) -> dict[str, Any]:
    """Give what is told of a rejected record, less when it was told and the topic's own name."""
    told = [header for header in record.headers if header[0] not in {"dl_at", "dl_topic"}]
    return {"key": record.key, "value": record.value, "headers": told}


def _compared(what: str, expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    """Give a sentence for each entry that differs."""
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            yield f"{what}: {name} is missing, expected {_short(expected[name])}"
        elif name not in expected:
            yield f"{what}: {name} should not be there, it is {_short(found[name])}"
        elif expected[name] != found[name]:
            yield f"{what}: {name} differs: {_where(expected[name], found[name])}"


def _where(expected: Any, found: Any) -> str:
    """Say where two values differ, as deep inside as they are alike in form."""
    if isinstance(expected, dict) and isinstance(found, dict) and expected.keys() == found.keys():
        name = next(name for name in expected if expected[name] != found[name])
        return f"{name}: {_where(expected[name], found[name])}"
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        number = next(i for i, one in enumerate(expected) if one != found[i])
        return f"[{number}]: {_where(expected[number], found[number])}"
    if isinstance(expected, set) and isinstance(found, set):
        return f"missing {_short(expected - found)}, too many {_short(found - expected)}"
    if isinstance(expected, list) and isinstance(found, list):
        missing = [one for one in expected if one not in found]
        more = [one for one in found if one not in expected]
        return f"missing {_short(missing)}, too many {_short(more)}"
    return f"expected {_short(expected)}, found {_short(found)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
