"""
What the view shows of an EVSE, packed to go with its base: who restores it renders nothing anew.

It is what `planning.rewrite` gives of that state, less the state; a test holds the two together. Where it is
missing, or was rendered in another way, the state is unpacked and rendered.
"""

from __future__ import annotations

import zlib
from typing import Any

import orjson

from service.domain.rules import Rules
from service.processing.ledger import Base
from service.processing.values import Position, ViewWrite

_VERSION = 1
"""To be raised with each change of what `rendering.document` or `planning.rewrite` give of a state."""

_MOST_BYTES = 65_536
"""Larger ones, of EVSEs with very many recent outages, are left out: with the state it must fit a record."""


def pack(whole: ViewWrite, rules: Rules) -> bytes:
    """Pack what a write that replaces all shows, to be kept with its state; nothing where it is too large."""
    head = [
        _way(rules),
        list(whole.document),
        whole.vitals.decode(),
        whole.status,
        whole.online,
        whole.last_updated_ms,
        whole.coordinates,
        whole.removed,
        whole.keep_from_us,
        {key: value.decode() for key, value in whole.exclusions.items() if value is not None},
        [(until, gap.decode()) for until, gap in whole.gaps],
        [(at, verdict.decode()) for at, verdict in whole.verdicts],
    ]
    # Cut at what no JSON has in it. Most of the words stand in the state as well, so that is the dictionary.
    deflating = zlib.compressobj(1, zdict=whole.state)
    packed = deflating.compress(b"\0".join((orjson.dumps(head), *whole.document.values())))
    packed += deflating.flush()
    return packed if len(packed) <= _MOST_BYTES else b""


def unpack(uid: str, partition: int, base: Base, position: Position, rules: Rules) -> ViewWrite | None:
    """
    Give the write that replaces all of an EVSE by its base, at a position, less its closed history.

    None where the base has none that would be rendered so here and now: an EVSE that comes from another
    partition or other topics has to be told of it.
    """
    if not base.shown or base.topics:
        return None
    said, *values = zlib.decompressobj(zdict=base.state).decompress(base.shown).split(b"\0")
    head: list[Any] = orjson.loads(said)
    way, names, vitals, status, online, updated_ms, place, removed, keep_from_us, *declared = head
    document = dict(zip(names, values, strict=True))
    if way != _way(rules) or document["partition"] != b"%d" % partition:
        return None
    exclusions, gaps, verdicts = declared
    return ViewWrite(
        uid=uid,
        partition=partition,
        position=position,
        state=base.state,
        pending=b"",
        vitals=vitals.encode(),
        document=document,
        exclusions={key: value.encode() for key, value in exclusions.items()},
        gaps=[(until, gap.encode()) for until, gap in gaps],
        verdicts=[(at, verdict.encode()) for at, verdict in verdicts],
        replace=True,
        keep_from_us=keep_from_us,
        status=status,
        online=online,
        last_updated_ms=updated_ms,
        coordinates=None if place is None else (place[0], place[1]),
        removed=removed,
    )


def _way(rules: Rules) -> list[Any]:
    """Say how documents are rendered."""
    return [_VERSION, rules.status_rule, [definition.name for definition in rules.definitions]]
