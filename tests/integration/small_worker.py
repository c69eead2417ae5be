"""
A worker as its parent sees one, without any work: `python -m tests.integration.small_worker KIND PLACE`.

KIND says how it lives and ends; what it is asked it answers as the worker does, by the same code.
"""

from __future__ import annotations

import asyncio
import sys

from service.adapters.clock import SystemClock
from service.adapters.parent import Answers, Parent, Place
from service.adapters.prometheus_formats import Form
from service.processing.health import Report

STOPPABLE, DEAF, TELLING, SICK = "stoppable", "deaf", "telling", "sick"
"""Ends when told; does not; ends by itself with a last word; is not live, and ends when told."""

REMEDY = "there is no topic evse.events: create it"


class _Health:
    def __init__(self, kind: str) -> None:
        self._kind = kind

    def live(self, _now: float) -> Report:
        return Report(ok=False, reasons=("stands",)) if self._kind == SICK else Report(ok=True, reasons=())

    def ready(self, now: float) -> Report:
        return self.live(now)


def _metrics(form: Form) -> bytes:
    end = b"# EOF\n" if form is Form.OPENMETRICS else b""
    return b"# TYPE m gauge\nm 1.0\n" + end


async def _live(kind: str, parent: Parent) -> None:
    told = asyncio.Event()
    answers = Answers(parent, _Health(kind), SystemClock(), _metrics, told.set)
    await answers.start()
    if kind != TELLING:
        await told.wait()
    if kind == DEAF:
        await asyncio.Event().wait()
    await answers.stop()


def main() -> None:
    """Live as told."""
    kind, parent = sys.argv[1], Parent(Place.parse(sys.argv[2]))
    asyncio.run(_live(kind, parent))
    if kind == TELLING:
        parent.hears_last_word(REMEDY)
        sys.exit(1)


if __name__ == "__main__":
    main()
