"""
The worker's metrics: one table, from which the series, the instruments and the documentation come.

A label is an enum, a topic or a partition and never an EVSE, so the number of series is bounded. This module
knows nothing of how the numbers come about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from operator import attrgetter

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from schemas.vocabulary import RejectionReason, Status, TimeClass, Verdict
from service.adapters.prometheus_formats import Form, written
from service.adapters.prometheus_table import Kind, Metric, counter, gauge, histogram
from service.adapters.prometheus_tally import Tally
from service.domain.events import Event
from service.domain.time import SECOND, Micros
from service.processing.instruments import Online, OutputKind, Part, Step, UptimeBand
from service.processing.ports import ErrorKind
from service.processing.silence import Withheld
from service.processing.values import TopicPartition

_WORK_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_DELAY_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400, 172_800)
_COUNTS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000)

EVENTS = counter("events_total", "Events by what became of them.", verdict=Verdict)
CLOCKS = counter("clocks_corrected_total", "Events whose own time was not believed.")
LEFT_OUT = counter("fields_left_out_total", "Bad fields of an inventory that was good otherwise.")
UNKNOWN_STATUSES = counter(
    "unknown_statuses_total",
    "Statuses in words that are not known: taken for UNKNOWN, kept as raw_status.",
)
REPEATED = counter("records_repeated_total", "Records applied before; their outputs were published again.")
REJECTIONS = counter("rejections_total", "Records that became dead letters.", reason=RejectionReason)
EVENT_DELAY = histogram(
    "event_delay_seconds", "From when an event applied to the acks of its outputs.", _DELAY_SECONDS
)
RECEIPT_DELAY = histogram(
    "receipt_delay_seconds", "From the receipt of an event to the acks of its outputs.", _DELAY_SECONDS
)
STEPS = histogram("step_seconds", "One step of a batch, waiting included.", _WORK_SECONDS, step=Step)
BATCHES = histogram(
    "batch_seconds",
    "One batch from fetch to its acknowledged outputs, and to its commit if due.",
    _WORK_SECONDS,
)
BATCH_RECORDS = histogram("batch_records", "Records in a batch.", _COUNTS)
BATCH_EVSES = histogram("batch_evses", "EVSEs that a batch touched.", _COUNTS)
ABANDONED = counter("batches_abandoned_total", "Batches given up because a partition went meanwhile.")
PUBLISHED = counter("published_total", "Messages acknowledged by the brokers.", kind=OutputKind)
TICKED = counter("ticked_evses_total", "EVSEs whose numbers the slow tick refreshed.")
STALE = counter("stale_writes_total", "Writes that the view refused: it was ahead of this worker.")
OVERTAKEN = counter(
    "late_sends_total",
    "Snapshots sent so late that another worker had gone on; the current ones were sent after.",
)
BEHIND = counter("view_behind_total", "Times the view was found to have lost what it had acknowledged.")
RESTORES = histogram(
    "restore_seconds",
    "Restoring a partition from the ledger.",
    (0.1, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640),
)
RESTORED = counter("restored_evses_total", "EVSEs restored from the ledger.")
BASES = counter("bases_total", "Whole states of EVSEs written into the ledger when a day closed.")
SILENCES = counter("silences_total", "EVSEs declared offline because nothing was heard of them.")
WITHHELD = gauge(
    "silences_withheld",
    "EVSEs past their deadline that are not declared offline, by why; counted twice a minute.",
    reason=Withheld,
)
GAPS = counter("gaps_total", "EVSEs told of a time in which nothing could be seen of them.")
RETRIES = counter("retries_total", "Calls tried again because a part did not answer.", part=Part)
ERRORS = counter(
    "errors_total",
    "Calls to a part that failed, tried again or not: no connection or a broken one, no answer in time, an "
    "answer that it cannot now, a refusal.",
    part=Part,
    kind=ErrorKind,
)
BLOCKED = gauge("blocked", "1 while this part does not answer.", part=Part)
REBALANCES = counter("rebalances_total", "Assignments of partitions to this worker.")
PARTITIONS = gauge("partitions", "Partitions that this worker owns.")
UNRESTORED = gauge("unrestored_partitions", "Owned partitions that wait to be restored.")
LAG = gauge("lag_records", "Records that wait in an owned partition.", topic=None, partition=None)
POSITION = gauge(
    "next_offset", "The offset that is read next in an owned partition.", topic=None, partition=None
)
EVSES = gauge(
    "evses",
    "EVSEs of the owned partitions, twice a minute, from the view's lists.",
    status=Status,
    online=Online,
)
UPTIMES = gauge(
    "evses_by_uptime",
    "EVSEs by the uptime of their published window, as ports; counted every hour.",
    definition=None,
    uptime=UptimeBand,
)
WINDOWS = gauge(
    "window_seconds",
    "The published windows of these EVSEs, added up: up, down, excluded and unobserved.",
    definition=None,
    time=TimeClass,
)
STATES = gauge("states", "States of EVSEs held in memory.")
LAST_TURN = gauge("last_turn_timestamp_seconds", "When the loop last turned, in seconds since 1970.")
TURNS = histogram("turn_seconds", "One turn of the loop.", _WORK_SECONDS)

TABLE: tuple[Metric, ...] = (
    EVENTS,
    CLOCKS,
    LEFT_OUT,
    UNKNOWN_STATUSES,
    REPEATED,
    REJECTIONS,
    EVENT_DELAY,
    RECEIPT_DELAY,
    STEPS,
    BATCHES,
    BATCH_RECORDS,
    BATCH_EVSES,
    ABANDONED,
    PUBLISHED,
    TICKED,
    STALE,
    OVERTAKEN,
    BEHIND,
    RESTORES,
    RESTORED,
    BASES,
    SILENCES,
    WITHHELD,
    GAPS,
    RETRIES,
    ERRORS,
    BLOCKED,
    REBALANCES,
    PARTITIONS,
    UNRESTORED,
    LAG,
    POSITION,
    EVSES,
    UPTIMES,
    WINDOWS,
    STATES,
    LAST_TURN,
    TURNS,
)
"""Every metric of the worker, in the order of the documentation."""


_applied = attrgetter("at")
_received = attrgetter("seen")

_EXEMPLAR_LENGTH = 128
"""Characters that the labels of an exemplar may have together, names included (OpenMetrics 1.0)."""


def _exemplar(event: Event, trace_id: str | None) -> dict[str, str]:
    """Name an event and its batch's trace; what is too long is left out, since half an id finds nothing."""
    # The trace first: it has one length, and what draws examples as links to traces looks for it.
    wanted = {"trace_id": trace_id or "", "event_id": event.event_id, "evse_uid": event.evse_uid}
    labels: dict[str, str] = {}
    left = _EXEMPLAR_LENGTH
    for name, value in wanted.items():
        if value and len(name) + len(value) <= left:
            labels[name] = value
            left -= len(name) + len(value)
    return labels


