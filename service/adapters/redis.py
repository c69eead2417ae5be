"""
The view in Redis or Valkey: states loaded in one round trip, writes guarded by the position in the log.

What hangs on which key is written in `schemas.view`; what is done with it in `load.lua`, `view.lua` and
`index.lua`.
Knows nothing of what a state or a document means.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from schemas.view import Keys
from schemas.vocabulary import Status
from service.adapters.redis_connection import RedisSettings, connect, refuse_eviction, translated
from service.adapters.view_limits import on_the_map, pruning_day
from service.processing.ports import Checkpoint, Position, SaveOutcome, StoredEvse, TopicPartition, ViewWrite

# One call blocks the server for everybody while it runs: a few milliseconds at these sizes (measured).
_MOST_EVSES_A_CALL = 200
_MOST_BYTES_A_CALL = 2_000_000

_OUTCOMES = (SaveOutcome.STALE, SaveOutcome.ALREADY, SaveOutcome.SAVED, SaveOutcome.SAVED)
_LISTS_FOLLOW = 3
_ONLINE = ("true", "false", "null")

_Argument = bytes | str | int | float


@dataclass(frozen=True, slots=True)
class _Script:
    """A Lua script and the name that the server gives it."""

    text: str
    sha: str

    @classmethod
    def read(cls, name: str) -> _Script:
        text = files("service.adapters").joinpath(name).read_text(encoding="utf-8")
        # The server names scripts by SHA-1; it secures nothing.
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class RedisViewStore:
    """The port `ViewStore` on one server, or on a primary with replicas."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._keys = Keys(settings.prefix)
        self._client: Redis = connect(settings)
        self._load_script = _Script.read("load.lua")
        self._save_script = _Script.read("view.lua")
        self._index_script = _Script.read("index.lua")
        # EVSEs whose lists this process has brought up to date; a crash before it may have left them behind.
        self._indexed: set[str] = set()

    async def start(self) -> None:
        await refuse_eviction(self._client, allow=self._settings.allow_eviction)
        with translated():
            for script in (self._load_script, self._save_script, self._index_script):
                await self._client.script_load(script.text)
        await self.ping()

    async def stop(self) -> None:
        await self._client.aclose()

    async def ping(self) -> None:
        """Write a key: a replica, a full server and one that lost its disk answer PING, but refuse this."""
        with translated():
            await self._client.set(self._keys.ping, b"", px=60_000)

    async def load(self, uids: Sequence[str]) -> dict[str, StoredEvse]:
        found: dict[str, StoredEvse] = {}
        for some in _pieces(dict.fromkeys(uids), _MOST_EVSES_A_CALL):
            replies = await self._run(self._load_script, _load_keys(self._keys, some), ())
            found |= {uid: _stored_from(reply) for uid, reply in zip(some, replies, strict=True) if reply}
        return found

    async def save(self, writes: Sequence[ViewWrite]) -> list[SaveOutcome]:
        outcomes: list[SaveOutcome] = []
        for some in _calls(writes):
            replies: list[int] = await self._run(self._save_script, *_save_arguments(self._keys, some))
            outcomes += [_OUTCOMES[reply] for reply in replies]
            await self._index(
                [
                    write
                    for write, reply in zip(some, replies, strict=True)
                    if reply == _LISTS_FOLLOW
                    or _OUTCOMES[reply] is SaveOutcome.ALREADY
                    or (_OUTCOMES[reply] is SaveOutcome.SAVED and write.uid not in self._indexed)
                ]
            )
        return outcomes

    async def load_checkpoint(self, partition: TopicPartition) -> Checkpoint | None:
        key = self._keys.checkpoint(partition.topic, partition.partition)
        with translated():
            found = await self._client.hmget(key, ["next_offset", "rejections_in_a_row"])
        if found[0] is None:
            return None
        return Checkpoint(int(found[0]), int(found[1] or 0))

    async def save_checkpoints(self, checkpoints: Mapping[TopicPartition, Checkpoint]) -> None:
        if not checkpoints:
            return
        pipeline = self._client.pipeline(transaction=False)
        for partition, checkpoint in checkpoints.items():
            pipeline.hset(
                self._keys.checkpoint(partition.topic, partition.partition),
                mapping={
                    "next_offset": checkpoint.next_offset,
                    "rejections_in_a_row": checkpoint.rejections_in_a_row,
                },
            )
        with translated():
            await pipeline.execute()

    async def _index(self, writes: Sequence[ViewWrite]) -> None:
        """Let the lists follow; a failure forgets who was done, so that the next save tries again."""
        if not writes:
            return
        words = [*Status, *(f"online:{online}" for online in _ONLINE)]
        keys = [self._keys.all, self._keys.place, self._keys.states]
        keys += [self._keys.status(status) for status in Status]
        keys += [self._keys.online(online) for online in _ONLINE]
        arguments: list[_Argument] = [len(words), *words]
        for write in writes:
            place = on_the_map(write.coordinates) or ("", "")
            arguments += [
                write.uid,
                write.status,
                write.online,
                write.last_updated_ms,
                int(write.removed),
                *place,
            ]
        uids = {write.uid for write in writes}
        self._indexed -= uids
        await self._run(self._index_script, keys, arguments)
        self._indexed |= uids

    async def _run(self, script: _Script, keys: Sequence[str], arguments: Sequence[_Argument]) -> Any:
        """Run a script by its name; a server that forgot it gets the text, which makes it known again."""
        with translated():
            try:
                return await self._client.evalsha(script.sha, len(keys), *keys, *arguments)
            except NoScriptError:
                return await self._client.eval(script.text, len(keys), *keys, *arguments)


