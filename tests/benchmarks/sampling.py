"""
Which step the CPU time of a process goes to, by samples of its stack.

A timer of the kernel interrupts after so much CPU time, user and system; the innermost frame that a step
claims has it. So what runs beside the loop (the client's tasks) is told apart from what the loop waits in,
and neither clock nor code of the worker is touched. A sample costs some microseconds: shares come from a run
of their own.
"""

from __future__ import annotations

import signal
from collections import Counter
from types import FrameType
from typing import Self

INTERVAL_S = 0.001
"""CPU seconds between two samples as asked for; many kernels give one in four milliseconds."""

REST = "rest"

STEPS: dict[str, tuple[str, ...]] = {
    "decode": (
        "service/processing/decoding.py",
        "service/processing/envelope.py",
        "service/processing/sifting.py",
        "schemas/events.py",
        "schemas/evse.py",
        "schemas/fields.py",
        "/pydantic/",
    ),
    "fold": (
        "service/domain/fold.py",
        "service/domain/recent.py",
        "service/domain/horizon.py",
        "service/domain/in_order.py",
        "service/domain/timeline.py",
    ),
    "render": (
        "service/processing/rendering.py",
        "service/processing/wording.py",
        "service/domain/summary.py",
        "service/domain/windows.py",
        "service/domain/reliability.py",
    ),
    "save": (
        "service/processing/storing.py",
        "service/domain/packing.py",
        "service/adapters/redis",
        "service/adapters/view_",
        "/redis/",
    ),
    "publish": (
        "service/processing/outbox.py",
        "service/processing/outputs.py",
        "service/adapters/kafka_publisher.py",
        "/aiokafka/producer/",
    ),
    "client": (
        "service/adapters/kafka",
        "/aiokafka/",
    ),
    "plan": ("service/processing/planning.py",),
    "watch": (
        "service/processing/watching.py",
        "service/processing/ingest.py",
        "service/processing/pace.py",
        "service/processing/silence.py",
    ),
    "metrics": (
        "service/adapters/prometheus.py",
        "/prometheus_client/",
    ),
}
"""
The steps and the files whose frames are theirs, by a part of the path; the first that claims a file has it.

A file that none claims belongs to whoever called it. `client` is fetch, commit and connections; `plan` what
planning does beside fold and render; `watch` who is heard and whether anything comes; the rest is the loop.
"""


def step_of(filename: str) -> str | None:
    """Give the step that claims a source file."""
    path = filename.replace("\\", "/")
    return next((step for step, parts in STEPS.items() if any(part in path for part in parts)), None)


class Sampler:
    """Counts samples by step while it is entered; of the main thread, the only one that works here."""

    def __init__(self) -> None:
        self.samples: Counter[str] = Counter()
        self._claimed: dict[str, str | None] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Take samples from now on."""
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)

    def stop(self) -> None:
        """Take no more."""
        signal.setitimer(signal.ITIMER_PROF, 0.0)

    def shares(self) -> dict[str, float]:
        """Give each step's share of the samples, 0 to 1, in the order of a batch."""
        total = self.samples.total()
        return {step: self.samples[step] / total if total else 0.0 for step in (*STEPS, REST)}

    def _sample(self, _number: int, frame: FrameType | None) -> None:
        while frame is not None:
            filename = frame.f_code.co_filename
            if filename not in self._claimed:
                self._claimed[filename] = step_of(filename)
            step = self._claimed[filename]
            if step is not None:
                self.samples[step] += 1
                return
            frame = frame.f_back
        self.samples[REST] += 1
