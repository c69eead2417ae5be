"""
The explanation of an EVSE's numbers: its windows in intervals, and whether these sum to what is published.

The sums come from the intervals alone; the published numbers come from days and spans in the worker. That
they are equal is the check. Everything here is a function of what was read; no clock is read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Protocol, TypeVar

from schemas import snapshot
from schemas.explanation import (
    ConnectorExplanation,
    EventAtEnd,
    ExclusionUse,
    Explanation,
    GapUse,
    Interval,
    PortExplanation,
    PortInterval,
)
from schemas.no_uptime import of_window
from schemas.vocabulary import TimeClass
from service.domain.definitions import Definition
from service.domain.intervals import Interval as Period
from service.domain.time import SECOND, Micros, datetime_from, micros_from
from service.domain.windows import Window
from service.explanation.evidence import EventNames, Evidence
from service.explanation.pieces import Declared, Piece, Segment, Terms, pieces_of, segments_of
from service.explanation.port import PortPiece, Turn, port_pieces
from service.explanation.words import cause_of, definition_in_words, remark_on

Key = TypeVar("Key", bound=Hashable)

PORT = ""
"""Stands for the connector: the EVSE as a port."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be explained: a period under a definition, of one connector or of all and the port."""

    period: Period
    definition: Definition
    topics: Sequence[str]
    """The worker's input topics, in its order."""
    connector_uid: str | None = None


class _Part(Protocol):
    """A piece of a connector or of the port."""

    @property
    def start(self) -> Micros: ...
    @property
    def end(self) -> Micros: ...
    @property
    def time_class(self) -> TimeClass: ...
    @property
    def before(self) -> TimeClass: ...
    @property
    def in_gap(self) -> bool: ...
    @property
    def exclusions(self) -> tuple[str, ...]: ...


def explained(evidence: Evidence, question: Question) -> Explanation:
    """Explain an EVSE's numbers; the connector asked for must be one of its own."""
    asker = _Asker(evidence, question)
    uids = evidence.connector_uids()
    pieces = {uid: asker.pieces(uid) for uid in uids}
    wanted = uids if question.connector_uid is None else [question.connector_uid]
    connectors = tuple(asker.connector(uid, pieces[uid]) for uid in wanted)
    port = asker.port(pieces) if question.connector_uid is None else None
    verdicts = [each.agrees for each in (*connectors, *([port] if port else ())) if each.agrees is not None]
    start, end = question.period
    return Explanation.model_validate(
        {
            "evse_uid": evidence.snapshot.evse.uid,
            "as_of": evidence.snapshot.as_of,
            "revision": evidence.snapshot.revision,
            "removed_at": evidence.removed_at,
            "from": datetime_from(start),
            "until": datetime_from(end),
            "is_published": bool(verdicts),
            "agrees": all(verdicts) if verdicts else None,
            "definition": definition_in_words(question.definition),
            "connectors": connectors,
            "port": port,
            "late_events": asker.names.late(question.period),
        }
    )


