"""A worker that kills or stops its own process at a call to a part outside: before, half-way or after it."""

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
from service.processing.ports import Clock
from tests.faults import Faults, When

KILL, PAUSE = signal.SIGUSR1, signal.SIGUSR2
"""Each one arms the next strike of its kind."""

NO_PAUSE = signal.SIGWINCH
"""Takes back an armed pause."""

_WRITES = {"save", "publish", "save_checkpoints", "commit"}
"""Calls that can be done by half: their first argument holds what is written."""


@dataclass(frozen=True)
class Strike:
    """
    The call, and where in it the process ends or stops.

    `at`: a number, counted from when it is armed (0 is the next), or a name, such as `store.save`.
    """

    at: int | str
    when: When


class _Blow:
    """The strikes of one kind, which send one signal to the process itself."""

    def __init__(self, number: signal.Signals, strikes: Sequence[Strike]) -> None:
        self.faults = Faults()
        self._number = number
        self._strikes = list(strikes)

    def arm(self) -> None:
        if self._strikes:
            strike = self._strikes.pop(0)
            if isinstance(strike.at, int):
                self.faults.arm(strike.at, strike.when, self._strike)
            else:
                self.faults.arm_next(strike.at, strike.when, self._strike)

    async def _strike(self) -> None:
        last_word = {"action": "struck", "call": self.faults.calls[-1], "signal": self._number.name}
        sys.stderr.write(orjson.dumps(last_word).decode() + "\n")
        sys.stderr.flush()
        os.kill(os.getpid(), self._number)


class _Ahead:
    """The machine's clock, ahead by so many microseconds, so that the day ends when it suits."""

    def __init__(self, inner: Clock, ahead_us: int) -> None:
        self._inner = inner
        self._ahead_us = ahead_us

    def now(self) -> int:
        return self._inner.now() + self._ahead_us

    def monotonic(self) -> float:
        return self._inner.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class Striking:
    """Stands between a worker and its parts."""

    def __init__(self, kills: Sequence[Strike], pauses: Sequence[Strike], ahead_us: int) -> None:
        self._ahead_us = ahead_us
        self._kills = _Blow(signal.SIGKILL, kills)
        self._pauses = _Blow(signal.SIGSTOP, pauses)

    def wrap(self, ports: Ports) -> Ports:
        """Watch the calls to the ports; called within the loop that makes them."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(KILL, self._kills.arm)
        loop.add_signal_handler(PAUSE, self._pauses.arm)
        loop.add_signal_handler(NO_PAUSE, self._pauses.faults.disarm)
        names = [field.name for field in fields(ports) if field.name not in ("clock", "check_topics")]
        watched = {name: self._watched(getattr(ports, name), name) for name in names}
        return replace(ports, clock=_Ahead(ports.clock, self._ahead_us), **watched)

    def _watched(self, port: Any, name: str) -> Any:
        return _Watched(_Watched(port, name, self._kills.faults), name, self._pauses.faults)


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
