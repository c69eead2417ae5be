"""A token endpoint over TLS, in a thread: what an identity provider is to a client of Kafka."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, unquote_plus

from tests.certificates import Certificate
from tests.secured_kafka import unsigned_token

CLIENT, SECRET = "worker", "geheim:/%"
"""Who may have a token; the secret holds what has to be written otherwise on its way."""


class TokenServer(HTTPServer):
    """What it was asked, and how it answers: `instead` is a status that is answered in place of a token."""

    def __init__(self, certificate: Certificate) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.asked: list[dict[str, list[str]]] = []
        self.life_s = 600
        self.instead = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://127.0.0.1:{self.server_port}/token"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that do not trust it go away in the midst of the handshake."""


class _Handler(BaseHTTPRequestHandler):
    server: TokenServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(parse_qs(body.decode()))
        user = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
        if self.server.instead:
            self._answer(self.server.instead, {"error": "temporarily_unavailable"})
        elif [unquote_plus(part) for part in user.split(":")] != [CLIENT, SECRET]:
            self._answer(401, {"error": "invalid_client"})
        else:
            token = unsigned_token(CLIENT, self.server.life_s)
            self._answer(200, {"access_token": token, "expires_in": self.server.life_s})

    def _answer(self, status: int, value: dict[str, object]) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Location", "https://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def token_server(certificate: Certificate) -> Iterator[TokenServer]:
    """Serve for a while."""
    with TokenServer(certificate) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        serving.start()
        try:
            yield server
        finally:
            server.shutdown()
            serving.join()
