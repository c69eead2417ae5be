"""What the tests of `deploy/` share: where it is, what is in it, and which series a query names."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.adapters.prometheus import TABLE
from service.adapters.prometheus_table import Kind, Metric
from service.adapters.prometheus_workers import OF_PARENT

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yaml"

FOREIGN = {
    "process_start_time_seconds",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
}
"""What the client library tells of every process; `test_rules` sees that it does."""

PARENT = {metric.name for metric in OF_PARENT}
"""What the parent of several workers tells; `test_rules` sees that it does."""

NAMES = re.compile(r"\b(?:evse_status[a-z0-9_:]*|process_[a-z_]+)\b")
"""The names of series in a query."""


def series_of(metric: Metric) -> set[str]:
    """Give the names under which a metric is scraped."""
    if metric.kind is Kind.HISTOGRAM:
        return {f"{metric.name}_{suffix}" for suffix in ("bucket", "sum", "count")}
    return {metric.name}


@cache
def existing_series() -> frozenset[str]:
    """Give every name that a query may use: what is scraped, and what the rules record."""
    scraped = {name for metric in TABLE for name in series_of(metric)}
    return frozenset(scraped | FOREIGN | PARENT | {rule["record"] for rule in rules() if "record" in rule})


def names_in(query: str) -> set[str]:
    """Give the series that a query names."""
    return set(NAMES.findall(query))


def labels_in(query: str) -> Iterator[tuple[str, str]]:
    """Give the series and each label that a query selects it by."""
    for name, selector in re.findall(r"([a-z_:0-9]+)\{([^}]*)\}", query):
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector):
            yield name, label


def known_labels() -> dict[str, set[str]]:
    """Give the labels of each series that is scraped; Prometheus adds its own."""
    return {
        name: set(metric.labels) | ({"le"} if metric.kind is Kind.HISTOGRAM else set())
        for metric in TABLE
        for name in series_of(metric)
    }


@cache
def rules() -> list[dict[str, Any]]:
    """Give every rule, alerts and recordings."""
    return [rule for group in load(RULES)["groups"] for rule in group["rules"]]


def load(path: Path) -> Any:
    """Read a YAML file that holds one document."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def tool(name: str, remedy: str) -> str:
    """Find a program, or skip the test with the remedy."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: {remedy}")
    return found


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end in `deploy/`, and give what it says."""
    return subprocess.run(command, check=False, cwd=DEPLOY, capture_output=True, text=True, timeout=120)  # noqa: S603 - fixed
