"""Leaving a client whose broker is gone."""

from __future__ import annotations

import asyncio

from service.adapters.kafka_errors import Patience


async def test_a_client_that_cancels_itself_while_closing_ends_nobody_else() -> None:
    """With the broker gone a client's own wait is cancelled; a worker that stops must still end in order."""

    async def closing() -> None:
        raise asyncio.CancelledError

    await Patience("Kafka", 1.0).farewell(closing())

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
