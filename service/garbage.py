"""How often Python looks for cycles of garbage; this module knows nothing of what there is."""

from __future__ import annotations

import gc

_YOUNG_OBJECTS = 1_000_000
"""
More objects made than let go before a look: what a large batch makes is mostly gone with it, and is looked at
for nothing before. A look takes some 30 ms then; at 50 000 looking took an eighth of the time.
"""

_YOUNG_LOOKS, _MIDDLE_LOOKS = 20, 100
"""Looks at the young before one at those that stayed, and of these before one at all: nearly never."""


def calm_collector() -> None:
    """Take what is loaded by now for permanent, and look for garbage seldom; called by what runs long."""
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, _YOUNG_LOOKS, _MIDDLE_LOOKS)
