"""The commands on a real Kafka and a real Redis, each in a process of its own, as their user runs them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import httpx
import orjson
import pytest
from aiokafka import AIOKafkaProducer

from tests.acceptance.processes import command, unshared, worker
from tests.builders import Json, heartbeat, online_reported, status_reported
from tests.processes import free_port
from tests.services import Kafka

EVENTS: tuple[Json, ...] = (
    online_reported(True, "00:00"),
    status_reported("AVAILABLE", "00:00"),
    status_reported("OUTOFORDER", "06:00", error_code="GroundFailure"),
    status_reported("AVAILABLE", "12:00"),
    status_reported("CHARGING", "18:00", uid="e2"),
    heartbeat("23:00", uid="e2"),
    heartbeat("23:30"),
)
GARBAGE: tuple[tuple[bytes | None, bytes | None], ...] = (
    (b"e1", b"{oops"),
    (b"e1", b'{"type": "connector.status"}'),
    (b"e9", orjson.dumps(heartbeat("12:00"))),
)


@pytest.fixture
def settings(kafka: Kafka, redis7_url: str) -> dict[str, str]:
    """Give settings that no other test shares."""
    return unshared(kafka, redis7_url)


async def write(kafka: Kafka, topic: str, records: Sequence[tuple[bytes | None, bytes | None]]) -> None:
    """Write records, in order."""
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
        for key, value in records:
            await producer.send_and_wait(topic, value, key=key, partition=0, headers=[("trace", b"17")])


def as_records(events: Sequence[Json]) -> list[tuple[bytes | None, bytes | None]]:
    """Give events as keys and values."""
    return [(str(event["evse_uid"]).encode(), orjson.dumps(event)) for event in events]


@pytest.mark.slow
async def test_a_stranger_runs_it_and_looks_at_what_it_made(
    kafka: Kafka, settings: dict[str, str], tmp_path: Path
) -> None:
    """Check, run, probe, stop, show, explain, list, look at dead letters and send one again."""
    topic = await kafka.create_topic(settings["TOPIC_PREFIX"] + "events")
    await write(kafka, topic, [*as_records(EVENTS), *GARBAGE])

    checked = await command("check", settings=settings)
    assert checked.code == 0
    assert f"{topic} with 1 partitions" in checked.out

    async with worker(settings=settings) as running:
        letters = await running.logs("dead_letters_written")
        assert letters["count"] == 3
        await running.logs("batch_processed")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings['HTTP_PORT']}") as probe:
            assert (await probe.get("/health/live")).json() == {"status": "ok", "reasons": []}
            assert (await probe.get("/health/ready")).json() == {"status": "ok", "reasons": []}
            metrics = (await probe.get("/metrics")).text
        assert 'evse_status_rejections_total{reason="not_json"} 1.0' in metrics
        assert await running.stop() == 0
    assert running.lines[-1]["action"] == "worker_stopped"

    log = tmp_path / "log.jsonl"
    log.write_bytes(b"\n".join(orjson.dumps(event) for event in EVENTS))
    # None of these changes anything.
    replayed, first, second, described, explained, listed, nobody = await asyncio.gather(
        command("replay", str(log), settings={"ALLOWED_LATENESS": "48h"}),
        command("show", "e1", "--json", settings=settings),
        command("show", "e2", "--json", settings=settings),
        command("show", "e1", settings=settings),
        command("explain", "e1", "--json", settings=settings | {"INPUT_TOPICS": topic}),
        command("list", "--status", "CHARGING", "--json", settings=settings),
        command("show", "nobody", settings=settings),
    )
    ours = [json.loads(line) for line in replayed.out.splitlines()]
    shown = [json.loads(done.out) for done in (first, second)]
    # In a file all EVSEs are shown as of one time, in the view each as of its own.
    assert shown[0] == ours[0]
    assert shown[1]["evse"]["connectors"][0]["status"] == ours[1]["evse"]["connectors"][0]["status"]

    assert "e1  AVAILABLE" in described.out
    found = json.loads(explained.out)
    assert (explained.code, found["agrees"]) == (0, True)
    began = {each["class"]: each["began_by"] for each in found["connectors"][0]["intervals"]}
    assert [began["down"][name] for name in ("topic", "partition", "offset")] == [topic, 0, 2]
    assert [json.loads(line)["uid"] for line in listed.out.splitlines()] == ["e2"]
    assert (nobody.code, len(nobody.err.splitlines())) == (1, 1)

    await _look_at_letters(topic, settings)


async def _look_at_letters(topic: str, settings: dict[str, str]) -> None:
    # None of these changes anything.
    listed, newest, tried, refused = await asyncio.gather(
        command("dead-letters", "list", "--json", settings=settings),
        command("dead-letters", "list", "-n", "1", settings=settings),
        command("dead-letters", "replay", "--all", "--dry-run", settings=settings),
        command("dead-letters", "replay", "--all", stdin=b"n\n", settings=settings),
    )
    found = [json.loads(line) for line in listed.out.splitlines()]
    assert [one["reason"] for one in found] == ["not_json", "missing_field", "key_mismatch"]
    assert [one["origin"] for one in found] == [f"{topic}:0:{offset}" for offset in (7, 8, 9)]
    assert "key_mismatch" in newest.out
    assert len(newest.out.splitlines()) == 1
    assert tried.out.count("would send: ") == 3
    assert refused.code == 1
    assert "nothing was sent" in refused.err

    sent = await command("dead-letters", "replay", "--offset", f"{topic}:0:7", "--yes", settings=settings)
    assert sent.out == f"sent 1 to {topic}, partition 0\n"

    async with worker(settings=settings) as running:
        again = await running.logs("dead_letters_written")
        assert (again["count"], again["offset"]) == (1, 10)
        assert await running.stop() == 0
    listed = await command("dead-letters", "list", "--reason", "not_json", "--json", settings=settings)
    first, second = (json.loads(line) for line in listed.out.splitlines())
    assert (first["value"], first["key"]) == (second["value"], second["key"])


@pytest.mark.slow
async def test_too_many_rejections_stop_the_worker_until_they_are_accepted(
    kafka: Kafka, settings: dict[str, str]
) -> None:
    """The last word names the place and the option; with it the worker goes on."""
    topic = await kafka.create_topic(settings["TOPIC_PREFIX"] + "events")
    await write(kafka, topic, [*GARBAGE, *as_records(EVENTS)])
    settings["MAX_REJECTIONS_IN_A_ROW"] = "3"

    async with worker(settings=settings) as running:
        assert await running.end() == 1
    assert running.lines[-1]["action"] == "worker_failed"
    assert f"--accept-rejections {topic}:0:2-2" in running.lines[-1]["message"]

    async with worker("--accept-rejections", f"{topic}:0:2-2", settings=settings) as running:
        await running.logs("batch_processed")
        assert await running.stop() == 0
    assert "e1  AVAILABLE" in (await command("show", "e1", settings=settings)).out


@pytest.mark.slow
async def test_a_missing_input_topic_is_the_users_to_create(settings: dict[str, str]) -> None:
    """The worker ends with one line, and `check` says the same."""
    async with worker(settings=settings) as running:
        assert await running.end() == 1
    assert "create it" in running.lines[-1]["message"]

    checked = await command("check", settings=settings)

    assert checked.code == 1
    assert "problem topics: there is no input topic" in checked.out


@pytest.mark.slow
async def test_a_broker_that_does_not_answer_is_waited_for() -> None:
    """The process is live, not ready, and stops when it is told to."""
    port = free_port()
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "HTTP_PORT": str(port),
        "HTTP_HOST": "127.0.0.1",
    }
    async with worker(settings=settings) as running:
        await running.logs("retry_scheduled")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as probe:
            assert (await probe.get("/health/live")).status_code == 200
            ready = await probe.get("/health/ready")
        assert await running.stop() == 0

    assert ready.status_code == 503
    assert "Kafka does not answer" in ready.json()["reasons"][0]


async def test_check_names_everything_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line for each part with what to look at, and no password."""
    url = f"redis://:geheim@127.0.0.1:{free_port()}/0"

    monkeypatch.setenv("OTEL_SPAN_LINK_COUNT_LIMIT", "many")

    settings = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}", "REDIS_URL": url, "TRACING": "true"}
    checked = await command("check", settings=settings)

    assert checked.code == 1
    problems = [line for line in checked.out.splitlines() if line.startswith("problem ")]
    assert [line.split(":")[0] for line in problems] == ["problem Kafka", "problem Redis", "problem tracing"]
    assert "geheim" not in checked.out + checked.err
    assert checked.err == ""


async def test_an_unknown_view_is_one_line() -> None:
    """`show` and `list` say what does not answer."""
    settings = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    for done in await asyncio.gather(
        *(command(*words, settings=settings) for words in (["show", "e1"], ["list"]))
    ):
        assert done.code == 1
        assert len(done.err.splitlines()) == 1
        assert "Redis does not answer" in done.err
