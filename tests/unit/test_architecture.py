"""The shape of the project, kept by reading its sources: who imports whom, who reads the clock."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("schemas", "service")

# Which rooms each room may import from, itself aside. A module belongs to the longest name here that it lies
# in; `service` is what lies in no other: settings and its like, which the inner rooms know nothing of.
# schemas.vocabulary <- domain <- processing <- adapters <- app <- cli; the rest needs the language alone.
LANGUAGE = {"schemas", "schemas.vocabulary"}
CORE = LANGUAGE | {"service.domain", "service.processing"}
EDGES = {"service.adapters", "service.translation", "service.simulation", "service.dashboard"}
ALLOWED: Mapping[str, set[str]] = {
    "schemas.vocabulary": set(),
    "schemas": {"schemas.vocabulary"},
    "service.domain": {"schemas.vocabulary"},
    "service.processing": LANGUAGE | {"service.domain"},
    "service.adapters": CORE,
    "service.translation": LANGUAGE,
    "service.simulation": LANGUAGE,
    "service.dashboard": LANGUAGE,
    "service": CORE,
    "service.replay": CORE | {"service", "service.translation"},
    "service.reading": CORE | EDGES | {"service"},
    "service.kafka_access": CORE | EDGES | {"service"},
    # Without the page: a worker starts sooner.
    "service.app": CORE
    | EDGES - {"service.dashboard"}
    | {"service", "service.kafka_access", "service.reading", "service.replay"},
    "service.maintenance": CORE | EDGES - {"service.dashboard"} | {"service", "service.app"},
    "service.page": CORE | EDGES | {"service", "service.reading"},
    "service.supervision": CORE | {"service", "service.adapters", "service.app"},
    "service.simulating": CORE | EDGES - {"service.dashboard"} | {"service", "service.app"},
    "service.demo": CORE | EDGES | {"service", "service.app", "service.page"},
    "service.commands": CORE
    | EDGES - {"service.adapters"}
    | {
        "service",
        "service.app",
        "service.maintenance",
        "service.page",
        "service.reading",
        "service.replay",
        "service.demo",
        "service.simulating",
        "service.supervision",
    },
    "service.cli": CORE | {"service", "service.app", "service.commands"},
    "service.__main__": {"service", "service.cli"},
}
# Packages from elsewhere that only some rooms may know. What is not named here is free.
VENDORS: Mapping[str, set[str]] = {
    "aiokafka": {"service.adapters", "service.kafka_access"},
    "confluent_kafka": {"service.demo"},
    "opentelemetry": {"service.adapters"},
    "prometheus_client": {"service.adapters"},
    "redis": {"service.adapters", "service.dashboard", "service.page", "service.demo"},
}
# Rooms without input and output, and all that they may import beside the standard library and ours.
PURE: Mapping[str, set[str]] = {
    "schemas.vocabulary": set(),
    "service.domain": set(),
    "service.translation": set(),
    "service.processing": {"orjson", "pydantic", "structlog"},
}
# What of the standard library the fold does without: it awaits, logs, waits, reads and draws nothing.
IMPURE = {
    "asyncio",
    "io",
    "logging",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "threading",
}
CLOCK = "service.adapters.clock"
CLOCK_READS = {
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "datetime.date.today",
}


def module_name(path: Path) -> str:
    """Return the dotted name of a source file."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


SOURCES: Mapping[str, ast.Module] = {
    module_name(path): ast.parse(path.read_text(encoding="utf-8"))
    for package in OURS
    for path in sorted((ROOT / package).rglob("*.py"))
}
each_module = pytest.mark.parametrize("module", SOURCES)


def room_of(module: str) -> str:
    """Return the longest name of ALLOWED that a module lies in."""
    return max((room for room in ALLOWED if f"{module}.".startswith(f"{room}.")), key=len)


