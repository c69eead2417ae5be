"""
The primary that Sentinels name: they are asked at each new connection, so it is found anew after a failover.

Sentinels call it a master. Knows neither keys nor values. What a primary that was cut off still took is lost
with its next failover, which whoever writes notices as any other loss: see `redis.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Self

from redis import exceptions
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from service.adapters.redis_packing import QuickSentinelConnection, QuickSentinelSSLConnection
from service.processing.ports import Unusable

_PORT = 26379
_REFUSALS = (exceptions.AuthenticationError, exceptions.AuthorizationError, exceptions.NoPermissionError)
_NO_SENTINEL = "unknown command"
_HOST = r"(?:\[[0-9a-fA-F:]+\]|[^\s:/,@?#\[\]]+)(?::\d{1,5})?"
_FORM = re.compile(
    r"(?P<scheme>rediss?)\+sentinel://(?P<who>[^/?#]*@)?"
    rf"(?P<hosts>{_HOST}(?:,{_HOST})*)/(?P<name>[^\s/?#@]+)(?P<rest>(?:/\d*)?(?:\?[^#]*)?)"
)


@dataclass(frozen=True, slots=True)
class Watched:
    """What a URL says of a primary that Sentinels watch."""

    sentinels: tuple[tuple[str, int], ...]
    name: str
    """What they call it."""
    url: str
    """How it is reached, with a host that stands for whatever they name."""

    @classmethod
    def parse(cls, url: str) -> Self | None:
        """
        Read `redis+sentinel://USER:PASSWORD@HOST:26379,HOST:26379/NAME/0`; give None for any other URL.

        User and password are those of the primary. Raises `Unusable` for one of this kind that is wrong.
        """
        if not re.match(r"rediss?\+sentinel:", url):
            return None
        if (found := _FORM.fullmatch(url)) is None:
            raise Unusable(
                "the Redis URL of Sentinels cannot be read: write redis+sentinel://HOST:26379,HOST:26379/NAME/0,"
                " and percent-encode /, # and ? in user and password"
            )
        server = f"{found['scheme']}://{found['who'] or ''}primary{found['rest']}"
        return cls(tuple(map(_address, found["hosts"].split(","))), found["name"], server)


def _address(text: str) -> tuple[str, int]:
    host, port = re.findall(r"^\[?(.+?)\]?(?::(\d+))?$", text)[0]
    return host, int(port or _PORT)


class NoSentinelError(exceptions.RedisError):
    """
    What was named as a Sentinel is a server that holds data.

    No error of a connection, so that the client does not repeat it.
    """


class _Sentinels(Sentinel):
    """
    Sentinels, asked one after the other, the one that answered last time first.

    Unlike the client's own way this tells refusals from silence, and asks what Redis' documentation asks.
    """

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        said: dict[str, Exception | None] = {}
        for sentinel in tuple(self.sentinels):
            client: Any = sentinel  # not all of it is annotated
            try:
                address = await client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service_name)
            except (*_REFUSALS, exceptions.ConnectionError, exceptions.TimeoutError) as error:
                said[_place(sentinel)] = error
                continue
            except exceptions.ResponseError as error:
                if not str(error).startswith(_NO_SENTINEL):
                    raise
                raise NoSentinelError(
                    f"Redis at {_place(sentinel)} is no Sentinel ({error}): name the Sentinels and their "
                    f"port, often {_PORT}, in EVSE_STATUS_REDIS_URL, or the server itself as redis://HOST:PORT/0"
                ) from error
            if address is not None:
                self.sentinels.remove(sentinel)
                self.sentinels.insert(0, sentinel)
                host, port = address
                return host.decode(), int(port)
            said[_place(sentinel)] = None
        raise _unnamed(service_name, said)


def _place(sentinel: Any) -> str:
    known = sentinel.connection_pool.connection_kwargs
    return f"{known['host']}:{known['port']}"


def _unnamed(name: str, said: dict[str, Exception | None]) -> Exception:
    """Say that no Sentinel names the primary, and what helps where somebody has to help."""
    told = "; ".join(f"{place}: {error or 'no such name'}" for place, error in said.items())
    if all(isinstance(error, _REFUSALS) for error in said.values()):
        return exceptions.AuthenticationError(
            f"no Sentinel lets it ask for the primary ({told}): check EVSE_STATUS_REDIS_SENTINEL_USERNAME "
            "and EVSE_STATUS_REDIS_SENTINEL_PASSWORD"
        )
    # They may know it a moment later, as after a restart: so the remedy is told, and asking goes on.
    remedy = ": check the name in EVSE_STATUS_REDIS_URL" if None in said.values() else ""
    # Of these two the client repeats what is no timeout; see `redis_connection`.
    silent = any(isinstance(error, exceptions.TimeoutError) for error in said.values())
    kind = exceptions.TimeoutError if silent else MasterNotFoundError
    return kind(f"no Sentinel names a primary {name} ({told}){remedy}")


class _Pool(SentinelConnectionPool, BlockingConnectionPool):
    """Connections to the primary of the moment; who finds none waits for one."""

    sentinel_manager: _Sentinels

    async def release(self, connection: Any) -> None:
        # One that was in use while the primary changed: it must not be taken for one to the new one.
        if (connection.host, connection.port) != self.master_address:
            connection.mark_for_reconnect()
        await super().release(connection)

    async def disconnect(self, inuse_connections: bool = True) -> None:
        await super().disconnect(inuse_connections)
        if inuse_connections:
            await self.sentinel_manager.aclose()


def watched_pool(
    watched: Watched, username: str | None, password: str | None, options: dict[str, Any]
) -> BlockingConnectionPool:
    """Build the connections to a primary; user and password here are those of the Sentinels."""
    server: dict[str, Any] = {**options, **parse_url(watched.url)}
    over_tls = server.pop("connection_class", None) is not None
    server.pop("host")
    # TLS for both: Sentinels that speak it watch servers that do.
    tls = {"ssl": True, **{name: value for name, value in server.items() if name.startswith("ssl_")}}
    of_sentinels = {
        "username": username,
        "password": password,
        "socket_connect_timeout": options["socket_connect_timeout"],
        # The next one is asked, and soon.
        "socket_timeout": options["socket_connect_timeout"],
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        **(tls if over_tls else {}),
    }
    sentinels = _Sentinels(watched.sentinels, sentinel_kwargs=of_sentinels)  # type: ignore[no-untyped-call]
    kind = QuickSentinelSSLConnection if over_tls else QuickSentinelConnection
    return _Pool(watched.name, sentinels, connection_class=kind, **server)  # type: ignore[no-untyped-call]
