"""`run` with tracing: a real Kafka and Redis, and somebody who takes the spans over HTTP."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.acceptance.collector import collector
from tests.acceptance.processes import unshared, worker
from tests.builders import status_reported
from tests.processes import free_port
from tests.services import Kafka
from tests.topics import of_event, read, write

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def settings(kafka: Kafka, redis7_url: str) -> dict[str, str]:
    """Give settings that no other test shares."""
    return unshared(kafka, redis7_url, TRACING="true")


@pytest.mark.slow
async def test_an_event_is_followed_from_its_producer_to_its_snapshot(
    kafka: Kafka, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link leads from the batch to the producer; log, metrics and snapshot lead to the batch."""
    topic = await kafka.create_topic(settings["TOPIC_PREFIX"] + "events")
    event = status_reported("CHARGING", "12:00")
    headers = (("traceparent", f"00-{TRACE}-{SPAN}-01".encode()),)
    await write(kafka, topic, [replace(of_event(event), headers=headers)])

    async with collector() as taking:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", taking.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        async with worker(settings=settings) as running:
            line = await running.logs("batch_processed")
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings['HTTP_PORT']}") as probe:
                page = await probe.get("/metrics", headers={"accept": "application/openmetrics-text"})
            assert await running.stop() == 0

    # What was not sent yet is sent at the end.
    (batch,) = (span for span in taking.spans if span.name == f"process {topic}")
    assert taking.senders == {"evse-status"}
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in batch.links] == [(TRACE, SPAN)]
    steps = {span.name for span in taking.spans if span.parent_span_id == batch.span_id}
    assert steps == {"decode", "load", "fold", "save", "publish", "commit"}
    for span in taking.spans:
        assert batch.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= batch.end_time_unix_nano
    trace_id = batch.trace_id.hex()
    assert line["trace_id"] == trace_id
    (snapshot,) = await read(kafka, settings["TOPIC_PREFIX"] + "snapshots")
    assert dict(snapshot.headers)["traceparent"].decode().split("-")[1:3] == [trace_id, batch.span_id.hex()]
    families = {family.name: family for family in text_string_to_metric_families(page.text)}
    for name in ("evse_status_event_delay_seconds", "evse_status_receipt_delay_seconds"):
        (example,) = (each.exemplar for each in families[name].samples if each.exemplar is not None)
        assert example.labels["trace_id"] == trace_id
        assert example.labels["evse_uid"] == "e1"


@pytest.mark.slow
@pytest.mark.allow_error_logs
async def test_a_collector_that_is_not_there_costs_spans_and_nothing_else(
    kafka: Kafka, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records are processed; the log says that spans are lost, and the end does not wait for them."""
    topic = await kafka.create_topic(settings["TOPIC_PREFIX"] + "events")
    await write(kafka, topic, [of_event(status_reported("CHARGING", "12:00"))])
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")

    async with worker(settings=settings) as running:
        await running.logs("batch_processed")
        assert await running.stop() == 0

    assert len(await read(kafka, settings["TOPIC_PREFIX"] + "snapshots")) == 1
    assert [line for line in running.lines if line.get("action") == "spans_lost"]
    assert [line for line in running.lines if line["logger"].startswith("opentelemetry.")]
