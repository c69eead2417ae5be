"""Server-sent events: nobody misses a message, or is told that it did."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from service.dashboard.feed import KEPT, Feed


async def take(stream: AsyncIterator[bytes], count: int) -> list[str]:
    """Take the next messages of a stream, the first one's waiting time aside."""
    return [(await anext(stream)).decode() for _ in range(count)]


async def test_a_message_reaches_every_stream() -> None:
    """From one publisher, in order, with ids that go on."""
    feed = Feed(epoch=7)
    streams = [feed.stream(feed.position) for _ in range(3)]
    for stream in streams:
        assert await take(stream, 1) == ["retry: 2000\n\n"]
    waiting = [asyncio.ensure_future(anext(stream)) for stream in streams]
    feed.publish("change", b'{"a":1}')
    feed.publish("change", b'{"a":2}')
    assert set(await asyncio.gather(*waiting)) == {b'id: 7-1\nevent: change\ndata: {"a":1}\n\n'}
    for stream in streams:
        assert await take(stream, 1) == ['id: 7-2\nevent: change\ndata: {"a":2}\n\n']
    assert feed.streams == 3
    for stream in streams:
        await stream.aclose()  # type: ignore[attr-defined]
    assert feed.streams == 0


async def test_who_reconnects_gets_what_it_missed() -> None:
    """From its last id on, and nothing twice."""
    feed = Feed(epoch=7)
    for number in range(5):
        feed.publish("change", b"%d" % number)
    stream = feed.stream("7-3")
    assert await take(stream, 3) == [
        "retry: 2000\n\n",
        "id: 7-4\nevent: change\ndata: 3\n\n",
        "id: 7-5\nevent: change\ndata: 4\n\n",
    ]


async def test_who_fell_too_far_behind_is_told_to_look_again() -> None:
    """An id of another process, of the future, or too old asks for the content anew."""
    feed = Feed(epoch=7)
    for _ in range(KEPT + 2):
        feed.publish("change", b"{}")
    for position in ("6-3", "7-1", "7-9999", "", "nonsense", "7-x"):
        stream = feed.stream(position)
        assert (await take(stream, 2))[1] == f"id: {feed.position}\nevent: resync\ndata: {{}}\n\n"


async def test_closing_ends_every_stream() -> None:
    """So that a server can stop although browsers would stay for ever."""
    feed = Feed(epoch=7)
    stream = feed.stream(feed.position)
    await take(stream, 1)
    waiting = asyncio.ensure_future(anext(stream, b"end"))
    await asyncio.sleep(0)
    feed.close()
    assert await waiting == b"end"


async def test_a_silent_stream_says_that_it_is_there() -> None:
    """A comment, which browsers ignore and proxies count as traffic."""
    feed = Feed(epoch=7, keepalive_s=0.001)
    stream = feed.stream(feed.position)
    assert (await take(stream, 2))[1] == ": still here\n\n"
