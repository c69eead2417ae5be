"""`show`: what people see of an EVSE."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from rich.console import Console

from schemas.snapshot import Snapshot
from schemas.view import Exclusion, Gap, Outage, parse_recent
from schemas.vocabulary import TimeClass
from service.commands.show import Shown, described, joined_outages
from service.commands.wording import in_words, share
from service.domain.fold import fold
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.processing.decoding import decode
from service.processing.rejection import Rejection
from service.processing.rendering import document
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

NOW = MIDNIGHT + timedelta(days=2, minutes=5)


def shown(*events: Json) -> Shown:
    """Fold events as the worker does, and give what `show` reads of them."""
    state = EvseState("e1")
    for position, each in enumerate(events):
        decoded = decode(orjson.dumps(each), key=None, compare_key=False, position=position, record_time=None)
        assert not isinstance(decoded, Rejection)
        fold(state, decoded, Rules())
    fields: Any = document(state, state.as_of, Rules()).fields
    recent = parse_recent(fields["recent"])
    outages = [each for connector in recent.connectors.values() for each in connector.outages]
    down = tuple(each for each in outages if each.time_class is TimeClass.DOWN)
    return Shown(Snapshot.model_validate_json(fields["snapshot"]), fields["removed_at"].decode(), down)


def seen(what: Shown) -> str:
    """Render for a reader with 80 columns and no colours."""
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(described(what, NOW))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_a_charger_at_work_is_described() -> None:
    """Status and online with their times, uptime with coverage, reliability with its terms."""
    text = seen(
        shown(
            online_reported(True, "00:00"),
            status_reported("AVAILABLE", "00:00"),
            status_reported("CHARGING", "06:00", day=1, raw_status="SuspendedEV"),
        )
    )

    assert "e1  CHARGING" in text
    assert "last seen 18 h 5 min ago, 2026-01-06 06:00:00Z" in text
    assert "c1  CHARGING since 2026-01-06 06:00:00Z" in text
    assert "online since 2026-01-05 00:00:00Z" in text
    assert "reported as SuspendedEV" in text
    assert "uptime 100.00 % since 2025-12-07" in text
    assert "it works when a driver arrives" in text
    assert "no outages in the last 30 days" in text


def test_an_open_outage_is_open() -> None:
    """It lasts until now, with its status and error code."""
    text = seen(
        shown(
            status_reported("AVAILABLE", "00:00"),
            status_reported("OUTOFORDER", "12:00", day=1, error_code="GroundFailure"),
            heartbeat("12:30", day=1),
        )
    )

    assert "error GroundFailure" in text
    assert "12 h 5 min, open" in text
    assert "OUTOFORDER, " in text


def declared(first: int, last: int | None, **more: object) -> Exclusion:
    """Make an exclusion of days after midnight."""
    terms = {"reason": "vandalism", "connector_uids": None, "note": None, **more}
    span = {
        "from": MIDNIGHT + timedelta(days=first),
        "until": None if last is None else MIDNIGHT + timedelta(days=last),
    }
    return Exclusion.model_validate({**terms, **span})


@pytest.mark.parametrize(
    ("from_h", "until_h", "words"),
    [
        (18, 48.25, "OUTOFORDER; all in a gap: unobserved"),
        (20, 24, "OUTOFORDER; 4 h 0 min in a gap: unobserved"),
    ],
)
def test_an_outage_in_a_gap_says_so(from_h: float, until_h: float, words: str) -> None:
    """It is listed as long as it lasted, and counts nowhere as down."""
    out = shown(status_reported("AVAILABLE", "00:00"), status_reported("OUTOFORDER", "18:00"))
    gap = Gap.model_validate(
        {"from": MIDNIGHT + timedelta(hours=from_h), "until": MIDNIGHT + timedelta(hours=until_h)}
    )

    text = " ".join(seen(replace(out, gaps=(gap,))).split())

    assert f"1 d 6 h, open {words}" in text
    assert "in a gap" not in seen(replace(out, gaps=()))


def test_exclusions_and_gaps_of_the_window_are_named() -> None:
    """A line each, and none of those that lie outside of it."""
    exclusions = {
        "x": declared(-1, 1, connector_uids=("c1",), note="cable cut"),
        "open": declared(0, None),
        "old": declared(-40, -31),
    }
    gaps = (
        Gap.model_validate({"from": MIDNIGHT - timedelta(days=40), "until": MIDNIGHT - timedelta(days=39)}),
        Gap.model_validate({"from": MIDNIGHT - timedelta(hours=2), "until": MIDNIGHT - timedelta(hours=1)}),
    )
    what = replace(shown(status_reported("AVAILABLE", "06:00")), exclusions=exclusions, gaps=gaps)

    lines = seen(what).splitlines()

    named = " ".join(" ".join(line.split()) for line in lines[-5:])
    assert named == (
        "exclusion x of c1, vandalism, 2026-01-04 00:00:00Z to 2026-01-06 00:00:00Z: cable cut "
        "exclusion open, vandalism, 2026-01-05 00:00:00Z open "
        "gap 2026-01-04 22:00:00Z to 2026-01-04 23:00:00Z: nothing could be seen "
        "`evse-status explain e1` shows what is behind the uptime"
    )


def test_of_many_exclusions_and_gaps_the_newest_are_named() -> None:
    """How many more there are is said."""
    exclusions = {f"x{day}": declared(-day - 1, -day) for day in range(8)}

    lines = seen(replace(shown(status_reported("AVAILABLE", "06:00")), exclusions=exclusions)).splitlines()

    named = [line.split(",")[0] for line in lines if line.startswith("exclusion")]
    assert named == [f"exclusion x{day}" for day in (4, 3, 2, 1, 0)]
    assert "and 3 earlier exclusions and gaps in the last 30 days" in [line.rstrip() for line in lines]


def test_a_charger_that_is_gone_says_so() -> None:
    """Offline stands in the heading, a removal with its time."""
    assert (
        "offline"
        in seen(shown(status_reported("AVAILABLE", "00:00"), online_reported(False, "06:00"))).splitlines()[0]
    )
    assert "removed at 2026-01-05T09:00:00Z" in seen(
        shown(status_reported("AVAILABLE", "00:00"), removed("09:00"))
    )


def test_too_little_to_say_is_said() -> None:
    """Nulls come out as words, not as numbers."""
    text = seen(shown(status_reported("AVAILABLE", "00:00")))

    why = "nothing of the window was observed; a number takes an hour"
    assert f"  uptime not known\n    {why}\n" in text
    assert "reliability not known (less than a day was observed)" in text


EXCUSED_FROM_THEN: Json = {"from": time_of("00:00"), "reason": "vandalism"}
EXCUSED = event("exclusion.declared", "00:00", exclusion_id="x", **EXCUSED_FROM_THEN)


@pytest.mark.parametrize(
    ("events", "why"),
    [
        (
            [status_reported("OUTOFORDER", "00:00"), EXCUSED, heartbeat("02:00")],
            "all that was observed is excluded",
        ),
        (
            [status_reported("PLANNED", "00:00", day=-40), heartbeat("02:00")],
            "it was out of service throughout",
        ),
        ([status_reported("AVAILABLE", "00:00"), heartbeat("00:20")], "only 20 min 0 s of the window"),
    ],
)
def test_why_there_is_no_uptime_is_said_as_explain_says_it(events: list[Json], why: str) -> None:
    """Of the EVSE and of its connector: not all that has no number was seen too little."""
    text = seen(shown(*events))

    assert text.count(why) == 2
    assert "less than an hour" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_an_evse_without_connectors_is_described() -> None:
    """An EVSE that only ever came online has no connector yet."""
    assert "no connector is known yet" in seen(shown(online_reported(True, "00:00")))


def test_no_line_is_wider_than_a_terminal() -> None:
    """Whatever happened, 80 columns are enough."""
    events = [
        each
        for minute in range(0, 50, 2)
        for each in (
            status_reported("OUTOFORDER", f"10:{minute:02}", error_code="InternalError"),
            status_reported("AVAILABLE", f"10:{minute + 1:02}"),
        )
    ]

    text = seen(shown(*events))

    assert max(map(len, text.splitlines())) <= 80
    assert "and 10 more in the last 30 days" in text


def test_a_uid_cannot_steer_the_terminal() -> None:
    """Control characters and markup in names come out as text."""
    text = seen(shown(status_reported("AVAILABLE", "00:00", raw_status="[red]Free\u009b2J")))

    assert "[red]Free\\x9b2J" in text


def outage(connector: str, start: int, end: int | None) -> Outage:
    """Make an outage of minutes after midnight."""

    def at(minute: int) -> datetime:
        return MIDNIGHT + timedelta(minutes=minute)

    return Outage.model_validate(
        {
            "connector_uid": connector,
            "from": at(start),
            "until": None if end is None else at(end),
            "status": "OUTOFORDER",
            "online": None,
        }
    )


def test_spans_without_a_moment_up_between_them_are_one_outage() -> None:
    """Of one connector; the newest outage comes first."""
    spans = [
        outage("c1", 5, 8),
        outage("c2", 3, 5),
        outage("c1", 0, 3),
        outage("c1", 3, 5),
        outage("c1", 9, None),
    ]

    joined = joined_outages(spans)

    assert [(parts[0].connector_uid, len(parts)) for parts in joined] == [("c1", 1), ("c2", 1), ("c1", 3)]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (59, "59 s"),
        (125, "2 min 5 s"),
        (7500, "2 h 5 min"),
        (93_600, "1 d 2 h"),
        (321 * 86_400, "321 d"),
    ],
)
def test_spans_are_written_with_two_units(seconds: float, words: str) -> None:
    """As people say them."""
    assert in_words(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "-"), (1.0, "100.00 %"), (0.99999, "99.99 %"), (0.9875, "98.75 %"), (0.0, "0.00 %")],
)
def test_a_share_is_never_rounded_up_to_all(value: float | None, words: str) -> None:
    """What is not 100 % is not written as 100 %."""
    assert share(value) == words
