"""What the view holds of one EVSE as the evidence for its numbers, and the names of events in the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from schemas.explanation import EventAtEnd, LateEvent
from schemas.snapshot import Snapshot
from schemas.view import Cause, Exclusion, Gap, Judged, Outage, Place, Recent, parse_recent
from schemas.vocabulary import Verdict
from service.domain.intervals import Interval, merge
from service.domain.state import Former
from service.domain.time import Micros, datetime_from, micros_from
from service.explanation.pieces import Declared


@dataclass(frozen=True, slots=True)
class Evidence:
    """One EVSE of the view, read at one instant; `outages` are the closed ones that reach into the window."""

    snapshot: Snapshot
    removed_at: datetime | None
    partition: int | None
    recent: Recent
    outages: Sequence[Outage]
    exclusions: Mapping[str, Exclusion]
    gaps: Sequence[Gap]
    judged: Sequence[Judged]
    former: Sequence[Former] = ()

    @classmethod
    def of(
        cls,
        document: Mapping[str, str],
        outages: Sequence[Outage],
        exclusions: Mapping[str, Exclusion],
        gaps: Sequence[Gap],
        judged: Sequence[Judged],
    ) -> Evidence:
        """Take what was read of the view; a worker of an earlier version wrote no `partition`."""
        removed, partition = document.get("removed_at"), document.get("partition")
        return cls(
            Snapshot.model_validate_json(document["snapshot"]),
            datetime.fromisoformat(removed) if removed else None,
            int(partition) if partition else None,
            parse_recent(document["recent"]),
            outages,
            exclusions,
            gaps,
            judged,
            [Former.of(each) for each in orjson.loads(document.get("former") or b"[]")],
        )

    @property
    def as_of(self) -> Micros:
        """How far the EVSE has come."""
        return micros_from(self.snapshot.as_of)

    def connector_uids(self) -> list[str]:
        """Give the known connectors in the order of the snapshot."""
        return [each.connector_uid for each in self.snapshot.connectors]

    def spans_of(self, connector_uid: str) -> list[Outage]:
        """Give the closed and the recent spans of a connector."""
        closed = [outage for outage in self.outages if outage.connector_uid == connector_uid]
        recent = self.recent.connectors.get(connector_uid)
        return [*closed, *(recent.outages if recent else ())]

    def declared(self) -> list[Declared]:
        """Give the exclusions by their begin; one that ends where it begins is none."""
        found = (Declared.of(name, exclusion) for name, exclusion in self.exclusions.items())
        lasting = (each for each in found if each.end > each.start)
        return sorted(lasting, key=lambda each: (each.start, each.end, each.exclusion_id))

    def merged_gaps(self) -> list[Interval]:
        """Give the gaps, those that touch one another as one."""
        return merge((micros_from(gap.from_), micros_from(gap.until)) for gap in self.gaps)

    def first_heard(self) -> Micros | None:
        """
        Give the earliest time at which anything was known of a connector, None where that is not at hand.

        A connector's first span reaches back to 1970; once that is dropped for its age, nobody knows.
        """
        firsts = []
        for uid in self.connector_uids():
            first = min(self.spans_of(uid), key=lambda span: span.from_, default=None)
            if first is None or micros_from(first.from_) > 0:
                return None
            firsts.append(self.as_of if first.until is None else micros_from(first.until))
        return min(firsts, default=self.as_of)


class EventNames:
    """Names events by topic, partition and offset, with their verdicts."""

    def __init__(
        self,
        topics: Sequence[str],
        partition: int | None,
        judged: Iterable[Judged],
        former: Sequence[Former] = (),
    ) -> None:
        self._topics = topics
        self._partition = partition
        self._former = former
        self._judged = tuple(judged)
        self._verdicts = {each.position: each.verdict for each in self._judged}

    def event(self, cause: Cause | None, at: Micros, connector_uid: str) -> EventAtEnd | None:
        """Name the event that changed a connector at a time; None where none is known."""
        if cause is None:
            return None
        place = Place.of(cause.position)
        is_heartbeat = cause.event_id is None
        verdict = self._verdicts.get(cause.position, Verdict.APPLIED)
        return EventAtEnd(
            kind="heartbeat" if is_heartbeat else "event",
            event_id=cause.event_id,
            connector_uid=connector_uid,
            at=datetime_from(at),
            topic=None if place is None else self._topic(place),
            partition=None if place is None else self._partition_of(place),
            offset=None if place is None else place.offset,
            epoch=None if place is None else place.epoch,
            verdict=None if is_heartbeat else verdict,
        )

    def late(self, period: Interval) -> tuple[LateEvent, ...]:
        """Name the events of a period that came too late for it."""
        found = []
        for each in self._judged:
            place = Place.of(each.position)
            if place is None or each.verdict is not Verdict.LATE or not period[0] <= each.at_us < period[1]:
                continue
            found.append(
                LateEvent(
                    at=datetime_from(each.at_us),
                    topic=self._topic(place),
                    partition=self._partition_of(place),
                    offset=place.offset,
                    epoch=place.epoch,
                )
            )
        return tuple(found)

    def _partition_of(self, place: Place) -> int | None:
        return next((each.partition for each in self._former_of(place)), self._partition)

    def _topic(self, place: Place) -> str | None:
        topics = next((each.topics for each in self._former_of(place) if each.topics), self._topics)
        return topics[place.topic] if place.topic < len(topics) else None

    def _former_of(self, place: Place) -> Iterator[Former]:
        return (each for each in self._former if place.epoch <= each.epoch)
