"""`explain`: how the intervals behind a number are laid out for people."""

from __future__ import annotations

import io
from datetime import datetime, timedelta

import pytest
from rich.console import Console

from schemas.explanation import Explanation
from schemas.view import PORT
from service.commands.explained import Omitted, laid_out, shortened
from service.commands.wording import exact_length, exactly
from service.domain.definitions import OBSERVED
from service.domain.remains import Remains, revive
from service.domain.rules import Rules
from service.domain.time import DAY, HOUR, micros_from
from service.explanation.account import Question, explained
from service.processing.remnants import last_word
from service.processing.rendering import snapshot
from tests.builders import (
    MIDNIGHT,
    Json,
    event,
    heartbeat,
    online_reported,
    removed,
    status_reported,
    time_of,
)
from tests.evidence import PARTITION, evidence_of, explanation, told
from tests.readme import README, explained_in_readme

DAY_ONE = (micros_from(MIDNIGHT), micros_from(MIDNIGHT) + DAY)
LAST = heartbeat("00:00", day=1)


def seen(found: Explanation, width: int = 80, *, every: bool = False) -> str:
    """Render for a reader without colours."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(laid_out(found, every=every))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())


def day_one(*events: Json, connector: str | None = None) -> Explanation:
    """Explain the first day of events whose ids are short."""
    numbered = ({**each, "event_id": f"e-{number}"} for number, each in enumerate((*events, LAST)))
    return explanation(*numbered, period=DAY_ONE, connector=connector)


A_DAY = (
    status_reported("AVAILABLE", "00:00"),
    status_reported("OUTOFORDER", "06:00", error_code="GroundFailure"),
    status_reported("AVAILABLE", "12:00"),
)


def test_moments_and_intervals_take_turns() -> None:
    """Oldest first: each moment with its event, each interval with its length, class and cause."""
    text = seen(day_one(*A_DAY))
    lines = [" ".join(line.split()) for line in text.splitlines()]

    outage = lines.index("06:00:00 down: out of order with error GroundFailure")
    assert lines[outage - 2 : outage] == [
        "06:00:00 up: working",
        "2026-01-05 06:00:00Z event e-1, evse.events:3:1, applied",
    ]
    assert lines[lines.index("12:00:00 up: working") + 1] == "2026-01-06 00:00:00Z the window ends"


def test_sums_and_formula_follow_the_story() -> None:
    """With the seconds that the number is made of."""
    lines = [" ".join(line.split()) for line in seen(day_one(*A_DAY)).splitlines()]

    assert "up 18:00:00 64,800 s" in lines
    assert "down 06:00:00 21,600 s" in lines
    assert "the window 1 d 00:00:00 86,400 s" in lines
    assert "uptime 75.000 % = up / (up + down) = 64,800 / (64,800 + 21,600)" in lines
    assert "2026-01-05 00:00:00Z to 2026-01-06 00:00:00Z, not the published window" in lines


def test_the_published_window_says_that_it_is() -> None:
    """And that its sums are those of the snapshot."""
    text = seen(explanation(*A_DAY, LAST))

    assert "the published window" in text
    assert "these are the published numbers, to the microsecond" in text
    assert "it is its one connector: the same intervals and numbers" in text


def test_a_difference_is_said_loudly() -> None:
    """With what the snapshot says."""
    found = explanation(*A_DAY, LAST)
    wrong = found.connectors[0].model_copy(update={"agrees": False})

    text = seen(found.model_copy(update={"connectors": (wrong,)}))

    assert "THIS DOES NOT ADD UP: the snapshot says up 64,800 s, down 21,600 s" in text


def test_a_port_of_several_connectors_is_told_by_itself() -> None:
    """Each interval with the connectors that make it so; alone, a connector has no port."""
    both = (*A_DAY, status_reported("INOPERATIVE", "02:00", connector="c2"))

    text = seen(day_one(*both), 120)

    assert "down: c1 (out of order with error GroundFailure), c2 (inoperative)" in text
    assert "event e-1 of c1, evse.events:3:1, applied" in text
    assert "the EVSE as a port" in text
    assert "the EVSE as a port" not in seen(day_one(*both, connector="c2"))


def test_exclusions_and_gaps_stand_at_their_moments_and_below_the_sums() -> None:
    """When they begin and end, how much of them counted, and why."""
    terms: Json = {"exclusion_id": "x", "from": time_of("08:00"), "until": time_of("14:00")}
    declared = event("exclusion.declared", "00:00", **terms, reason="vandalism", note="cable cut")
    unseen: Json = {"from": time_of("18:00"), "until": time_of("19:00")}
    text = seen(day_one(*A_DAY, declared, event("observation.gap", "19:00", **unseen)), 120)

    for words in (
        "2026-01-05 08:00:00Z  exclusion x begins",
        "excluded: out of order with error GroundFailure, excluded by x",
        "2026-01-05 18:00:00Z  a gap begins",
        "2026-01-05 19:00:00Z  the gap ends",
        "exclusion x, vandalism: cable cut",
        "2026-01-05 08:00:00Z to 2026-01-05 14:00:00Z, 06:00:00 in the window",
        "04:00:00 counted; the rest: up 02:00:00",
        "counts where it was down, and only there",
        "gap 2026-01-05 18:00:00Z to 2026-01-05 19:00:00Z, 01:00:00 in the window, unobserved instead of up",
    ):
        assert words in text


def test_an_event_of_which_only_the_last_snapshot_told_is_said_to_be_gone() -> None:
    """It has no place in the log any more."""
    using = Rules()
    state, _ = told(A_DAY[:2], using)
    word = last_word(snapshot(state, state.as_of, using))
    revived = revive(Remains("e1", PARTITION, word=word), using)
    question = Question((DAY_ONE[0], revived.as_of + HOUR), OBSERVED, ("evse.events",), "c1")
    text = seen(explained(evidence_of(revived, using), question), 120)

    assert "an event that is gone; the last snapshot (revision 2) told of it" in text


@pytest.mark.parametrize("has_spans", [True, False])
def test_where_history_was_cut_it_says_so(*, has_spans: bool) -> None:
    """After log and view were lost: no event stands there, and people are told what does."""
    using = Rules()
    mended = status_reported("AVAILABLE", "05:00", day=3)
    later = [mended, heartbeat("00:00", day=4)] if has_spans else [heartbeat("00:00", day=4)]
    state, _ = told((*A_DAY[:2], *later), using)
    left = Remains("e1", PARTITION, word=last_word(snapshot(state, state.as_of, using)))
    left.days = {uid: dict(history.days.items()) for uid, history in state.history.items()}
    left.days[PORT] = {}
    if has_spans:
        left.spans = {uid: list(history.spans) for uid, history in state.history.items()}
    revived = revive(left, using)
    question = Question((DAY_ONE[0], DAY_ONE[0] + 4 * DAY), OBSERVED, ("evse.events",), "c1")
    text = seen(explained(evidence_of(revived, using), question), 160)

    assert "is not known" not in text
    if has_spans:
        assert "2026-01-05 06:00:00Z  an event that is gone: closed days and outages tell of its time" in text
        assert "history goes on here from the last snapshot: what the log said after this midnight" in text
    else:
        assert "history begins here: what was said before is gone from log, view and ledger" in text


def test_a_gap_takes_nothing_of_what_is_out_of_service() -> None:
    """It covers every status but PLANNED and REMOVED (settled reading 9), and says so of both at once."""
    unseen: Json = {"from": time_of("18:00"), "until": time_of("21:00")}
    gap = event("observation.gap", "21:00", **unseen)
    planned = status_reported("PLANNED", "05:00")
    partly = seen(day_one(*A_DAY, status_reported("PLANNED", "19:00"), gap), 200)
    wholly = seen(day_one(planned, gap), 200)

    assert "unobserved instead of up 01:00:00, 02:00:00 out of service, which it does not cover" in partly
    assert "03:00:00 in the window, 03:00:00 out of service, which it does not cover" in wholly
    assert "unobserved instead of out of service" not in partly + wholly


def test_what_began_before_the_window_says_since_when() -> None:
    """And what ended after it, until when; what lies after the newest time is said to."""
    start = DAY_ONE[0]
    text = seen(explanation(*A_DAY, LAST, period=(start + 7 * HOUR, start + 8 * HOUR)), 120)

    assert "the window begins; so since 2026-01-05 06:00:00Z by event connector.status" in text
    assert "the window ends; so until 2026-01-05 12:00:00Z by event connector.status" in text
    assert "nothing later is known" in seen(explanation(*A_DAY, LAST, period=(start, start + 2 * DAY)))


def test_a_missing_number_says_why() -> None:
    """An EVSE that was never heard, one without connectors, one that is gone."""
    upserted = event("evse.upserted", "00:00", evse={"connectors": [{"uid": "c1"}]})

    assert "uptime not known: nothing of the window was observed; a number takes an hour" in seen(
        explanation(upserted)
    )
    assert "no connector is known yet" in seen(explanation(online_reported(True, "00:00")))
    gone = seen(explanation(*A_DAY, removed("18:00")))
    assert "removed at 2026-01-05 18:00:00Z: out of service since" in gone


def test_late_events_are_listed() -> None:
    """With their time and place."""
    late = status_reported("OUTOFORDER", "03:00", received_at=time_of("12:00", day=4))
    text = seen(explanation(*A_DAY, online_reported(False, "11:00", day=4), late))

    assert "1 event of this window came too late for it, a sign of life at most:" in text
    assert "  2026-01-05 03:00:00Z  evse.events:3:4" in text


def flapping(minutes: int) -> Explanation:
    """Explain a day with an outage of a second in every minute, and one of half an hour."""
    events = [status_reported("AVAILABLE", "00:00")]
    for minute in range(minutes):
        clock = f"{minute // 60:02}:{minute % 60:02}"
        events += [status_reported("OUTOFORDER", f"{clock}:10"), status_reported("AVAILABLE", f"{clock}:11")]
    events += [status_reported("INOPERATIVE", "12:00"), status_reported("AVAILABLE", "12:30")]
    return day_one(*events)


def test_of_very_many_intervals_the_longest_are_shown_and_the_rest_is_added_up() -> None:
    """No second is lost on the way, and --all shows all."""
    found = flapping(300)

    text, whole = seen(found), seen(found, every=True)

    assert "00:30:00  down: inoperative" in text
    assert "intervals are added up, not shown: --all shows every one" in " ".join(text.split())
    assert len(text.splitlines()) < 170
    assert "not shown" not in whole
    assert whole.count("down: out of order") == 300
    shown = shortened(found.connectors[0].intervals)
    lengths = [
        part.until - part.from_
        for each in shown
        for part in (each.intervals if isinstance(each, Omitted) else [each])
    ]
    assert sum(lengths, timedelta(0)) == timedelta(days=1)


def test_few_intervals_are_all_shown() -> None:
    """Nothing is added up where all of it can be read."""
    intervals = flapping(10).connectors[0].intervals

    assert shortened(intervals) == list(intervals)


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Whatever ids producers choose."""
    long = "0f8fad5b-d9cb-469f-a165-70867728950e-" * 4
    events = [{**each, "event_id": f"{long}{number}"} for number, each in enumerate((*A_DAY, LAST))]
    found = explanation(*events, period=DAY_ONE)

    assert max(map(len, seen(found, width).splitlines())) <= width


