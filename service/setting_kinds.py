"""What values of settings are written as, and what the names of their variables begin with."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator
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
