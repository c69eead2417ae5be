"""How long the steps of a batch take, told to metrics and traces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from service.processing.instruments import Instruments, Step
from service.processing.ports import Clock
from service.processing.tracing import Tracing


class Timing:
    """Times what is done within it: `with timed(Step.SAVE)`."""

    def __init__(self, clock: Clock, instruments: Instruments, tracing: Tracing) -> None:
        self._clock = clock
        self._instruments = instruments
        self._tracing = tracing

    @contextmanager
    def __call__(self, step: Step) -> Iterator[None]:
        """Take what is done until it ends for this step; what fails is not told."""
        began = self._clock.monotonic()
        yield
        ended = self._clock.monotonic()
        self._instruments.step_took(step, ended - began)
        self._tracing.step_took(step, began, ended)