def _calls(writes: Sequence[ViewWrite]) -> Iterator[list[ViewWrite]]:
    """Cut writes, in order, into calls of bounded size whose documents have the same fields."""
    call: list[ViewWrite] = []
    size = 0
    for write in writes:
        cost = _size_of(write)
        if call and (
            len(call) == _MOST_EVSES_A_CALL
            or size + cost > _MOST_BYTES_A_CALL
            or list(write.document) != list(call[0].document)
        ):
            yield call
            call, size = [], 0
        call.append(write)
        size += cost
    if call:
        yield call


def _size_of(write: ViewWrite) -> int:
    return (
        len(write.state)
        + len(write.pending)
        + sum(map(len, write.document.values()))
        + sum(map(len, write.closed_days.values()))
        + sum(len(outage) for _, outage in write.closed_outages)
    )


def _load_keys(keys: Keys, uids: Iterable[str]) -> list[str]:
    """Spell out the keys of `load.lua`."""
    names: list[str] = []
    for uid in uids:
        names += (keys.private(uid), keys.days(uid), keys.outages(uid))
    return names


def _stored_from(reply: Sequence[Any]) -> StoredEvse:
    position, state, pending, days, outages = reply
    fields = iter(days)
    return StoredEvse(
        position=_position_from(position),
        state=state,
        pending=pending,
        days={field.decode(): day for field, day in zip(fields, fields, strict=True)},
        outages=tuple(outages),
    )


def _save_arguments(keys: Keys, writes: Sequence[ViewWrite]) -> tuple[list[str], list[_Argument]]:
    """Spell out the keys and arguments of `view.lua` for writes whose documents have the same fields."""
    names: list[str] = []
    values: list[_Argument] = [len(writes[0].document), *writes[0].document]
    for write in writes:
        uid = write.uid
        names += (
            keys.document(uid),
            keys.days(uid),
            keys.outages(uid),
            keys.exclusions(uid),
            keys.gaps(uid),
            keys.private(uid),
        )
        values += _guarded_values(write)
    return names, values


def _guarded_values(write: ViewWrite) -> list[_Argument]:
    declared = {name: value for name, value in write.exclusions.items() if value is not None}
    withdrawn = [name for name, value in write.exclusions.items() if value is None]
    written = (
        write.closed_days,
        write.drop_days,
        write.drop_outages,
        write.closed_outages,
        declared,
        withdrawn,
        write.drop_gaps,
        write.gaps,
    )
    return [
        _position_word(write.position),
        write.state,
        write.pending,
        f"{write.status}|{write.online}|{write.last_updated_ms}|{write.coordinates}|{write.removed}",
        "|".join(map(str, pruning_day(write.keep_from_us))) if write.keep_from_us > 0 else "",
        ",".join(str(len(one)) for one in written),
        *write.document.values(),
        *_flat(write.closed_days.items()),
        *write.drop_days,
        *write.drop_outages,
        *_flat(write.closed_outages),
        *_flat(declared.items()),
        *withdrawn,
        *write.drop_gaps,
        *_flat(write.gaps),
    ]


def _flat(pairs: Iterable[tuple[_Argument, bytes]]) -> Iterator[_Argument]:
    for name, value in pairs:
        yield name
        yield value


def _position_word(position: Position) -> str:
    return f"{position.epoch}|{position.as_of_us}|{','.join(map(str, position.offsets))}"


def _position_from(word: bytes) -> Position:
    epoch, as_of_us, offsets = word.decode().split("|")
    return Position(int(epoch), tuple(map(int, offsets.split(","))) if offsets else (), int(as_of_us))


def _pieces(items: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(items)
    while piece := list(islice(rest, size)):
        yield piece