def test_names_cannot_steer_the_terminal() -> None:
    """Control characters and markup come out as text."""
    text = seen(day_one(status_reported("OUTOFORDER", "00:00", error_code="[red]E\u009b2J")))

    assert "[red]E\\x9b2J" in text


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(0), "00:00:00"),
        (timedelta(hours=30, seconds=0.25), "1 d 06:00:00.25"),
        (timedelta(microseconds=1), "00:00:00.000001"),
    ],
)
def test_lengths_are_written_exactly(span: timedelta, words: str) -> None:
    """So that a column of them adds up."""
    assert exact_length(span) == words


def test_moments_are_written_exactly() -> None:
    """With no more decimals than they have."""
    assert exactly(MIDNIGHT) == "2026-01-05 00:00:00Z"
    assert exactly(datetime(2026, 1, 5, 1, 2, 3, 40, tzinfo=MIDNIGHT.tzinfo)) == "2026-01-05 01:02:03.00004Z"


def test_the_readme_shows_what_is_printed() -> None:
    """Its example is the output of these events, on 80 columns."""
    assert explained_in_readme(README.read_text(encoding="utf-8")) == seen(told_in_the_readme())


def told_in_the_readme() -> Explanation:
    """Explain a charger that had an outage, half of it excused, and a report that came late."""

    def reported(number: int, status: str, at: str, received: str | None = None, **more: object) -> Json:
        times = {"occurred_at": at, "received_at": received or at}
        body = {"type": "connector.status", "connector_uid": "c1", "status": status}
        return {"event_id": f"e-{number}", "evse_uid": "charger-1", **body, **times, **more}

    exclusion = {
        "type": "exclusion.declared",
        "event_id": "e-7",
        "evse_uid": "charger-1",
        "exclusion_id": "grid-0042",
        "from": "2026-01-03T05:00:00Z",
        "until": "2026-01-03T09:00:00Z",
        "reason": "utility_interruption",
        "note": "notice 4711",
        "occurred_at": "2026-01-05T00:00:00Z",
    }
    return explanation(
        reported(1, "AVAILABLE", "2026-01-02T00:00:00Z"),
        reported(2, "OUTOFORDER", "2026-01-03T06:00:00Z", error_code="GroundFailure"),
        reported(3, "AVAILABLE", "2026-01-03T12:00:00Z"),
        reported(4, "AVAILABLE", "2026-01-04T18:00:00Z"),
        reported(5, "INOPERATIVE", "2026-01-04T14:00:00.250Z", "2026-01-04T20:00:00Z"),
        reported(6, "AVAILABLE", "2026-01-04T14:20:00Z", "2026-01-04T20:00:00Z"),
        exclusion,
        connector="c1",
    )


