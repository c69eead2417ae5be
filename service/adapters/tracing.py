"""
The port `Tracing` on OpenTelemetry: a span for each batch, its steps as children, links to its producers.

The only module that knows OpenTelemetry, which is there with the extra `tracing` alone: imported where it is
on. Where spans go and how many of them is for the standard variables `OTEL_…` to say; the SDK reads them.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    INVALID_SPAN,
    Span,
    SpanContext,
    SpanKind,
    format_trace_id,
    get_current_span,
    set_span_in_context,
    use_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.processing.dead_letters import OffsetRange
from service.processing.instruments import Part, Step
from service.processing.ports import Clock, Unusable
from service.processing.values import Headers, Record

_log = structlog.get_logger()

_NAME = "evse-status"

_LAST_SPANS_S = 3.0
"""Seconds that the last spans get to be sent: a collector that does not answer must not hold up the end."""

_W3C = TraceContextTextMapPropagator()

_SAMPLED = frozenset(b"13579bdf")
"""The last digit of a `traceparent` whose span was kept; to any other there is nothing to link."""

_FLAGS_END = 55
"""So many bytes has a `traceparent` up to its flags; a later version may go on."""


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """What spans say of the worker; `instance_id` may be empty."""

    topics: Sequence[str]
    group_id: str
    instance_id: str = ""


class OpenTelemetryTracing:
    """Makes spans of what the loop tells; they are sent from a thread of their own."""

    def __init__(
        self, clock: Clock, settings: TracingSettings, processor: SpanProcessor | None = None
    ) -> None:
        """Raise `Unusable` for a wrong standard variable; `processor` takes the spans in place of OTLP."""
        self._clock = clock
        try:
            limits = SpanLimits()
            self._provider = TracerProvider(
                resource=_resource(settings), shutdown_on_exit=False, span_limits=limits
            )
            self._provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter()))
        except ValueError as error:
            raise Unusable(
                f"spans cannot be sent ({error}): correct the variable OTEL_… that says so"
            ) from error
        self._most_links = limits.max_links
        self._tracer = self._provider.get_tracer(_NAME, version(_NAME))
        self._name, self._attributes = _described(settings)
        self._zero_ns = 0
        self._lay_down()

    def _lay_down(self) -> None:
        self._span: Span = INVALID_SPAN
        self.trace_id: str | None = None
        self.headers: Headers = ()

    @contextlib.contextmanager
    def batch(self, records: Sequence[Record]) -> Iterator[None]:
        began = self._clock.monotonic()
        # Anchored once: a wall clock that is set meanwhile would let a step end before it began.
        self._zero_ns = self._clock.now() * 1_000 - _nanoseconds(began)
        self._span = span = self._tracer.start_span(
            self._name,
            Context(),
            SpanKind.CONSUMER,
            {**self._attributes, "messaging.batch.message_count": len(records)},
            start_time=self._at(began),
        )
        self.headers = _headers_of(span)
        told = {}
        if span.get_span_context().trace_flags.sampled:
            self.trace_id = format_trace_id(span.get_span_context().trace_id)
            told["trace_id"] = self.trace_id
        if span.is_recording():
            span.set_attribute("evse_status.records", _places(records))
            for context in _writers(records, self._most_links):
                span.add_link(context)
        try:
            with use_span(span), structlog.contextvars.bound_contextvars(**told):
                yield
        finally:
            self._lay_down()
            span.end(self._at(self._clock.monotonic()))

    def step_took(self, step: Step, began: float, ended: float) -> None:
        if self._span.is_recording():
            context = set_span_in_context(self._span, Context())
            child = self._tracer.start_span(step.value, context, start_time=self._at(began))
            child.end(self._at(ended))

    def retried(self, part: Part, error: str) -> None:
        if self._span.is_recording():
            told = {"evse_status.part": part.value, "error.message": error}
            self._span.add_event("retry", told, self._at(self._clock.monotonic()))

    def batch_done(self, evses: int, rejected: int) -> None:
        self._span.set_attributes({"evse_status.evses": evses, "evse_status.rejected": rejected})

    async def stop(self) -> None:
        loop, sent = asyncio.get_running_loop(), asyncio.Event()

        def send() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(sent.set)

        # No thread that the end of the process waits for.
        threading.Thread(target=send, name="last spans", daemon=True).start()
        try:
            async with asyncio.timeout(_LAST_SPANS_S):
                await sent.wait()
        except TimeoutError:
            _log.warning(
                f"The last spans could not be sent within {_LAST_SPANS_S:g} s and are lost.",
                action="spans_lost",
            )

    def _at(self, monotonic: float) -> int:
        """Give a moment as OpenTelemetry has it, in nanoseconds since 1970."""
        return self._zero_ns + _nanoseconds(monotonic)


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1_000_000_000)


def _resource(settings: TracingSettings) -> Resource:
    """Say who sends the spans; what the standard variables say goes first."""
    ours = {"service.name": _NAME, "service.version": version(_NAME)}
    if settings.instance_id:
        ours["service.instance.id"] = settings.instance_id
    return Resource.create({**ours, **OTELResourceDetector().detect().attributes})


def _described(settings: TracingSettings) -> tuple[str, Mapping[str, str]]:
    """Give the name of a batch's span and what is the same of all (semantic conventions of messaging)."""
    attributes = {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.consumer.group.name": settings.group_id,
    }
    if len(settings.topics) > 1:
        return "process", attributes
    (topic,) = settings.topics
    return f"process {topic}", {**attributes, "messaging.destination.name": topic}


def _headers_of(span: Span) -> Headers:
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, set_span_in_context(span, Context()))
    return tuple((name, value.encode()) for name, value in carrier.items())


def _places(records: Sequence[Record]) -> list[str]:
    """Name the records as `run --accept-rejections` takes them."""
    ends: dict[tuple[str, int], tuple[int, int]] = {}
    for record in records:
        place = (record.topic, record.partition)
        first, _ = ends.get(place, (record.offset, 0))
        ends[place] = (first, record.offset)
    return [str(OffsetRange(*place, *both)) for place, both in ends.items()]


def _writers(records: Sequence[Record], most: int | None) -> Iterator[SpanContext]:
    """
    Give the kept spans that wrote the records, each once, and the first ones if there are many; None: all.

    Named by the header `traceparent`, or else by the extension of CloudEvents.
    """
    seen: set[bytes] = set()
    for record in records:
        if most is not None and len(seen) >= most:
            return
        if not record.headers:
            continue
        headers = dict(record.headers)
        prefix = "" if "traceparent" in headers else "ce_"
        parent = headers.get(f"{prefix}traceparent", b"")
        if parent in seen or len(parent) < _FLAGS_END or parent[_FLAGS_END - 1] not in _SAMPLED:
            continue
        carrier = {
            "traceparent": parent.decode(errors="replace"),
            "tracestate": headers.get(f"{prefix}tracestate", b"").decode(errors="replace"),
        }
        context = get_current_span(_W3C.extract(carrier, Context())).get_span_context()
        if context.is_valid:
            seen.add(parent)
            yield context
