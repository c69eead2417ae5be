"""
The view's scripts, spelled out: how writes and checkpoints become keys and arguments, and replies values.

The order is that of the heads of the scripts. Talks to no server.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from schemas.view import Keys
from schemas.vocabulary import Status
from service.adapters.view_limits import on_the_map, pruning_day
from service.processing.values import Checkpoint, Mark, Position, Seen, Standing, StoredEvse, ViewWrite

# One call blocks the server for everybody while it runs: a few milliseconds at these sizes (measured).
MOST_EVSES_A_CALL: Final = 200
_MOST_BYTES_A_CALL: Final = 2_000_000

Argument = bytes | str | int | float

CHECKPOINT_FIELDS: Final = (
    "epoch",
    "next_offset",
    "rejections_in_a_row",
    "ingest",
    "mark",
    "counted_until",
)
_ONLINE: Final = ("true", "false", "null")


def calls(writes: Sequence[ViewWrite]) -> Iterator[list[ViewWrite]]:
    """Cut writes, in order, into calls of bounded size whose documents have the same fields."""
    call: list[ViewWrite] = []
    size = 0
    for write in writes:
        cost = _size_of(write)
        if call and (
            len(call) == MOST_EVSES_A_CALL
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


def load_keys(keys: Keys, uids: Iterable[str]) -> list[str]:
    """Spell out the keys of `load.lua`."""
    names: list[str] = []
    for uid in uids:
        names += keys.of_a_load(uid)
    return names


def stored_from(reply: Sequence[Any]) -> StoredEvse:
    """Read one EVSE of the reply of `load.lua`."""
    position, state, pending, days, outages, is_whole, has_declared, since, whole_at = reply
    fields = iter(days)
    return StoredEvse(
        position=position_from(position),
        state=state,
        pending=pending,
        days={field.decode(): day for field, day in zip(fields, fields, strict=True)},
        outages=tuple(outages),
        is_whole=bool(is_whole),
        has_declared=bool(has_declared),
        since=since,
        whole_at=position_from(whole_at) if whole_at else None,
    )


def save_arguments(keys: Keys, writes: Sequence[ViewWrite]) -> tuple[list[str], list[Argument]]:
    """
    Spell out keys and arguments of `view.lua` for writes whose documents have the same fields.

    The trail goes before both: its key, and its two numbers or two empty words.
    """
    names: list[str] = []
    values: list[Argument] = [len(writes[0].document), *writes[0].document]
    for write in writes:
        names += keys.of_a_save(write.uid, write.staged)
        values += _guarded_values(write)
    return names, values


_NO_CHANGES: Final = ",".join("0" * 9)
"""The nine counts of a write that closes and declares nothing, as nearly all are."""


def _guarded_values(write: ViewWrite) -> list[Argument]:
    changes, counts = _changes_of_history(write)
    return [
        position_word(write.position),
        "" if write.previous is None else position_word(write.previous),
        "{}|{}".format(*write.staged_amount) if write.replace else "",
        write.state,
        "" if write.adds_to is None else position_word(write.adds_to),
        write.pending,
        write.vitals,
        f"{write.status}|{write.online}|{write.last_updated_ms}|{write.coordinates}|{write.removed}",
        _kept(write.keep_from_us),
        counts,
        *write.document.values(),
        *changes,
    ]


@lru_cache(maxsize=1024)
def _kept(keep_from_us: int) -> str:
    return "|".join(map(str, pruning_day(keep_from_us))) if keep_from_us > 0 else ""


def _changes_of_history(write: ViewWrite) -> tuple[list[Argument], str]:
    """Spell out what is closed, declared and dropped, and the counts of each."""
    closed = write.closed_days or write.closed_outages or write.drop_days or write.drop_outages
    declared_now = write.exclusions or write.gaps or write.drop_gaps or write.verdicts
    if not closed and not declared_now:
        return [], _NO_CHANGES
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
        write.verdicts,
    )
    changes = [
        *_flat(write.closed_days.items()),
        *write.drop_days,
        *write.drop_outages,
        *_flat(write.closed_outages),
        *_flat(declared.items()),
        *withdrawn,
        *write.drop_gaps,
        *_flat(write.gaps),
        *_flat(write.verdicts),
    ]
    return changes, ",".join(str(len(one)) for one in written)


def _flat(pairs: Iterable[tuple[Argument, bytes]]) -> Iterator[Argument]:
    for name, value in pairs:
        yield name
        yield value


def index_arguments(keys: Keys, writes: Iterable[ViewWrite]) -> tuple[list[str], list[Argument]]:
    """Spell out keys and arguments of `index.lua`; the trail goes before both, as in `save_arguments`."""
    words = [*Status, *(f"online:{online}" for online in _ONLINE)]
    names = [keys.all, keys.place, keys.states]
    names += [keys.status(status) for status in Status]
    names += [keys.online(online) for online in _ONLINE]
    values: list[Argument] = [len(words), *words]
    for write in writes:
        place = on_the_map(write.coordinates)
        longitude, latitude = ("", "") if place is None else map(repr, place)
        removed = "1" if write.removed else "0"
        values += (write.uid, write.status, write.online, str(write.last_updated_ms), removed)
        values += (longitude, latitude)
    return names, values


def checkpoint_values(checkpoint: Checkpoint, tags: str = "", slots: str = "") -> list[Argument]:
    """
    Spell out one checkpoint for `checkpoint.lua`, in the order of `CHECKPOINT_FIELDS`.

    In a cluster `tags` are the hash tags under which it is kept, comma-separated, and `slots` what the node
    is known to have whole, if that is news.
    """
    mark = checkpoint.mark
    return [
        checkpoint.epoch,
        checkpoint.next_offset,
        checkpoint.rejections_in_a_row,
        checkpoint.ingest,
        "" if mark is None else f"{mark.day}|{mark.next_offset}",
        checkpoint.counted_until,
        tags,
        slots,
    ]


def checkpoint_from(fields: Sequence[bytes | None]) -> Checkpoint | None:
    """Read what stands under `CHECKPOINT_FIELDS`."""
    epoch, next_offset, in_a_row, ingest, mark, counted_until = fields
    if next_offset is None:
        return None
    day, _, marked = (mark or b"").decode().partition("|")
    return Checkpoint(
        int(next_offset),
        int(in_a_row or 0),
        ingest or b"",
        Mark(int(day), int(marked)) if marked else None,
        int(epoch or 0),
        int(counted_until or 0),
    )


def position_word(position: Position) -> str:
    """Write a position as it is kept."""
    return f"{position.epoch}|{position.as_of_us}|{','.join(map(str, position.offsets))}"


def position_from(word: bytes) -> Position:
    """Read a position as it is kept."""
    epoch, as_of_us, offsets = word.decode().split("|")
    return Position(int(epoch), tuple(map(int, offsets.split(","))) if offsets else (), int(as_of_us))


def seen_from(fields: Sequence[bytes | None]) -> Seen | None:
    """Read `position` and `vitals` of the private hash."""
    position, vitals = fields
    return None if position is None else Seen(position_from(position), vitals or b"")


def standing_from(reply: bytes) -> Standing:
    """Read how an EVSE stands in the lists, `STATUS/online`; one that was removed is nowhere by online."""
    status, _, online = reply.decode().partition("/")
    return Standing(status, "null" if status == Status.REMOVED else online)
