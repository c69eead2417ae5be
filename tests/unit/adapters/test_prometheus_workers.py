"""The metrics of several workers on one page."""

from __future__ import annotations

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from schemas.vocabulary import Verdict
from service.adapters.prometheus import TABLE, PrometheusInstruments
from service.adapters.prometheus_formats import Form
from service.adapters.prometheus_workers import OF_PARENT, WorkersMetrics, merged
from service.domain.events import Event
from service.processing.values import TopicPartition

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(page: bytes) -> Series:
    """Parse a page into (series name, labels) -> value; a metric that stands twice is none."""
    families = list(text_string_to_metric_families(page.decode()))
    assert len({family.name for family in families}) == len(families)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_each_workers_series_stand_under_its_number() -> None:
    """None is lost, none is summed: a worker that begins anew is a reset of its own series alone."""
    first, second = PrometheusInstruments(), PrometheusInstruments()
    for _ in range(3):
        first.judged(Verdict.APPLIED)
    second.judged(Verdict.APPLIED)
    second.lag(TopicPartition("evse.events", 7), 12)
    pages = {1: first.exposition().decode(), 2: second.exposition().decode()}

    series = read(WorkersMetrics([1, 2]).exposition(pages))

    applied = "evse_status_events_total"
    assert series[applied, (("verdict", "applied"), ("worker", "1"))] == 3
    assert series[applied, (("verdict", "applied"), ("worker", "2"))] == 1
    lag = (("partition", "7"), ("topic", "evse.events"), ("worker", "2"))
    assert series["evse_status_lag_records", lag] == 12
    assert series["evse_status_states", (("worker", "1"),)] == 0
    ours = {metric.name for metric in TABLE}
    for number, page in pages.items():
        for (name, labels), value in read(page.encode()).items():
            if name in ours:
                assert series[name, tuple(sorted((*labels, ("worker", str(number)))))] == value


def test_histograms_stay_whole() -> None:
    """Buckets, sum and count of each worker, under one head."""
    instruments = PrometheusInstruments()
    instruments.batch_done(records=7, evses=3, seconds=0.2)

    page = WorkersMetrics([1]).exposition({1: instruments.exposition().decode()})

    series = read(page)
    assert series["evse_status_batch_records_bucket", (("le", "10.0"), ("worker", "1"))] == 1
    assert series["evse_status_batch_records_sum", (("worker", "1"),)] == 7
    assert page.count(b"# TYPE evse_status_batch_records histogram") == 1


def test_openmetrics_of_several_workers_is_one_page() -> None:
    """It ends once, and each worker's examples stand beside its own series."""
    pages = {}
    for number in (1, 2):
        instruments = PrometheusInstruments()
        event = Event(f"a{{b }} # {number}", "e1", position=0, at=0, seen=0)
        instruments.delayed([event], 1_000_000, None)
        pages[number] = instruments.exposition(Form.OPENMETRICS).decode()

    page = WorkersMetrics([1, 2]).exposition(pages, Form.OPENMETRICS).decode()

    samples = [sample for family in openmetrics_families(page) for sample in family.samples]
    found = {each.labels["worker"]: each.exemplar.labels for each in samples if each.exemplar is not None}
    assert found == {str(n): {"event_id": f"a{{b }} # {n}", "evse_uid": "e1"} for n in (1, 2)}
    assert {each.labels["worker"]: each.value for each in samples if each.name == "evse_status_states"} == {
        "1": 0,
        "2": 0,
    }


def test_a_worker_that_does_not_answer_is_seen() -> None:
    """Its series end, and one says that it is not up; what was counted of it stays."""
    metrics = WorkersMetrics([1, 2])
    metrics.restarted(2)

    series = read(metrics.exposition({1: PrometheusInstruments().exposition().decode(), 2: None}))

    assert series["evse_status_worker_up", (("worker", "1"),)] == 1
    assert series["evse_status_worker_up", (("worker", "2"),)] == 0
    assert series["evse_status_worker_restarts_total", (("worker", "1"),)] == 0
    assert series["evse_status_worker_restarts_total", (("worker", "2"),)] == 1
    assert [labels for name, labels in series if name == "evse_status_states"] == [(("worker", "1"),)]


def test_a_value_of_a_label_may_hold_anything() -> None:
    """Braces and spaces in it do not end the name."""
    page = '# TYPE m gauge\nm{topic="a{b} c"} 1.0\nm 2.0\n'

    assert merged("", {3: page}) == ('# TYPE m gauge\nm{worker="3",topic="a{b} c"} 1.0\nm{worker="3"} 2.0\n')


def test_the_table_names_every_metric_of_the_parent() -> None:
    """The README is made from it."""
    page = WorkersMetrics([1]).exposition({1: None}).decode()
    told = {line.split()[2] for line in page.splitlines() if line.startswith("# TYPE evse_status_")}

    assert told == {metric.name for metric in OF_PARENT}
