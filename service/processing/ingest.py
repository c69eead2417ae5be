"""
Whether chargers are heard in a partition at all, and the gaps in which they were not (promise P5).

A gap is found from the log, by the records' own times: neither lag nor clock play a part, and reading again,
or in other batches, finds the same gaps. Nothing here writes them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from schemas.fields import MAX_UID_LENGTH
from service.domain.events import (
    SILENCE,
    ChargerNoted,
    Event,
    HeartbeatReceived,
    OnlineReported,
    StatusReported,
)
from service.domain.packing import UnknownVersion
from service.domain.time import EARLIEST, HOUR, MINUTE, Micros, rfc3339
from service.processing.pace import Pace

SOURCE = "evse-status"
"""Source of the events that the worker itself writes to the log."""

_VERSION = 1

_CLOCKS: Micros = MINUTE
"""How far the worker's clock may be ahead of what stamps the records, where a look at the end is believed."""


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """A time in which nothing from a charger was appended to a partition."""

    from_: Micros
    until: Micros


def is_from_charger(event: Event) -> bool:
    """Tell whether an event shows that chargers are heard: it is neither people's nor the worker's own."""
    if isinstance(event, OnlineReported):
        return event.reason != SILENCE
    return isinstance(event, (StatusReported, HeartbeatReceived, ChargerNoted))


def own_id(kind: str, uid: str, *times: Micros) -> str:
    """
    Name an event of the worker's own: `gap:<uid>:<time>`.

    Where that is longer than an id may be, a digest stands for the uid.
    """
    said = [rfc3339(each) for each in times]
    event_id = ":".join((kind, uid, *said))
    if len(event_id) <= MAX_UID_LENGTH:
        return event_id
    return ":".join((kind, blake2b(uid.encode(), digest_size=16).hexdigest(), *said))


def gap_event(uid: str, gap: Gap, event_id: str | None = None) -> dict[str, Any]:
    """Write the event that tells an EVSE of a gap; whoever writes it, it is the same."""
    return {
        "type": "observation.gap",
        "event_id": event_id or own_id("gap", uid, gap.from_),
        "evse_uid": uid,
        "occurred_at": rfc3339(gap.until),
        "from": rfc3339(gap.from_),
        "until": rfc3339(gap.until),
        "source": SOURCE,
    }


def loss_event(uid: str, gap: Gap) -> dict[str, Any]:
    """
    Write the event that tells an EVSE of a time of which the records are gone.

    Told again after a crash it may end later: both hold, and so the id names both ends.
    """
    return gap_event(uid, gap, own_id("lost", uid, gap.from_, gap.until))


@dataclass(slots=True)
class _Topic:
    """
    How far the partition of one topic has been read.

    `heard_at`: the newest record time of a charger event; what goes back counts as of the newest before it.
    `looked_at`: until when nothing more was there. `lost`: records between the last and the next were lost.
    """

    next_offset: int = 0
    heard_at: Micros | None = None
    looked_at: Micros | None = None
    lost: bool = False

    @property
    def read_through(self) -> Micros:
        return max(-1 if self.heard_at is None else self.heard_at, self.looked_at or -1)


