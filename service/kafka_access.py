"""
Builds what Kafka's clients want to know of TLS and of signing in.

This module knows neither the command line nor the environment.
"""

from __future__ import annotations

from typing import Any

from aiokafka.abc import AbstractTokenProvider

from service.adapters.clock import SystemClock
from service.adapters.kafka_tokens import EndpointTokens, FileTokens, TokenEndpoint, notice_refusals
from service.certificates import Certificates
from service.settings import Settings


def kafka_security(settings: Settings) -> dict[str, Any]:
    """Give the options of a client; raise `Unusable` for a file of certificates or a key that is none."""
    protocol = settings.kafka_security_protocol
    security: dict[str, Any] = {"security_protocol": protocol}
    if protocol.endswith("SSL"):
        security["ssl_context"] = _certificates(settings).context()
    if not protocol.startswith("SASL"):
        return security
    security["sasl_mechanism"] = settings.kafka_sasl_mechanism
    if settings.kafka_sasl_mechanism == "OAUTHBEARER":
        security["sasl_oauth_token_provider"] = _tokens(settings)
    elif settings.kafka_sasl_password is not None:
        security["sasl_plain_username"] = settings.kafka_sasl_username
        security["sasl_plain_password"] = settings.kafka_sasl_password.get_secret_value()
    return security


def _certificates(settings: Settings) -> Certificates:
    return Certificates(
        "KAFKA",
        settings.kafka_ca_file,
        settings.kafka_certificate_file,
        settings.kafka_key_file,
        settings.kafka_key_password,
    )


def _tokens(settings: Settings) -> AbstractTokenProvider:
    notice_refusals()
    if settings.kafka_oauth_token_file is not None:
        return FileTokens(settings.kafka_oauth_token_file)
    secret = settings.kafka_oauth_client_secret
    endpoint = TokenEndpoint(
        settings.kafka_oauth_token_endpoint,
        settings.kafka_oauth_client_id,
        "" if secret is None else secret.get_secret_value(),
        settings.kafka_oauth_scope,
    )
    # Often another one signs it than the brokers, so both are trusted.
    return EndpointTokens(endpoint, _certificates(settings).context_of_both(), SystemClock())
