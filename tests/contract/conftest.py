"""The broker of the contract tests, once in memory and once a real Kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.brokers import InKafka, InMemory, World


@pytest.fixture(
    params=[
        "memory",
        # The client logs at ERROR what belongs to a rebalance: a coordinator that moved, a generation's end.
        pytest.param("kafka", marks=(pytest.mark.services, pytest.mark.allow_error_logs)),
    ]
)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Give a broker of each kind, and stop what was started on it."""
    world = World(InMemory() if request.param == "memory" else InKafka(request.getfixturevalue("kafka")))
    yield world
    await world.close()