class PrometheusInstruments:
    """The loop's instruments as Prometheus series, in a registry of their own."""

    def __init__(self) -> None:
        # A second series for each, of when it was made, would double the exposition.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # not annotated there
        self._registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self._counters: dict[tuple[str, str], Counter] = {}
        self._gauges: dict[tuple[str, str], Gauge] = {}
        self._histograms: dict[tuple[str, str], Histogram] = {}
        self._delays = {metric.name: Tally(metric) for metric in (EVENT_DELAY, RECEIPT_DELAY)}
        for metric in TABLE:
            self._build(metric)

    def _build(self, metric: Metric) -> None:
        """Make the series of one row; children are kept, as `labels()` takes longer than counting."""
        if metric.name in self._delays:
            self._registry.register(self._delays[metric.name])
            return
        names = tuple(metric.labels)
        # Of what has more labels than one only the counting knows which series there are.
        alone = next(iter(metric.labels.values())) if len(names) == 1 else None
        values = [value.value for value in alone or ()]
        match metric.kind:
            case Kind.COUNTER:
                counter = Counter(metric.name, metric.help, names, registry=self._registry)
                self._counters |= {(metric.name, v): counter.labels(v) for v in values}
                self._counters[metric.name, ""] = counter
                if len(names) > 1:
                    for each in product(*(values or () for values in metric.labels.values())):
                        counter.labels(*each)
            case Kind.GAUGE:
                gauge = Gauge(metric.name, metric.help, names, registry=self._registry)
                self._gauges |= {(metric.name, v): gauge.labels(v) for v in values}
                self._gauges[metric.name, ""] = gauge
            case Kind.HISTOGRAM:
                histogram = Histogram(
                    metric.name, metric.help, names, registry=self._registry, buckets=metric.buckets
                )
                self._histograms |= {(metric.name, v): histogram.labels(v) for v in values}
                self._histograms[metric.name, ""] = histogram

    def exposition(self, form: Form = Form.TEXT) -> bytes:
        """Write all series."""
        return written(self._registry, form)

    def judged(self, verdict: Verdict, count: int = 1, *, clocks_corrected: int = 0) -> None:
        self._count(EVENTS, count, label=verdict)
        if clocks_corrected:
            self._count(CLOCKS, clocks_corrected)

    def field_left_out(self) -> None:
        self._count(LEFT_OUT)

    def unknown_status(self) -> None:
        self._count(UNKNOWN_STATUSES)

    def repeated(self, count: int) -> None:
        self._count(REPEATED, count)

    def rejected(self, reason: RejectionReason) -> None:
        self._count(REJECTIONS, label=reason)

    def delayed(self, events: Sequence[Event], now: Micros, trace_id: str | None) -> None:
        if not events:
            return
        for metric, began in ((EVENT_DELAY, _applied), (RECEIPT_DELAY, _received)):
            tally, times = self._delays[metric.name], list(map(began, events))
            tally.observe([now - at if at < now else 0 for at in times])
            # Kept for the bucket it falls into: what is slow is what somebody asks about.
            slowest = events[times.index(earliest := min(times))]
            tally.exemplify(max(0, now - earliest), _exemplar(slowest, trace_id), now)

    def step_took(self, step: Step, seconds: float) -> None:
        self._observe(STEPS, seconds, label=step)

    def batch_done(self, records: int, evses: int, seconds: float) -> None:
        self._observe(BATCH_RECORDS, records)
        self._observe(BATCH_EVSES, evses)
        self._observe(BATCHES, seconds)

    def published(self, kind: OutputKind, count: int) -> None:
        self._count(PUBLISHED, count, label=kind)

    def ticked(self, evses: int) -> None:
        self._count(TICKED, evses)

    def stale_writes(self, count: int) -> None:
        self._count(STALE, count)

    def overtaken(self, count: int) -> None:
        self._count(OVERTAKEN, count)

    def behind(self) -> None:
        self._count(BEHIND)

    def restored(self, evses: int, seconds: float) -> None:
        self._count(RESTORED, evses)
        self._observe(RESTORES, seconds)

    def based(self, evses: int) -> None:
        self._count(BASES, evses)

    def silences(self, count: int) -> None:
        self._count(SILENCES, count)

    def silences_withheld(self, evses: Mapping[Withheld, int]) -> None:
        for reason in Withheld:
            self._gauges[WITHHELD.name, reason].set(evses.get(reason, 0))

    def gaps(self, count: int) -> None:
        self._count(GAPS, count)

    def retried(self, part: Part) -> None:
        self._count(RETRIES, label=part)

    def failed(self, part: Part, kind: ErrorKind) -> None:
        self._counters[ERRORS.name, ""].labels(part.value, kind.value).inc()

    def blocked(self, part: Part, *, waiting: bool) -> None:
        self._gauges[BLOCKED.name, part].set(waiting)

    def assigned(self, partitions: int) -> None:
        self._count(REBALANCES)
        self._gauges[PARTITIONS.name, ""].inc(partitions)

    def revoked(self, partitions: int) -> None:
        self._gauges[PARTITIONS.name, ""].dec(partitions)

    def abandoned(self) -> None:
        self._count(ABANDONED)

    def lag(self, partition: TopicPartition, records: int) -> None:
        self._labelled(LAG, partition.topic, partition.partition).set(records)

    def position(self, partition: TopicPartition, next_offset: int) -> None:
        self._labelled(POSITION, partition.topic, partition.partition).set(next_offset)

    def forget_partition(self, partition: TopicPartition) -> None:
        # remove() raises for a series that never was: a partition may go before it was first told of.
        for metric in (LAG, POSITION):
            self._labelled(metric, partition.topic, partition.partition)
            self._gauges[metric.name, ""].remove(partition.topic, str(partition.partition))

    def unrestored(self, partitions: int) -> None:
        self._gauges[UNRESTORED.name, ""].set(partitions)

    def fleet_stands(self, evses: Mapping[tuple[Status, Online], int]) -> None:
        for status in Status:
            for online in Online:
                self._labelled(EVSES, status, online).set(evses.get((status, online), 0))

    def fleet_is_up(
        self,
        evses: Mapping[tuple[str, UptimeBand], int],
        micros: Mapping[tuple[str, TimeClass], int],
    ) -> None:
        self._gauges[UPTIMES.name, ""].clear()
        for definition in {name for name, _ in evses}:
            for band in UptimeBand:
                self._labelled(UPTIMES, definition, band).set(evses.get((definition, band), 0))
        self._gauges[WINDOWS.name, ""].clear()
        for (definition, time_class), amount in micros.items():
            self._labelled(WINDOWS, definition, time_class).set(amount / SECOND)

    def states_held(self, count: int) -> None:
        self._gauges[STATES.name, ""].set(count)

    def turned(self, now: int, seconds: float) -> None:
        self.goes_on(now)
        self._observe(TURNS, seconds)

    def goes_on(self, now: int) -> None:
        self._gauges[LAST_TURN.name, ""].set(now / SECOND)

    def _labelled(self, metric: Metric, *values: object) -> Gauge:
        return self._gauges[metric.name, ""].labels(*map(str, values))

    def _count(self, metric: Metric, amount: int = 1, *, label: str = "") -> None:
        self._counters[metric.name, label].inc(amount)

    def _observe(self, metric: Metric, value: float, *, label: str = "") -> None:
        self._histograms[metric.name, label].observe(value)
