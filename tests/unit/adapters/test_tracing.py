"""Spans of a worker on memory: what a batch is linked to, what it took, and what its messages carry."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id

from service.adapters.tracing import OpenTelemetryTracing, TracingSettings
from service.domain.time import SECOND
from service.processing.instruments import Step
from service.processing.planning import Defect
from service.processing.ports import Unavailable, Unusable
from service.processing.values import Headers
from tests.builders import removed, status_reported
from tests.driver import NIGHT_AFTER, Driver
from tests.faults import When

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def traceparent(span: int, *, flags: str = "01") -> str:
    """Write the header of a producer's span."""
    return f"00-{TRACE}-{span:016x}-{flags}"


def written_by(value: str, name: str = "traceparent") -> Headers:
    """Give the headers of a record that a span wrote."""
    return ((name, value.encode()),)


class Traced:
    """A worker whose spans are kept."""

    def __init__(self, *, topics: Sequence[str] = ("evse.events",), instance_id: str = "") -> None:
        self._exporter = InMemorySpanExporter()
        settings = TracingSettings(topics, "evse-status", instance_id)
        processor = SimpleSpanProcessor(self._exporter)
        self.driver = Driver(tracing=lambda clock: OpenTelemetryTracing(clock, settings, processor))

    @property
    def batches(self) -> list[ReadableSpan]:
        """The spans of batches that ended."""
        return [span for span in self._exporter.get_finished_spans() if span.parent is None]

    def steps(self, batch: ReadableSpan) -> list[ReadableSpan]:
        """Give the spans of a batch's steps, in order."""
        return [
            span
            for span in self._exporter.get_finished_spans()
            if span.parent is not None and span.parent.span_id == batch.context.span_id
        ]

    def write(self, *headers: Headers) -> None:
        """Write a record with each of these headers, and process them as one batch."""
        for minute, each in enumerate(headers):
            self.driver.write(status_reported("AVAILABLE", f"12:{minute:02}"), headers=each)
        self.driver.settle()


def linked(batch: ReadableSpan) -> list[int]:
    """Give the spans that a batch is linked to, by their numbers."""
    assert {link.context.trace_id for link in batch.links} <= {int(TRACE, 16)}
    return [link.context.span_id for link in batch.links]


def test_a_batch_is_a_span_with_its_steps_as_children() -> None:
    """Named and described as the conventions of messaging have it, with the offsets as `run` takes them."""
    traced = Traced()
    traced.driver.write(b"garbage", key=b"e1")
    traced.write((), ())

    (batch,) = traced.batches
    assert (batch.name, batch.kind) == ("process evse.events", SpanKind.CONSUMER)
    assert batch.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.consumer.group.name": "evse-status",
        "messaging.destination.name": "evse.events",
        "messaging.batch.message_count": 3,
        "evse_status.records": ("evse.events:0:0-2",),
        "evse_status.evses": 1,
        "evse_status.rejected": 1,
    }
    assert [span.name for span in traced.steps(batch)] == [
        Step.DECODE,
        Step.LOAD,
        Step.FOLD,
        Step.SAVE,
        Step.PUBLISH,
        Step.PUBLISH,  # of the dead letter
        Step.COMMIT,
    ]
    assert batch.status.status_code is StatusCode.UNSET


def test_a_batch_is_linked_to_the_spans_that_wrote_its_records() -> None:
    """Each once; the extension of CloudEvents counts where the transport says nothing."""
    traced = Traced()

    traced.write(
        written_by(traceparent(1)),
        written_by(traceparent(1)),
        (),
        written_by(traceparent(2), "ce_traceparent"),
        written_by(traceparent(3)) + written_by(traceparent(4), "ce_traceparent"),
        (*written_by(traceparent(5)), ("tracestate", b"vendor=1")),
    )

    (batch,) = traced.batches
    assert linked(batch) == [1, 2, 3, 5]
    assert batch.links[-1].context.trace_state == {"vendor": "1"}
    assert all(link.context.is_remote for link in batch.links)


@pytest.mark.parametrize(
    "value",
    [
        traceparent(1, flags="00"),
        traceparent(0),
        f"00-{'0' * 32}-{1:016x}-01",
        f"ff-{TRACE}-{1:016x}-01",
        f"00-{TRACE.upper()}-{1:016x}-01",
        f"00-{TRACE}-{1:016x}-0",
        "",
        "é" * 60,
    ],
)
def test_what_names_no_kept_span_is_no_link(value: str) -> None:
    """Not sampled, not valid, or not there: W3C Trace Context wants it ignored, and the record counts."""
    traced = Traced()

    traced.write(written_by(value))

    assert linked(traced.batches[0]) == []
    assert traced.driver.view()["status"] == "AVAILABLE"


