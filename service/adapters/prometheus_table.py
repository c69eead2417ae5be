"""
Rows of the tables that series and their documentation are made from.

This module knows no metric.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What Prometheus takes a series for."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """
    One row of the table.

    `labels` maps each label to the enum of its values, or to None where they are topics, partitions,
    definitions or workers. Where an enum is the only label, and where enums are all labels of a counter, its
    series exist from the start, so that an alert on their rate works before the first occurrence.
    """

    name: str
    kind: Kind
    help: str
    labels: Mapping[str, type[StrEnum] | None]
    buckets: Sequence[float] = ()


def counter(name: str, text: str, **labels: type[StrEnum] | None) -> Metric:
    """Give a row of what only rises; `name` is without the prefix."""
    return Metric(f"evse_status_{name}", Kind.COUNTER, text, labels)


def gauge(name: str, text: str, **labels: type[StrEnum] | None) -> Metric:
    """Give a row of what stands."""
    return Metric(f"evse_status_{name}", Kind.GAUGE, text, labels)


def histogram(name: str, text: str, buckets: Sequence[float], **labels: type[StrEnum] | None) -> Metric:
    """Give a row of what is spread over buckets."""
    return Metric(f"evse_status_{name}", Kind.HISTOGRAM, text, labels, buckets)


def markdown_table(metrics: Iterable[Metric]) -> str:
    """Write a table of metrics for the documentation."""
    lines = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    lines += [f"| `{m.name}` | {m.kind} | {_labels_in_words(m)} | {m.help} |" for m in metrics]
    return "\n".join(lines) + "\n"


def _labels_in_words(metric: Metric) -> str:
    return ", ".join(
        f"`{label}`" if values is None else f"`{label}`: {', '.join(value.value for value in values)}"
        for label, values in metric.labels.items()
    )
