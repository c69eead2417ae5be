"""How often Python looks for cycles of garbage; this module knows nothing of what there is."""

from __future__ import annotations

import gc

_YOUNG_OBJECTS = 1_000_000
"""
More objects made than let go before a look: what a large batch makes is mostly gone with it, and is looked at
for nothing before. At 50 000 looking took an eighth of the time.
"""

_YOUNG_LOOKS, _MIDDLE_LOOKS = 20, 100
"""Looks at the young before one at those that stayed, and of these before one at all: nearly never."""

_MANY_RECORDS = 1_000


def calm_collector() -> None:
    """Take what is loaded by now for permanent, and look for garbage seldom; called by what runs long."""
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, _YOUNG_LOOKS, _MIDDLE_LOOKS)


def settle(records: int, *, after_failure: bool = False) -> None:
    """
    Take what is left of a batch of so many records for permanent, if they are many.

    What stays is states, without cycles, some ten objects a record: a look at a million of them holds the
    loop for half a second (measured) and finds nothing. Small batches, as of a worker that keeps up, leave it
    to the collector. `after_failure`: something failed since, which may have left cycles, as errors do with
    what they hold: they are looked for first.
    """
    if records >= _MANY_RECORDS:
        if after_failure:
            gc.collect()
        gc.freeze()
