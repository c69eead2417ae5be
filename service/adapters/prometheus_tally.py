"""
A histogram that takes the values of a whole batch at once.

The library's own takes one value at a time under a lock, and so costs some microseconds for each event. Knows
nothing of what is counted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import accumulate

from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import INF, floatToGoString

from service.adapters.prometheus_table import Metric
from service.domain.time import SECOND, Micros


class Tally(Collector):
    """Times in microseconds, told as seconds; read by the registry it is registered with."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._bounds = [round(bound * SECOND) for bound in metric.buckets]
        bounds = (*metric.buckets, INF)
        self._names = [floatToGoString(bound) for bound in bounds]  # type: ignore[no-untyped-call]  # theirs
        self._counts = [0] * len(self._names)
        self._examples: list[Exemplar | None] = [None] * len(self._names)
        self._sum: Micros = 0

    def observe(self, values: Sequence[Micros]) -> None:
        """Count values; one that equals a bound is within it."""
        self._sum += sum(values)
        for bucket, count in Counter(map(partial(bisect_left, self._bounds), values)).items():
            self._counts[bucket] += count

    def exemplify(self, value: Micros, labels: dict[str, str], at: Micros) -> None:
        """Keep what was observed at wall-clock `at` as the example of the bucket it is counted in."""
        self._examples[bisect_left(self._bounds, value)] = Exemplar(labels, value / SECOND, at / SECOND)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Give the series as they stand."""
        counts = zip(self._names, accumulate(self._counts), self._examples, strict=True)
        buckets = [(name, count) if one is None else (name, count, one) for name, count, one in counts]
        yield HistogramMetricFamily(self._metric.name, self._metric.help, buckets, self._sum / SECOND)
