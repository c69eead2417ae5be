"""
Server-sent events: one publisher, any number of browsers, none of which can hold the others up.

The newest messages are kept for those who reconnect. Who fell too far behind is told to load the page's
content anew instead. Knows nothing of what the messages say.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

KEPT = 64
"""Messages kept for reconnects: about a minute of a busy network."""

STREAMS_LIMIT = 256
"""Browsers that may listen at once."""

KEEPALIVE_S = 15.0
"""Silence after which a comment is sent, so that proxies and dead peers are noticed."""

RETRY_MS = 2_000
"""How long a browser waits before it reconnects."""


class Feed:
    """
    A numbered, bounded sequence of messages.

    `epoch` tells the numbers of this process from those of an earlier one, which start over.
    """

    def __init__(self, epoch: int, keepalive_s: float = KEEPALIVE_S) -> None:
        self._epoch = epoch
        self._keepalive_s = keepalive_s
        self._last = 0
        self._messages: deque[tuple[int, bytes]] = deque(maxlen=KEPT)
        self._news = asyncio.Event()
        self.streams = 0
        self.closed = False

    @property
    def position(self) -> str:
        """The id of the newest message: a page that was rendered now goes on from here."""
        return f"{self._epoch}-{self._last}"

    @property
    def full(self) -> bool:
        """Whether no further browser is taken."""
        return self.streams >= STREAMS_LIMIT

    def publish(self, event: str, data: bytes) -> None:
        """Send one message, `data` being JSON in one line."""
        self._last += 1
        message = b"id: %s\nevent: %s\ndata: %s\n\n" % (self.position.encode(), event.encode(), data)
        self._messages.append((self._last, message))
        self._wake()

    def close(self) -> None:
        """End all streams, so that the server can stop."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _number(self, position: str) -> int | None:
        """Read an id; None for one that is not of this process or lies in the future."""
        epoch, _, number = position.partition("-")
        if epoch != str(self._epoch) or not number.isdecimal() or int(number) > self._last:
            return None
        return int(number)

    async def stream(self, position: str) -> AsyncIterator[bytes]:
        """Give all messages after a position, and then each as it comes, until closed."""
        self.streams += 1
        try:
            yield b"retry: %d\n\n" % RETRY_MS
            sent = self._number(position)
            while not self.closed:
                news = self._news
                if sent is None or self._lost(sent):
                    yield b"id: %s\nevent: resync\ndata: {}\n\n" % self.position.encode()
                    sent = self._last
                for number, message in list(self._messages):
                    if number > sent:
                        yield message
                        sent = number
                if news is self._news and not await self._wait(news):
                    yield b": still here\n\n"
        finally:
            self.streams -= 1

    def _lost(self, sent: int) -> bool:
        return bool(self._messages) and sent + 1 < self._messages[0][0]

    async def _wait(self, news: asyncio.Event) -> bool:
        try:
            async with asyncio.timeout(self._keepalive_s):
                await news.wait()
        except TimeoutError:
            return False
        return True
