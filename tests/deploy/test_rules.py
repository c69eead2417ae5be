"""The alerts: they name what exists, each has its cases and its runbook, and Prometheus' own tool agrees."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from service.adapters.prometheus import TABLE, PrometheusInstruments
from service.adapters.prometheus_workers import WorkersMetrics
from service.cli import app
from service.settings import Settings
from tests.deploy.files import (
    DEPLOY,
    FOREIGN,
    NAMES,
    PARENT,
    ROOT,
    RULES,
    existing_series,
    known_labels,
    labels_in,
    load,
    names_in,
    rules,
    run,
    tool,
)

CASES = sorted((DEPLOY / "prometheus" / "tests").glob("*.yaml"))
RUNBOOKS = DEPLOY / "runbooks"
ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}
each_rule = pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])


@each_rule
def test_a_rule_names_series_that_exist(rule: dict[str, Any]) -> None:
    """A renamed metric must not leave an alert that never fires."""
    named = names_in(rule["expr"])

    assert named
    assert named - existing_series() == set()


@each_rule
def test_a_rule_selects_by_labels_that_exist(rule: dict[str, Any]) -> None:
    """Nor must a renamed label."""
    known = known_labels()

    assert [pair for pair in labels_in(rule["expr"]) if pair[1] not in known.get(pair[0], set())] == []


@each_rule
def test_a_rule_reckons_each_installation_by_itself(rule: dict[str, Any]) -> None:
    """Another one in the same Prometheus must neither hide an alert nor be told of it."""
    expr = NAMES.sub("series", rule["expr"])
    bare = re.findall(r"\b(?:sum|min|max|count|group|avg)\b(?! by \(namespace, job\b)", expr)
    lists = re.findall(r"\b(?:by|on|ignoring|without) \(([^)]*)\)", expr)

    assert bare == []
    # What is absent has no labels.
    assert [
        each for each in lists if not each.startswith("namespace, job") and "absent(" not in rule["expr"]
    ] == []


def test_what_is_scraped_of_every_process_is_scraped() -> None:
    """The names that the client library brings are not in our table."""
    exposition = PrometheusInstruments().exposition().decode()

    parents = WorkersMetrics([1]).exposition({1: None}).decode()

    assert {name for name in FOREIGN if f"\n{name} " not in exposition} == set()
    assert {name for name in PARENT if f"\n{name}{{" not in parents} == set()


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_what_is_wrong_and_leads_to_its_runbook(alert: str) -> None:
    """Whoever is paged gets a sentence and a page."""
    rule = ALERTS[alert]
    page = ROOT / rule["annotations"]["runbook_url"]

    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["labels"]["concerns"] in {"workers", "producers", "chargers"}
    assert rule["annotations"]["summary"].endswith(".")
    assert page == RUNBOOKS / f"{alert}.md"
    lines = page.read_text(encoding="utf-8").splitlines()
    assert lines[0] == f"# {alert}"
    assert lines[2].startswith("**Look at** ")
    assert lines[2].endswith("**Type:**")
    assert lines[4] == "```"
    assert [line for line in lines if line.startswith("## ")] == ["## What it means", "## What to do"]


def test_every_runbook_has_its_alert() -> None:
    """A page for an alert that is gone would be read by nobody, or in vain."""
    assert {page.stem for page in RUNBOOKS.glob("*.md")} == set(ALERTS)


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_a_runbook_names_commands_options_and_pages_that_exist(page: Path) -> None:
    """At night nobody wants to find out that an option was renamed."""
    text = page.read_text(encoding="utf-8")

    missing = []
    for command, words in re.findall(r"evse-status ((?:dead-letters )?[a-z][a-z-]+)([^`\n#]*)", text):
        helped = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "200"})
        options = re.findall(r"--[a-z-]+", words)
        missing += [f"{command} {each}" for each in options if each not in helped.output]
        missing += [command] if helped.exit_code else []
    assert missing == []
    begun = {"evse_status_"}  # of a pattern for grep
    assert names_in(text) - existing_series() - {metric.name for metric in TABLE} - begun == set()
    assert [link for link in re.findall(r"\]\(([^)]+)\)", text) if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_what_a_runbook_says_can_be_typed(page: Path) -> None:
    """With the namespace, times that are read, and a way for those who have no Kubernetes."""
    text = page.read_text(encoding="utf-8")

    assert re.findall(r"kubectl (?!-n evse )[a-z]+", text) == []
    assert re.findall(r"--(?:from|until) [A-Z_]+", text) == []
    if "kubectl" in text:
        assert re.search(r"docker |curl |evse-status check|kafka-consumer-groups", text)


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_the_logs_of_several_pods_come_whole_and_say_of_which_pod_they_are(page: Path) -> None:
    """The first pod without a previous container must not end it; of a selection kubectl gives ten lines."""
    commands = re.findall(r"kubectl -n evse logs (-l [^;|#`\n]+)", page.read_text(encoding="utf-8"))
    wanted = {"--ignore-errors", "--prefix"}

    assert [each for each in commands if not wanted <= set(each.split())] == []
    assert [each for each in commands if "--tail=" not in each] == []


@cache
def literals() -> frozenset[str]:
    """Give every piece of text in the program: of one with values in it, what stands between these."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "service").rglob("*.py")]
    return frozenset(
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


@cache
def actions() -> frozenset[str]:
    """Give every `action` that the program logs."""
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "service").rglob("*.py"))
    return frozenset(re.findall(r'action="(\w+)"', text))


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_what_a_runbook_quotes_is_said_by_the_program(page: Path) -> None:
    """Whoever looks for a last word at night must find it: the words as they are, and the actions."""
    text = page.read_text(encoding="utf-8")
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    quoted = [
        piece.strip()
        for quote in re.findall(r'"([^"]+)"', re.sub(r"`[^`]*`", "", prose))
        for piece in quote.split("…")
        if piece.strip()
    ]
    named = set(re.findall(r"action: (\w+)", prose))
    searched = {
        word for pattern in re.findall(r"grep (?:-E )?'?([\w|]+)", text) for word in pattern.split("|")
    }

    assert [piece for piece in quoted if not any(piece in literal for literal in literals())] == []
    assert named - actions() == set()
    ours = {word for word in searched if "_" in word and not word.startswith("evse_status_")}
    assert ours - actions() - {"uptime_in_seconds"} == set()