def test_links_are_as_many_as_the_standard_variable_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first ones; those that are not linked are not read, and so cost nothing."""
    monkeypatch.setenv("OTEL_SPAN_LINK_COUNT_LIMIT", "2")
    traced = Traced()

    traced.write(*(written_by(traceparent(number)) for number in (1, 1, 2, 3, 4)))

    (batch,) = traced.batches
    assert linked(batch) == [1, 2]
    assert batch.dropped_links == 0


def test_what_comes_of_a_batch_carries_its_trace() -> None:
    """Snapshots and transitions; a dead letter keeps the trace of its own record, and the ledger has none."""
    traced = Traced()
    traced.driver.write(b"garbage", key=b"e1", headers=written_by(traceparent(9)))
    traced.write((), ())
    traced.driver.pipe(status_reported("CHARGING", "12:30"))
    traced.driver.pipe(removed("13:00"))

    ids = [
        f"{format_trace_id(span.context.trace_id)}-{format_span_id(span.context.span_id)}"
        for span in traced.batches
    ]
    for topic in ("evse.snapshots", "evse.transitions"):
        carried = [dict(record.headers)["traceparent"].decode() for record in traced.driver.written(topic)]
        # The removal has a last snapshot and then a tombstone.
        assert list(dict.fromkeys(each.split("-", 1)[1].rsplit("-", 1)[0] for each in carried)) == ids
        assert {int(each[-2:], 16) & 1 for each in carried} == {1}
    (letter,) = traced.driver.dead_letters()
    assert dict(letter.headers)["traceparent"] == traceparent(9).encode()
    ledger = traced.driver.written("evse.ledger")
    assert ledger
    assert not [record for record in ledger if record.headers]


def test_the_slow_tick_belongs_to_no_batch() -> None:
    """What it publishes carries no trace."""
    traced = Traced()
    traced.write(())
    before = len(traced.driver.written("evse.snapshots"))

    traced.driver.clock.advance(4_000)
    traced.driver.settle()

    (ticked,) = traced.driver.written("evse.snapshots")[before:]
    assert "traceparent" not in dict(ticked.headers)
    assert len(traced.batches) == 1


def test_a_part_that_does_not_answer_is_an_event_of_the_batch() -> None:
    """So that a long step says why it was long."""
    traced = Traced()
    traced.driver.faults.arm_next("store.save", When.BEFORE, Unavailable("Redis refuses connections"))

    traced.write(())

    (batch,) = traced.batches
    (event,) = batch.events
    assert (event.name, dict(event.attributes or {})) == (
        "retry",
        {"evse_status.part": "store", "error.message": "Redis refuses connections"},
    )
    (save,) = (span for span in traced.steps(batch) if span.name == Step.SAVE)
    began, asked_again = (span.start_time or 0 for span in (batch, save))
    assert began == NIGHT_AFTER * 1_000
    assert asked_again == event.timestamp
    assert (save.end_time or 0) - asked_again >= 0.05 * SECOND * 1_000
    assert save.end_time == batch.end_time


def test_a_batch_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its span ends as an error, with the exception; the next batch is no part of it."""
    traced = Traced()

    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr("service.processing.planning.fold", fail)
        with pytest.raises(Defect):
            traced.write(())

    (batch,) = traced.batches
    assert batch.status.status_code is StatusCode.ERROR
    assert [event.name for event in batch.events] == ["exception"]
    tracing = traced.driver.tracing
    assert (tracing.trace_id, tracing.headers) == (None, ())


def test_the_trace_stands_in_log_lines_and_beside_the_delays() -> None:
    """From either of them there is a way to the spans."""
    traced = Traced()
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        traced.driver.write(b"garbage", key=b"e1")
        traced.write(())

    (batch,) = traced.batches
    trace_id = format_trace_id(batch.context.trace_id)
    (said,) = (line for line in lines if line["action"] == "dead_letters_written")
    assert said["trace_id"] == trace_id
    assert traced.driver.instruments.traces == [trace_id]
    assert not [line for line in lines if line["action"] == "partitions_assigned" and "trace_id" in line]


def test_a_batch_that_is_not_sampled_is_neither_described_nor_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its messages say so to those who read them; nothing else is done for it."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    traced = Traced()

    traced.write(written_by(traceparent(1)))

    assert traced.batches == []
    assert traced.driver.instruments.traces == [None]
    (snapshot,) = traced.driver.written("evse.snapshots")
    assert int(dict(snapshot.headers)["traceparent"][-2:], 16) & 1 == 0


def test_the_standard_switch_turns_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """`OTEL_SDK_DISABLED`: no spans and no headers."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    traced = Traced()

    traced.write(written_by(traceparent(1)))

    assert traced.batches == []
    assert "traceparent" not in dict(traced.driver.written("evse.snapshots")[0].headers)


def test_spans_say_who_sent_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker by its name as a static member; what the standard variables say goes first."""
    traced = Traced(instance_id="depot-1")
    traced.write(())
    monkeypatch.setenv("OTEL_SERVICE_NAME", "depot")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    renamed = Traced()
    renamed.write(())

    (batch,), (other,) = traced.batches, renamed.batches
    assert batch.resource.attributes["service.name"] == "evse-status"
    assert batch.resource.attributes["service.instance.id"] == "depot-1"
    assert other.resource.attributes["service.name"] == "depot"
    assert other.resource.attributes["deployment.environment.name"] == "test"
    assert other.resource.attributes["service.instance.id"] != "depot-1"


def test_with_several_topics_a_span_names_none() -> None:
    """A batch may hold records of all of them; the offsets say which."""
    tracing = OpenTelemetryTracing(
        Driver().clock,
        TracingSettings(("a", "b"), "group"),
        SimpleSpanProcessor(exporter := InMemorySpanExporter()),
    )
    with tracing.batch(()):
        pass

    (batch,) = exporter.get_finished_spans()
    assert batch.name == "process"
    assert "messaging.destination.name" not in (batch.attributes or {})


def test_a_wrong_standard_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, before anything starts."""
    monkeypatch.setenv("OTEL_SPAN_LINK_COUNT_LIMIT", "many")

    with pytest.raises(Unusable, match="OTEL_SPAN_LINK_COUNT_LIMIT must be a non-negative integer"):
        Traced()


def test_without_tracing_nothing_is_added() -> None:
    """Off is how it is unless somebody asks: the messages are what they were."""
    driver = Driver()
    driver.write(status_reported("AVAILABLE", "12:00"), headers=written_by(traceparent(1)))
    driver.settle()

    assert driver.instruments.traces == [None]
    assert [name for name, _ in driver.written("evse.snapshots")[0].headers if "trace" in name] == []
