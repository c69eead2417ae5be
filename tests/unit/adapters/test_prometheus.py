"""Metrics: the table, the series, and what each instrument moves."""

from __future__ import annotations

import inspect

import pytest
from prometheus_client.parser import text_string_to_metric_families

from schemas.vocabulary import RejectionReason, Status, TimeClass, Verdict
from service.adapters.prometheus import TABLE, Kind, PrometheusInstruments, markdown_table
from service.processing.instruments import Instruments, Online, OutputKind, Part, Step, UptimeBand
from service.processing.ports import TopicPartition


@pytest.fixture
def instruments() -> PrometheusInstruments:
    """Fresh series, shared with no other test."""
    return PrometheusInstruments()


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
    instruments.judged(Verdict.APPLIED, clock_corrected=True)
    instruments.judged(Verdict.APPLIED, clock_corrected=False)

    series = read(instruments)
    assert series["evse_status_events_total", (("verdict", "applied"),)] == 2
    assert series["evse_status_clocks_corrected_total", ()] == 1


def test_a_rejection_counts_as_verdict_and_by_reason(instruments: PrometheusInstruments) -> None:
    """The loop tells both of a rejected record; neither counts it for the other."""
    instruments.judged(Verdict.REJECTED, clock_corrected=False)
    instruments.rejected(RejectionReason.NOT_JSON)

    series = read(instruments)
    assert series["evse_status_events_total", (("verdict", "rejected"),)] == 1
    assert series["evse_status_rejections_total", (("reason", "not_json"),)] == 1


def test_batches_are_measured(instruments: PrometheusInstruments) -> None:
    """Size, time and the time of each step."""
    instruments.batch_done(records=300, evses=20, seconds=0.2)
    instruments.step_took(Step.SAVE, 0.1)
    instruments.delayed(since_event=2.0, since_receipt=1.0)
    instruments.published(OutputKind.SNAPSHOT, 20)
    instruments.repeated()
    instruments.stale_writes(2)
    instruments.abandoned()
    instruments.ticked(7)

    series = read(instruments)
    assert series["evse_status_batch_records_sum", ()] == 300
    assert series["evse_status_batch_evses_sum", ()] == 20
    assert series["evse_status_batch_seconds_sum", ()] == pytest.approx(0.2)
    assert series["evse_status_step_seconds_sum", (("step", "save"),)] == pytest.approx(0.1)
    assert series["evse_status_event_delay_seconds_sum", ()] == 2.0
    assert series["evse_status_receipt_delay_seconds_sum", ()] == 1.0
    assert series["evse_status_published_total", (("kind", "snapshot"),)] == 20
    assert series["evse_status_records_repeated_total", ()] == 1
    assert series["evse_status_stale_writes_total", ()] == 2
    assert series["evse_status_batches_abandoned_total", ()] == 1
    assert series["evse_status_ticked_evses_total", ()] == 7


def test_a_part_that_does_not_answer_is_seen(instruments: PrometheusInstruments) -> None:
    """Retries are counted; the gauge is 1 while the loop waits."""
    instruments.retried(Part.STORE)
    instruments.blocked(Part.STORE, waiting=True)
    assert read(instruments)["evse_status_blocked", (("part", "store"),)] == 1

    instruments.blocked(Part.STORE, waiting=False)

    series = read(instruments)
    assert series["evse_status_blocked", (("part", "store"),)] == 0
    assert series["evse_status_retries_total", (("part", "store"),)] == 1


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
    lines = markdown_table().splitlines()

    assert len(lines) == len(TABLE) + 2
    assert lines[2].startswith("| `evse_status_events_total` | counter | `verdict`: applied, refreshed,")
