"""The view in Redis: its keys, and what a dashboard reads out of its values."""

from __future__ import annotations

import inspect
from datetime import UTC, date, datetime

import pytest

from schemas import view
from schemas.vocabulary import Status, TimeClass, Verdict
from service.domain.definitions import OBSERVED, PAIRS

OUTAGE = (
    b'{"connector_uid": "c1", "from": "2026-01-02T08:00:00Z", "until": null, "status": "OUTOFORDER",'
    b'"online": null, "error_code": null, "began_by": {"event_id": "e", "position": 7}, "ended_by": null}'
)


@pytest.mark.parametrize("uid", ["charger-1", "a{b}c", "100%", "%7B", "{}", "a:b/c d", "å"])
def test_a_uid_is_read_back_out_of_every_key(uid: str) -> None:
    """Braces in a uid neither end the hash tag nor are mistaken for what was escaped."""
    keys = view.Keys("evse")
    of_one = [keys.document(uid), keys.days(uid), keys.outages(uid), keys.exclusions(uid), keys.gaps(uid)]
    of_one.append(keys.verdicts(uid))

    assert {view.uid_of(key) for key in [*of_one, keys.private(uid)]} == {uid}
    assert {key[key.index("{") : key.index("}") + 1] for key in of_one} == {f"{{{view.escaped(uid)}}}"}


def test_what_is_no_key_of_an_evse_is_refused() -> None:
    """Better than a uid that is none."""
    with pytest.raises(ValueError, match="no uid in braces"):
        view.uid_of("evse-checkpoint:evse.events:3")


def test_the_keys_are_those_of_the_documentation() -> None:
    """The session in the module's text works as it stands."""
    text = inspect.getdoc(view) or ""
    keys = view.Keys()

    for key in (keys.document("charger-1"), keys.days("charger-1"), keys.outages("charger-1")):
        assert f" {key} " in text
    assert f"`{keys.verdicts('U')}`" in text
    assert keys.all in text
    assert keys.place in text
    assert keys.status("OUTOFORDER") in text
    assert keys.online("WORD") in text
    assert all(f"`{field}`" in text for field in view.DOCUMENT_FIELDS)


def test_what_only_the_worker_reads_lies_on_keys_of_its_own() -> None:
    """None of them is among the documented ones."""
    keys = view.Keys("p")
    private = [keys.private("u"), keys.states, keys.checkpoint("evse.events", 3), keys.ping()]
    private += [keys.members(3), keys.epochs, keys.trail("w"), keys.staged_days("u", "t")]

    assert private == [
        "p:{u}:private",
        "p-index:{lists}:states",
        "p-worker:{checkpoints}:evse.events:3",
        "p-worker:{checkpoints}:ping",
        "p-index:{lists}:partition:3",
        "p-worker:{checkpoints}:epochs",
        "p-worker:{checkpoints}:trail:w",
        "p:{u}:staged-days:t",
    ]
    assert not any(key.replace("p", "evse", 1) in (inspect.getdoc(view) or "") for key in private)


def test_the_classes_of_time_are_those_of_observed() -> None:
    """A dashboard's colours and the published number say the same."""
    assert {pair: view.class_of(*pair) for pair in PAIRS} == {
        pair: OBSERVED.class_of(*pair) for pair in PAIRS
    }


def test_only_up_is_up() -> None:
    """Unobserved is never up."""
    assert view.is_up("CHARGING", None)
    assert not view.is_up("CHARGING", False)
    assert not view.is_up("UNKNOWN", True)
    assert not view.is_up(None, None)
    assert not view.is_up("PLANNED", True)


def test_a_day_is_read_by_state() -> None:
    """A key without a slash counts something and is no time."""
    day = view.parse_day(b'{"AVAILABLE/true": 80400, "OUTOFORDER/null": 0.5, "-/false": 1, "outages": 2}')

    assert {view.state_of(key): seconds for key, seconds in day.items()} == {
        ("AVAILABLE", True): 80400,
        ("OUTOFORDER", None): 0.5,
        (None, False): 1,
        None: 2,
    }


@pytest.mark.parametrize("uid", ["c1", view.PORT, "a/b/2020-01-01"])
def test_the_field_of_a_day_is_read_back(uid: str) -> None:
    """Slashes in a connector's uid included."""
    field = view.day_field(uid, date(2026, 1, 5))

    assert view.parse_day_field(field) == (uid, date(2026, 1, 5))


def test_outages_exclusions_and_gaps_are_read() -> None:
    """From what a client returns, whether it decodes or not."""
    (outage,) = view.parse_outages([OUTAGE])
    exclusions = view.parse_exclusions(
        {
            b"x": '{"from": "2026-01-02T08:00:00Z", "until": null, "reason": "vandalism",'
            '"connector_uids": null, "note": null}'
        }
    )
    (gap,) = view.parse_gaps(['{"from": "2026-01-02T08:00:00Z", "until": "2026-01-02T08:10:00Z"}'])

    assert outage.time_class is TimeClass.DOWN
    assert outage.began_by == view.Cause(event_id="e", position=7)
    assert exclusions["x"].connector_uids is None
    assert (gap.until - gap.from_).total_seconds() == 600


@pytest.mark.parametrize(
    ("position", "place"),
    [
        (0, view.Place(0, 0, 0)),
        (1043, view.Place(0, 0, 1043)),
        (1 << 48 | 7, view.Place(0, 1, 7)),
        (3 << 56 | 255 << 48 | (1 << 48) - 1, view.Place(3, 255, (1 << 48) - 1)),
        (-1, None),
    ],
)
def test_a_position_is_taken_apart(position: int, place: view.Place | None) -> None:
    """Epoch, topic and offset; of a heartbeat no place is kept."""
    assert view.Place.of(position) == place


def test_verdicts_are_read() -> None:
    """By the time the event applies, whether the client decodes or not."""
    found = view.parse_verdicts([(b"12 corrected", 1_767_571_200_000_001.0), ("3 late", 5.0)])

    assert found == (
        view.Judged(12, Verdict.CORRECTED, 1_767_571_200_000_001),
        view.Judged(3, Verdict.LATE, 5),
    )


def test_recent_history_is_read() -> None:
    """The last outage of a connector may be open."""
    recent = view.parse_recent(
        '{"from": "2026-01-04T00:00:00Z", "port": {"days": {"2026-01-05": {"up": 60}}}, "connectors": {"c1":'
        '{"days": {"2026-01-05": {"UNKNOWN/null": 60}}, "outages": [{"connector_uid": "c1",'
        '"from": "2026-01-05T00:00:00Z", "until": null, "status": "UNKNOWN", "online": null}]}}}'
    )

    assert recent.from_ == datetime(2026, 1, 4, tzinfo=UTC)
    assert recent.port.days == {date(2026, 1, 5): {"up": 60}}
    assert recent.connectors["c1"].outages[0].status is Status.UNKNOWN