def test_a_runbook_says_the_session_timeout_with_the_chart_and_without() -> None:
    """For so long a member that was killed keeps its partitions."""
    page = (RUNBOOKS / "EvseStatusPartitionUnowned.md").read_text(encoding="utf-8")
    told = re.findall(r"`SESSION_TIMEOUT`, no longer: (\w+) s, with the chart (\w+) s", page)

    chart = load(DEPLOY / "helm" / "evse-status" / "values.yaml")["worker"]["sessionTimeout"]
    own = Settings.model_fields["session_timeout"].default
    assert told == [(f"{own.total_seconds():.0f}", chart.removesuffix("s"))]


def test_every_alert_is_tried_firing_and_not_firing() -> None:
    """A rule that always fires and one that never does are both found."""
    tried = Counter(
        (case["alertname"], bool(case["exp_alerts"]))
        for path in CASES
        for test in load(path)["tests"]
        for case in test.get("alert_rule_test", [])
    )

    assert {(alert, fires) for alert in ALERTS for fires in (True, False)} - set(tried) == set()


def test_the_rules_do_what_their_cases_say() -> None:
    """By Prometheus' own engine."""
    promtool = tool("promtool", "Debian's package prometheus brings it")

    checked = run(promtool, "check", "rules", str(RULES))
    tested = run(promtool, "test", "rules", *map(str, CASES))

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert tested.returncode == 0, tested.stdout + tested.stderr
