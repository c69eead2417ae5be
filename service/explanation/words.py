"""Causes and definitions in words for people; this module computes nothing."""

from __future__ import annotations

from schemas.explanation import DefinitionInWords
from schemas.vocabulary import Status, TimeClass
from service.domain.definitions import Definition
from service.domain.time import Micros
from service.explanation.pieces import Declared, Piece, Segment

NO_ERROR = "NoError"
"""OCPP's word for the absence of an error; it explains nothing."""

SILENCE = "silence:"
"""What the ids of the worker's own events begin with, by which it says that a charger fell silent."""

_STATUSES: dict[Status | None, str] = {
    None: "no status heard yet",
    Status.AVAILABLE: "AVAILABLE",
    Status.INOPERATIVE: "inoperative",
    Status.OUTOFORDER: "out of order",
    Status.PLANNED: "planned, not in service yet",
    Status.REMOVED: "removed, out of service",
    Status.UNKNOWN: "reported as UNKNOWN",
}

_MEANINGS: dict[str, str] = {
    "observed": (
        "up is a working status (AVAILABLE, PREPARING, CHARGING, FINISHING, RESERVED) and not offline; "
        "down is OUTOFORDER, INOPERATIVE or offline; an exclusion counts where it was down and only there; "
        "UNKNOWN, nothing heard yet and gaps in the observation are unobserved; PLANNED and REMOVED are out "
        "of service and in no sum"
    ),
}
"""What each definition counts as what, by its name."""


def definition_in_words(definition: Definition) -> DefinitionInWords:
    """Say what a definition means and how its numbers are made."""
    return DefinitionInWords(
        name=definition.name,
        meaning=_MEANINGS.get(definition.name, definition.name),
        uptime="up / (up + down)",
        coverage="(up + down + excluded) / (up + down + excluded + unobserved)",
    )


def cause_of(piece: Piece) -> str:
    """Say why a piece is what it is."""
    if piece.segment is None:
        return "later than anything known of it"
    words = _of_segment(piece.segment)
    if piece.in_gap:
        return f"gap in the observation ({words})"
    if piece.exclusions:
        return f"{words}, excluded by {', '.join(piece.exclusions)}"
    return words


def _of_segment(segment: Segment) -> str:
    if segment.is_up:
        return "working"
    status = _STATUSES.get(segment.status, str(segment.status))
    error = f" with error {segment.error_code}" if segment.error_code not in {None, "", NO_ERROR} else ""
    if segment.status in {Status.PLANNED, Status.REMOVED}:
        return status
    if segment.online is False:
        silent = segment.began and (segment.began.event_id or "").startswith(SILENCE)
        why = "offline, it fell silent" if silent else "offline"
        return f"{why}; {'' if segment.status is None else 'last status '}{status}{error}"
    if segment.status is None and segment.online is None:
        return "nothing heard yet"
    return f"{status}{error}"


def remark_on(
    declared: Declared, counted: Micros, rest: dict[TimeClass, Micros], *, concerns: bool, has_reason: bool
) -> str:
    """Say why so much of an exclusion counts."""
    if not concerns:
        return "does not count here: it is about other connectors"
    if not has_reason:
        return f"does not count: the definition takes no {declared.exclusion.reason}"
    if TimeClass.DOWN in rest:  # of a port alone
        return "counts only where no connector that it is not about was down, too"
    if not counted:
        others = TimeClass.EXCLUDED in rest  # of a port, again
        why = "what was down meanwhile is excluded by another" if others else "it was never down meanwhile"
        return f"changes nothing: {why}"
    if not rest:
        return "counts in full: it was down all the time"
    return "counts where it was down, and only there"
