"""What comes of an event: what `fold` gives. Knows nothing of how it comes about."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.vocabulary import Status, Verdict
from service.domain.time import Micros


@dataclass(slots=True, init=False)
class Transition:
    """A change of a connector's status; `lasted` is how long the status before it did, in microseconds."""

    connector_uid: str
    from_status: Status | None
    to_status: Status
    at: Micros
    lasted: Micros | None
    verdict: Verdict
    event_id: str
    position: int

    def __init__(  # noqa: PLR0913, PLR0917 - the fields
        self,
        connector_uid: str,
        from_status: Status | None,
        to_status: Status,
        at: Micros,
        lasted: Micros | None,
        verdict: Verdict,
        event_id: str,
        position: int,
    ) -> None:
        self.connector_uid, self.from_status, self.to_status = connector_uid, from_status, to_status
        self.at, self.lasted, self.verdict = at, lasted, verdict
        self.event_id, self.position = event_id, position


@dataclass(slots=True, init=False)
class Folded:
    """
    What came of an event.

    `publish`: the snapshot changed by more than `last_seen_at`. `moved`: the content moved, and the revision
    with it (promise P10). `removed_now`: the EVSE's last snapshot is to be followed by a tombstone.
    """

    verdict: Verdict
    publish: bool
    moved: bool
    transitions: tuple[Transition, ...]
    removed_now: bool

    def __init__(
        self,
        verdict: Verdict,
        publish: bool = False,
        moved: bool = False,
        transitions: tuple[Transition, ...] = (),
        removed_now: bool = False,
    ) -> None:
        self.verdict, self.publish, self.moved = verdict, publish, moved
        self.transitions, self.removed_now = transitions, removed_now
