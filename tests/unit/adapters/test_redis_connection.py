"""What is said of a Redis URL that cannot be used, before anything connects."""

from __future__ import annotations

import pytest
from redis import exceptions

from service.adapters.redis_connection import RedisSettings, connect, translated
from service.adapters.redis_sentinel import Watched
from service.processing.ports import ErrorKind, PortError, Unusable


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://localhost:6379/main", "names no database"),
        ("redis://localhost:6379/-1", "names no database"),
        ("redis://localhost:6379/0?user_name=secret", "has an option, behind its ?"),
        ("redis://localhost:6379/0?ssl_ca_certs=ca.pem", "has an option, behind its ?"),
        ("redis://localhost:6379/0?socket_timeout=60", "sets socket_timeout, which this program decides"),
        ("unix:///run/redis?decode_responses=true", "sets decode_responses, which this program decides"),
        ("redis://localhost:port/0", "cannot be read"),
        ("redis+sentinel://one:26379,two:26379", "write redis+sentinel://HOST:26379,HOST:26379/NAME/0"),
        ("redis+sentinel://user:sec/ret@one/main/0", "percent-encode"),
        ("redis+sentinel://one/main/0?ssl_ca_certs=ca.pem", "has an option, behind its ?"),
        ("redis+sentinel://one/main/0?socket_timeout=60", "sets socket_timeout, which this program decides"),
    ],
)
def test_a_url_that_cannot_be_used_is_one_line(url: str, words: str) -> None:
    """What would be a traceback at the first call, or be passed over in silence, is told, and no secret."""
    with pytest.raises(Unusable, match="the Redis URL") as refused:
        connect(RedisSettings(url))

    assert words in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost:6379",
        "redis://user:secret@localhost:6379/15",
        "redis://localhost?db=3&client_name=worker",
        "rediss://localhost:6380/0?ssl_ca_certs=ca.pem&ssl_check_hostname=false",
        "unix:///run/redis/redis.sock?db=1",
        "redis+sentinel://user:secret@one:26379,[::1]:26380,two/main/3",
        "rediss+sentinel://one/main?ssl_ca_certs=ca.pem",
    ],
)
async def test_what_the_client_knows_may_stand_in_the_url(url: str) -> None:
    """Database, TLS and names are the user's."""
    await connect(RedisSettings(url)).aclose()


def test_a_url_of_sentinels_says_where_they_are_and_what_they_watch() -> None:
    """Ports are optional; what the server needs stands where it always does."""
    watched = Watched.parse(
        "rediss+sentinel://user:a%2Fb@one:26400,[::1]:26380,two/main/3?ssl_ca_certs=ca.pem"
    )

    assert watched == Watched(
        (("one", 26400), ("::1", 26380), ("two", 26379)),
        "main",
        "rediss://user:a%2Fb@primary/3?ssl_ca_certs=ca.pem",
    )
    assert Watched.parse("redis://one:6379/0") is None


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.ConnectionError("refused"), ErrorKind.UNANSWERED),
        (exceptions.RedisClusterException("no node"), ErrorKind.UNANSWERED),
        (exceptions.TimeoutError("timeout"), ErrorKind.TIMED_OUT),
        (exceptions.BusyLoadingError("loading"), ErrorKind.UNREADY),
        (exceptions.ReadOnlyError("replica"), ErrorKind.UNREADY),
        (exceptions.OutOfMemoryError("OOM"), ErrorKind.UNREADY),
        (exceptions.ResponseError("MISCONF no dump"), ErrorKind.UNREADY),
        (exceptions.AuthenticationError("password"), ErrorKind.REFUSED),
    ],
)
def test_an_error_is_counted_by_how_it_failed(error: Exception, kind: ErrorKind) -> None:
    """A server that is away, one that is slow, one that cannot now, and one that will not."""
    with pytest.raises(PortError) as told, translated():
        raise error

    assert told.value.kind is kind
