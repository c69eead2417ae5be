"""
Waiting for parts outside that do not answer: the same call again, with backoff and jitter.

This module knows no part by name; what has to go on meanwhile is handed in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import TypeVar

import structlog

from service.processing.health import Health, Witness
from service.processing.instruments import Instruments, Part
from service.processing.ports import Clock, Unavailable, Unusable
from service.processing.tracing import Tracing

_log = structlog.get_logger()


class Stopping(Exception):
    """The worker was told to stop while it waited; what is in hand stays uncommitted and is read again."""


class Abandoned(Exception):
    """The batch in hand cannot be finished by this worker; whoever owns its records reads them again."""


Result = TypeVar("Result")

SLICE_S = 1.0
"""Seconds of one slice of waiting; between slices the group membership is kept and a stop is noticed."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before the next attempt: doubling to `most_s`, less up to half at random."""

    first_s: float = 0.1
    most_s: float = 10.0

    def wait_s(self, attempt: int, random: Random) -> float:
        """Give the seconds to wait after `attempt` (0, 1, …); jitter keeps workers from returning in step."""
        longest = min(self.most_s, self.first_s * 2.0 ** min(attempt, 30))
        return longest * random.uniform(0.5, 1.0)


class Outages:
    """Shows in health, metrics and the log which part outside does not answer, as one witness sees it."""

    def __init__(
        self, clock: Clock, health: Health, instruments: Instruments, witness: Witness = Witness.LOOP
    ) -> None:
        self._clock = clock
        self._health = health
        self._instruments = instruments
        self._witness = witness

    def unanswered(self, part: Part, error: Unavailable) -> None:
        """Show that a part did not answer and is asked again."""
        self._health.blocked(part, str(error), self._witness)
        self._instruments.blocked(part, waiting=True)
        self._instruments.retried(part)
        self._instruments.failed(part, error.kind)

    def answered(self, part: Part) -> None:
        """Show that a part answers (again)."""
        if self._health.recovered(part, self._clock.monotonic(), self._witness):
            self._instruments.blocked(part, waiting=False)
            _log.info(f"The {part} answers again.", action="recovered", part=part.value)

    def given_up(self, part: Part) -> None:
        """Show that nobody waits for a part any more: whether it answers is for the next call to tell."""
        if self._health.recovered(part, self._clock.monotonic(), self._witness):
            self._instruments.blocked(part, waiting=False)


class Retrying:
    """
    Makes calls to parts outside, and makes them again while a part is unavailable.

    `hold` is awaited between slices of waiting: it keeps the consumer in its group, and raises what ends the
    waiting (a stop, a revocation).
    """

    def __init__(
        self,
        clock: Clock,
        health: Health,
        instruments: Instruments,
        backoff: Backoff,
        hold: Callable[[], Awaitable[None]],
        tracing: Tracing,
    ) -> None:
        self._clock = clock
        self._health = health
        self._instruments = instruments
        self._outages = Outages(clock, health, instruments)
        self._backoff = backoff
        self._hold = hold
        self._tracing = tracing
        self._random = Random()  # noqa: S311 - jitter, no secret
        self._failed = False

    async def __call__(self, part: Part, call: Callable[[], Awaitable[Result]]) -> Result:
        """Give what `call` gives, as soon as the part answers."""
        attempt = 0
        while True:
            try:
                result = await call()
            except Unavailable as error:
                self._note(part, error, attempt)
                try:
                    await self._wait(self._backoff.wait_s(attempt, self._random))
                except BaseException:
                    self._outages.given_up(part)
                    raise
                attempt += 1
            except Unusable as error:
                self._instruments.failed(part, error.kind)
                raise
            else:
                self.answered(part)
                return result

    def has_failed(self) -> bool:
        """Tell whether a part did not answer since this was asked last."""
        failed, self._failed = self._failed, False
        return failed

    def unanswered(self, part: Part, error: Unavailable) -> None:
        """Show that a part did not answer a question that is asked again later."""
        self._failed = True
        self._outages.unanswered(part, error)

    def answered(self, part: Part) -> None:
        """Show that a part answers (again); the loop has turned, in so far as it waited for it."""
        self._outages.answered(part)
        self._health.turned(self._clock.monotonic())

    def _note(self, part: Part, error: Unavailable, attempt: int) -> None:
        self.unanswered(part, error)
        self._tracing.retried(part, str(error))
        _log.warning(
            f"The {part} does not answer; the same call is tried again.",
            action="retry_scheduled",
            part=part.value,
            attempt=attempt + 1,
            error=str(error),
        )

    async def _wait(self, seconds: float) -> None:
        while seconds > 0:
            await self._hold()
            await self._clock.sleep(min(SLICE_S, seconds))
            seconds -= SLICE_S
        await self._hold()
