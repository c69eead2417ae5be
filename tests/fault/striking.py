"""A worker that kills its own process at its n-th call to a part outside: before, half-way or after it."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import orjson

from service.processing.options import Ports
from tests.faults import Faults, When

SIGNAL = signal.SIGUSR1
"""Each one arms the next strike."""

_WRITES = {"save", "publish", "save_checkpoints", "commit"}
"""Calls that can be done by half: their first argument holds what is written."""


@dataclass(frozen=True)
class Strike:
    """The call, counted from when it is armed (0 is the next), and where in it the process ends."""

    at: int
    when: When


class Striking:
    """Stands between a worker and its parts, all but the clock."""

    def __init__(self, strikes: Sequence[Strike]) -> None:
        self._strikes = list(strikes)
        self._faults = Faults()

    def wrap(self, ports: Ports) -> Ports:
        """Watch the calls to the ports; called within the loop that makes them."""
        asyncio.get_running_loop().add_signal_handler(SIGNAL, self._arm)
        names = [field.name for field in fields(ports) if field.name != "clock"]
        return replace(ports, **{name: _Watched(getattr(ports, name), name, self._faults) for name in names})

    def _arm(self) -> None:
        strike = self._strikes.pop(0)
        self._faults.arm(strike.at, strike.when, self._die)

    async def _die(self) -> None:
        last_word = {"action": "struck", "call": self._faults.calls[-1]}
        sys.stderr.write(orjson.dumps(last_word).decode() + "\n")
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGKILL)


class _Watched:
    """One port; every call of it that is awaited is counted, and may be the last."""

    def __init__(self, inner: Any, name: str, faults: Faults) -> None:
        self._inner = inner
        self._name = name
        self._faults = faults

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._inner, method)
        return self._counted(method, found) if inspect.iscoroutinefunction(found) else found

    def _counted(self, method: str, whole: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **named: Any) -> Any:
            half = None
            if method in _WRITES:
                part = _half(arguments[0])
                half = lambda: whole(part, *arguments[1:], **named)  # noqa: E731 - one word for what is called
            return await self._faults.call(f"{self._name}.{method}", lambda: whole(*arguments, **named), half)

        return call


def _half(written: Any) -> Any:
    if isinstance(written, Mapping):
        return dict(list(written.items())[: len(written) // 2])
    return written[: len(written) // 2]
