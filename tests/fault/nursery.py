"""
Workers as processes that start at once: forked from a process that has imported everything.

Run with the number of a socket to be told on. A message is JSON: a worker to start (with the descriptor of
its standard error), or a process whose end is to be waited for. The nursery ends with its parent, and its
workers with it.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import socket
import sys
import traceback
from typing import Any

import structlog

from service import app
from service.logs import configure_logs
from service.processing.garbage import calm_collector
from service.settings import environment_with, load_settings
from tests.fault.striking import KILL, NO_PAUSE, PAUSE, Strike, Striking
from tests.faults import When
from tests.processes import PR_SET_PDEATHSIG

_LARGEST = 1 << 20
"""Bytes of a message at most."""

_log = structlog.get_logger()


def main() -> None:
    """Serve until the other end of the socket is closed."""
    control = socket.socket(fileno=int(sys.argv[1]))
    for number in (KILL, PAUSE, NO_PAUSE):
        # Until a worker listens to them.
        signal.signal(number, signal.SIG_IGN)
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, _LARGEST, 1)
        if not message:
            return
        request: dict[str, Any] = json.loads(message)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            control.send(json.dumps({"code": os.waitstatus_to_exitcode(status)}).encode())
            continue
        pid = os.fork()
        if pid == 0:
            control.close()
            _be_a_worker(request, descriptors[0])
        os.close(descriptors[0])
        control.send(json.dumps({"pid": pid}).encode())


def _be_a_worker(request: dict[str, Any], stderr: int) -> None:
    """Live the whole life of a worker's process; never comes back."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.dup2(stderr, 2)
        os.close(stderr)
        environment = environment_with(request["settings"])
        os.environ.clear()
        os.environ.update(environment)
        kills, pauses = _strikes(request["kills"]), _strikes(request["pauses"])
        code = _run(Striking(kills, pauses, request["ahead_us"]))
    except BaseException:  # noqa: BLE001 - nothing may go on in the nursery's own loop
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _strikes(written: list[tuple[int | str, str]]) -> list[Strike]:
    return [Strike(at, When(when)) for at, when in written]


def _run(striking: Striking) -> int:
    """Do what `evse-status run` does, with ports that may strike; give the exit code."""
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    calm_collector()
    try:
        asyncio.run(app.run(settings, wrap=striking.wrap))
    except Exception as error:  # noqa: BLE001 - whatever ended it stands in its log
        _log.critical(str(error), action="worker_failed", error=type(error).__name__, exc_info=True)
        return 1
    return 0


if __name__ == "__main__":
    main()
