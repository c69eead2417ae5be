"""What a reader finds in the view of an EVSE, made from events without a view."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from schemas.explanation import Explanation
from schemas.view import Judged, parse_exclusions, parse_gaps, parse_outages
from schemas.vocabulary import Verdict
from service.domain.definitions import OBSERVED, Definition
from service.domain.events import Event
from service.domain.fold import fold
from service.domain.intervals import Interval
from service.domain.rules import Rules, published_from
from service.domain.state import EvseState
from service.domain.time import Micros
from service.explanation.account import Question, explained
from service.explanation.evidence import Evidence
from service.processing.decoding import decode
from service.processing.rejection import Rejection
from service.processing.rendering import document
from tests.builders import Json

PARTITION = 3


def decoded(events: Iterable[Json]) -> list[Event]:
    """Decode events, none of which is rejected; the position of each is its place."""
    found = []
    for number, event in enumerate(events):
        made = decode(orjson.dumps(event), key=None, compare_key=False, position=number, record_time=None)
        assert not isinstance(made, Rejection)
        found.append(made)
    return found


def told(events: Iterable[Json], using: Rules | None = None) -> tuple[EvseState, list[Judged]]:
    """Fold events, and give the state with the verdicts that a worker keeps."""
    found = decoded(events)
    state, judged = EvseState(found[0].evse_uid, partition=PARTITION), []
    for event in found:
        folded = fold(state, event, using or Rules())
        if folded.publish and folded.verdict in {Verdict.CORRECTED, Verdict.LATE}:
            judged.append(Judged(event.position, folded.verdict, event.at))
    return state, judged


def evidence_of(state: EvseState, using: Rules, since: Micros = 0, judged: Sequence[Judged] = ()) -> Evidence:
    """Give what a reader finds of an EVSE that was saved once, now, with the spans that end after a time."""
    rendered = document(state, state.as_of, using)
    declared: Any = {name: value for name, value in rendered.exclusions.items() if value is not None}
    return Evidence.of(
        {name: value.decode() for name, value in rendered.fields.items()},
        parse_outages(value for end, value in rendered.closed_outages if end >= since),
        parse_exclusions(declared),
        parse_gaps(value for _, value in rendered.gaps),
        judged,
    )


def explanation(
    *events: Json,
    period: Interval | None = None,
    definition: Definition = OBSERVED,
    connector: str | None = None,
    using: Rules | None = None,
) -> Explanation:
    """Explain what events make of an EVSE, by default the published window."""
    using = using or Rules()
    state, judged = told(events, using)
    period = period or (published_from(state.as_of), state.as_of)
    question = Question(period, definition, ("evse.events",), connector)
    return explained(evidence_of(state, using, period[0], judged), question)
