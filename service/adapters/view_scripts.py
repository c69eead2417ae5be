"""The view's scripts, and the names that servers know them by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script and the name that the server gives it."""

    text: str
    sha: str

    @classmethod
    def read(cls, name: str) -> Script:
        """Read the script in a file beside this one."""
        text = files("service.adapters").joinpath(name).read_text(encoding="utf-8")
        # The server names scripts by SHA-1; it secures nothing.
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


LOAD = Script.read("load.lua")
SAVE = Script.read("view.lua")
CHECKPOINT = Script.read("checkpoint.lua")
INDEX = Script.read("index.lua")

ALL = (LOAD, SAVE, CHECKPOINT, INDEX)