def imports_of(module: str) -> Iterator[str]:
    """Yield the full name of each module that a module imports, wherever in its text."""
    for node in ast.walk(SOURCES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relative to itself"
            source = node.module or ""
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                yield inner if inner in SOURCES else source


def ours(module: str) -> set[str]:
    """Return the modules of the project that a module imports."""
    return {name for name in imports_of(module) if name.split(".")[0] in OURS} - {module}


def foreign(module: str) -> set[str]:
    """Return the packages from outside the project that a module imports, without those below them."""
    return {name.split(".")[0] for name in imports_of(module)} - set(OURS) - {"__future__"}


@each_module
def test_imports_follow_the_arrows(module: str) -> None:
    """A module imports its own room and those that its room may know, no other."""
    room = room_of(module)
    strangers = {name for name in ours(module) if room_of(name) not in ALLOWED[room] | {room}}
    assert strangers == set()


def test_no_module_imports_itself_by_a_detour() -> None:
    """The imports have an order: each module can be read after those it stands on."""
    order = graphlib.TopologicalSorter({module: ours(module) for module in SOURCES}).static_order()
    assert set(order) >= set(SOURCES)


@each_module
def test_vendors_stay_in_their_rooms(module: str) -> None:
    """Only the rooms that exist to know a vendor import it."""
    room = room_of(module)
    assert {name for name in foreign(module) if room not in VENDORS.get(name, {room})} == set()


@pytest.mark.parametrize("module", [module for module in SOURCES if room_of(module) in PURE])
def test_pure_rooms_import_no_packages(module: str) -> None:
    """The core is made of the standard library and of what turns bytes into values."""
    assert foreign(module) - sys.stdlib_module_names <= PURE[room_of(module)]


@pytest.mark.parametrize("module", [module for module in SOURCES if room_of(module) == "service.domain"])
def test_the_fold_is_pure(module: str) -> None:
    """The domain neither awaits nor reaches for the world."""
    waits = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)
    assert [node.lineno for node in ast.walk(SOURCES[module]) if isinstance(node, waits)] == []
    assert foreign(module) & IMPURE == set()


def clock_reads(tree: ast.Module) -> Iterator[str]:
    """Yield each place where a module asks what time it is, under whatever name it imported the question."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    if {"time"} & {name.split(".")[0] for name in names.values()}:
        yield "imports time"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            first, _, rest = ast.unparse(node.func).partition(".")
            called = f"{names.get(first, first)}.{rest}"
            if called in CLOCK_READS or re.search(r"loop(\(\))?\.time$", called):
                yield f"line {node.lineno}: {called}"


@pytest.mark.parametrize("module", [module for module in SOURCES if module != CLOCK])
def test_time_is_read_in_one_file(module: str) -> None:
    """Whoever needs the time is told it, or asks the clock it was given."""
    assert list(clock_reads(SOURCES[module])) == []


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "from time import monotonic as tick",
        "import datetime as dt\ndt.datetime.now(dt.UTC)",
        "from datetime import date, datetime as moment\nmoment.now()",
        "from datetime import date\ndate.today()",
        "import asyncio\nasyncio.get_running_loop().time()",
    ],
)
def test_a_clock_read_is_seen_under_any_name(text: str) -> None:
    """The rule above would notice: it is not blind to aliases."""
    assert len(list(clock_reads(ast.parse(text)))) == 1


@pytest.mark.parametrize("script", sorted((ROOT / "service").rglob("*.lua")), ids=lambda path: path.name)
def test_scripts_are_told_the_time(script: Path) -> None:
    """A script in the store never asks the server's clock: its outcome would differ between two runs."""
    assert re.search(r"call\(\s*['\"]time['\"]", script.read_text(encoding="utf-8"), re.IGNORECASE) is None


@pytest.mark.parametrize("module", [module for module in SOURCES if module != "service.settings"])
def test_the_environment_is_read_in_one_file(module: str) -> None:
    """Every setting goes through the settings, which check it and say what it means."""
    reads = [
        node.lineno
        for node in ast.walk(SOURCES[module])
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv", "os.environb"}
    ]
    assert reads == []


# Written so that this file does not name them itself.
NEVER_NAMED = re.compile(
    r"pyp[i]\.|pythonhoste[d]|registry\.npmj[s]|repo1?\.mave[n]|prox[y]\.golang|(?<!emit-)index-ur[l]"
    r"|(?<![\w.])/(wor[k]|roo[t]|hom[e]|User[s]|tm[p])/\w"
)


def project_files() -> list[Path]:
    """Return the files of the project, added to git or about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603 - fixed
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.skipif(
    not (ROOT / ".git").exists(), reason="not a checkout: which files are the project's is unknown"
)
def test_no_file_names_a_package_index_or_a_machines_folder() -> None:
    """Whoever installs decides where packages come from and where things lie."""
    named = []
    for path in project_files():
        text = path.read_bytes().decode(errors="replace")
        named += [f"{path.relative_to(ROOT)}: {found[0]}" for found in NEVER_NAMED.finditer(text)]
    assert named == []
