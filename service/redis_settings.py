"""The settings of where the view lies and how it is reached; `service.settings` adds all others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.setting_kinds import PREFIX, only_with_certificate


class RedisAccess(BaseSettings):
    """One server, one that Sentinels watch, or a cluster; with TLS or without."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    redis_url: SecretStr = Field(
        default=SecretStr("redis://localhost:6379/0"),
        description="The Redis or Valkey that holds the view: `redis://`, `rediss://` (TLS) or `unix://`. "
        "One that Sentinels watch: `redis+sentinel://HOST:26379,HOST:26379/NAME/0`, or "
        "`rediss+sentinel://` for TLS to both.",
    )
    redis_sentinel_username: str | None = Field(
        default=None,
        description="Who signs in at the Sentinels. The user in the URL signs in at the server they name.",
    )
    redis_sentinel_password: SecretStr | None = Field(
        default=None,
        validate_default=True,
        description="The password for the Sentinels, where they want one.",
    )
    redis_ca_file: Path | None = Field(
        default=None,
        description="PEM file of the authorities that signed the certificates of Redis and its Sentinels, "
        "with `rediss…://`. Empty: the system's own.",
    )
    redis_certificate_file: Path | None = Field(
        default=None,
        description="PEM file of this client's certificate, where they want one. Read at the start.",
    )
    redis_key_file: Path | None = Field(
        default=None, description="PEM file of the key to it. Empty: it stands in the same file."
    )
    redis_key_password: SecretStr | None = Field(
        default=None, description="The password of the key, where it has one."
    )
    redis_cluster: bool = Field(
        default=False,
        description="Whether that is a cluster; the URL then names any of its nodes, and no database but 0.",
    )
    redis_prefix: str = Field(
        default="evse",
        pattern=r"^[a-zA-Z0-9._-]{1,100}$",
        description="What the names of all keys begin with.",
    )
    redis_allow_eviction: bool = Field(
        default=False,
        description="Start although Redis may evict keys, and so forget EVSEs: each time one is missed all "
        "partitions of its worker are restored.",
    )

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, url: SecretStr) -> SecretStr:
        if _of_sentinels(url):
            if not re.fullmatch(
                r"[^:]+://([^/?#]*@)?[^/?#@\s]+/[^/?#@\s]+(/\d*)?(\?[^#@]*)?", url.get_secret_value()
            ):
                raise ValueError(
                    "is no address of Sentinels; write redis+sentinel://HOST:26379,HOST:26379/NAME/0, and "
                    "percent-encode /, # and ? in user and password"
                )
            return url
        if not re.match(r"(redis|rediss)://[^/]|unix://", url.get_secret_value()):
            raise ValueError(
                "is no address of a Redis; write redis://HOST:PORT/0, rediss://…, unix://PATH or "
                "redis+sentinel://HOST:26379,HOST:26379/NAME/0"
            )
        if not _is_readable(url.get_secret_value()):
            raise ValueError("cannot be read; percent-encode /, # and ? in user and password")
        return url

    @field_validator("redis_ca_file", "redis_certificate_file", "redis_key_file")
    @classmethod
    def _check_tls_file(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        if path is None:
            return None
        if not path.is_file():
            raise ValueError(f"there is no file {path}; give the path of a PEM file")
        if "redis_url" in info.data and not info.data["redis_url"].get_secret_value().startswith("rediss"):
            raise ValueError(
                f"does nothing without TLS; write {PREFIX}REDIS_URL=rediss://… or rediss+sentinel://…"
            )
        return path

    _check_redis_key = field_validator("redis_key_file", "redis_key_password")(only_with_certificate)

    @field_validator("redis_sentinel_username", "redis_sentinel_password")
    @classmethod
    def _check_sentinel(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and "redis_url" in info.data and not _of_sentinels(info.data["redis_url"]):
            raise ValueError(
                f"does nothing without Sentinels; write {PREFIX}REDIS_URL=redis+sentinel://… or remove it"
            )
        if value is None and info.data.get("redis_sentinel_username") is not None:
            raise ValueError(f"is needed with {PREFIX}REDIS_SENTINEL_USERNAME; set it")
        return value

    @field_validator("redis_cluster")
    @classmethod
    def _check_redis_cluster(cls, cluster: bool, info: ValidationInfo) -> bool:
        if cluster and "redis_url" in info.data:
            if _of_sentinels(info.data["redis_url"]):
                raise ValueError(
                    f"a cluster has no Sentinels; write {PREFIX}REDIS_URL=redis://HOST:PORT/0, or false here"
                )
            parts = urlsplit(info.data["redis_url"].get_secret_value())
            if parts.scheme == "unix":
                raise ValueError(
                    f"a cluster has no {PREFIX}REDIS_URL that is a path; write redis://HOST:PORT/0"
                )
            if parts.path.strip("/") not in ("", "0") or parse_qs(parts.query).get("db", ["0"]) != ["0"]:
                raise ValueError(
                    f"a cluster has no database but 0; write {PREFIX}REDIS_URL=redis://HOST:PORT/0"
                )
        return cluster


def _of_sentinels(url: SecretStr) -> bool:
    return re.match(r"rediss?\+sentinel:", url.get_secret_value()) is not None


def _is_readable(url: str) -> bool:
    """Tell whether the parts can be told apart: what is not encoded would end up in error messages."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where it is none
    except ValueError:
        return False
    return "@" not in parts.path + parts.query + parts.fragment
