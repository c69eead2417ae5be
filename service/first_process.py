"""
What the first process of a container has to do for itself: end where it is told to.

The kernel keeps SIGTERM from a process of number 1 that does not handle it, where it ends any other: a
container that is stopped while it begins, or a second time, would go on until it is killed. Loads next to
nothing.
"""

from __future__ import annotations

import os
import signal

_TOLD = 128 + signal.SIGTERM
"""The exit code of what a signal ended, as shells and engines give it."""


def end_at_sigterm() -> None:
    """Let SIGTERM end this process as it ends any other, until it is handled in another way."""
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, lambda _number, _frame: os._exit(_TOLD))
