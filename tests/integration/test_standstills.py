"""A worker in a process of its own that can go on no more: it ends by itself, with one clear last word."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.acceptance.processes import Running, environment, until_committed
from tests.builders import status_reported
from tests.integration.broken_worker import BREAKS
from tests.processes import free_port
from tests.services import Kafka
from tests.topics import of_event, write

pytestmark = [pytest.mark.slow, pytest.mark.allow_error_logs]

ROOT = Path(__file__).parents[2]

LAST_WORDS = {
    "fetching": ("worker_failed", "its task for fetching ended (RuntimeError('a bug of the client'))"),
    "position": ("worker_stuck", "stands at offset 1 for"),
    "turn": ("worker_stuck", "the loop has not turned for"),
    "loop": ("worker_stuck", "The event loop stands still for"),
    "pages": ("worker_stuck", "the task http ended, which the worker cannot do without"),
}


@pytest.mark.parametrize("what", BREAKS)
async def test_what_can_go_on_no_more_ends_with_a_word(kafka: Kafka, redis7_url: str, what: str) -> None:
    """One critical line says what stood still, the exit code is 1, and nothing is committed meanwhile."""
    group, prefix = kafka.unique("group"), kafka.unique("evse") + "."
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "REDIS_URL": redis7_url,
        "TOPIC_PREFIX": prefix,
        "GROUP_ID": group,
        "HTTP_PORT": str(free_port()),
    }
    topic = await kafka.create_topic(prefix + "events")
    await write(kafka, topic, [of_event(status_reported("AVAILABLE", "12:00"))])
    running = Running(
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.integration.broken_worker",
            what,
            "run",
            cwd=ROOT,
            env=environment({"LOG_LEVEL": "debug", **settings}),
            stderr=asyncio.subprocess.PIPE,
        )
    )
    try:
        await until_committed(running, kafka, group, {0: 1})
        await write(kafka, topic, [of_event(status_reported("CHARGING", "12:30"))])
        async with asyncio.timeout(60):
            code = await running.end()
    finally:
        await running.kill()

    action, words = LAST_WORDS[what]
    (last,) = (line for line in running.lines if line["level"] == "critical")
    assert (code, last["action"]) == (1, action)
    assert words in last["message"]
    assert ("broken_worker.py" in last.get("stack", "")) == (what == "loop")
