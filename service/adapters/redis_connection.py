"""
How this project connects to Redis or Valkey, and what their errors mean to it.

Knows neither keys nor values. Calls are retried by the client: every write above it is guarded or idempotent.
No call is ever cancelled, since cancelled commands have mixed up replies; sockets have timeouts instead.
A timeout is not repeated here: the client repeats within repetitions, and 5 s became 48. The worker repeats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from redis import exceptions
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from schemas.view import Keys
from service.adapters.redis_demoted import Pool
from service.adapters.redis_packing import QUICK
from service.adapters.redis_sentinel import NoSentinelError, Watched, watched_pool
from service.adapters.tls_remedies import tls_remedy
from service.processing.ports import ErrorKind, Unavailable, Unusable

# The options of a URL that are decided here: one of them would undo what the rest relies on.
_OWN_OPTIONS = frozenset(
    {
        "decode_responses",
        "encoding",
        "health_check_interval",
        "legacy_responses",
        "max_connections",
        "protocol",
        "retry_on_error",
        "retry_on_timeout",
        "socket_connect_timeout",
        "socket_timeout",
        "timeout",
    }
)
_NO_DATABASE = ("DB index is out of range", "invalid DB index", "SELECT is not allowed")

# Error replies that redis-py gives no class of their own, and that pass without anybody's work on the data.
_PASSING_REPLIES = ("NOREPLICAS", "MISCONF", "BUSY ", "TRYAGAIN", "MASTERDOWN", "LOADING", "CLUSTERDOWN")
_REFUSALS = (
    exceptions.AuthenticationError,
    exceptions.AuthorizationError,
    exceptions.AuthenticationWrongNumberOfArgsError,
    exceptions.NoPermissionError,
)
_PASSING = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.ClusterDownError,
    exceptions.ClusterError,
    exceptions.TryAgainError,
)
# What a server answers; of the last the client makes an error of the connection.
_UNREADY = (exceptions.ResponseError, exceptions.BusyLoadingError)
_OF_A_CLUSTER = (exceptions.MovedError, exceptions.ClusterCrossSlotError)
_REMEDIES = {
    exceptions.ReadOnlyError: "this is a replica: name the primary, or wait for the failover",
    exceptions.OutOfMemoryError: "out of memory: raise maxmemory or remove what does not belong there",
}


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """Where the view lives and how patient its client is; times in seconds."""

    url: str
    """
    `redis://`, `rediss://` (TLS) or `unix://`, with user, password and database number; of Sentinels as
    `Watched.parse` reads it.
    """
    prefix: str = "evse"
    """What the name of every key begins with."""
    cluster: bool = False
    """The URL names any node of a Redis Cluster, instead of the one server."""
    sentinel_username: str | None = None
    """Who signs in at the Sentinels; the user in the URL signs in at the server that they name."""
    sentinel_password: str | None = field(default=None, repr=False)
    tls: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Certificates for a URL with TLS, as the client's options (`ssl_ca_certs`, …); its own go before."""
    pool_size: int = 8
    """Connections at most; who finds none waits for one, `pool_timeout` at most."""
    pool_timeout: float = 10.0
    connect_timeout: float = 3.0
    socket_timeout: float = 5.0
    retries: int = 2
    """How often a call is repeated whose connection broke; one that was not answered in time is not."""
    allow_eviction: bool = False
    """Start although the server may evict keys, and so forget the state of EVSEs."""


def connect(settings: RedisSettings) -> Redis:
    """Build the client; it connects with its first call. Raises `Unusable` if the URL cannot be used."""
    watched = Watched.parse(settings.url)
    _check(settings.url if watched is None else watched.url)
    options: dict[str, Any] = {
        "max_connections": settings.pool_size,
        "timeout": settings.pool_timeout,
        "socket_connect_timeout": settings.connect_timeout,
        "socket_timeout": settings.socket_timeout,
        "health_check_interval": 30,
        "retry": Retry(
            ExponentialWithJitterBackoff(base=0.05, cap=1.0),
            settings.retries,
            supported_errors=(exceptions.ConnectionError,),
        ),
        # RESP 2 is what Redis 7.0 and Valkey share, and spares the handshake for features unused here.
        "protocol": 2,
        **_tls(settings),
    }
    try:
        if watched is not None:
            pool = watched_pool(watched, settings.sentinel_username, settings.sentinel_password, options)
        else:
            pool = Pool.from_url(settings.url, **options)
            pool.connection_class = QUICK[pool.connection_class]
        pool.connection_class(**pool.connection_kwargs)
    except ValueError:
        raise _unreadable() from None
    except TypeError:
        raise _unknown_option() from None
    return Redis.from_pool(pool)


def connect_to_read(settings: RedisSettings) -> Redis | RedisCluster:
    """
    Build the client of somebody who only reads, of one server or of a cluster; as `connect` otherwise.

    A worker's connections to a cluster are those of `redis_nodes`.
    """
    if not settings.cluster:
        return connect(settings)
    _check(settings.url)
    try:
        return RedisCluster.from_url(
            settings.url,
            socket_connect_timeout=settings.connect_timeout,
            socket_timeout=settings.socket_timeout,
            retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=1.0), settings.retries),
            protocol=2,
            **_tls(settings),
        )
    except ValueError:
        raise _unreadable() from None
    except exceptions.RedisClusterException as error:
        raise Unusable(
            f"the Redis URL is of no node of a cluster ({error}): name one as redis://HOST:PORT/0"
        ) from None
    except TypeError:
        raise _unknown_option() from None


