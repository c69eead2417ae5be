"""Metrics: the table, the series, and what each instrument moves."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from schemas.vocabulary import RejectionReason, Status, TimeClass, Verdict
from service.adapters.prometheus import TABLE, PrometheusInstruments
from service.adapters.prometheus_formats import Form
from service.adapters.prometheus_table import Kind, markdown_table
from service.domain.events import Event
from service.domain.time import SECOND
from service.processing.instruments import Instruments, Online, OutputKind, Part, Step, UptimeBand
from service.processing.ports import ErrorKind
from service.processing.silence import Withheld
from service.processing.values import TopicPartition


@pytest.fixture
def instruments() -> PrometheusInstruments:
    """Fresh series, shared with no other test."""
    return PrometheusInstruments()


NOW = 1_767_571_200_000_000


def event(event_id: str, since_event: float, since_receipt: float, uid: str = "e1") -> Event:
    """Give an event that applied, and was received, so many seconds ago."""
    at, seen = (NOW - round(seconds * SECOND) for seconds in (since_event, since_receipt))
    return Event(event_id, uid, position=0, at=at, seen=seen)


def read(instruments: PrometheusInstruments) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Parse the exposition into (series name, labels) -> value."""
    families = text_string_to_metric_families(instruments.exposition().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_every_row_of_the_table_has_its_series(instruments: PrometheusInstruments) -> None:
    """A series of an enum label is there before it first happens, so a rate can be alerted on."""
    series = read(instruments)

    for metric in (each for each in TABLE if len(each.labels) < 2):
        suffix = "_count" if metric.kind is Kind.HISTOGRAM else ""
        for label, values in metric.labels.items():
            for value in values or ():
                assert (metric.name + suffix, ((label, value.value),)) in series
        if not metric.labels:
            assert (metric.name + suffix, ()) in series


def test_no_label_can_name_an_evse() -> None:
    """Labels are enums, topics, partitions or the few definitions of uptime."""
    free = {label for metric in TABLE for label, values in metric.labels.items() if values is None}

    assert free == {"topic", "partition", "definition"}


def test_instruments_are_all_there(instruments: PrometheusInstruments) -> None:
    """The adapter offers every method of the protocol under the same signature."""
    for name, method in inspect.getmembers(Instruments, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(getattr(PrometheusInstruments, name)) == inspect.signature(method)

    checked: Instruments = instruments
    assert checked is instruments


def test_an_event_counts_under_its_verdict(instruments: PrometheusInstruments) -> None:
    """A corrected clock is counted beside the verdict."""
    instruments.judged(Verdict.APPLIED, clocks_corrected=1)
    instruments.judged(Verdict.APPLIED)

    series = read(instruments)
    assert series["evse_status_events_total", (("verdict", "applied"),)] == 2
    assert series["evse_status_clocks_corrected_total", ()] == 1


def test_a_rejection_counts_as_verdict_and_by_reason(instruments: PrometheusInstruments) -> None:
    """The loop tells both of a rejected record; neither counts it for the other."""
    instruments.judged(Verdict.REJECTED)
    instruments.rejected(RejectionReason.NOT_JSON)

    series = read(instruments)
    assert series["evse_status_events_total", (("verdict", "rejected"),)] == 1
    assert series["evse_status_rejections_total", (("reason", "not_json"),)] == 1


def test_batches_are_measured(instruments: PrometheusInstruments) -> None:
    """Size, time and the time of each step."""
    instruments.batch_done(records=300, evses=20, seconds=0.2)
    instruments.step_took(Step.SAVE, 0.1)
    instruments.delayed([event("1", 2.0, 1.0), event("2", 1.0, 0.5), event("ahead", -9, -9)], NOW, None)
    instruments.delayed([], NOW, None)
    instruments.published(OutputKind.SNAPSHOT, 20)
    instruments.repeated(1)
    instruments.stale_writes(2)
    instruments.abandoned()
    instruments.ticked(7)

    series = read(instruments)
    assert series["evse_status_batch_records_sum", ()] == 300
    assert series["evse_status_batch_evses_sum", ()] == 20
    assert series["evse_status_batch_seconds_sum", ()] == pytest.approx(0.2)
    assert series["evse_status_step_seconds_sum", (("step", "save"),)] == pytest.approx(0.1)
    assert series["evse_status_event_delay_seconds_sum", ()] == 3.0
    assert series["evse_status_receipt_delay_seconds_sum", ()] == 1.5
    assert series["evse_status_receipt_delay_seconds_count", ()] == 3
    assert series["evse_status_published_total", (("kind", "snapshot"),)] == 20
    assert series["evse_status_records_repeated_total", ()] == 1
    assert series["evse_status_stale_writes_total", ()] == 2
    assert series["evse_status_batches_abandoned_total", ()] == 1
    assert series["evse_status_ticked_evses_total", ()] == 7


def exemplars(instruments: PrometheusInstruments, metric: str) -> dict[str, tuple[dict[str, str], float]]:
    """Parse OpenMetrics into upper bound of a bucket -> labels and value of its exemplar."""
    families = openmetrics_families(instruments.exposition(Form.OPENMETRICS).decode())
    return {
        sample.labels["le"]: (sample.exemplar.labels, sample.exemplar.value)
        for family in families
        for sample in family.samples
        if sample.name == f"{metric}_bucket" and sample.exemplar is not None
    }


def test_the_slowest_event_of_a_batch_is_the_example_of_its_delay(instruments: PrometheusInstruments) -> None:
    """One a batch and metric, in its bucket: so a bad quantile leads to an event and a trace."""
    late, stuck = event("re-sent", 400.0, 0.2), event("stuck", 8.0, 7.0, "e2")
    instruments.delayed([event("quick", 0.2, 0.1), late, stuck], NOW, "4bf92f3577b34da6a3ce929d0e0e4736")

    trace = {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}
    assert exemplars(instruments, "evse_status_event_delay_seconds") == {
        "900.0": ({"event_id": "re-sent", "evse_uid": "e1"} | trace, 400.0)
    }
    assert exemplars(instruments, "evse_status_receipt_delay_seconds") == {
        "10.0": ({"event_id": "stuck", "evse_uid": "e2"} | trace, 7.0)
    }


@pytest.mark.parametrize(
    ("event_id", "uid", "named"),
    [
        ("e" * 48, "u" * 24, {"event_id", "trace_id", "evse_uid"}),
        ("e" * 48, "u" * 25, {"event_id", "trace_id"}),
        ("e" * 81, "u" * 80, {"trace_id", "evse_uid"}),
        ("e" * 81, "u" * 81, {"trace_id"}),
        ("} # {é", "a\nb\\", {"event_id", "trace_id", "evse_uid"}),
    ],
)
def test_an_example_names_what_its_length_allows(
    instruments: PrometheusInstruments, event_id: str, uid: str, named: set[str]
) -> None:
    """OpenMetrics takes 128 characters; an id is named whole or not at all, whatever stands in it."""
    instruments.delayed([event(event_id, 1.0, 1.0, uid)], NOW, "t" * 32)

    ((labels, _),) = exemplars(instruments, "evse_status_event_delay_seconds").values()
    whole = {"event_id": event_id, "trace_id": "t" * 32, "evse_uid": uid}
    assert labels == {name: whole[name] for name in named}


def test_a_quote_in_an_example_is_escaped(instruments: PrometheusInstruments) -> None:
    """As in a label of a series; the parser used here does not read it in an example."""
    instruments.delayed([event('a"b', 1.0, 1.0)], NOW, None)

    assert b'# {event_id="a\\"b",evse_uid="e1"} 1.0 ' in instruments.exposition(Form.OPENMETRICS)


def test_both_forms_say_the_same(instruments: PrometheusInstruments) -> None:
    """Examples stand in OpenMetrics alone: the text format has no place for them."""
    instruments.delayed([event("event-1", 1.0, 1.0)], NOW, None)
    instruments.judged(Verdict.APPLIED, clocks_corrected=1)
    instruments.lag(TopicPartition("evse.events", 3), 12)
    text, openmetrics = (instruments.exposition(form).decode() for form in Form)

    def ours(families: Iterable[Metric]) -> set[tuple[str, tuple[tuple[str, str], ...], float]]:
        return {
            (sample.name, tuple(sorted(sample.labels.items())), sample.value)
            for family in families
            for sample in family.samples
            if sample.name.startswith("evse_status_")
        }

    assert ours(openmetrics_families(openmetrics)) == ours(text_string_to_metric_families(text))
    assert "event-1" in openmetrics
    assert "event-1" not in text


def test_a_part_that_does_not_answer_is_seen(instruments: PrometheusInstruments) -> None:
    """Retries are counted; the gauge is 1 while the loop waits."""
    instruments.retried(Part.STORE)
    instruments.failed(Part.STORE, ErrorKind.TIMED_OUT)
    instruments.blocked(Part.STORE, waiting=True)
    assert read(instruments)["evse_status_blocked", (("part", "store"),)] == 1

    instruments.blocked(Part.STORE, waiting=False)

    series = read(instruments)
    assert series["evse_status_blocked", (("part", "store"),)] == 0
    assert series["evse_status_retries_total", (("part", "store"),)] == 1
    errors = {labels: count for (name, labels), count in series.items() if name == "evse_status_errors_total"}
    assert len(errors) == len(Part) * len(ErrorKind)
    assert {labels for labels, count in errors.items() if count} == {
        (("kind", "timed_out"), ("part", "store"))
    }


def test_a_partition_that_went_takes_its_lag_along(instruments: PrometheusInstruments) -> None:
    """A worker no longer reports, and no longer scales on, what another owns."""
    partition = TopicPartition("evse.events", 3)
    instruments.assigned(2)
    instruments.lag(partition, 12)
    instruments.position(partition, 88)
    labels = (("partition", "3"), ("topic", "evse.events"))
    assert read(instruments)["evse_status_lag_records", labels] == 12
    assert read(instruments)["evse_status_next_offset", labels] == 88

    instruments.revoked(1)
    instruments.forget_partition(partition)
    instruments.forget_partition(TopicPartition("evse.events", 4))

    series = read(instruments)
    assert not [name for name, _ in series if name in {"evse_status_lag_records", "evse_status_next_offset"}]
    assert series["evse_status_partitions", ()] == 1
    assert series["evse_status_rebalances_total", ()] == 1


def test_silences_that_are_withheld_are_told_by_reason(instruments: PrometheusInstruments) -> None:
    """What a count no longer names is 0."""
    instruments.silences_withheld({Withheld.LAGGING: 7})
    instruments.silences_withheld({Withheld.NO_LATER_EVENT: 3})

    series = read(instruments)
    assert {
        dict(labels)["reason"]: value
        for (name, labels), value in series.items()
        if name == "evse_status_silences_withheld"
    } == {
        "catching_up": 0,
        "lagging": 0,
        "after_start": 0,
        "after_gap": 0,
        "no_later_event": 3,
    }


def test_the_fleet_is_told_by_status_and_by_uptime(instruments: PrometheusInstruments) -> None:
    """What a count no longer names is 0, and a definition that is gone has no series."""
    instruments.fleet_stands({(Status.CHARGING, Online.TRUE): 3})
    instruments.fleet_stands({(Status.AVAILABLE, Online.FALSE): 2})
    instruments.fleet_is_up({("nevi", UptimeBand.NONE): 1}, {("nevi", TimeClass.UP): 1})
    instruments.fleet_is_up({("observed", UptimeBand.FROM_97): 4}, {("observed", TimeClass.DOWN): 90_000_000})

    series = read(instruments)
    assert series["evse_status_evses", (("online", "true"), ("status", "CHARGING"))] == 0
    assert series["evse_status_evses", (("online", "false"), ("status", "AVAILABLE"))] == 2
    assert series["evse_status_evses_by_uptime", (("definition", "observed"), ("uptime", "from_97"))] == 4
    assert series["evse_status_evses_by_uptime", (("definition", "observed"), ("uptime", "none"))] == 0
    assert series["evse_status_window_seconds", (("definition", "observed"), ("time", "down"))] == 90
    assert not [
        labels for name, labels in series if name.startswith("evse_status_") and "nevi" in str(labels)
    ]


def test_the_loop_tells_when_it_turned(instruments: PrometheusInstruments) -> None:
    """The time is that of the worker's clock, in seconds."""
    instruments.turned(1_767_571_200_500_000, 0.25)
    instruments.states_held(42)

    series = read(instruments)
    assert series["evse_status_last_turn_timestamp_seconds", ()] == 1_767_571_200.5
    assert series["evse_status_turn_seconds_sum", ()] == 0.25
    assert series["evse_status_states", ()] == 42


def test_the_documented_table_names_every_metric() -> None:
    """One line each, with labels and their values."""
    lines = markdown_table(TABLE).splitlines()

    assert len(lines) == len(TABLE) + 2
    assert lines[2].startswith("| `evse_status_events_total` | counter | `verdict`: applied, refreshed,")
