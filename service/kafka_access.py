"""
Builds what Kafka's clients want to know of TLS and of signing in.

This module knows neither the command line nor the environment.
"""

from __future__ import annotations

import ssl
from typing import Any

from aiokafka.abc import AbstractTokenProvider

from service.adapters.clock import SystemClock
from service.adapters.kafka_tokens import EndpointTokens, FileTokens, TokenEndpoint
from service.processing.ports import Unusable
from service.settings import Settings


def kafka_security(settings: Settings) -> dict[str, Any]:
    """Give the options of a client; raise `Unusable` for a file of certificates or a key that is none."""
    protocol = settings.kafka_security_protocol
    security: dict[str, Any] = {"security_protocol": protocol}
    if protocol.endswith("SSL"):
        security["ssl_context"] = _tls(settings)
    if not protocol.startswith("SASL"):
        return security
    security["sasl_mechanism"] = settings.kafka_sasl_mechanism
    if settings.kafka_sasl_mechanism == "OAUTHBEARER":
        security["sasl_oauth_token_provider"] = _tokens(settings)
    elif settings.kafka_sasl_password is not None:
        security["sasl_plain_username"] = settings.kafka_sasl_username
        security["sasl_plain_password"] = settings.kafka_sasl_password.get_secret_value()
    return security


def _tls(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ca_file)
    except ssl.SSLError as error:
        raise _no_authorities(settings, error) from error
    if settings.kafka_certificate_file is not None:
        password = settings.kafka_key_password
        secret = "" if password is None else password.get_secret_value()
        try:
            # Always a password: without one OpenSSL would ask for it at the terminal.
            context.load_cert_chain(settings.kafka_certificate_file, settings.kafka_key_file, secret)
        except OSError as error:
            raise Unusable(
                f"EVSE_STATUS_KAFKA_CERTIFICATE_FILE: {settings.kafka_certificate_file} and its key cannot "
                f"be used ({error}): give certificate and key in PEM that belong together, and "
                "EVSE_STATUS_KAFKA_KEY_PASSWORD where the key has one"
            ) from error
    return context


def _tokens(settings: Settings) -> AbstractTokenProvider:
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
    trusted = ssl.create_default_context()
    if settings.kafka_ca_file is not None:
        try:
            trusted.load_verify_locations(settings.kafka_ca_file)
        except ssl.SSLError as error:
            raise _no_authorities(settings, error) from error
    return EndpointTokens(endpoint, trusted, SystemClock())


def _no_authorities(settings: Settings, error: ssl.SSLError) -> Unusable:
    return Unusable(
        f"EVSE_STATUS_KAFKA_CA_FILE: {settings.kafka_ca_file} holds no certificates in PEM ({error})"
    )
