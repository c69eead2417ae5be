"""Tokens for Kafka, from a real endpoint over TLS and from a file."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.errors import AuthenticationFailedError, KafkaConnectionError

from service.adapters.clock import ManualClock
from service.adapters.kafka_tokens import EndpointTokens, FileTokens, TokenEndpoint
from tests.certificates import Authority
from tests.token_endpoint import CLIENT, SECRET, TokenServer, token_server


@pytest.fixture
def server(authority: Authority) -> Iterator[TokenServer]:
    """Give an endpoint."""
    with token_server(authority.sign("issuer")) as server:
        yield server


def tokens_of(
    server: TokenServer, authority: Authority, clock: ManualClock, secret: str = SECRET
) -> EndpointTokens:
    """Give what asks it."""
    endpoint = TokenEndpoint(server.url, CLIENT, secret, "kafka")
    return EndpointTokens(endpoint, ssl.create_default_context(cafile=authority.file), clock)


async def test_a_token_is_used_for_most_of_its_life(server: TokenServer, authority: Authority) -> None:
    """Many connections at once ask once; one that is about to run out is not sent any more."""
    clock = ManualClock()
    tokens = tokens_of(server, authority, clock)

    first = set(await asyncio.gather(*(tokens.token() for _ in range(10))))
    clock.advance(479)
    assert {await tokens.token()} == first
    assert server.asked == [{"grant_type": ["client_credentials"], "scope": ["kafka"]}]
    clock.advance(2)
    await tokens.token()
    assert len(server.asked) == 2


async def test_a_token_that_is_still_good_outlasts_a_silent_endpoint(
    server: TokenServer, authority: Authority
) -> None:
    """Until it runs out; from then on the endpoint is what is told of."""
    clock = ManualClock()
    tokens = tokens_of(server, authority, clock)
    first = await tokens.token()
    server.instead = 503

    clock.advance(599)
    assert await tokens.token() == first
    clock.advance(2)
    with pytest.raises(KafkaConnectionError, match="answers 503 temporarily_unavailable"):
        await tokens.token()


async def test_a_wrong_secret_is_told_by_its_settings(server: TokenServer, authority: Authority) -> None:
    """And not repeated."""
    tokens = tokens_of(server, authority, ManualClock(), "gehaim")
    with pytest.raises(AuthenticationFailedError, match=r"401 invalid_client.*CLIENT_SECRET") as refused:
        await tokens.token()

    assert "gehaim" not in str(refused.value)


async def test_the_secret_follows_nobody_elsewhere(server: TokenServer, authority: Authority) -> None:
    """An endpoint that sends its clients on is not followed."""
    server.instead = 302
    with pytest.raises(KafkaConnectionError, match="answers 302"):
        await tokens_of(server, authority, ManualClock()).token()


async def test_the_secret_is_told_to_nobody_unknown(server: TokenServer, tmp_path: Path) -> None:
    """An endpoint that an unknown authority signed is not asked."""
    stranger = Authority(tmp_path)
    with pytest.raises(KafkaConnectionError, match="certificate verify failed"):
        await tokens_of(server, stranger, ManualClock()).token()

    assert server.asked == []


async def test_the_token_of_a_file_is_that_of_now(tmp_path: Path) -> None:
    """Somebody else writes it anew before it runs out."""
    path = tmp_path / "token"
    tokens = FileTokens(path)
    with pytest.raises(KafkaConnectionError, match="EVSE_STATUS_KAFKA_OAUTH_TOKEN_FILE cannot be read"):
        await tokens.token()
    path.write_text("one.two.\n")
    assert await tokens.token() == "one.two."
    path.write_text("three")
    assert await tokens.token() == "three"


@pytest.mark.parametrize("text", ["", "one two", "one\x01auth=Bearer two", "é"])
async def test_what_is_no_token_is_not_sent(tmp_path: Path, text: str) -> None:
    """It would say more to the broker than who signs in."""
    path = tmp_path / "token"
    path.write_text(text)
    with pytest.raises(KafkaConnectionError, match="holds no token"):
        await FileTokens(path).token()
