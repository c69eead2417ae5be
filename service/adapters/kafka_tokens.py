"""
Tokens for SASL OAUTHBEARER: out of a file, or from the token endpoint of whoever signs users in.

Kafka's client asks for one with each connection, and what goes wrong is told in errors of its kind. It does
not sign in a second time: a broker that limits sessions closes the connection, and the next one has the
token of then. It also takes a broker's refusal of a token for a welcome, which is mended here.
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote_plus, urlencode
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

import orjson
from aiokafka import conn
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import AuthenticationFailedError, KafkaConnectionError, KafkaError

from service.processing.ports import Clock

_TIMEOUT_S = 5.0
_MOST_BYTES = 64 * 1024
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")  # RFC 6750, 2.1
_SHARE_OF_LIFE = 0.8
"""When a token is asked for anew, so that none runs out on its way."""
_UNTOLD_LIFE_S = 60.0
_REFUSED = (400, 401, 403)


class _Authenticator(conn.OAuthAuthenticator):
    """Takes what a broker answers to a token as what it is: nothing, or a refusal (RFC 7628, 3.2.3)."""

    async def step(self, payload: bytes | None) -> tuple[bytes, bool] | None:
        if self._token_sent and payload:
            raise AuthenticationFailedError(
                f"the broker refuses the token: {payload.decode(errors='replace')}"
            )
        client: Any = super()  # not annotated
        asked: tuple[bytes, bool] | None = await client.step(payload)
        return asked


def notice_refusals() -> None:
    """Let clients of this process notice that a token is refused, which they do not by themselves."""
    # The connection finds it by this name, and offers no other place.
    names: Any = conn
    names.OAuthAuthenticator = _Authenticator


class FileTokens(AbstractTokenProvider):
    """The token that somebody else writes into a file, and keeps fresh there; read for each connection."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def token(self) -> str:
        try:
            text = await asyncio.to_thread(self._read)
        except OSError as error:
            raise KafkaConnectionError(
                f"EVSE_STATUS_KAFKA_OAUTH_TOKEN_FILE cannot be read: {error}"
            ) from error
        return _checked(text.strip(), f"EVSE_STATUS_KAFKA_OAUTH_TOKEN_FILE, {self._path},")

    def _read(self) -> str:
        with self._path.open("rb") as file:
            return file.read(_MOST_BYTES).decode("ascii", "replace")


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """Where a client gets tokens for its id and secret (RFC 6749, 4.4)."""

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str = ""


class EndpointTokens(AbstractTokenProvider):
    """Tokens of an endpoint, each used for most of its life."""

    def __init__(self, endpoint: TokenEndpoint, trusted: ssl.SSLContext, clock: Clock) -> None:
        self._endpoint = endpoint
        self._opener = build_opener(HTTPSHandler(context=trusted), _NoRedirects)
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._token = ""
        self._fresh_until = self._good_until = 0.0

    async def token(self) -> str:
        async with self._one_at_a_time:
            now = self._clock.monotonic()
            if not self._token or now >= self._fresh_until:
                try:
                    self._token, life_s = await asyncio.to_thread(self._ask)
                except KafkaError:
                    if not self._token or now >= self._good_until:
                        raise
                else:
                    self._fresh_until, self._good_until = now + life_s * _SHARE_OF_LIFE, now + life_s
            return self._token

    def _ask(self) -> tuple[str, float]:
        """Ask for a token, in a thread; give it with the seconds that it lives."""
        body = {"grant_type": "client_credentials"}
        if self._endpoint.scope:
            body["scope"] = self._endpoint.scope
        user = f"{quote_plus(self._endpoint.client_id)}:{quote_plus(self._endpoint.client_secret)}"
        headers = {
            "Authorization": f"Basic {base64.b64encode(user.encode()).decode()}",
            "Accept": "application/json",
        }
        request = Request(self._endpoint.url, urlencode(body).encode(), headers)  # noqa: S310 - https by the settings
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as answer:
                return self._read(answer.read(_MOST_BYTES))
        except HTTPError as error:
            raise self._refusal(error) from None
        except OSError as error:
            raise KafkaConnectionError(
                f"the token endpoint {self._endpoint.url} does not answer: {error}"
            ) from error

    def _read(self, body: bytes) -> tuple[str, float]:
        said = _object(body)
        token, life = said.get("access_token"), said.get("expires_in", _UNTOLD_LIFE_S)
        if not isinstance(token, str) or not isinstance(life, int | float):
            raise KafkaConnectionError(
                f"the token endpoint {self._endpoint.url} answers without an access_token"
            )
        return _checked(token, f"what the token endpoint {self._endpoint.url} gave"), float(life)

    def _refusal(self, error: HTTPError) -> KafkaError:
        with error:
            reason = _object(error.read(_MOST_BYTES)).get("error")
        told = f"{error.code} {reason}" if isinstance(reason, str) else str(error.code)
        if error.code in _REFUSED:
            return AuthenticationFailedError(
                f"the token endpoint {self._endpoint.url} refuses this client ({told}): check "
                "EVSE_STATUS_KAFKA_OAUTH_CLIENT_ID, _CLIENT_SECRET and _SCOPE"
            )
        return KafkaConnectionError(f"the token endpoint {self._endpoint.url} answers {told}")


class _NoRedirects(HTTPRedirectHandler):
    """Follows nobody elsewhere: the secret goes with the question."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _object(body: bytes) -> Mapping[str, Any]:
    """Read a JSON object; nothing where it is none."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _checked(token: str, where: str) -> str:
    """Refuse what would not stay within its field of the sign-in."""
    if not _TOKEN.fullmatch(token):
        raise KafkaConnectionError(f"{where} holds no token")
    return token
