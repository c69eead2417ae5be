"""Health and metrics over HTTP."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import httpx
import pytest

from service.adapters.clock import ManualClock
from service.adapters.http import HttpServer, build_pages
from service.adapters.prometheus import PrometheusInstruments
from service.adapters.prometheus_formats import Form
from service.processing.health import Health, HealthLimits
from service.processing.instruments import Part
from service.processing.ports import PortError
from service.processing.values import TopicPartition

PARTITION = TopicPartition("evse.events", 0)


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands."""
    return ManualClock()


@pytest.fixture
def health(clock: ManualClock) -> Health:
    """A worker that owns one restored partition."""
    health = Health(HealthLimits(), clock.monotonic())
    health.assigned([PARTITION], clock.monotonic())
    health.restored(PARTITION)
    return health


@pytest.fixture
async def client(health: Health, clock: ManualClock) -> AsyncIterator[httpx.AsyncClient]:
    """Ask the pages without a socket between."""
    pages = build_pages(health, clock, PrometheusInstruments().exposition)
    transport = httpx.ASGITransport(app=pages)
    async with httpx.AsyncClient(transport=transport, base_url="http://worker") as client:
        yield client


async def test_a_worker_that_moves_is_live_and_ready(client: httpx.AsyncClient) -> None:
    """Both probes answer 200 with no reason."""
    live, ready = await client.get("/health/live"), await client.get("/health/ready")

    assert (live.status_code, ready.status_code) == (200, 200)
    assert live.json() == {"status": "ok", "reasons": []}


async def test_a_loop_that_stands_still_is_not_live(client: httpx.AsyncClient, clock: ManualClock) -> None:
    """The reason says for how long."""
    clock.advance(61)

    answer = await client.get("/health/live")

    assert answer.status_code == 503
    assert answer.json() == {"status": "failing", "reasons": ["the loop has not turned for 61 s"]}


async def test_a_part_that_does_not_answer_leaves_the_worker_live(
    client: httpx.AsyncClient, health: Health
) -> None:
    """Waiting for Redis shows in readiness and restarts nothing."""
    health.blocked(Part.STORE, "Redis refuses connections")

    live, ready = await client.get("/health/live"), await client.get("/health/ready")

    assert live.status_code == 200
    assert ready.status_code == 503
    assert "Redis refuses connections" in ready.json()["reasons"][0]


async def test_metrics_are_in_the_text_format(client: httpx.AsyncClient) -> None:
    """What Prometheus scrapes, with its content type."""
    answer = await client.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "evse_status_events_total" in answer.text


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        # What Prometheus 3 says, and what it says where it is told to take the text format.
        ("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=1.0.0;q=0.4", Form.OPENMETRICS),
        ("text/plain;version=0.0.4;q=0.3,*/*;q=0.2", Form.TEXT),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Form.TEXT),
        ("", Form.TEXT),
    ],
)
async def test_openmetrics_is_for_those_who_accept_it(
    client: httpx.AsyncClient, accept: str, form: Form
) -> None:
    """Everybody else gets the text format, as before."""
    answer = await client.get("/metrics", headers={"accept": accept})

    assert answer.headers["content-type"] == form.content_type
    assert answer.text.endswith("# EOF\n") is (form is Form.OPENMETRICS)


async def test_the_server_listens_until_it_is_stopped(health: Health, clock: ManualClock) -> None:
    """A real socket: after `start` it answers, after `stop` nobody does."""
    server = HttpServer(build_pages(health, clock, PrometheusInstruments().exposition), "127.0.0.1", 0)
    await server.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
        answer = await client.get("/health/live")
        assert answer.status_code == 200

    await server.stop()

    with pytest.raises(httpx.ConnectError):
        await httpx.AsyncClient().get(f"http://127.0.0.1:{server.port}/health/live")


async def test_a_port_that_is_taken_is_named_with_the_remedy(health: Health, clock: ManualClock) -> None:
    """The process does not end by itself, and the message says what to set."""
    pages = build_pages(health, clock, PrometheusInstruments().exposition)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = HttpServer(pages, "127.0.0.1", taken.getsockname()[1])

        with pytest.raises(PortError, match="choose another HTTP_PORT") as told:
            await server.start()
    assert "HTTP_HOST" not in str(told.value)


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("nobody.invalid", id="a name that is not known"),
        pytest.param("192.0.2.1", id="an address of another machine"),
        pytest.param("fe80::1", id="an address without its interface"),
        pytest.param("x" * 80, id="no name at all"),
    ],
)
async def test_a_host_that_is_not_of_this_machine_is_named_with_the_remedy(
    health: Health, clock: ManualClock, host: str
) -> None:
    """No port helps there."""
    pages = build_pages(health, clock, PrometheusInstruments().exposition)

    with pytest.raises(PortError, match="set HTTP_HOST to an address of this machine") as told:
        await HttpServer(pages, host, 0).start()

    assert f"cannot serve health and metrics on {host} port 0: " in str(told.value)
    assert "HTTP_PORT" not in str(told.value)
