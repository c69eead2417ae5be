"""The generated documents: fresh, valid by validators that are not ours, and saying what the models do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from schemas import generate
from schemas.examples import EVENTS, EVSE_EXAMPLE, SNAPSHOT_EXAMPLE, TRANSITION_EXAMPLE
from schemas.vocabulary import Capability, EventType, Standard, Status
from tests.asyncapi.validator import Validator, ValidatorMissing, find_validator, missing_is_failure

Json = dict[str, Any]


def committed(name: str) -> Json:
    """Read a committed document."""
    document: Json = json.loads((generate.FOLDER / name).read_text(encoding="utf-8"))
    return document


def accepts(name: str, value: object) -> bool:
    """Ask a validator of JSON Schema that knows nothing of our models."""
    return jsonschema.Draft202012Validator(committed(name)).is_valid(value)


@pytest.fixture(scope="module")
def asyncapi() -> Validator:
    """Give the validator that the AsyncAPI project itself publishes."""
    try:
        return find_validator()
    except ValidatorMissing as missing:
        if missing_is_failure():
            pytest.fail(f"CI is set and the validator of AsyncAPI is missing: {missing}", pytrace=False)
        pytest.skip(f"the validator of AsyncAPI is missing: {missing}")


def test_what_is_committed_is_what_the_models_give() -> None:
    """If this fails: `make schemas`, and look at the difference before it goes in."""
    assert generate.stale() == []


def test_writing_replaces_what_is_stale_and_removes_what_is_gone(tmp_path: Path) -> None:
    """Afterwards the folder is fresh, whatever was in it."""
    (tmp_path / "evse.json").write_text("{}")
    (tmp_path / "of-a-model-that-is-gone.json").write_text("{}")

    generate.write(tmp_path)

    assert generate.stale(tmp_path) == []
    assert {path.name for path in tmp_path.iterdir()} == set(generate.documents())


def test_a_stale_folder_is_named_file_by_file(tmp_path: Path) -> None:
    """A missing file counts like a changed one."""
    generate.write(tmp_path)
    (tmp_path / "evse.json").write_text("{}")
    (tmp_path / "gap.json").unlink()

    assert generate.stale(tmp_path) == [tmp_path / "evse.json", tmp_path / "gap.json"]


def test_the_module_checks_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0 while nothing is stale, 2 for what it does not know."""
    assert generate.main(["--check"]) == 0
    assert generate.main(["--chekc"]) == 2
    assert "usage" in capsys.readouterr().err


def test_the_module_writes_and_finds_what_is_stale(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each stale file is named with the remedy."""
    monkeypatch.setattr(generate, "FOLDER", tmp_path)

    assert generate.main(["--check"]) == 1
    assert "evse.json; run `python -m schemas.generate`" in capsys.readouterr().err
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0


@pytest.mark.parametrize("name", sorted(set(generate.documents()) - {"asyncapi.json"}))
def test_every_document_is_valid_json_schema(name: str) -> None:
    """By the meta-schema of the dialect that it names."""
    jsonschema.Draft202012Validator.check_schema(committed(name))


@pytest.mark.parametrize("kind", EventType)
def test_an_event_is_valid_by_its_schema_and_by_the_union_of_all(kind: EventType) -> None:
    """And not once a required field is gone."""
    name = {
        EventType.CONNECTOR_STATUS: "connector-status.json",
        EventType.CONNECTOR_ONLINE: "connector-online.json",
    }.get(kind, kind.value.replace(".", "-") + ".json")
    without_id = {field: value for field, value in EVENTS[kind].items() if field != "event_id"}

    assert accepts(name, EVENTS[kind])
    assert accepts("event.json", EVENTS[kind])
    assert not accepts(name, without_id)
    assert not accepts("event.json", without_id)


def test_what_goes_out_is_valid_by_its_schema() -> None:
    """Snapshot and transition, as the examples show them."""
    assert accepts("snapshot.json", SNAPSHOT_EXAMPLE)
    assert accepts("transition-record.json", TRANSITION_EXAMPLE)
    assert not accepts("snapshot.json", {**SNAPSHOT_EXAMPLE, "revision": "17"})


def test_the_schema_of_an_evse_names_the_known_words_and_takes_others() -> None:
    """A producer sees what we know; what we do not know is valid all the same."""
    text = (generate.FOLDER / "evse.json").read_text(encoding="utf-8")

    assert all(f'"{word}"' in text for word in [*Status, *Standard, *Capability])
    assert accepts("evse.json", {**EVSE_EXAMPLE, "capabilities": ["TELEPORT"]})
    assert not accepts(
        "evse.json", {**EVSE_EXAMPLE, "coordinates": {"latitude": "50.8", "longitude": "4.35000"}}
    )


def test_asyncapi_names_every_topic_with_its_cleanup() -> None:
    """A platform engineer creates the topics from it."""
    channels = committed("asyncapi.json")["channels"].values()

    assert {
        channel["address"]: channel["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"]
        for channel in channels
    } == {
        "evse.events": ["delete"],
        "evse.snapshots": ["compact"],
        "evse.transitions": ["delete"],
        "evse.dead-letters": ["delete"],
        "evse.ledger": ["compact"],
    }


def test_asyncapi_has_a_message_for_every_type_of_event() -> None:
    """Under the word that `type` has on the wire."""
    document = committed("asyncapi.json")
    names = {message["name"] for message in document["components"]["messages"].values()}

    assert names >= {kind.value for kind in EventType}


@pytest.mark.slow
def test_asyncapi_is_valid_by_its_own_projects_parser(asyncapi: Validator) -> None:
    """Not a single error or warning."""
    assert asyncapi.problems(generate.FOLDER / "asyncapi.json") == []


@pytest.mark.slow
def test_the_parser_would_find_what_is_wrong(asyncapi: Validator, tmp_path: Path) -> None:
    """A reference that leads nowhere, and a version nobody published."""
    broken = committed("asyncapi.json")
    broken["operations"]["sendSnapshots"]["channel"]["$ref"] = "#/channels/nowhere"
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(broken), encoding="utf-8")

    assert any("nowhere" in problem for problem in asyncapi.problems(path))
