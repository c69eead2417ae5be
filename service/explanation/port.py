"""
The window of an EVSE as a port, cut into pieces of one class, each with the connectors that make it so.

Its moment has the first of up, down, excluded, unobserved that any connector in service has. Works on the
connectors' pieces and on nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from schemas.explanation import Edge
from schemas.view import Cause
from schemas.vocabulary import TimeClass
from service.domain.definitions import first_of
from service.domain.intervals import Interval
from service.domain.time import Micros
from service.explanation.pieces import Piece

_EDGES: tuple[Edge, ...] = ("event", "gap", "exclusion", "as_of", "window")
"""What a change is put down to where several things happen at once: the first of these."""

Pieces = Mapping[str, Sequence[Piece]]
"""Each connector's pieces, which cover the same period."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a piece of the port ends and the next begins; the event and its connector, where one did it."""

    at: Micros
    edge: Edge
    cause: Cause | None = None
    connector_uid: str = ""


@dataclass(slots=True)
class PortPiece:
    """
    A part of the port's window in which it is of one class, for the same reasons.

    `shares`: how long each connector that makes it so was of that class, by cause.
    """

    begins: Turn
    ends: Turn
    time_class: TimeClass
    before: TimeClass
    in_gap: bool
    exclusions: tuple[str, ...]
    shares: dict[str, dict[str, Micros]] = field(default_factory=dict)

    @property
    def start(self) -> Micros:
        return self.begins.at

    @property
    def end(self) -> Micros:
        return self.ends.at


def port_pieces(connectors: Pieces, period: Interval, in_words: Callable[[Piece], str]) -> list[PortPiece]:
    """Cut the port's window; `in_words` gives the cause of a connector's piece. No connector: unobserved."""
    made: list[PortPiece] = []
    unseen = TimeClass.UNOBSERVED
    if not connectors:
        begins, ends = Turn(period[0], "window"), Turn(period[1], "window")
        return [PortPiece(begins, ends, unseen, unseen, in_gap=False, exclusions=())]
    for start, end, now in _moments(connectors, period):
        time_class = first_of([piece.time_class for piece in now.values()])
        makers = {uid: piece for uid, piece in now.items() if piece.time_class is time_class}
        before = first_of([piece.before for piece in now.values()])
        in_gap = any(piece.in_gap for piece in makers.values())
        ids = tuple(dict.fromkeys(name for piece in makers.values() for name in piece.exclusions))
        last = made[-1] if made else None
        if last and (time_class, before, in_gap, ids) == (
            last.time_class,
            last.before,
            last.in_gap,
            last.exclusions,
        ):
            last.ends = Turn(end, "window")
        else:
            turn = _turn(start, now, makers, first=last is None)
            if last:
                last.ends = turn
            made.append(PortPiece(turn, Turn(end, "window"), time_class, before, in_gap, ids))
        for uid, piece in makers.items():
            words = in_words(piece)
            causes = made[-1].shares.setdefault(uid, {})
            causes[words] = causes.get(words, 0) + end - start
    return made


def _moments(connectors: Pieces, period: Interval) -> Iterator[tuple[Micros, Micros, dict[str, Piece]]]:
    """Give the times in which no connector changes, each with the piece that every connector is in."""
    bounds = {piece.start for pieces in connectors.values() for piece in pieces} | {period[1]}
    places = dict.fromkeys(connectors, 0)
    for start, end in pairwise(sorted(bounds)):
        for uid, pieces in connectors.items():
            while pieces[places[uid]].end <= start:
                places[uid] += 1
        yield start, end, {uid: pieces[places[uid]] for uid, pieces in connectors.items()}


def _turn(start: Micros, now: Mapping[str, Piece], makers: Mapping[str, Piece], *, first: bool) -> Turn:
    """Say what made the port's class what it is from `start` on: of several the latest in the log."""
    changed = {uid: piece for uid, piece in now.items() if piece.start == start}
    if first and not any(piece.begins == "event" for piece in changed.values()):
        return Turn(start, "window")
    edge = min((piece.begins for piece in changed.values()), key=_EDGES.index)
    if edge != "event":
        return Turn(start, edge)
    by_event = {uid: piece.segment for uid, piece in changed.items() if piece.begins == "event"}

    def place(uid: str) -> tuple[bool, int]:
        segment = by_event[uid]
        cause = segment.began if segment else None
        return uid in makers, -1 if cause is None else cause.position

    uid = max(by_event, key=place)
    segment = by_event[uid]
    return Turn(start, edge, segment.began if segment else None, uid)
