"""A few scenarios of faults on real processes, always the same ones; `make test-faults` plays many more."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack

import pytest

from tests.fault.stage import stage
from tests.fault.suite import ServerMissing, play
from tests.local_kafka import JarsMissing

# Quick ones, which together know most kinds of faults.
SEEDS = (86, 87, 27_337)


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.allow_error_logs
@pytest.mark.timeout(300)
async def test_faults_leave_no_trace() -> None:
    """Workers, connections, Redis and the broker fail by turns; afterwards all is as if nothing had been."""
    try:
        async with AsyncExitStack() as stack:
            # At once, each with a broker of its own: most of the time they wait.
            stages = [await stack.enter_async_context(stage()) for _ in SEEDS]
            outcomes = await asyncio.gather(*map(play, SEEDS, stages))
    except (JarsMissing, ServerMissing) as missing:
        if os.environ.get("CI"):
            pytest.fail(f"CI is set and a service is missing: {missing}", pytrace=False)
        pytest.skip(str(missing))
    for outcome in outcomes:
        assert outcome.faults
        if outcome.differences:
            told = [f"seed {outcome.seed}", *outcome.history, *outcome.differences]
            pytest.fail("\n".join(told), pytrace=False)
