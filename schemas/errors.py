"""
Plain words for what is wrong with a field: its path, the remedy, and what stood there.

This module knows pydantic's kinds of errors and no model.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic_core import ErrorDetails

_SHOWN = 40
"""How many characters of a bad string a message repeats."""

_LONG = 10**20
"""A whole number from here on is shown as a float; JSON's are none above 2⁶⁴ but by way of one."""

_REMEDIES = {
    "enum": "must be a string",
    "string_type": "must be a string",
    "string_too_short": "must not be empty",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "rfc3339": "must be an RFC 3339 time like 2026-01-05T00:00:00Z",
}


def path_of(location: Sequence[int | str]) -> str:
    """Write the place of a field as a dotted path, list indices counted from 0: `connectors.0.uid`."""
    return ".".join(str(part) for part in location)


def describe(value: object) -> str:
    """Show a value in a message: short, on one line, and never by walking into it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return ascii(value) if len(value) <= _SHOWN else ascii(value[:_SHOWN]) + "…"
    if isinstance(value, int | float):
        # A float that stands for a whole number has up to 309 digits as one.
        return str(value) if isinstance(value, int) and abs(value) < _LONG else f"{value:.6g}"
    return "a list" if isinstance(value, list | tuple) else "an object"


def is_missing(error: ErrorDetails) -> bool:
    """Tell whether the field is not there; null equals absence."""
    return error["type"] == "missing" or error["input"] is None


def remedy_of(error: ErrorDetails) -> str:
    """Say what the field must be, and what it is: `must be a string, is 5`."""
    kind = error["type"]
    if is_missing(error):
        return "is missing"
    if kind == "too_many":
        return error["msg"]
    context = error.get("ctx", {})
    if kind == "string_too_long":
        return f"must have at most {context['max_length']} characters, has {len(error['input'])}"
    if kind == "string_pattern_mismatch":
        degrees = "5,7" in str(context["pattern"])
        remedy = (
            'must be degrees with 5 to 7 decimals like "50.770774"'
            if degrees
            else "must hold no control character"
        )
    elif kind in _REMEDIES:
        remedy = _REMEDIES[kind]
    else:
        remedy = error["msg"].replace("Input should", "must").replace("Value error, ", "")
    return f"{remedy}, is {describe(error['input'])}"