class Ingest:
    """
    The ingest of one partition number, over all input topics.

    With several topics the silence of one is none of the partition: a gap is given once each topic was read
    beyond it or to its end (`looked`). Intervals are those within each topic and count once their hour is
    over, so that it does not matter which was read first; in return the first hour tells of no silence.
    """

    __slots__ = ("_first", "_newest", "_open", "_pace", "_resumed_at", "_silent_after", "_topics")

    def __init__(self, silent_after: Micros, topics: int = 1) -> None:
        """Take the shortest silence there is, and the number of input topics."""
        self._silent_after = silent_after
        self._topics = [_Topic() for _ in range(topics)]
        self._first: Micros | None = None
        self._newest: Micros | None = None
        self._open: list[Gap] = []
        self._resumed_at: Micros | None = None
        self._pace = Pace(silent_after, whole_hours=topics > 1)

    @property
    def newest_charger_record(self) -> Micros | None:
        """The time up to which charger events are known to have come, so that who was not heard is silent."""
        return self._open[0].from_ if self._open else self._newest

    @property
    def is_known(self) -> bool:
        """Whether anything of any charger was observed, so that a loss has a begin."""
        return any(topic.heard_at is not None for topic in self._topics)

    @property
    def resumed_at(self) -> Micros | None:
        """When the last gap ended."""
        return self._resumed_at

    def observe(
        self, topic_index: int, offset: int, record_time: Micros | None, is_charger: bool
    ) -> tuple[Gap, ...]:
        """
        Take the next record of a topic and give the gaps that are now known to have been.

        One whose offset was observed before is ignored. A time before 2010 is none, as is None, which should
        also stand for a time that lies ahead of the clock: one such record would else open a gap until then.
        """
        topic = self._topics[topic_index]
        if offset < topic.next_offset:
            return ()
        topic.next_offset = offset + 1
        if not is_charger or record_time is None or record_time < EARLIEST:
            return ()
        last = topic.heard_at
        at = record_time if last is None or record_time > last else last
        topic.heard_at = at
        if topic.lost:
            topic.lost = False
            return self._go_on_after_loss(last, at)
        self._hear(at)
        gaps = self._settle() if self._open else ()
        if last is not None:
            self._pace.count(at, at - last)
            if at // HOUR != last // HOUR:
                self._forget()
        return gaps

    def looked(self, at: Micros) -> tuple[Gap, ...]:
        """
        Take that all that was in the topics at a time of the clock was observed, and give the gaps now known.

        Needed only with several topics: one in which nothing comes would else hold back what others tell.
        """
        if len(self._topics) == 1:
            return ()
        for topic in self._topics:
            topic.looked_at = max(topic.looked_at or 0, at - _CLOCKS)
        return self._settle() if self._open else ()

    def lost_until_next(self, topic_index: int | None = None) -> None:
        """
        Take that records were lost between the last observed and the next, of one topic or of all.

        The next charger event of the topic then ends a gap from the last, however short.
        """
        for topic in self._topics if topic_index is None else [self._topics[topic_index]]:
            topic.lost = True

    def is_silent(self, now: Micros) -> bool:
        """Tell whether nothing was heard for so long that it will be a gap when something is."""
        return self._newest is not None and self._pace.is_silence(self._newest, now - self._newest)

    def _hear(self, at: Micros) -> None:
        """Put a time at which something was heard among the others, and keep the long times between them."""
        if self._newest is None or self._first is None:
            self._first = self._newest = at
        elif at > self._newest:
            if at - self._newest > self._silent_after:
                self._open.append(Gap(self._newest, at))
            self._newest = at
        elif at < self._first:
            self._keep_open(0, Gap(at, self._first))
            self._first = at
        elif self._open:
            place = bisect_left(self._open, Gap(at, at)) - 1
            if place >= 0 and self._open[place].from_ < at < self._open[place].until:
                split = self._open.pop(place)
                self._keep_open(place, Gap(at, split.until))
                self._keep_open(place, Gap(split.from_, at))

    def _keep_open(self, place: int, gap: Gap) -> None:
        if gap.until - gap.from_ > self._silent_after:
            self._open.insert(place, gap)

    def _settle(self) -> tuple[Gap, ...]:
        """Judge the long times of which every topic has been read to the end."""
        through = min(topic.read_through for topic in self._topics)
        settled = [gap for gap in self._open if gap.until <= through]
        del self._open[: len(settled)]
        return tuple(
            self._gap(gap) for gap in settled if self._pace.is_silence(gap.from_, gap.until - gap.from_)
        )

    def _gap(self, gap: Gap) -> Gap:
        self._resumed_at = max(self._resumed_at or 0, gap.until)
        return gap

    def _go_on_after_loss(self, last: Micros | None, at: Micros) -> tuple[Gap, ...]:
        self._first = at if self._first is None else self._first
        self._newest = at if self._newest is None else max(self._newest, at)
        if last is None:
            # Since when nothing is known, nobody knows; but everybody has as long again as after a gap.
            self._resumed_at = max(self._resumed_at or 0, at)
            return ()
        return () if at == last else (self._gap(Gap(last, at)),)

    def _forget(self) -> None:
        """Drop the intervals that no silence will be judged by any more."""
        through = min(topic.read_through for topic in self._topics)
        newest = through if self._newest is None else min(through, self._newest)
        self._pace.forget_before(min(newest, self._open[0].from_) if self._open else newest)

    def pack(self) -> Any:
        """Give all that is known as plain values, to be kept with a checkpoint."""
        topics = [[each.next_offset, each.heard_at, each.looked_at, each.lost] for each in self._topics]
        gaps = [[gap.from_, gap.until] for gap in self._open]
        times = [self._first, self._newest, self._resumed_at]
        return [_VERSION, topics, times, gaps, self._pace.pack()]

    def spread(self, sources: Sequence[Ingest], partitions: int, over: int) -> Ingest:
        """
        Give what is known of a partition's ingest, where `over` partitions were laid out as so many others.

        `sources` are those from which EVSEs come into it, read to their ends. What was heard last in any of
        them was heard last in this one. Its pace is that of this ingest, a source of it, as it is with more
        or fewer EVSEs in a partition: nobody counted what it would have been.
        """
        packed = [each.pack() for each in sources]
        topics = [_latest(alike) for alike in zip(*(plain[1] for plain in packed), strict=True)]
        firsts, newest, resumed = zip(*(plain[2] for plain in packed), strict=True)
        first = min((each for each in firsts if each is not None), default=None)
        pace = self._pace.stretched(partitions, over).pack()
        return self.unpacked([_VERSION, topics, [first, _last(newest), _last(resumed)], [], pace])

    def unpacked(self, plain: Any) -> Ingest:
        """Make another one again with the settings of this one; raise `UnknownVersion` as `unpack` does."""
        return Ingest.unpack(plain, self._silent_after, len(self._topics))

    @classmethod
    def unpack(cls, plain: Any, silent_after: Micros, topics: int = 1) -> Ingest:
        """Make it again, perhaps for more topics; raise `UnknownVersion` if another version packed it."""
        if plain[0] != _VERSION:
            raise UnknownVersion
        ingest = cls(silent_after, topics)
        _, known, times, gaps, pace = plain
        ingest._topics[: len(known)] = [_Topic(*each) for each in known[:topics]]
        ingest._first, ingest._newest, ingest._resumed_at = times
        ingest._open = [Gap(*each) for each in gaps]
        ingest._pace.restore(pace)
        return ingest


def _latest(packed: Sequence[Any]) -> Any:
    """Put together how far the partitions of one topic had been read."""
    next_offsets, heard_at, looked_at, lost = zip(*packed, strict=True)
    return [max(next_offsets), _last(heard_at), _last(looked_at), any(lost)]


def _last(times: Sequence[Micros | None]) -> Micros | None:
    return max((each for each in times if each is not None), default=None)
