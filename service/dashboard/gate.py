"""
Who and what comes in: a prefix before every address, a token, and how long an address may be.

Stands before the page; it is told which addresses there are, and knows itself only the one for probes.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

LIVE = "/health/live"
"""Answered without a token: whoever probes knows none, and it tells nothing of the fleet."""

_LONGEST_PATH = 4096
"""Bytes; a uid of 255 characters takes at most 3 060 of them."""
_LONGEST_QUERY = 4096


@dataclass(frozen=True, slots=True)
class Gate:
    """What is asked of who comes in."""

    root_path: str = ""
    """
    What a proxy leaves before each address, as `/evse`; addresses without it are answered, too.

    What can be read both ways is read with it. An address that begins like it, but names nothing behind it,
    is one without: `/evse/UID` is the page of an EVSE also where the prefix is `/evse`.
    """
    token: str = field(default="", repr=False)
    """What has to stand in `Authorization: Bearer …`; empty: nothing."""

    def lets_in(self, headers: Headers) -> bool:
        """Compare the token, in a time that tells nothing of it."""
        if not self.token:
            return True
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(
            shown.strip().encode("latin-1"), self.token.encode("latin-1")
        )


class GateMiddleware:
    """Stands before an application."""

    def __init__(self, app: ASGIApp, gate: Gate, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._gate = gate
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        mounted: str = scope.get("root_path", "")
        path = scope["path"].removeprefix(mounted)
        root = self._gate.root_path
        if root and path.startswith(f"{root}/"):
            behind = {**scope, "root_path": mounted + root}
            if self._leads_somewhere(behind) or not self._leads_somewhere(scope):
                path, scope = path.removeprefix(root), behind
            else:
                # Its links are those of an address with the prefix: they hold whether a proxy left it or took
                # it away, since what is behind the prefix is answered either way.
                scope = {**behind, "path": f"{mounted}{root}{path}"}
        answer = self._answer(scope, path)
        await (answer or self._app)(scope, receive, send)

    def _leads_somewhere(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is not Match.NONE for route in self._routes)

    def _answer(self, scope: Scope, path: str) -> Response | None:
        """Give the answer to who does not come in."""
        if len(scope.get("raw_path") or b"") > _LONGEST_PATH or len(scope["query_string"]) > _LONGEST_QUERY:
            return PlainTextResponse("this address is too long\n", 414)
        if path != LIVE and not self._gate.lets_in(Headers(scope=scope)):
            told = {"WWW-Authenticate": "Bearer"}
            return PlainTextResponse("send the token as Authorization: Bearer …\n", 401, told)
        if self._gate.root_path and path == self._gate.root_path:
            # The page's links are relative to its folder.
            return RedirectResponse(f"{scope.get('root_path', '')}{path}/", 308)
        return None
