"""What the commands say of servers that refuse or never answer: one line, and soon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.acceptance.processes import command
from tests.proxy import Proxy, listening

SOON = 20.0
"""Seconds: what is waited for, about five, and the start of the interpreter on a busy machine."""


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """Give the address of a server that takes connections and never answers."""
    proxy = Proxy("127.0.0.1", 1)
    proxy.freeze()
    async with listening(proxy) as port:
        yield f"127.0.0.1:{port}"


async def test_a_database_that_is_not_there_is_one_line(redis_url: str) -> None:
    """Redis has 16, and says so only at the first call."""
    done = await command("list", settings={"REDIS_URL": redis_url.removesuffix("/0") + "/99"})

    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "evse-status: Redis has no database of the number in the URL (DB index is out of range): "
        "name one that it has, or 0\n"
    )


async def test_list_soon_says_that_redis_does_not_answer(silent: str) -> None:
    """One line, and no repetition within repetitions."""
    async with asyncio.timeout(SOON):
        done = await command("list", settings={"REDIS_URL": f"redis://{silent}/0"})

    assert done.code == 1
    assert done.err.startswith("evse-status: Redis does not answer: Timeout")
    assert done.err.count("\n") == 1


async def test_check_soon_says_that_neither_answers(silent: str) -> None:
    """Both are asked side by side, and a line names each."""
    settings = {"REDIS_URL": f"redis://{silent}/0", "KAFKA_BOOTSTRAP_SERVERS": silent}
    async with asyncio.timeout(SOON):
        done = await command("check", settings=settings)

    words = [line.split(":")[0] for line in done.out.splitlines() if line.startswith("problem")]
    assert (done.code, done.err, words) == (1, "", ["problem Kafka", "problem Redis"])
