"""
Panels, rows and dashboards in few words, and the JSON that Grafana reads.

Knows nothing of what is shown, and no more of Grafana's JSON than is needed; the datasource and the
installation are chosen in the dashboard.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH = 24

_SERIES = re.compile(r"\b((?:evse_status|process_)[a-z0-9_:]*)\b(?:\{([^}]*)\})?")

INSTALLATION = ("namespace", "job")
"""The labels that tell installations apart; outside Kubernetes there is no namespace."""

_COUNTED = "evse_status_partitions"
"""What every worker of an installation tells, whatever it does."""


@dataclass(frozen=True, slots=True)
class Panel:
    """
    One panel: a title, the unit as Grafana names it, and queries by the legend of their series.

    `width` in twenty-fourths; `kind` as Grafana names it. Without `about` the title says it all. `examples`:
    draw those that stand beside the series, too.
    """

    title: str
    unit: str
    queries: Mapping[str, str]
    width: int = 8
    kind: str = "timeseries"
    about: str = ""
    stacked: bool = False
    examples: bool = False

    @property
    def height(self) -> int:
        """Numbers need less room than curves."""
        return 4 if self.kind == "stat" else 8


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page of rows; `uid` is what links lead to."""

    uid: str
    title: str
    rows: Sequence[Row]


def stat(title: str, unit: str, query: str, about: str = "") -> Panel:
    """Give a panel that shows one number."""
    return Panel(title, unit, {title: query}, width=4, kind="stat", about=about)


def rate(metric: str, by: str = "") -> str:
    """Give the rate of a counter over all workers."""
    return (
        f"sum by ({by}) (rate({metric}[$__rate_interval]))"
        if by
        else f"sum(rate({metric}[$__rate_interval]))"
    )


def more(metric: str) -> str:
    """Give by how much a counter rose between two points, over all workers."""
    return f"sum(increase({metric}[$__rate_interval]))"


def of_workers(query: str) -> str:
    """Leave of what every process has the workers alone: of several on one machine each has its own label."""
    return f"{query} and on (instance, worker) evse_status_partitions"


def quantile(share: float, histogram: str, by: str = "") -> str:
    """Give a quantile of a histogram over all workers."""
    return f"histogram_quantile({share}, {rate(f'{histogram}_bucket', f'le, {by}' if by else 'le')})"


def scoped(query: str) -> str:
    """
    Ask for the series of the chosen installation alone.

    >>> scoped('sum(evse_status_evses{online="true"})')
    'sum(evse_status_evses{namespace=~"$namespace", job=~"$job", online="true"})'
    """
    chosen = ", ".join(f'{label}=~"${label}"' for label in INSTALLATION)
    return _SERIES.sub(
        lambda found: f"{found[1]}{{{chosen}{', ' if found[2] else ''}{found[2] or ''}}}", query
    )


def panels_json(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Place rows and panels one below the other, from left to right."""
    y = number = 0
    for row in rows:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": {"x": 0, "y": y, "w": _WIDTH, "h": 1},
            "panels": [],
        }
        y, x, height = y + 1, 0, 0
        for panel in row.panels:
            if x + panel.width > _WIDTH:
                y, x = y + height, 0
            number, height = number + 1, panel.height
            place = {"x": x, "y": y, "w": panel.width, "h": height}
            yield _panel_json(number, panel, place)
            x += panel.width
        y += height


def _panel_json(number: int, panel: Panel, place: Mapping[str, int]) -> dict[str, Any]:
    is_curve = panel.kind == "timeseries"
    custom = {"fillOpacity": 30, "stacking": {"mode": "normal"}} if panel.stacked else {"fillOpacity": 5}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        **({"description": panel.about} if panel.about else {}),
        "datasource": _DATASOURCE,
        "gridPos": dict(place),
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, **({"custom": custom} if is_curve else {})},
            "overrides": [],
        },
        "targets": [
            {
                "refId": chr(ord("A") + place_in),
                "datasource": _DATASOURCE,
                "expr": scoped(query),
                "legendFormat": legend,
                **({} if is_curve else {"instant": True, "range": False}),
                # Of one query: all of a panel have the same, and each would draw them again.
                **({"exemplar": True} if panel.examples and place_in == 0 else {}),
            }
            for place_in, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def _variable_json(label: str) -> dict[str, Any]:
    """Let one of an installation's labels be chosen; all of them where nobody does, and series without it."""
    query = f"label_values({_COUNTED}, {label})"
    return {
        "name": label,
        "type": "query",
        "label": label.capitalize(),
        "datasource": _DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": label},
        "refresh": 2,
        "sort": 1,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def dashboard_json(dashboard: Dashboard) -> dict[str, Any]:
    """Give a dashboard as Grafana reads it."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["evse-status"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "utc",
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
                *(_variable_json(label) for label in INSTALLATION),
            ]
        },
        "panels": list(panels_json(dashboard.rows)),
    }


def written(dashboard: Dashboard) -> str:
    """Give the text of a dashboard's file."""
    return json.dumps(dashboard_json(dashboard), indent=1, ensure_ascii=False) + "\n"