class _Asker:
    """Answers one question from one EVSE's evidence."""

    def __init__(self, evidence: Evidence, question: Question) -> None:
        self.names = EventNames(question.topics, evidence.partition, evidence.judged, evidence.former)
        self._evidence = evidence
        self._declared = evidence.declared()
        self._terms = Terms(question.period, evidence.as_of, question.definition, evidence.merged_gaps())

    def pieces(self, uid: str) -> list[Piece]:
        """Cut the window of a connector."""
        excluding = [each for each in self._declared if each.concerns(uid) and self._has_reason(each)]
        return pieces_of(segments_of(self._evidence.spans_of(uid), self._terms), excluding, self._terms)

    def connector(self, uid: str, pieces: Sequence[Piece]) -> ConnectorExplanation:
        """Explain a connector."""
        states = {each.connector_uid: each.windows for each in self._evidence.snapshot.connectors}
        return ConnectorExplanation.model_validate(
            {
                **self._account(pieces, states[uid], uid),
                "connector_uid": uid,
                "down_since": self._down_since(uid),
                "intervals": tuple(self._interval(uid, piece) for piece in pieces),
            }
        )

    def _down_since(self, uid: str) -> datetime | None:
        """
        Give when a connector went down that was so still as of the numbers, None if it was not.

        By its spans, and not by its intervals: one that went down at that very time has none of it.
        """
        if self._terms.period[1] < self._terms.as_of:
            return None
        since: datetime | None = None
        spans = sorted(self._evidence.spans_of(uid), key=lambda outage: outage.from_, reverse=True)
        for outage in spans:
            is_down = self._terms.definition.class_of(outage.status, outage.online) is TimeClass.DOWN
            if not is_down or outage.until != since:
                break
            since = outage.from_
        return since

    def port(self, connectors: Mapping[str, Sequence[Piece]]) -> PortExplanation:
        """Explain the EVSE as a port."""
        pieces = port_pieces(connectors, self._terms.period, cause_of)
        return PortExplanation.model_validate(
            {
                **self._account(pieces, self._evidence.snapshot.windows, PORT),
                "intervals": tuple(self._port_interval(piece) for piece in pieces),
            }
        )

    def _has_reason(self, declared: Declared) -> bool:
        return declared.exclusion.reason in self._terms.definition.exclusion_reasons

    def _account(
        self, pieces: Sequence[_Part], published: Iterable[snapshot.Window], uid: str
    ) -> dict[str, Any]:
        sums = _sums(pieces, self._terms.period, _after)
        four = [sums.pop(each, 0) for each in (TimeClass.UP, TimeClass.DOWN)]
        four += [sums.pop(each, 0) for each in (TimeClass.EXCLUDED, TimeClass.UNOBSERVED)]
        window = _window(Window(self._terms.definition.name, *self._terms.period, *four))
        no_uptime = of_window(window)
        out_of_service = sums.pop(TimeClass.OUT_OF_SERVICE, 0)
        said = next((each for each in published if self._is_of_this(each)), None)
        return {
            "window": window,
            "out_of_service_seconds": out_of_service / SECOND,
            "why_null": None if no_uptime is None else no_uptime.sentence,
            "published": said,
            "agrees": None if said is None else _four(said) == four,
            "exclusions": tuple(
                self._exclusion_use(each, pieces, uid) for each in self._declared if self._touches(each)
            ),
            "gaps": tuple(
                _gap_use(gap, pieces)
                for gap in self._terms.gaps
                if gap[0] < self._terms.period[1] and gap[1] > self._terms.period[0]
            ),
        }

    def _is_of_this(self, published: snapshot.Window) -> bool:
        period = (micros_from(published.from_), micros_from(published.until))
        return published.definition == self._terms.definition.name and period == self._terms.period

    def _touches(self, declared: Declared) -> bool:
        return declared.start < self._terms.period[1] and declared.end > self._terms.period[0]

    def _exclusion_use(self, declared: Declared, pieces: Sequence[_Part], uid: str) -> ExclusionUse:
        within = (declared.start, declared.end)
        name, exclusion = declared.exclusion_id, declared.exclusion
        sums = _sums(pieces, within, lambda piece: (name in piece.exclusions, piece.time_class))
        counted = sums.pop((True, TimeClass.EXCLUDED), 0)
        rest = {time_class: amount for (_, time_class), amount in sums.items()}
        return ExclusionUse.model_validate(
            {
                "exclusion_id": declared.exclusion_id,
                "from": exclusion.from_,
                "until": exclusion.until,
                "reason": exclusion.reason,
                "note": exclusion.note,
                "connector_uids": exclusion.connector_uids,
                "seconds": (counted + sum(rest.values())) / SECOND,
                "counted_seconds": counted / SECOND,
                "rest_seconds": _in_seconds(rest),
                "remark": remark_on(
                    declared,
                    counted,
                    rest,
                    concerns=uid == PORT or declared.concerns(uid),
                    has_reason=self._has_reason(declared),
                ),
            }
        )

    def _interval(self, uid: str, piece: Piece) -> Interval:
        segment = piece.segment or Segment(piece.start, piece.end)
        return Interval.model_validate(
            {
                **_common(piece),
                "cause": cause_of(piece),
                "begins_with": piece.begins,
                "ends_with": piece.ends,
                "status": segment.status,
                "online": segment.online,
                "error_code": segment.error_code,
                "began_by": self.names.event(segment.began, segment.start, uid),
                "ended_by": self.names.event(segment.ended, segment.end, uid),
            }
        )

    def _port_interval(self, piece: PortPiece) -> PortInterval:
        shares = [
            {
                "connector_uid": uid,
                "seconds": sum(causes.values()) / SECOND,
                "causes": tuple(causes),
            }
            for uid, causes in piece.shares.items()
        ]
        return PortInterval.model_validate(
            {
                **_common(piece),
                "cause": _port_cause(piece),
                "begins_with": piece.begins.edge,
                "ends_with": piece.ends.edge,
                "connectors": shares,
                "began_by": self._at_turn(piece.begins),
                "ended_by": self._at_turn(piece.ends),
            }
        )

    def _at_turn(self, turn: Turn) -> EventAtEnd | None:
        return self.names.event(turn.cause, turn.at, turn.connector_uid)


