"""
The metrics of several workers as one page: each one's series with a label `worker`, and their parent's own.

Labelled and not summed: a worker that is started again counts from 0, which Prometheus takes for the reset it
is in a series of its own. In a sum it would look as if all the others had counted anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from service.adapters.prometheus_formats import END, Form, written
from service.adapters.prometheus_table import counter, gauge

UP = gauge("worker_up", "1 while this worker runs and answers its parent.", worker=None)
RESTARTS = counter("worker_restarts_total", "Times this worker was started again.", worker=None)
KILLED = counter(
    "worker_killed_total",
    "Times this worker was killed by its parent, which it had not answered for long.",
    worker=None,
)

OF_PARENT = (UP, RESTARTS, KILLED)
"""Every metric of the parent, in the order of the documentation."""


class WorkersMetrics:
    """What the parent itself counts: which workers answer, and how often each was started again."""

    def __init__(self, workers: Iterable[int]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # not annotated there
        self._registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self._up = Gauge(UP.name, UP.help, [*UP.labels], registry=self._registry)
        self._restarts, self._killed = (
            Counter(metric.name, metric.help, [*metric.labels], registry=self._registry)
            for metric in (RESTARTS, KILLED)
        )
        for number in workers:
            self._killed.labels(str(number))
            self._up.labels(str(number)).set(0)
            self._restarts.labels(str(number))

    def restarted(self, worker: int) -> None:
        """Count one more start of a worker that had ended."""
        self._restarts.labels(str(worker)).inc()

    def killed(self, worker: int) -> None:
        """Count the end of a worker that answered nothing for long."""
        self._killed.labels(str(worker)).inc()

    def exposition(self, told: Mapping[int, str | None], form: Form = Form.TEXT) -> bytes:
        """Write one page of what each worker told in that form; None: nothing."""
        for number, text in told.items():
            self._up.labels(str(number)).set(text is not None)
        own = written(self._registry, form).decode()
        page = merged(own, {number: text for number, text in told.items() if text is not None})
        return (page + f"{END}\n" if form is Form.OPENMETRICS else page).encode()


def merged(own: str, told: Mapping[int, str]) -> str:
    """
    Put pages together so that all series of a metric stand together, as the format wants it.

    `own` stays as it is; each other page's series get the label `worker` with its number. The line that ends
    a page in OpenMetrics is left out.
    """
    heads: dict[str, list[str]] = {}
    series: dict[str, list[str]] = {}
    for number, text in [(None, own), *told.items()]:
        metric = ""
        for line in text.splitlines():
            if line.startswith(("# HELP ", "# TYPE ")):
                metric = line.split(" ", 3)[2]
                head = heads.setdefault(metric, [])
                if line not in head:
                    head.append(line)
                series.setdefault(metric, [])
            elif line and line != END:
                series.setdefault(metric, []).append(line if number is None else _labelled(line, number))
    return "".join(f"{line}\n" for metric in series for line in [*heads.get(metric, ()), *series[metric]])


def _labelled(line: str, worker: int) -> str:
    """Add the label to a series; a name ends at its labels, or else at the value."""
    name, brace, rest = line.partition("{")
    if brace and " " not in name:
        return f'{name}{{worker="{worker}",{rest}'
    name, _, value = line.partition(" ")
    return f'{name}{{worker="{worker}"}} {value}'
