"""What is said of a Redis URL that cannot be used, before anything connects."""

from __future__ import annotations

import pytest

from service.adapters.redis_connection import RedisSettings, connect
from service.processing.ports import Unusable


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
    ],
)
async def test_what_the_client_knows_may_stand_in_the_url(url: str) -> None:
    """Database, TLS and names are the user's."""
    await connect(RedisSettings(url)).aclose()
