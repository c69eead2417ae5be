"""How often Python looks for cycles of garbage; this module knows nothing of what there is."""

from __future__ import annotations

import gc

_YOUNG_OBJECTS = 50_000
"""Allocations before a look: with many states in memory, looking often cost up to a third of the time."""

_YOUNG_LOOKS, _MIDDLE_LOOKS = 20, 100
"""Looks at the young before one at those that stayed, and of these before one at all: nearly never."""


def calm_collector() -> None:
    """Take what is loaded by now for permanent, and look for garbage seldom; called by what runs long."""
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, _YOUNG_LOOKS, _MIDDLE_LOOKS)
