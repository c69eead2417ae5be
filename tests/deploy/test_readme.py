"""The texts for operators name what exists."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from service.cli import app
from service.commands.size import in_units
from service.domain.rules import KEPT_DAYS
from service.settings import PREFIX, Settings
from service.sizing import constants
from service.sizing.needs import Fleet, size
from tests.benchmarks.results import FOLDER
from tests.deploy.files import DEPLOY, ROOT, RULES, load, rules, run, tool

TEXTS = [DEPLOY / "README.md", ROOT / "SECURITY.md"]
each_text = pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)


@each_text
def test_links_lead_somewhere(path: Path) -> None:
    """Relative to the page they stand on."""
    links = re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8"))

    assert links
    assert [link for link in links if not (path.parent / link).exists()] == []


@each_text
def test_commands_exist(path: Path) -> None:
    """With or without the short name that the run-through gives the command."""
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`evse-status|(?<!-n )\bevse) ([a-z][a-z-]+)", text)) - {"create"}

    assert named
    assert {each for each in named if CliRunner().invoke(app, [each, "--help"]).exit_code} == set()


def test_settings_and_alerts_exist() -> None:
    """What the run-through sets is set, and what it says will fire can."""
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    known = {PREFIX + name.upper() for name in Settings.model_fields}

    assert set(re.findall(r"EVSE_STATUS_[A-Z_]*[A-Z]", text)) - known == set()
    assert set(re.findall(r"EvseStatus[A-Z]\w+", text)) - alerts - {"EvseStatusDelayBudgetBurns"} == set()


def test_each_alert_is_told_to_whom_it_concerns() -> None:
    """As its label has it; pages before tickets."""
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(workers|producers|chargers)` \|.*?\| (.*) \|$", text, re.MULTILINE)
    told = {
        (alert, concerns, severity)
        for concerns, alerts in rows
        for severity, some in zip(
            ("page", "ticket"), re.split(r"; as (?:a ticket|tickets) ", alerts), strict=True
        )
        for alert in re.findall(r"`(\w+)`", some)
    }

    assert told == {
        (rule["alert"], rule["labels"]["concerns"], rule["labels"]["severity"])
        for rule in rules()
        if "alert" in rule
    }


def test_the_memory_is_that_of_the_command() -> None:
    """And the defaults of the chart are enough for what they are said to be."""
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    for days in (7, 30, KEPT_DAYS):
        workers, redis = memory(Fleet(evses=10_000, history_days=days))
        assert f"| {days} | {in_units(*workers)} | {in_units(*redis)} |" in text

    resources = load(DEPLOY / "helm" / "evse-status" / "values.yaml")["worker"]["resources"]
    [evses] = re.findall(r"enough for ([\d ]+) such EVSEs a worker", text)
    (needed, _), _ = memory(Fleet(evses=int(evses.replace(" ", ""))))
    assert needed <= int(resources["requests"]["memory"].removesuffix("Mi")) << 20


def test_the_speed_of_a_worker_is_that_of_the_command() -> None:
    """Of a log that waits and of one that is read as it is written; the scaler reckons with the same."""
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    [waiting] = re.findall(r"takes ([\d,]+) records of a log that waits", text)
    [written] = re.findall(r"([\d,]+) with 10,000 EVSEs and ([\d,]+) with 100,000", text)
    flat = json.loads((FOLDER / constants.CPU.source.result).read_text(encoding="utf-8"))["medians"]
    speeds = {row["what"]: f"{round(row['records_per_cpu_s'], -2):,.0f}" for row in flat}
    threshold = load(DEPLOY / "helm" / "evse-status" / "values.yaml")["autoscaling"]["lagThreshold"]

    assert waiting == f"{round(1e6 / constants.WAITING.value, -2):,.0f}"
    assert written == (speeds["10,000 EVSEs"], speeds["100,000 EVSEs"])
    assert round(threshold * constants.CPU.value / 1e6) == 2
    assert threshold * constants.WAITING.value / 1e6 < 1


def memory(fleet: Fleet) -> list[tuple[float, str]]:
    """Give what `size` says of workers and of Redis: amounts with their units."""
    return [(need.amount, need.unit) for need in size(fleet).needs if need.what.startswith("memory, ")]


def test_the_secrets_of_the_chart_are_created() -> None:
    """An example that names one nobody made gives pods that never start."""
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"Secret: ([a-z-]+)", text))

    assert len(named) == 4
    assert named - set(re.findall(r"create secret generic ([a-z-]+)", text)) == set()


def test_the_addresses_of_the_runbooks_can_be_made_absolute() -> None:
    """By the line that the page gives."""
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    [(old, new)] = re.findall(r"sed 's\|(.+?)\|(.+?)\|' deploy/prometheus/rules\.yaml", text)
    changed = RULES.read_text(encoding="utf-8").replace(old, new)

    urls = re.findall(r"runbook_url: (\S+)", changed)
    assert urls
    assert [url for url in urls if not url.startswith("https://")] == []


def test_clusters_can_be_told_apart(tmp_path: Path) -> None:
    """By the line that the page gives; what is recorded keeps the label."""
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    [(old, new)] = re.findall(r"sed 's/(.+?)/(.+?)/g' deploy/prometheus/rules\.yaml", text)
    changed = RULES.read_text(encoding="utf-8").replace(old, new)
    file = tmp_path / "rules.yaml"
    file.write_text(changed, encoding="utf-8")

    checked = run(tool("promtool", "Debian's package prometheus brings it"), "check", "rules", str(file))

    assert checked.returncode == 0, checked.stdout + checked.stderr
    lists = re.findall(r" (?:by|on) \((\w.*?)\)", changed)
    assert lists
    assert [each for each in lists if not each.startswith("cluster, namespace, job")] == []


def test_an_alert_is_held_back_by_one_of_its_own_installation_alone() -> None:
    """An outage of one must not silence another."""
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    [example] = [
        yaml.safe_load(block)
        for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
        if "inhibit_rules" in block
    ]

    assert [each for each in example["inhibit_rules"] if each.get("equal") != ["namespace", "job"]] == []


def test_the_examples_are_yaml() -> None:
    """What is copied from them can be read."""
    blocks = re.findall(r"```yaml\n(.*?)```", (DEPLOY / "README.md").read_text(encoding="utf-8"), re.DOTALL)

    assert len([yaml.safe_load(block) for block in blocks]) == 2
