"""
The worker of the demonstration, as a process of its own: `python -m service.demo.worker`.

It is `evse-status run` in everything but one: the in-memory broker has no administration, so the topics are
asked for instead of being described.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading

from service import app
from service.adapters.kafka_admin import touch_topics
from service.logs import configure_logs
from service.settings import load_settings


def main() -> None:
    """Run until SIGTERM, or until whoever started it is gone and its end of standard input with it."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    asyncio.run(app.run(settings, check=touch_topics))


def _end_with_parent() -> None:
    # Not by `sys.stdin`: a thread that waits in there makes the interpreter abort when it ends.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    # The broker is gone with it: there is nobody to commit to.
    os._exit(1)


if __name__ == "__main__":
    main()
