"""What comes of an event: what `fold` gives. Knows nothing of how it comes about."""

from __future__ import annotations

from typing import NamedTuple

from schemas.vocabulary import Status, Verdict
from service.domain.time import Micros


class Transition(NamedTuple):
    """A change of a connector's status; `lasted` is how long the status before it did, in microseconds."""

    connector_uid: str
    from_status: Status | None
    to_status: Status
    at: Micros
    lasted: Micros | None
    verdict: Verdict
    event_id: str
    position: int


class Folded(NamedTuple):
    """
    What came of an event.

    `publish`: the snapshot changed by more than `last_seen_at`. `moved`: the content moved, and the revision
    with it (promise P10). `removed_now`: the EVSE's last snapshot is to be followed by a tombstone.
    """

    verdict: Verdict
    publish: bool = False
    moved: bool = False
    transitions: tuple[Transition, ...] = ()
    removed_now: bool = False