def _port_cause(piece: PortPiece) -> str:
    if not piece.shares:
        return "no connector is known yet"
    by_cause: dict[str, list[str]] = {}
    for uid, causes in piece.shares.items():
        by_cause.setdefault(" / ".join(causes), []).append(uid)
    return ", ".join(f"{', '.join(uids)} ({cause})" for cause, uids in by_cause.items())


def _after(piece: _Part) -> TimeClass:
    return piece.time_class


def _common(piece: _Part) -> dict[str, Any]:
    return {
        "from": datetime_from(piece.start),
        "until": datetime_from(piece.end),
        "seconds": (piece.end - piece.start) / SECOND,
        "class": piece.time_class,
        "class_before": piece.before,
        "in_gap": piece.in_gap,
        "exclusion_ids": piece.exclusions,
    }


def _sums(pieces: Sequence[_Part], within: Period, key_of: Callable[[_Part], Key]) -> dict[Key, Micros]:
    """Sum the pieces, which follow one another, by a key, as far as they lie within a time."""
    sums: dict[Key, Micros] = {}
    place = max(bisect_right(pieces, within[0], key=lambda piece: piece.start) - 1, 0)
    for piece in islice(pieces, place, None):
        if piece.start >= within[1]:
            break
        amount = min(piece.end, within[1]) - max(piece.start, within[0])
        if amount > 0:
            key = key_of(piece)
            sums[key] = sums.get(key, 0) + amount
    return sums


def _gap_use(gap: Period, pieces: Sequence[_Part]) -> GapUse:
    taken = _sums(pieces, gap, lambda piece: piece.before)
    return GapUse.model_validate(
        {
            "from": datetime_from(gap[0]),
            "until": datetime_from(gap[1]),
            "seconds": sum(taken.values()) / SECOND,
            "taken_seconds": _in_seconds(taken),
        }
    )


def _in_seconds(sums: Mapping[TimeClass, Micros]) -> dict[TimeClass, float]:
    return {time_class: sums[time_class] / SECOND for time_class in TimeClass if time_class in sums}


def _window(window: Window) -> snapshot.Window:
    return snapshot.Window.model_validate(
        {
            "definition": window.definition,
            "from": datetime_from(window.start),
            "until": datetime_from(window.end),
            "up_seconds": window.up / SECOND,
            "down_seconds": window.down / SECOND,
            "excluded_seconds": window.excluded / SECOND,
            "unobserved_seconds": window.unobserved / SECOND,
            "uptime": window.uptime,
            "coverage": window.coverage,
        }
    )


def _four(window: snapshot.Window) -> list[Micros]:
    """Give the four sums in microseconds: exact, since a window has far fewer than 2^53 of them."""
    four = (window.up_seconds, window.down_seconds, window.excluded_seconds, window.unobserved_seconds)
    return [round(seconds * SECOND) for seconds in four]
