"""`compose.yaml`: what it starts exists, is wired together, and runs with no more rights than it needs."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.dashboard.gate import LIVE
from service.settings import PREFIX, Settings
from tests.deploy.files import DEPLOY, RULES, load, run, tool

COMPOSE = load(DEPLOY / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: each for name, each in SERVICES.items() if each["image"] == "evse-status"}
PROMETHEUS = DEPLOY / "prometheus" / "prometheus.yaml"


@pytest.mark.parametrize("name", OURS)
def test_our_services_run_commands_and_settings_that_exist(name: str) -> None:
    """As the image's entry point takes them."""
    command, *words = OURS[name].get("command", ["run"])
    helped = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})

    assert helped.exit_code == 0
    assert [word for word in words if word.startswith("--") and word not in helped.output] == []
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    assert set(OURS[name]["environment"]) - known == set()


@pytest.mark.parametrize("name", OURS)
def test_our_services_may_do_nothing_but_their_work(name: str) -> None:
    """A read-only file system, no capabilities, and time for the batch in hand."""
    ours = OURS[name]

    assert ours["read_only"] is True
    assert ours["cap_drop"] == ["ALL"]
    assert ours["security_opt"] == ["no-new-privileges:true"]
    assert ours["stop_grace_period"] == "30s"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_names_what_is_there(name: str) -> None:
    """Mounts in the project or among the volumes, dependencies among the services, images by tag."""
    service = SERVICES[name]
    sources = [mount.split(":")[0] for mount in service.get("volumes", [])]

    assert [each for each in sources if each not in COMPOSE["volumes"] and not (DEPLOY / each).exists()] == []
    assert set(service.get("depends_on", ())) - set(SERVICES) == set()
    assert name in OURS or ":" in service["image"]
    assert [port for port in service.get("ports", []) if not port.startswith("127.0.0.1:")] == []


def test_what_is_waited_for_says_when_it_is_healthy() -> None:
    """A condition without a check would wait for ever."""
    waited = {
        (other, waits["condition"])
        for service in SERVICES.values()
        if isinstance(service.get("depends_on"), dict)
        for other, waits in service["depends_on"].items()
    }

    assert {other for other, condition in waited if condition == "service_healthy"} == {"kafka", "valkey"}
    assert all("healthcheck" in SERVICES[other] for other in ("kafka", "valkey"))
    assert {other for other, condition in waited if condition == "service_completed_successfully"} == {
        "topics"
    }


def test_the_page_is_probed_without_a_token() -> None:
    """By the one address that wants none."""
    assert f"8000{LIVE}'" in SERVICES["dashboard"]["healthcheck"]["test"][-1]


def test_the_store_evicts_nothing() -> None:
    """The worker refuses one that does."""
    words = SERVICES["valkey"]["command"]

    assert words[words.index("--maxmemory-policy") + 1] == "noeviction"


def test_prometheus_scrapes_the_worker_and_reads_the_rules() -> None:
    """Where the worker serves its metrics by default."""
    [job] = load(PROMETHEUS)["scrape_configs"]
    [found] = job["dns_sd_configs"]

    assert found["names"] == ["worker"]
    assert found["port"] == Settings.model_fields["http_port"].default
    assert load(PROMETHEUS)["rule_files"] == [RULES.name]


def test_prometheus_keeps_the_examples_that_the_dashboard_draws() -> None:
    """And goes on reading the configuration and writing where they are mounted."""
    service = SERVICES["prometheus"]
    options = dict(word.removeprefix("--").split("=") for word in service["command"])
    mounted = [mount.split(":")[1] for mount in service["volumes"]]

    assert options.pop("enable-feature") == "exemplar-storage"
    assert set(options.values()) <= set(mounted)


def test_prometheus_takes_its_configuration() -> None:
    """By its own tool."""
    promtool = tool("promtool", "Debian's package prometheus brings it")

    checked = run(promtool, "check", "config", str(PROMETHEUS))

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_grafana_finds_its_datasource_and_dashboards() -> None:
    """At the addresses that compose.yaml gives them."""
    provisioning = DEPLOY / "grafana" / "provisioning"
    [source] = load(provisioning / "datasources" / "prometheus.yaml")["datasources"]
    [provider] = load(provisioning / "dashboards" / "evse-status.yaml")["providers"]
    mounted = [mount.split(":")[1] for mount in SERVICES["grafana"]["volumes"]]

    assert source["url"] == "http://prometheus:9090"
    assert f"{provider['options']['path']}/worker.json" in mounted
    assert SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] in mounted
