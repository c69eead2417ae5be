"""Where the page cannot be served."""

from __future__ import annotations

import socket

import pytest
from redis.asyncio import Redis

from schemas.view import DEFAULT_PREFIX
from service.page import page_server
from service.processing.ports import PortError


async def test_a_host_or_port_that_cannot_be_had_is_told_with_the_options_that_name_it() -> None:
    """The page is no worker: its address is no setting but an option of its command."""
    client = Redis(port=1)  # nobody connects
    with pytest.raises(PortError, match="name an address of this machine with --host"):
        await page_server(client, DEFAULT_PREFIX, "192.0.2.1", 0).start()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(PortError, match="choose another port with --port"):
            await page_server(client, DEFAULT_PREFIX, "127.0.0.1", port).start()
