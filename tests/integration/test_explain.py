"""`explain` and `show` on a real view: what the store wrote is read, explained and compared."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import jsonschema
import pytest
import redis
from typer.testing import CliRunner, Result

from schemas import generate
from schemas.explanation import Explanation
from schemas.view import Keys
from service.cli import app
from service.settings import PREFIX
from tests.builders import Json, event, heartbeat, online_reported, removed, status_reported, time_of
from tests.evidence import decoded
from tests.kept import KeptView

Run = Callable[..., Result]

_TERMS: Json = {"exclusion_id": "grid-42", "from": time_of("05:00"), "until": time_of("09:00")}
_UNSEEN: Json = {"from": time_of("01:00", day=1), "until": time_of("02:00", day=1)}

STORY: tuple[Json, ...] = (
    online_reported(True, "00:00"),
    status_reported("AVAILABLE", "00:00"),
    status_reported("AVAILABLE", "00:00:01", connector="c2"),
    status_reported("OUTOFORDER", "06:00", error_code="GroundFailure"),
    status_reported("AVAILABLE", "12:00"),
    event("exclusion.declared", "13:00", **_TERMS, reason="utility_interruption", note="notice 4711"),
    status_reported("AVAILABLE", "17:00"),
    status_reported("INOPERATIVE", "14:00", received_at=time_of("18:00")),
    online_reported(False, "20:00"),
    heartbeat("21:30:20"),
    event("observation.gap", "03:00", day=1, **_UNSEEN),
    online_reported(False, "23:00", day=8),
    status_reported("OUTOFORDER", "15:00", received_at=time_of("23:30", day=8)),
    heartbeat("00:00", day=9),
)


def saved(url: str, events: Sequence[Json], saves: int = 3) -> None:
    """Write what comes of events into the view, in several saves."""
    found = decoded(events)
    view = KeptView(url, found[0].evse_uid)

    async def save_all() -> None:
        step = max(1, len(found) // saves)
        for start in range(0, len(found), step):
            await view.save(found[start : start + step])

    asyncio.run(save_all())


@pytest.fixture
def run(redis7_url: str) -> Run:
    """Give a function that runs the command on the view."""

    def called(*arguments: str, **variables: str) -> Result:
        environment = {PREFIX + "REDIS_URL": redis7_url, "COLUMNS": "80"}
        environment |= {PREFIX + name: value for name, value in variables.items()}
        return CliRunner().invoke(app, list(arguments), env=environment)

    return called


@pytest.fixture
def told(redis7_url: str) -> None:
    """Let the view hold the story."""
    saved(redis7_url, STORY)


def as_json(run: Run, *arguments: str, **variables: str) -> Any:
    """Explain for programs."""
    result = run("explain", *arguments, "--json", **variables)
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


@pytest.mark.usefixtures("told")
def test_the_published_number_is_explained_from_the_view_alone(run: Run) -> None:
    """Closed and recent history together, for each connector and the port, exactly."""
    found = as_json(run, "e1")

    assert (found["is_published"], found["agrees"]) == (True, True)
    for part in (*found["connectors"], found["port"]):
        assert part["window"] == part["published"]
    classes = [each["class"] for each in found["connectors"][0]["intervals"]]
    assert classes == [
        *("unobserved", "up", "excluded", "down", "up", "down", "up"),
        *("down", "up", "unobserved", "up", "down", "up"),
    ]


@pytest.mark.usefixtures("told")
def test_the_document_is_valid_by_its_schema(run: Run) -> None:
    """The one that is committed, and it has no field that is not documented."""
    found = as_json(run, "e1")
    schema = json.loads((generate.FOLDER / "explanation.json").read_text(encoding="utf-8"))

    jsonschema.Draft202012Validator(schema).validate(found)
    assert json.loads(Explanation.model_validate(found).model_dump_json(by_alias=True)) == found


@pytest.mark.usefixtures("told")
def test_events_are_named_by_their_place_in_the_log(run: Run) -> None:
    """By the input topics of the settings; verdicts are those that the view keeps."""
    found = as_json(run, "e1", INPUT_TOPICS="charger.events")
    events = [each["began_by"] for each in found["connectors"][0]["intervals"] if each["began_by"]]

    assert {each["topic"] for each in events if each["kind"] == "event"} == {"charger.events"}
    assert {each["partition"] for each in events if each["kind"] == "event"} == {3}
    verdicts = {each["offset"]: each["verdict"] for each in events}
    assert (verdicts[3], verdicts[7]) == ("applied", "corrected")
    assert [(late["offset"], late["at"]) for late in found["late_events"]] == [(12, time_of("15:00"))]


@pytest.mark.usefixtures("told")
def test_another_window_and_one_connector(run: Run) -> None:
    """Any window of the last 400 days, with what reaches into it."""
    day = ("--from", "2026-01-05", "--until", "2026-01-05T08:00:00Z")

    found = as_json(run, "e1", "--connector", "c1", *day)

    [connector] = found["connectors"]
    assert found["port"] is None
    assert connector["window"]["uptime"] == 1.0
    assert connector["window"]["excluded_seconds"] == 7200
    assert connector["intervals"][-1]["ended_by"]["at"] == time_of("12:00")
    assert (found["is_published"], connector["agrees"]) == (False, None)


@pytest.mark.usefixtures("told")
def test_people_read_it_all(run: Run) -> None:
    """From the first interval to the sums, of both connectors and the port."""
    result = run("explain", "e1")

    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    for words in ("connector c1", "connector c2", "the EVSE as a port", "excluded by grid-42", "a heartbeat"):
        assert words in text
    assert "evse.events:3:7, corrected" in text
    assert result.stdout.count("these are the published numbers, to the microsecond") == 3


@pytest.mark.usefixtures("told")
def test_show_names_exclusions_and_gaps_and_points_to_explain(run: Run) -> None:
    """One line each."""
    lines = run("show", "e1").stdout.splitlines()

    named = [line.rstrip() for line in lines if line.startswith(("exclusion ", "gap "))]
    assert named[0].startswith("exclusion grid-42, utility_interruption, 2026-01-05 05:00:00Z to 2026-01-05")
    assert named[1] == "gap 2026-01-06 01:00:00Z to 2026-01-06 02:00:00Z: nothing could be seen"
    assert lines[-1].startswith("`evse-status explain e1` shows what is behind the uptime")


@pytest.mark.usefixtures("told")
def test_sums_that_are_not_the_published_ones_end_with_1(run: Run, redis7_url: str) -> None:
    """Loudly: in the output, and in one line that names the parts and what to do."""
    with redis.Redis.from_url(redis7_url) as client:
        [lost] = [each for each in client.zrange(Keys().outages("e1"), 0, -1) if b"GroundFailure" in each]
        client.zrem(Keys().outages("e1"), lost)

    result, for_programs = run("explain", "e1"), run("explain", "e1", "--json")

    assert (result.exit_code, for_programs.exit_code) == (1, 1)
    assert "THIS DOES NOT ADD UP: the snapshot says" in result.stdout
    [line] = result.stderr.splitlines()
    assert line.startswith(
        "evse-status: the intervals of c1 do not sum to what the snapshot says; `evse-status rebuild`"
    )
    assert json.loads(for_programs.stdout)["agrees"] is False


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nobody"], 1, "there is no EVSE 'nobody' under the prefix 'evse'; `evse-status list` shows which"),
        (["e1", "--connector", "c9"], 1, "EVSE 'e1' has no connector 'c9'; it has: c1, c2"),
        (["e1", "--definition", "x"], 2, "there is no 'x'; there are: observed"),
        (
            ["e1", "--from", "2026-01-07", "--until", "2026-01-06"],
            1,
            "give a --from that lies before --until",
        ),
        (["e1", "--from", "2009-01-01"], 1, "nothing is known of the time before 2010; give a later --from"),
        (["e1", "--from", "yesterday"], 2, "'yesterday' is no time; write 2026-01-05T00:00:00Z"),
    ],
)
def test_what_cannot_be_explained_is_one_line(run: Run, arguments: list[str], code: int, words: str) -> None:
    """It names the remedy."""
    result = run("explain", *arguments)

    assert result.exit_code == code
    [line] = result.stderr.splitlines()
    assert words in line


def test_history_that_is_gone_is_not_made_up(run: Run, redis7_url: str) -> None:
    """400 days are kept, unless nothing was ever heard before them."""
    old = [
        status_reported("AVAILABLE", "00:00", day=-600),
        status_reported("OUTOFORDER", "01:00", day=-500),
        status_reported("AVAILABLE", "01:00", day=-499),
        heartbeat("00:00"),
    ]
    saved(redis7_url, old)
    saved(redis7_url, [{**each, "evse_uid": "young"} for each in old[-1:]])

    refused = run("explain", "e1", "--from", "2024-06-01")

    assert refused.exit_code == 1
    assert (
        "history is kept for 400 days, here from 2024-12-01T00:00:00Z; give a later --from" in refused.stderr
    )
    assert as_json(run, "young", "--from", "2024-06-01")["port"]["window"]["up_seconds"] == 0


def test_an_evse_that_is_gone_is_explained(run: Run, redis7_url: str) -> None:
    """Up to its removal; out of service since."""
    saved(redis7_url, [status_reported("AVAILABLE", "00:00"), removed("18:00"), heartbeat("20:00")])

    found = as_json(run, "e1")

    assert (found["removed_at"], found["agrees"]) == (time_of("18:00"), True)
    last = found["connectors"][0]["intervals"][-1]
    assert (last["class"], last["seconds"]) == ("out_of_service", 7200)


def test_an_evse_that_was_never_heard_says_why_it_has_no_number(run: Run, redis7_url: str) -> None:
    """All of its window is unobserved."""
    saved(redis7_url, [event("evse.upserted", "00:00", evse={"connectors": [{"uid": "c1"}]})])

    assert "uptime not known: nothing of the window was observed" in run("explain", "e1").stdout
    assert as_json(run, "e1")["agrees"] is True


def test_a_view_out_of_reach_is_one_line(run: Run) -> None:
    """As with every command."""
    result = run("explain", "e1", REDIS_URL="redis://127.0.0.1:9/0")

    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
