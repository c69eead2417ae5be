"""
One status and one online of an EVSE, from those of its connectors (settled reading 14).

Fleets have few combinations of these words and ask for them at every change, so the answers are kept.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from schemas.vocabulary import OUT_OF_SERVICE, Status

Words = tuple[tuple[Status | None, bool | None], ...]
"""(status, online) of each connector that is known."""

_IN_USE_FIRST: Final[tuple[tuple[frozenset[Status], Status], ...]] = (
    (frozenset({Status.PREPARING, Status.CHARGING, Status.FINISHING}), Status.CHARGING),
    (frozenset({Status.RESERVED}), Status.RESERVED),
    (frozenset({Status.AVAILABLE}), Status.AVAILABLE),
    (frozenset({Status.INOPERATIVE}), Status.INOPERATIVE),
    (frozenset({Status.OUTOFORDER}), Status.OUTOFORDER),
)

STATUS_RULES: Final[dict[str, tuple[tuple[frozenset[Status], Status], ...]]] = {"in_use_first": _IN_USE_FIRST}
"""Named orders by which an EVSE gets one status from its connectors: the first that any of them has."""

_KEPT: Final = 4096


@lru_cache(maxsize=_KEPT)
def status_of_all(connectors: Words, rule: str = "in_use_first") -> Status:
    """Give the EVSE one status: online first, then the order of the rule."""
    if not connectors:
        return Status.UNKNOWN
    in_service = [each for each in connectors if each[0] not in OUT_OF_SERVICE]
    if not in_service:
        return Status.REMOVED if all(each[0] is Status.REMOVED for each in connectors) else Status.PLANNED
    if all(online is False for _, online in in_service):
        return Status.UNKNOWN
    statuses = {status for status, _ in in_service}
    for those, status in STATUS_RULES[rule]:
        if not those.isdisjoint(statuses):
            return status
    return Status.UNKNOWN


@lru_cache(maxsize=_KEPT)
def online_of_all(connectors: Words) -> bool | None:
    """Give the EVSE one online: false if all in service are offline, true if any is online, else null."""
    in_service = [online for status, online in connectors if status not in OUT_OF_SERVICE]
    if in_service and all(online is False for online in in_service):
        return False
    return True if any(in_service) else None
