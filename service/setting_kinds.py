"""What values of settings are written as, and what the names of their variables begin with."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo
from pydantic_settings import NoDecode

from service.durations import parse_duration

PREFIX = "EVSE_STATUS_"

Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
"""A span of time, written as `500ms`, `30s`, `15m`, `48h`, `1d` or as plain seconds."""


def _listed(value: object) -> object:
    """Take `a, b` for a list of two; TOML may also give a list."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
"""Several words, comma-separated."""


def only_with_certificate(value: Any, info: ValidationInfo) -> Any:
    """Refuse a key, or its password, without the certificate of the same part (`kafka_…`, `redis_…`)."""
    part = str(info.field_name).partition("_")[0]
    certificate = f"{part}_certificate_file"
    if value is not None and info.data.get(certificate, value) is None:
        raise ValueError(f"does nothing without a certificate; set {PREFIX}{certificate.upper()}")
    return value