def _tls(settings: RedisSettings) -> dict[str, Any]:
    return dict(settings.tls) if settings.url.startswith("rediss") else {}


def _unreadable() -> Unusable:
    # Without the client's words: they quote parts of the URL, and a part may be of the password.
    return Unusable("the Redis URL cannot be read; percent-encode /, # and ? in user and password")


def _unknown_option() -> Unusable:
    # Without its name, since it may be of the password, too.
    return Unusable(
        "the Redis URL has an option, behind its ?, that the client does not know for this kind of address: "
        "remove it"
    )


def _check(url: str) -> None:
    """Refuse what the client would pass over in silence, or take from us."""
    parts = urlsplit(url)
    database = parts.path.strip("/")
    if parts.scheme != "unix" and database and not database.isdecimal():
        raise Unusable(
            "the Redis URL names no database: behind host and port stands its number, as in redis://HOST:PORT/0"
        )
    if own := sorted(_OWN_OPTIONS.intersection(parse_qs(parts.query))):
        raise Unusable(f"the Redis URL sets {', '.join(own)}, which this program decides: remove it")


@contextmanager
def translated(part: str = "Redis") -> Iterator[None]:
    """Raise `Unavailable` or `Unusable` for what the server cannot do; our own mistakes pass as they are."""
    try:
        yield
    except _REFUSALS as error:
        raise Unusable(f"{part} refuses this user: {error}; check user, password and ACL") from error
    except NoSentinelError as error:
        raise Unusable(str(error)) from error
    except _PASSING as error:
        raise _silent(part, error) from error
    except _OF_A_CLUSTER as error:
        raise Unusable(
            f"{part} is a node of a cluster ({error}): set EVSE_STATUS_REDIS_CLUSTER=true"
        ) from error
    except exceptions.RedisClusterException as error:
        raise _of_nodes(part, error) from error
    except exceptions.ResponseError as error:
        if any(words in str(error) for words in _NO_DATABASE):
            raise Unusable(
                f"{part} has no database of the number in the URL ({error}): name one that it has, or 0"
            ) from error
        if not str(error).startswith(_PASSING_REPLIES):
            raise
        raise Unavailable(f"{part} does not take writes now: {error}", ErrorKind.UNREADY) from error


def _of_nodes(part: str, error: exceptions.RedisClusterException) -> Unavailable | Unusable:
    """Say what stands for what no node answered to; what that was is its cause."""
    if isinstance(error.__cause__, _REFUSALS):
        return Unusable(f"{part} refuses this user: {error}; check user, password and ACL")
    if "Cluster mode is not enabled" in str(error):
        return Unusable(f"{part} is no node of a cluster: set EVSE_STATUS_REDIS_CLUSTER=false")
    return _silent(part, error)


def _silent(part: str, error: Exception) -> Unavailable:
    remedy = next((text for kind, text in _REMEDIES.items() if isinstance(error, kind)), "")
    remedy = remedy or tls_remedy(str(error), "REDIS", "REDIS_URL")
    said = f"{part} does not answer: {error}" + (f" ({remedy})" if remedy else "")
    if isinstance(error, exceptions.TimeoutError):
        return Unavailable(said, ErrorKind.TIMED_OUT)
    return Unavailable(said, ErrorKind.UNREADY if isinstance(error, _UNREADY) else ErrorKind.UNANSWERED)


async def refuse_eviction(client: Redis, *, allow: bool) -> None:
    """Raise `Unusable` where the server may evict keys: that would delete state without a word."""
    with translated():
        memory: dict[str, Any] = await client.info("memory")
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and not allow:
        raise Unusable(
            f"Redis may evict keys (maxmemory-policy {policy}) and would forget the state of EVSEs without a "
            "word: set maxmemory-policy noeviction, or EVSE_STATUS_REDIS_ALLOW_EVICTION=true to accept it"
        )


def brief(settings: RedisSettings, timeout_s: float) -> RedisSettings:
    """Give the settings of who asks once, over one connection, and waits no longer than so many seconds."""
    return replace(
        settings,
        pool_size=1,
        pool_timeout=timeout_s,
        connect_timeout=timeout_s,
        socket_timeout=timeout_s,
        retries=0,
    )


class RedisProbe:
    """Asks over a connection of its own, once and briefly, whether the server takes writes."""

    def __init__(self, settings: RedisSettings, timeout_s: float = 2.0) -> None:
        self._key = Keys(settings.prefix).ping()
        self._client = connect(brief(settings, timeout_s))

    async def ask(self) -> None:
        """Come back if a write was taken; raise `Unavailable` or `Unusable` if not."""
        with translated():
            await self._client.set(self._key, b"", px=60_000)

    async def stop(self) -> None:
        """Disconnect."""
        await self._client.aclose()
