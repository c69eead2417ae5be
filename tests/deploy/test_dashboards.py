"""The dashboards for Grafana: made from their few lines, over metrics that exist."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from deploy.grafana.generate import DASHBOARDS
from deploy.grafana.panels import INSTALLATION, Panel, dashboard_json, scoped, written
from service.adapters.prometheus import TABLE
from tests.deploy.files import (
    DEPLOY,
    NAMES,
    existing_series,
    known_labels,
    labels_in,
    names_in,
    run,
    series_of,
    tool,
)

PANELS = [panel for dashboard in DASHBOARDS.values() for row in dashboard.rows for panel in row.panels]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_json_is_what_its_lines_give(name: str) -> None:
    """`python -m deploy.grafana.generate` writes it."""
    assert (DEPLOY / "grafana" / name).read_text(encoding="utf-8") == written(DASHBOARDS[name])


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_a_query_names_series_and_labels_that_exist(panel: Panel) -> None:
    """A renamed metric must not leave an empty panel."""
    known = known_labels()
    for query in panel.queries.values():
        assert names_in(query)
        assert names_in(query) - existing_series() == set()
        assert [
            (series, label)
            for series, label in labels_in(query)
            if not series.startswith("evse_status:") and label not in known[series]
        ] == []


@pytest.mark.parametrize("name", DASHBOARDS)
def test_an_installation_can_be_chosen(name: str) -> None:
    """By the labels that the rules tell them apart by; every series is asked for by them."""
    made = dashboard_json(DASHBOARDS[name])
    offered = {each["name"]: each for each in made["templating"]["list"]}

    for panel in made["panels"]:
        for target in panel.get("targets", ()):
            wanted = '{namespace=~"$namespace", job=~"$job"'
            assert target["expr"].count(wanted) == len(NAMES.findall(target["expr"]))
    for label in INSTALLATION:
        assert offered[label]["query"]["query"] == f"label_values(evse_status_partitions, {label})"
        # Series that lack the label are among all.
        assert offered[label]["allValue"] == ".*"


def test_every_metric_is_shown() -> None:
    """What nobody can see nobody needs."""
    shown = {name for panel in PANELS for query in panel.queries.values() for name in names_in(query)}

    assert [metric.name for metric in TABLE if not series_of(metric) & shown] == []


def test_the_slowest_events_are_drawn_once_beside_each_delay() -> None:
    """Where there are examples: the histograms of the delays alone have them."""
    drawn = {
        names
        for name in DASHBOARDS
        for panel in dashboard_json(DASHBOARDS[name])["panels"]
        for target in panel.get("targets", ())
        if target.get("exemplar")
        for names in names_in(target["expr"])
    }

    assert drawn == {"evse_status_receipt_delay_seconds_bucket", "evse_status_event_delay_seconds_bucket"}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_no_panel_lies_on_another(name: str) -> None:
    """Each has its own place, within the width."""
    taken: set[tuple[int, int]] = set()
    for panel in dashboard_json(DASHBOARDS[name])["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_prometheus_takes_every_query(tmp_path: Path) -> None:
    """By its own parser."""
    promtool = tool("promtool", "Debian's package prometheus brings it")
    queries = [scoped(query) for panel in PANELS for query in panel.queries.values()]
    rules = [
        {"record": f"panel:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(queries)
    ]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")

    checked = run(promtool, "check", "rules", str(file))

    assert checked.returncode == 0, checked.stdout + checked.stderr