def test_who_is_down_still_is_said_to_be_so_beside_numbers_that_end_before() -> None:
    """The numbers are as of the newest event; an outage that goes on since then must not look like none."""
    found = explanation(
        status_reported("AVAILABLE", "00:00"),
        status_reported("OUTOFORDER", "06:00"),
        online_reported(False, "08:00"),
        period=(DAY_ONE[0], DAY_ONE[0] + 9 * HOUR),
    )

    [connector] = found.connectors
    assert connector.down_since == MIDNIGHT + timedelta(hours=6)
    assert "down since 2026-01-05 06:00:00Z, and still so as of these numbers" in seen(found, width=200)


@pytest.mark.parametrize("last", ["06:00", "05:59"])
def test_who_went_down_at_the_last_moment_is_said_to_be_down(last: str) -> None:
    """No time of it is counted yet: the window sums to an uptime of 100 %."""
    found = explanation(
        status_reported("AVAILABLE", "00:00"),
        status_reported("OUTOFORDER", "06:00"),
        period=(DAY_ONE[0], DAY_ONE[0] + (6 * HOUR if last == "06:00" else 6 * HOUR - 1)),
    )

    [connector] = found.connectors
    expected = MIDNIGHT + timedelta(hours=6) if last == "06:00" else None
    assert connector.down_since == expected
    assert ("down since" in seen(found)) == (expected is not None)
