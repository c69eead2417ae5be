"""A broker with a listener for each way to sign in, and rights that hold on all of them but its own."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from pathlib import Path

from tests.certificates import Authority
from tests.local_kafka import KafkaProcess, java_and_jars
from tests.processes import free_port, start_on_free_ports

PASSWORD = "secret"  # noqa: S105 - of a broker that lives for a test
USERS = ("worker", "producer", "reader", "operator")

_KAFKA = "org.apache.kafka.common.security"
LISTENERS: Mapping[str, str] = {"TLS": "SSL", "MUTUAL": "SSL", "SASL": "SASL_SSL", "OAUTH": "SASL_SSL"}
"""By name: the protocol. Whoever comes by PLAINTEXT, as the tests do, may do everything."""


class SecuredKafka(KafkaProcess):
    """The broker; `ports` says where each listener is."""

    def __init__(self, java: str, libraries: Path, authority: Authority) -> None:
        self.authority = authority
        self._own = authority.sign("broker")
        self.ports = {name: free_port() for name in LISTENERS}
        super().__init__(java, libraries)

    def _settings(self) -> dict[str, str]:
        known = super()._settings()
        addresses = "".join(f",{name}://127.0.0.1:{port}" for name, port in self.ports.items())
        protocols = "".join(f",{name}:{protocol}" for name, protocol in LISTENERS.items())
        plain = " ".join(f'user_{name}="{PASSWORD}"' for name in USERS)
        sasl, oauth = "listener.name.sasl", "listener.name.oauth"
        return known | {
            "listeners": known["listeners"] + addresses,
            "advertised.listeners": known["advertised.listeners"].split(",CONTROLLER")[0] + addresses,
            "listener.security.protocol.map": known["listener.security.protocol.map"] + protocols,
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._own.both),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority.file),
            "listener.name.mutual.ssl.client.auth": "required",
            "ssl.principal.mapping.rules": "RULE:^CN=(.*?)$/$1/,DEFAULT",
            f"{sasl}.sasl.enabled.mechanisms": "SCRAM-SHA-512,SCRAM-SHA-256,PLAIN",
            f"{sasl}.scram-sha-512.sasl.jaas.config": f"{_KAFKA}.scram.ScramLoginModule required;",
            f"{sasl}.scram-sha-256.sasl.jaas.config": f"{_KAFKA}.scram.ScramLoginModule required;",
            f"{sasl}.plain.sasl.jaas.config": f"{_KAFKA}.plain.PlainLoginModule required {plain};",
            f"{oauth}.sasl.enabled.mechanisms": "OAUTHBEARER",
            f"{oauth}.oauthbearer.sasl.jaas.config": f"{_KAFKA}.oauthbearer.OAuthBearerLoginModule required "
            'unsecuredLoginStringClaim_sub="broker";',
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }

    def _format(self) -> None:
        users = [
            word
            for name in USERS
            for kind in ("SCRAM-SHA-512", "SCRAM-SHA-256")
            for word in ("--add-scram", f"{kind}=[name={name},password={PASSWORD}]")
        ]
        self._format_with(*users)

    def server(self, listener: str) -> str:
        """Give the address of a listener."""
        return f"127.0.0.1:{self.ports[listener]}"


def start_secured_kafka(authority: Authority) -> SecuredKafka:
    """Start the broker; raise JarsMissing where Java or the jars cannot be had."""
    java, libraries = java_and_jars()
    return start_on_free_ports(lambda: SecuredKafka(java, libraries, authority))


def unsigned_token(user: str, life_s: int = 600) -> str:
    """Make a token as the broker takes it: it believes whoever says a name."""
    now = int(time.time())
    parts = ({"alg": "none"}, {"sub": user, "iat": now, "exp": now + life_s})
    words = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*words, ""])
