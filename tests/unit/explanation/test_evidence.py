"""What is read of the view, and how the events at the ends of intervals are named."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from schemas.explanation import EventAtEnd
from schemas.snapshot import Window
from schemas.view import Cause, Judged
from schemas.vocabulary import ExclusionReason, TimeClass, Verdict
from service.domain.definitions import DEFINITIONS, OBSERVED
from service.domain.rules import Rules, published_from
from service.domain.state import Former
from service.domain.time import DAY, HOUR, micros_from
from service.explanation.account import Question, explained
from service.explanation.evidence import EventNames, Evidence
from service.explanation.words import definition_in_words
from tests.builders import MIDNIGHT, Json, event, heartbeat, status_reported, time_of
from tests.evidence import evidence_of, explanation, told

NIGHT = micros_from(MIDNIGHT)


def named(position: int, *topics: str, partition: int | None = 3) -> EventAtEnd:
    """Name the event of a position."""
    found = EventNames(topics, partition, ()).event(Cause(event_id="e", position=position), NIGHT, "c1")
    assert found is not None
    return found


def test_a_position_is_taken_apart() -> None:
    """Epoch, topic and offset."""
    found = named(2 << 56 | 1 << 48 | 1043, "status", "online")

    assert (found.epoch, found.topic, found.partition, found.offset) == (2, "online", 3, 1043)
    assert found.at == MIDNIGHT


def test_a_topic_that_the_settings_do_not_name_is_not_made_up() -> None:
    """Nor is a partition that an earlier version did not write down."""
    found = named(1 << 48 | 7, "status", partition=None)

    assert (found.topic, found.partition, found.offset) == (None, None, 7)


def test_an_event_lies_where_its_evse_lived_then() -> None:
    """Partitions were added twice: of each epoch the one that was its home."""
    names = EventNames(("t",), 5, (), [Former(0, 1), Former(2, 3)])
    causes = [Cause(event_id="e", position=epoch << 56 | 7) for epoch in (0, 1, 2, 4)]

    found = [names.event(cause, NIGHT, "c1") for cause in causes]

    assert [each and each.partition for each in found] == [1, 3, 3, 5]


def test_an_event_lies_in_the_topics_that_were_read_then() -> None:
    """The topics were left for others once: what came before that lies in them, in whichever partition."""
    names = EventNames(("new",), 5, (), [Former(0, 1), Former(2, 3, ("old",)), Former(3, 4)])
    causes = [Cause(event_id="e", position=epoch << 56 | 7) for epoch in (0, 2, 3, 4)]

    found = [names.event(cause, NIGHT, "c1") for cause in causes]

    assert [each and (each.topic, each.partition) for each in found] == [
        ("old", 1),
        ("old", 3),
        ("new", 4),
        ("new", 5),
    ]


def test_a_verdict_is_applied_unless_the_view_says_otherwise() -> None:
    """It is kept by position."""
    names = EventNames(("t",), 0, [Judged(5, Verdict.CORRECTED, NIGHT)])
    causes = [Cause(event_id="e", position=number) for number in (4, 5)]

    found = [names.event(cause, NIGHT, "c1") for cause in causes]

    assert [each and each.verdict for each in found] == ["applied", "corrected"]
    assert names.event(None, NIGHT, "c1") is None


def test_late_events_are_those_of_the_window() -> None:
    """Neither what only corrected history, nor what applies outside of it."""
    judged = [
        Judged(1, Verdict.LATE, NIGHT - 1),
        Judged(2, Verdict.LATE, NIGHT),
        Judged(3, Verdict.CORRECTED, NIGHT + 1),
        Judged(4, Verdict.LATE, NIGHT + HOUR),
    ]

    found = EventNames(("t",), 0, judged).late((NIGHT, NIGHT + HOUR))

    assert [each.offset for each in found] == [2]


def test_a_view_of_an_earlier_version_is_read() -> None:
    """It has no partition in its document."""
    state, _ = told([status_reported("AVAILABLE", "00:00")])
    whole = evidence_of(state, Rules())
    document = {
        "snapshot": whole.snapshot.model_dump_json(by_alias=True),
        "recent": whole.recent.model_dump_json(by_alias=True),
        "removed_at": "",
    }

    assert Evidence.of(document, (), {}, (), ()).partition is None
    assert whole.partition == 3


def test_the_first_word_is_known_while_the_span_before_it_is_kept() -> None:
    """Once that is gone, nobody can say that nothing was heard."""
    state, _ = told([status_reported("AVAILABLE", "06:00"), heartbeat("12:00"), heartbeat("12:00", day=9)])
    whole = evidence_of(state, Rules())

    assert whole.first_heard() == NIGHT + 6 * HOUR
    assert replace(whole, outages=()).first_heard() is None


def test_a_connector_that_was_never_heard_is_known_up_to_now() -> None:
    """All of its time is unobserved, and that is known of all of it."""
    upserted = event("evse.upserted", "00:00", evse={"connectors": [{"uid": "c1"}]})
    state, _ = told([upserted])

    assert evidence_of(state, Rules()).first_heard() == state.as_of


def test_a_span_that_is_lost_is_noticed() -> None:
    """An outage that the view lost would else make a better number than the published one."""
    state, _ = told(
        [
            status_reported("AVAILABLE", "00:00"),
            status_reported("OUTOFORDER", "06:00"),
            status_reported("AVAILABLE", "12:00"),
            heartbeat("12:00", day=9),
        ]
    )
    period = (published_from(state.as_of), state.as_of)
    whole = evidence_of(state, Rules(), period[0])
    lost = replace(whole, outages=[each for each in whole.outages if each.status != "OUTOFORDER"])

    found = explained(lost, Question(period, OBSERVED, ()))

    assert explained(whole, Question(period, OBSERVED, ())).agrees is True
    assert (found.is_published, found.agrees) == (True, False)
    assert found.port is not None
    assert [found.connectors[0].agrees, found.port.agrees] == [False, False]
    assert found.connectors[0].published is not None
    assert found.connectors[0].window.up_seconds == found.connectors[0].published.up_seconds + 6 * 3600


def test_one_microsecond_is_a_difference() -> None:
    """The comparison knows no tolerance."""
    state, _ = told([status_reported("AVAILABLE", "00:00"), heartbeat("12:00", day=9)])
    whole = evidence_of(state, Rules())
    port = whole.snapshot.windows[0]
    other = Window.model_validate(
        {**port.model_dump(by_alias=True), "up_seconds": port.up_seconds + 0.000_001}
    )
    told_wrong = replace(whole, snapshot=whole.snapshot.model_copy(update={"windows": (other,)}))

    found = explained(told_wrong, Question((published_from(state.as_of), state.as_of), OBSERVED, ()))

    assert (found.agrees, found.connectors[0].agrees) == (False, True)


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=DEFINITIONS)
def test_every_definition_has_words(definition: object) -> None:
    """A number without its rule cannot be defended."""
    assert isinstance(definition, type(OBSERVED))
    words = definition_in_words(definition)

    assert words.name == definition.name
    assert len(words.meaning) > len(words.name)


def test_an_exclusion_whose_reason_a_definition_does_not_take_says_so() -> None:
    """Under another definition the same time stays down."""
    strict = replace(OBSERVED, name="strict", exclusion_reasons=frozenset({ExclusionReason.OTHER}))
    terms: Json = {"exclusion_id": "x", "from": time_of("07:00"), "until": time_of("09:00")}
    declared = event("exclusion.declared", "00:00", **terms, reason="vandalism")
    found = explanation(
        status_reported("OUTOFORDER", "00:00"),
        declared,
        heartbeat("00:00", day=1),
        period=(NIGHT, NIGHT + DAY),
        definition=strict,
    )

    [use] = found.connectors[0].exclusions
    assert (use.counted_seconds, use.rest_seconds) == (0, {TimeClass.DOWN: 7200})
    assert use.remark == "does not count: the definition takes no vandalism"
    assert found.connectors[0].window.excluded_seconds == 0


def test_times_are_exact_to_the_microsecond() -> None:
    """In whatever a device writes."""
    found = explanation(
        status_reported("OUTOFORDER", "01:00:01", occurred_at="2026-01-05T01:00:00.000001Z"),
        heartbeat("00:00", day=1),
    )

    last = found.connectors[0].intervals[-1]
    assert last.from_ == datetime(2026, 1, 5, 1, 0, 0, 1, tzinfo=UTC)
    assert last.seconds == 23 * 3600 - 0.000_001
