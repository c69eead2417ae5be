"""
Connections that are made anew when their server says that it is a replica.

After a failover behind a fixed address, of a service or a proxy, only who connects anew comes to the new
primary: the demoted one closes no connection, and answers what the client asks to see whether one is sound.
"""

from __future__ import annotations

from typing import Any

from redis import exceptions
from redis.asyncio import BlockingConnectionPool


class Noticing:
    """Stands before a connection of redis-py's, and marks it where the server is a replica."""

    async def read_response(self, *args: Any, **named: Any) -> Any:
        """Read a reply; errors are raised."""
        try:
            return await super().read_response(*args, **named)  # type: ignore[misc] # of the next class
        except exceptions.ReadOnlyError:
            # Not closed yet: other replies of the same pipeline may follow.
            self.mark_for_reconnect()  # type: ignore[attr-defined] # as above
            raise


class Pool(BlockingConnectionPool):
    """Connections to one address; who finds none waits, and one whose server was demoted is made anew."""

    async def release(self, connection: Any) -> None:
        if connection.should_reconnect():
            # Those that nobody uses lead to the same server. One in use will find out by itself.
            for idle in self._available_connections:
                idle.mark_for_reconnect()  # type: ignore[no-untyped-call]
        await super().release(connection)  # disconnects the one that is marked

    async def ensure_connection(self, connection: Any) -> None:
        if connection.should_reconnect():
            await connection.disconnect()
        await super().ensure_connection(connection)
