"""Redis' protocol (RESP), as far as writing a call goes; knows no connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

_SHORT: Final = 4096
_HEADS: Final = [b"\r\n$%d\r\n" % size for size in range(_SHORT)]
"""What stands between the last argument and one of this size."""


def packed(arguments: Sequence[Any], encode: Callable[[Any], bytes]) -> bytes:
    """Write a call; `encode` gives the bytes of what is neither bytes nor text."""
    # Every argument ends where the head of the next one begins: one piece less for each.
    parts: list[bytes] = [b"*%d" % len(arguments)]
    for argument in arguments:
        if type(argument) is bytes:
            word: bytes = argument
        elif type(argument) is str:
            word = argument.encode()
        else:
            word = encode(argument)
        size = len(word)
        parts.append(_HEADS[size] if size < _SHORT else b"\r\n$%d\r\n" % size)
        parts.append(word)
    parts.append(b"\r\n")
    return b"".join(parts)
