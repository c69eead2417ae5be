"""The health and metrics of a worker in another process, as an orchestrator and a scraper see them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx

POLL_S = 0.05
"""Seconds between two looks: another process tells nobody when it changes."""


class Pages:
    """The pages of one worker; before it listens nothing is ready and nothing live."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def ready(self) -> tuple[str, ...]:
        """Give what keeps the worker from being ready; nothing when it is."""
        return await self._reasons("/health/ready")

    async def live(self) -> tuple[str, ...]:
        """Give what is wrong with the process; nothing when it is live."""
        return await self._reasons("/health/live")

    async def metric(self, series: str) -> float:
        """Give the value of one series, named with its labels as in the exposition."""
        text = (await self._client.get("/metrics")).text
        found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    async def until_ready(self, within_s: float = 30.0) -> None:
        """Wait until the worker is ready."""
        await self._until(lambda reasons: not reasons, within_s)

    async def until_unready(self, words: str, within_s: float) -> None:
        """Wait until a reason holds these words."""
        await self._until(lambda reasons: any(words in reason for reason in reasons), within_s)

    async def until_more(self, series: str, than: float, within_s: float = 30.0) -> None:
        """Wait until a counter has gone beyond a value."""
        async with asyncio.timeout(within_s):
            while await self.metric(series) <= than:  # noqa: ASYNC110 - see POLL_S
                await asyncio.sleep(POLL_S)

    async def _until(self, holds: Callable[[tuple[str, ...]], bool], within_s: float) -> None:
        reasons: tuple[str, ...] = ()
        try:
            async with asyncio.timeout(within_s):
                while not holds(reasons := await self.ready()):  # noqa: ASYNC110 - see POLL_S
                    await asyncio.sleep(POLL_S)
        except TimeoutError as error:
            raise AssertionError(f"after {within_s} s readiness says: {reasons}") from error

    async def _reasons(self, page: str) -> tuple[str, ...]:
        try:
            answer = await self._client.get(page)
        except httpx.TransportError as error:
            return (f"nobody answers: {error!r}",)
        return tuple(answer.json()["reasons"])


@asynccontextmanager
async def pages_of(port: int) -> AsyncIterator[Pages]:
    """Look at the pages on a port of this machine."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        yield Pages(client)
