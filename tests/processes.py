"""
Services as processes of this machine: started on free ports, watched while they start, gone when we are.

Knows nothing of what the tests do with them, nor of the other ways to come by a service.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

Started = TypeVar("Started", bound="LocalProcess")

# Seconds. Kafka answers within three on two cores; a machine that runs much else at once is slower.
START_TIMEOUT = 60.0
# Another process may take a free port before the service has it.
ATTEMPTS = 3
PR_SET_PDEATHSIG = 1
# Below what systems hand out to outgoing connections: else one of those may sit on the port of a server that
# is down for a moment, and a client that tries that port again and again ends up talking to itself.
PORTS = (15_000, 32_000)


def _own_ports() -> tuple[int, int]:
    """
    Give the part of the ports that is ours where several processes share the tests.

    Between two starts of a server its port is free for a moment, and no other process may draw it then.
    """
    first, end = PORTS
    shares = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return first + (end - first) * number // shares, first + (end - first) * (number + 1) // shares


class StartFailed(RuntimeError):
    """A service that is there did not come up; the message holds the end of its log."""


class EndedEarly(StartFailed):
    """The process ended instead of serving, as one does whose port was taken meanwhile."""


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody listens on."""
    draw = random.SystemRandom()  # not the seeded one: two runs at once would want the same ports
    while True:
        port = draw.randrange(*_own_ports())
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def wait_until(answers: Callable[[], bool], check: Callable[[], None]) -> None:
    """Return once `answers` is true; until then call `check`, which may raise, and TimeoutError ends it."""
    deadline = time.monotonic() + START_TIMEOUT
    while not answers():
        check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"did not answer in {START_TIMEOUT:.0f} s")
        time.sleep(0.02)  # another process tells nobody when it is ready


def _die_with_parent() -> None:
    """Have Linux kill this process with its parent: even a killed test run leaves no broker behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class LocalProcess:
    """A process with a folder of its own, which holds its data and its log and goes with it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = Path(tempfile.mkdtemp(prefix=f"evse-status-{name}-"))
        self.log = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    def start(self, command: Sequence[str], answers: Callable[[], bool]) -> None:
        """Run `command` and wait until `answers`; raise StartFailed if it ends before or takes too long."""
        self.launch(command)
        self.wait_for(answers)

    def launch(self, command: Sequence[str]) -> None:
        """Run `command` without waiting; the thread that does has to live as long as the process."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the command is built here, from no outside input
                list(command),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one C call
            )

    def wait_for(self, answers: Callable[[], bool]) -> None:
        """Wait until `answers`; raise StartFailed if the process ends before or takes too long."""
        try:
            wait_until(answers, self._fail_if_ended)
        except TimeoutError as timeout:
            raise StartFailed(self._last_words(str(timeout))) from timeout

    def _fail_if_ended(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            raise EndedEarly(self._last_words(f"ended with {self._process.returncode}"))

    def _last_words(self, what: str) -> str:
        words = f"{self.name} {what}:\n{self.log_tail()}"
        self.close()
        return words

    def signal(self, number: signal.Signals) -> None:
        """Send a signal: SIGKILL for a crash, SIGSTOP and SIGCONT for a machine that hangs for a while."""
        if self._process is not None:
            self._process.send_signal(number)
            if number is signal.SIGSTOP and self._process.poll() is None:
                # On a busy machine it goes on for a moment, and may answer what is asked next.
                os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def wait(self) -> None:
        """Wait until the process has ended."""
        if self._process is not None:
            self._process.wait()

    def log_tail(self, lines: int = 40) -> str:
        """Return the last lines the process wrote."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def close(self) -> None:
        """End the process without asking and remove its folder; a second call does nothing."""
        atexit.unregister(self.close)
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def start_on_free_ports(make: Callable[[], Started]) -> Started:
    """Return what `make` starts, giving it other free ports if it ended early."""
    for _ in range(ATTEMPTS - 1):
        with contextlib.suppress(EndedEarly):
            return make()
    return make()
