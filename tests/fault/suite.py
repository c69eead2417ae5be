"""A scenario from its seed to what it came to."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path

from tests.fault.cluster_view import three_servers
from tests.fault.injecting import inject, prepare
from tests.fault.run import Outcome, Run
from tests.fault.scenario import BROKER, Kind, scenario
from tests.fault.stage import Stage
from tests.fault.told import told
from tests.fault.view import one_server
from tests.local_redis import redis_binary, valkey_binary

_FIRST_SHARE = 0.1
"""Of the records, what is written before the first fault."""


class ServerMissing(Exception):
    """There is no Redis or no Valkey on this machine."""


async def play(seed: int, stage: Stage, kinds: Collection[Kind] = frozenset(Kind)) -> Outcome:
    """Play the scenario of a seed, with faults of these kinds only, and compare."""
    plan = scenario(seed, kinds)
    records = told(seed)
    first = int(len(records) * _FIRST_SHARE)
    rest = (len(records) - first) // (len(plan.faults) + 1) + 1
    portions = [records[begin : begin + rest] for begin in range(first, len(records), rest)]
    servers = three_servers if plan.cluster else one_server
    async with servers(_binary(plan.server)) as kept:
        run = Run(plan, stage, kept)
        try:
            await run.begin(records[:first])
            for step, fault in enumerate(plan.faults):
                for one in plan.faults:
                    if one.prepared == step:
                        await prepare(run, one)
                writing = asyncio.ensure_future(run.write(portions[step]))
                await asyncio.sleep(fault.after_s)
                if fault.kind in BROKER:
                    # The log is what it is; how a producer lives through this is not the matter here.
                    await writing
                await inject(run, fault)
                await writing
            for portion in portions[len(plan.faults) :]:
                await run.write(portion)
            await run.end()
            await run.compare(records)
        finally:
            await run.clear()
    return run.outcome


def _binary(server: str) -> Path:
    found = redis_binary() if server == "redis" else valkey_binary()
    if found is None:
        raise ServerMissing(f"no {server}-server is installed")
    return found
