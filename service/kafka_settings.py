"""The settings of how Kafka is reached and who signs in there; `service.settings` adds all others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.setting_kinds import PREFIX, Names, only_with_certificate


class KafkaAccess(BaseSettings):
    """Brokers, TLS, and one of several ways to sign in."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    kafka_bootstrap_servers: Names = Field(
        default=("localhost:9092",),
        min_length=1,
        description="Brokers to begin with, as `host:port`, comma-separated.",
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="How to talk to the brokers."
    )
    kafka_ca_file: Path | None = Field(
        default=None,
        description="PEM file of the authorities that signed the brokers' certificates. "
        "Empty: the system's own.",
    )
    kafka_certificate_file: Path | None = Field(
        default=None,
        description="PEM file of this client's certificate, where the brokers want one. Read at the start.",
    )
    kafka_key_file: Path | None = Field(
        default=None,
        description="PEM file of the key to it. Empty: it stands in the same file.",
    )
    kafka_key_password: SecretStr | None = Field(
        default=None, description="The password of the key, where it has one."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field(
        default="SCRAM-SHA-512", description="How to sign in, with a SASL protocol."
    )
    kafka_sasl_username: str | None = Field(
        default=None,
        validate_default=True,
        description="Who signs in, with a SASL protocol and any mechanism but OAUTHBEARER.",
    )
    kafka_sasl_password: SecretStr | None = Field(
        default=None, validate_default=True, description="The password, where there is a username."
    )
    kafka_oauth_token_endpoint: str = Field(
        default="",
        description="With OAUTHBEARER: where tokens are had for client id and secret, as `https://…`. "
        "Trusted are the system's authorities and those of `KAFKA_CA_FILE`.",
    )
    kafka_oauth_client_id: str = Field(
        default="", validate_default=True, description="The client id, with a token endpoint."
    )
    kafka_oauth_client_secret: SecretStr | None = Field(
        default=None, validate_default=True, description="The client secret, with a token endpoint."
    )
    kafka_oauth_scope: str = Field(
        default="", description="The scope to ask for, where the token endpoint wants one."
    )
    kafka_oauth_token_file: Path | None = Field(
        default=None,
        validate_default=True,
        description="With OAUTHBEARER and no token endpoint: a file with the token, which somebody else "
        "keeps fresh. Read for each connection.",
    )

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _check_servers(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        for server in servers:
            if not (re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^\s:/]+):\d{1,5}", server) and _is_host(server)):
                raise ValueError(f"{server!r} is no broker; write host:port, for example broker-1:9092")
        return servers

    @field_validator("kafka_ca_file", "kafka_certificate_file", "kafka_key_file", "kafka_oauth_token_file")
    @classmethod
    def _check_file(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        if path is not None and not path.is_file():
            kind = "the file of the token" if info.field_name == "kafka_oauth_token_file" else "a PEM file"
            raise ValueError(f"there is no file {path}; give the path of {kind}")
        return path

    @field_validator("kafka_certificate_file")
    @classmethod
    def _check_certificate(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        protocol = info.data.get("kafka_security_protocol", "")
        if path is not None and protocol and not protocol.endswith("SSL"):
            raise ValueError(
                f"does nothing with the protocol {protocol}; set {PREFIX}KAFKA_SECURITY_PROTOCOL=SSL"
            )
        return path

    _check_key = field_validator("kafka_key_file", "kafka_key_password")(only_with_certificate)

    @field_validator("kafka_sasl_username", "kafka_sasl_password")
    @classmethod
    def _check_sasl(cls, value: Any, info: ValidationInfo) -> Any:
        protocol = info.data.get("kafka_security_protocol", "")
        by_token = info.data.get("kafka_sasl_mechanism") == "OAUTHBEARER"
        if protocol.startswith("SASL") and value is None and not by_token:
            raise ValueError(f"is needed with the protocol {protocol}; set it")
        if value is not None and by_token:
            raise ValueError("does nothing with OAUTHBEARER; remove it")
        if value is not None and protocol and not protocol.startswith("SASL"):
            raise ValueError(
                f"does nothing with the protocol {protocol}; set {PREFIX}KAFKA_SECURITY_PROTOCOL=SASL_SSL"
            )
        return value

    @field_validator("kafka_oauth_token_endpoint")
    @classmethod
    def _check_endpoint(cls, url: str) -> str:
        if url and not re.match(r"https://[^/@]+(/|$)", url):
            raise ValueError("is no address that a secret may be sent to; write https://HOST/…")
        return url

    @field_validator("kafka_oauth_client_id", "kafka_oauth_client_secret", "kafka_oauth_scope")
    @classmethod
    def _check_client(cls, value: Any, info: ValidationInfo) -> Any:
        endpoint = info.data.get("kafka_oauth_token_endpoint")
        if endpoint and not value and info.field_name != "kafka_oauth_scope":
            raise ValueError(f"is needed with {PREFIX}KAFKA_OAUTH_TOKEN_ENDPOINT; set it")
        if endpoint == "" and value:
            raise ValueError(f"does nothing without {PREFIX}KAFKA_OAUTH_TOKEN_ENDPOINT; set that, too")
        return value

    @field_validator("kafka_oauth_token_file")
    @classmethod
    def _check_tokens(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        """Hold that OAUTHBEARER has one place to get tokens from, and anything else none."""
        known = info.data
        if not {"kafka_security_protocol", "kafka_sasl_mechanism", "kafka_oauth_token_endpoint"} <= set(
            known
        ):
            return path
        by_token = known["kafka_security_protocol"].startswith("SASL") and (
            known["kafka_sasl_mechanism"] == "OAUTHBEARER"
        )
        endpoint = known["kafka_oauth_token_endpoint"]
        if by_token and path is None and not endpoint:
            raise ValueError(
                f"is needed with OAUTHBEARER, or {PREFIX}KAFKA_OAUTH_TOKEN_ENDPOINT; set one of them"
            )
        if path is not None and endpoint:
            raise ValueError(f"stands beside {PREFIX}KAFKA_OAUTH_TOKEN_ENDPOINT; set one of them")
        if (path is not None or endpoint) and not by_token:
            raise ValueError(
                "a token, of a file or an endpoint, does nothing without "
                f"{PREFIX}KAFKA_SECURITY_PROTOCOL=SASL_SSL and {PREFIX}KAFKA_SASL_MECHANISM=OAUTHBEARER: "
                "set both"
            )
        return path


def _is_host(server: str) -> bool:
    """Tell whether a name can be looked up; the client would end with what the resolver raises else."""
    try:
        server.rpartition(":")[0].encode("idna")
    except UnicodeError:
        return False
    return True
