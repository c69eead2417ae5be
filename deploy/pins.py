"""What a lock file pins: names, versions, extras and hashes, as `make lock` writes them. Knows no index."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_PIN = re.compile(r"(?P<name>[\w.-]+)(?:\[(?P<extras>[^]]*)\])?==(?P<version>[^\s;]+)")


@dataclass(frozen=True, slots=True)
class Pin:
    """One package at one version; `hashes` are those of all its files."""

    name: str
    version: str
    extras: tuple[str, ...]
    hashes: tuple[str, ...]


def pins(lock: Path) -> Iterator[Pin]:
    """Give what a lock file pins, in its order; raise ValueError at a line that pins nothing."""
    for block in re.split(r"\n(?=\S)", lock.read_text(encoding="utf-8").strip()):
        found = _PIN.match(block)
        if found is None:
            raise ValueError(f"{lock.name}: no pin in {block.splitlines()[0]!r}; write it with `make lock`")
        extras = tuple(extra.strip() for extra in (found["extras"] or "").split(",") if extra.strip())
        yield Pin(found["name"], found["version"], extras, tuple(_HASH.findall(block)))
