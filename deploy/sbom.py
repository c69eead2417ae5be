"""
The bill of materials: `python -m deploy.sbom FILE` writes CycloneDX 1.6 as JSON.

Every package of the lock file with its version and the hashes of its files; licences, and who needs whom, are
what the installed distributions say of themselves. Asks nobody outside. Scope: `required` is what the image
holds, `optional` what the demo needs besides, `excluded` what only builds and tests.
"""

from __future__ import annotations

import os
import sys
import tomllib
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.pins import Pin, pins

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
IN_IMAGE = ROOT / "deploy" / "locks" / "run.lock"

_OF_LICENCES = "License :: OSI Approved :: "

Needs = Mapping[str, set[str]]


def bill() -> Bom:
    """Make the bill of materials of this tree."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = {_name(pin.name): pin for pin in pins(LOCK)}
    needs = {name: _needed_by(pin, locked) for name, pin in locked.items()}
    in_image = {_name(pin.name) for pin in pins(IN_IMAGE)}
    demo = _with_all_needed(_named(project["optional-dependencies"]["demo"]), needs)

    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, LOCK.read_text(encoding="utf-8")))
    bom.metadata.timestamp = _moment()
    bom.metadata.component = root = Component(
        type=ComponentType.APPLICATION,
        name=project["name"],
        version=project["version"],
        bom_ref=project["name"],
        description=project["description"],
        licenses=[LicenseFactory().make_from_string(project["license"])],
        purl=PackageURL("pypi", name=project["name"], version=project["version"]),
    )
    components = {name: _component(pin, _scope(name, in_image, demo)) for name, pin in locked.items()}
    bom.components = components.values()
    direct = _named([*project["dependencies"], *_all(project["optional-dependencies"])])
    bom.register_dependency(root, [components[name] for name in sorted(direct)])
    for name, component in components.items():
        bom.register_dependency(component, [components[other] for other in sorted(needs[name])])
    return bom


def _scope(name: str, in_image: Collection[str], demo: Collection[str]) -> ComponentScope:
    if name in in_image:
        return ComponentScope.REQUIRED
    return ComponentScope.OPTIONAL if name in demo else ComponentScope.EXCLUDED


def _component(pin: Pin, scope: ComponentScope) -> Component:
    installed = _installed(pin)
    licences = LicenseFactory()
    return Component(
        name=pin.name,
        version=pin.version,
        bom_ref=f"{pin.name}@{pin.version}",
        scope=scope,
        licenses=[licences.make_from_string(each) for each in _licences(installed)] if installed else (),
        purl=PackageURL("pypi", name=pin.name, version=pin.version),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=each) for each in pin.hashes],
        # Of what another system needs nothing is known but its pin.
        properties=() if installed else [Property(name="evse-status:installed", value="false")],
    )


def _installed(pin: Pin) -> Distribution | None:
    """Give the distribution here, if it is the one that is pinned."""
    try:
        found = distribution(pin.name)
    except PackageNotFoundError:
        return None
    if found.version != pin.version:
        raise SystemExit(
            f"{pin.name} is installed as {found.version} and locked as {pin.version}: run `make install`"
        )
    return found


def _licences(installed: Distribution) -> list[str]:
    """Give what a distribution says of its licence: the expression, else classifiers, else the first line."""
    said = installed.metadata.json
    if "license_expression" in said:
        return [str(said["license_expression"])]
    classified = [
        each.removeprefix(_OF_LICENCES)
        for each in said.get("classifier", ())
        if each.startswith(_OF_LICENCES)
    ]
    return classified or str(said.get("license", "")).strip().splitlines()[:1]


def _needed_by(pin: Pin, locked: Mapping[str, Pin]) -> set[str]:
    """Give the locked packages that one needs here, with the extras that are locked with it."""
    installed = _installed(pin)
    if installed is None:
        return set()
    wanted = (Requirement(line) for line in installed.requires or ())
    return {
        name
        for each in wanted
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in ("", *pin.extras))
        if (name := _name(each.name)) in locked
    }


def _with_all_needed(names: Iterable[str], needs: Needs) -> set[str]:
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += needs[name]
    return found


def _named(requirements: Iterable[str]) -> set[str]:
    return {_name(Requirement(line).name) for line in requirements}


def _name(name: str) -> str:
    """Write a package's name as all ways to write it are compared."""
    return str(canonicalize_name(name))


def _all(groups: Mapping[str, Any]) -> Iterator[str]:
    for group in groups.values():
        yield from group


def _moment() -> datetime:
    """Give the time of the document: that of `SOURCE_DATE_EPOCH`, so that it can be made again, else now."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    return datetime.now(UTC) if given is None else datetime.fromtimestamp(int(given), UTC)


def main() -> None:
    """Write the bill of materials to the file that is named."""
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and its one argument
        raise SystemExit("usage: python -m deploy.sbom FILE")
    file = Path(sys.argv[1])
    file.parent.mkdir(parents=True, exist_ok=True)
    JsonV1Dot6(bill()).output_to_file(str(file), allow_overwrite=True, indent=1)


if __name__ == "__main__":
    main()
