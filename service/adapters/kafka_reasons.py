"""
Why Kafka's client could not connect, which it says in its log and nowhere else.

Its start passes over a refused password, certificate or token as it does over a broker that is away, and then
says that no broker was there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from aiokafka import client

_MOST = 3
_heard: ContextVar[list[str] | None] = ContextVar("heard", default=None)


class _Listener(logging.Filter):
    """Lets every line pass, and keeps the error in it for whoever started the client."""

    def filter(self, record: logging.LogRecord) -> bool:
        heard = _heard.get()
        error = record.args[-1] if isinstance(record.args, tuple) and record.args else None
        if heard is not None and isinstance(error, Exception):
            said = str(error) or type(error).__name__
            if said not in heard and len(heard) < _MOST:
                heard.append(said)
        return True


_LISTENER = _Listener()


@contextmanager
def reasons_heard() -> Iterator[list[str]]:
    """Give what the client says meanwhile, in this task, of its connections; at most a few different ones."""
    logging.getLogger(client.log.name).addFilter(_LISTENER)  # a second time it does nothing
    heard: list[str] = []
    before = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(before)
