"""
What the loop tells of the batch in hand, as one protocol: where its time went, for whoever follows an event.

This module knows no tracing library; an adapter makes spans of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from service.processing.instruments import Part, Step
from service.processing.values import Headers, Record


class Tracing(Protocol):
    """
    Told by the loop about one batch at a time; must not raise and must not wait.

    Times are monotonic seconds of the worker's clock. What is told while no batch is in hand is left out.
    """

    @property
    def trace_id(self) -> str | None:
        """The trace of the batch in hand, as 32 hexadecimal digits; None where it is not kept."""

    @property
    def headers(self) -> Headers:
        """What a message that comes of the batch in hand carries, so that its readers find the way back."""

    def batch(self, records: Sequence[Record]) -> AbstractContextManager[None]:
        """Hold a batch in hand; what leaves the context as an exception is why the batch failed."""

    def step_took(self, step: Step, began: float, ended: float) -> None:
        """One step of the batch is done, waiting for parts outside included."""

    def retried(self, part: Part, error: str) -> None:
        """A call to this part is tried again because it did not answer."""

    def batch_done(self, evses: int, rejected: int) -> None:
        """The batch is committed: so many EVSEs were touched, so many records rejected."""

    async def stop(self) -> None:
        """Send what is not sent yet, as far as somebody takes it soon."""


class NoTracing:
    """Keeps nothing, and does nothing for a record."""

    trace_id: str | None = None
    headers: Headers = ()

    def batch(self, records: Sequence[Record]) -> AbstractContextManager[None]:  # noqa: ARG002 - as the protocol
        return nullcontext()

    def step_took(self, step: Step, began: float, ended: float) -> None: ...

    def retried(self, part: Part, error: str) -> None: ...

    def batch_done(self, evses: int, rejected: int) -> None: ...

    async def stop(self) -> None: ...
