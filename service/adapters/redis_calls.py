"""Calls to Redis as values: which key decides where a call goes, and what is asked there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import methodcaller
from typing import Any

from service.adapters.view_scripts import Script
from service.adapters.view_words import Argument


@dataclass(frozen=True, slots=True)
class Call:
    """One call, put on a pipeline by `ask`; all of its keys lie where `key` does."""

    key: str
    ask: Callable[[Any], object]


def call(method: str, key: str, *arguments: Any, **named: Any) -> Call:
    """Give the call of a client's method whose first argument is its one key."""
    return Call(key, methodcaller(method, key, *arguments, **named))


def script_call(script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Call:
    """Give the call of a script by its name; its keys share a hash tag."""
    return Call(keys[0], methodcaller("evalsha", script.sha, len(keys), *keys, *arguments))


def script_text_call(script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Call:
    """Give the same by its text: for what is seldom called, and may meet a server that forgot it."""
    return Call(keys[0], methodcaller("eval", script.text, len(keys), *keys, *arguments))
