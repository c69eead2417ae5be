"""
The timeline of one EVSE: all its tracks, folded up to some item of its history.

Items are what reports come down to: a report takes effect when it applies and is a sign of life when it was
received, so it may stand in two places. Items are applied in order of (time, position); heartbeats are kept
apart as minutes, since only the first one after a disconnect can matter.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NamedTuple

from schemas.vocabulary import Status, TimeClass
from service.domain.definitions import OBSERVED, first_of
from service.domain.rules import KEPT_DAYS
from service.domain.time import DAY, Micros
from service.domain.track import NEVER, Key, Report, Track

NAMELESS: Final = "\x1f"
"""Under this uid stands what held for all connectors; no real uid has control characters."""

_UP: Final = TimeClass.UP
_UNOBSERVED: Final = TimeClass.UNOBSERVED

HEARTBEAT_POSITION: Final = -1
"""A heartbeat counts at the start of its minute before anything else of that instant."""


class ItemKind(IntEnum):
    """What an item does to the timeline."""

    STATUS = 0
    ONLINE = 1
    NOTE = 2
    INVENTORY = 3
    REMOVED = 4
    SIGN = 5


class OnlineWord(NamedTuple):
    """What a report of online claims; with `last_seen_at` it is a silence, which may be void."""

    online: bool | None
    last_seen_at: Micros | None = None


Body = Report | OnlineWord | dict[str, Report] | None
"""What an item says, by its kind."""


@dataclass(slots=True, init=False)
class Item:
    """
    One step of the history; `order_of` is never equal for two items.

    `connector_uid` None is every connector. `body` by kind: STATUS and NOTE a `Report`; ONLINE an
    `OnlineWord`; INVENTORY {connector_uid: Report}; else None.
    """

    time: Micros
    position: int
    kind: ItemKind
    event_id: str
    connector_uid: str | None
    body: Body

    def __init__(
        self,
        time: Micros,
        position: int,
        kind: ItemKind,
        event_id: str,
        connector_uid: str | None = None,
        body: Body = None,
    ) -> None:
        self.time, self.position, self.kind = time, position, kind
        self.event_id, self.connector_uid, self.body = event_id, connector_uid, body

    @property
    def key(self) -> Key:
        """(time, position)."""
        return (self.time, self.position)


def key_of(item: Item) -> Key:
    """Give the key of an item, for a search among items."""
    return (item.time, item.position)


def order_of(item: Item) -> tuple[Micros, int, ItemKind]:
    """Give what items are ordered by, for a search among items."""
    return (item.time, item.position, item.kind)


class Note(NamedTuple):
    """The newest word about the whole charger."""

    report: Report
    at: Micros


@dataclass(slots=True)
class PortTrack:
    """The EVSE as a port under the definition `observed`, before exclusions and gaps."""

    time_class: TimeClass = TimeClass.UNOBSERVED
    since: Micros = 0
    poured: Micros = 0
    days: dict[int, dict[TimeClass, Micros]] = field(default_factory=dict)
    told_days: dict[int, bytes] = field(default_factory=dict, compare=False)
    """Days before the newest in the words of whoever renders them."""

    def copy(self) -> PortTrack:
        """Give an independent copy."""
        days = {day: dict(classes) for day, classes in self.days.items()}
        return PortTrack(self.time_class, self.since, self.poured, days)

    def become(self, at: Micros, time_class: TimeClass) -> None:
        """Go on in another class from `at`."""
        if time_class is not self.time_class:
            self.pour(at)
            self.time_class, self.since = time_class, at
            self.poured = max(self.poured, at)

    def pour(self, until: Micros) -> None:
        """Account for the current class up to `until`; unobserved is what is left of a window."""
        start = self.poured
        if until <= start:
            return
        self.poured = until
        if self.time_class is _UNOBSERVED:
            return
        # A clock in the year 9999 would else cost three million days, to be forgotten at once.
        start = max(start, (until // DAY - KEPT_DAYS) * DAY)
        while start < until:
            day = start // DAY
            end = min(until, (day + 1) * DAY)
            classes = self.days.setdefault(day, {})
            classes[self.time_class] = classes.get(self.time_class, 0) + end - start
            start = end

    def forget_days(self, first: int) -> dict[int, dict[TimeClass, Micros]]:
        """Drop the days before day `first`, and give them."""
        self.told_days = {}
        return {day: self.days.pop(day) for day in [day for day in self.days if day < first]}


@dataclass(slots=True)
class Minutes:
    """The starts of the minutes in which a heartbeat was received, sorted."""

    starts: list[Micros] = field(default_factory=list)

    def add(self, minute: Micros) -> bool:
        """Note a minute; tells whether it is a new one."""
        starts = self.starts
        if not starts or minute > starts[-1]:
            starts.append(minute)
            return True
        place = bisect_left(starts, minute)
        if starts[place] == minute:
            return False
        starts.insert(place, minute)
        return True

    def first_after(self, time: Micros) -> Micros | None:
        """Give the first minute that starts after `time`."""
        place = bisect_right(self.starts, time)
        return self.starts[place] if place < len(self.starts) else None

    def any_between(self, after: Micros, before: Micros) -> bool:
        """Tell whether a minute starts strictly between two times."""
        first = self.first_after(after)
        return first is not None and first < before

    def forget_before(self, time: Micros) -> Micros | None:
        """Drop what starts before `time` and give the newest dropped."""
        place = bisect_left(self.starts, time)
        if not place:
            return None
        newest = self.starts[place - 1]
        del self.starts[:place]
        return newest


@dataclass(slots=True)
class Timeline:
    """
    All tracks of an EVSE, folded up to the same item.

    `nameless` is touched by what holds for every connector; a connector named first later starts as its
    copy. `last_sign` and `sign_before` are the newest two different times of signs of life among the items.
    """

    nameless: Track = field(default_factory=Track)
    tracks: dict[str, Track] = field(default_factory=dict)
    port: PortTrack = field(default_factory=PortTrack)
    note: Note | None = None
    removed: bool = False
    last_sign: Micros = -1
    sign_before: Micros = -1
    is_offline: bool = False
    """Whether any track is offline, so that a sign of life matters."""

    def copy(self) -> Timeline:
        """Give an independent copy."""
        tracks = {uid: track.copy() for uid, track in self.tracks.items()}
        twin = (self.note, self.removed, self.last_sign, self.sign_before, self.is_offline)
        return Timeline(self.nameless.copy(), tracks, self.port.copy(), *twin)

    def every(self) -> Iterator[Track]:
        """Give the nameless track and all others."""
        return iter((self.nameless, *self.tracks.values()))

    def named(self) -> Iterator[tuple[str, Track]]:
        """Give all tracks with their uids."""
        return iter([(NAMELESS, self.nameless), *self.tracks.items()])

    def track(self, uid: str) -> Track:
        """Give the track under a uid."""
        return self.nameless if uid == NAMELESS else self.tracks[uid]

    def touched(self, connector_uid: str | None) -> Iterable[Track]:
        """Give the tracks that an item about `connector_uid` (None: all) concerns."""
        if connector_uid is None:
            return self.every()
        return (self.tracks[connector_uid],)

    def apply(self, item: Item, minutes: Minutes) -> None:
        """Take the next item in order; heartbeats before it take their effect first."""
        if self.is_offline:
            self.settle((item.time, item.position), minutes)
        _APPLY[item.kind](self, item, minutes)

    def settle(self, before: Key, minutes: Minutes) -> None:
        """Let the heartbeats before `before` end the offline spans they end."""
        while self.is_offline:
            # Of a span it is the newest word of it that a sign must follow: of those before, items in between
            # were asked, or what the limit on recent reports has closed.
            newest = min([track.online_key[0] for track in self.every() if track.online is False])
            minute = minutes.first_after(newest)
            if minute is None or (minute, HEARTBEAT_POSITION) >= before:
                return
            self.heartbeat(minute)

    def heartbeat(self, minute: Micros) -> None:
        """End the offline spans that began before `minute`."""
        if self.is_offline:
            self.hear((minute, HEARTBEAT_POSITION), None)

    def hear(self, key: Key, event_id: str | None) -> None:
        """Let a sign of life end the offline spans that began before it."""
        for track in self.every():
            track.sign_of_life(key, event_id)
        self.turned(key[0])

    def turned(self, at: Micros) -> None:
        """Bring what is kept about all tracks up to date after some of them may have turned at `at`."""
        self.note_offline()
        self.sync_port(at)

    def note_offline(self) -> None:
        """Say anew whether any track is offline."""
        self.is_offline = False
        for track in self.every():
            if track.online is False:
                self.is_offline = True
                break

    def last_turn(self) -> Micros:
        """
        Give the newest time at which any track turned.

        The port's class at a time is that of all tracks at that time: a change before this one cannot be
        taken as the next.
        """
        newest = 0
        for track in self.tracks.values():
            if track.since > newest:  # noqa: PLR1730 - a call of max() takes twice as long
                newest = track.since
        return newest

    def sync_port(self, at: Micros) -> None:
        """Bring the port's class up to date with the tracks."""
        classes = OBSERVED.classes
        for track in self.tracks.values():
            if classes[track.bucket] is _UP:  # the first of `PORT_ORDER`
                self.port.become(at, _UP)
                return
        self.port.become(at, first_of([classes[track.bucket] for track in self.tracks.values()]))

    def pour(self, until: Micros) -> None:
        """Account for all current segments up to `until`."""
        for track in self.every():
            track.pour(until)
        self.port.pour(until)

    def forget_days(self, first: int) -> None:
        """Drop the days before day `first`."""
        for track in self.every():
            track.forget_days(first)
        self.port.forget_days(first)

    def is_void(self, last_seen_at: Micros, at: Micros, minutes: Minutes) -> bool:
        """Tell whether a silence is void: a sign of life lies strictly between its two times (promise P5)."""
        newest = self.last_sign if self.last_sign < at else self.sign_before
        return last_seen_at < newest < at or minutes.any_between(last_seen_at, at)

    def see(self, time: Micros) -> None:
        """Note the time of a sign of life."""
        if time > self.last_sign:
            self.sign_before, self.last_sign = self.last_sign, time
        elif self.last_sign > time > self.sign_before:
            self.sign_before = time


def _apply_status(timeline: Timeline, item: Item, _minutes: Minutes) -> None:
    if timeline.removed:
        return
    assert isinstance(item.body, Report)  # noqa: S101 - narrows the type; the kind says so
    key = (item.time, item.position)
    for track in timeline.touched(item.connector_uid):
        track.report_status(key, item.event_id, item.body)
        if track.since_key == key:
            timeline.sync_port(item.time)


def _apply_online(timeline: Timeline, item: Item, minutes: Minutes) -> None:
    if timeline.removed:
        return
    assert isinstance(item.body, OnlineWord)  # noqa: S101 - narrows the type; the kind says so
    online, last_seen_at = item.body
    if last_seen_at is not None and timeline.is_void(last_seen_at, item.time, minutes):
        return
    for track in timeline.touched(item.connector_uid):
        track.report_online(item.key, item.event_id, online)
    timeline.turned(item.time)


def _apply_note(timeline: Timeline, item: Item, _minutes: Minutes) -> None:
    if not timeline.removed:
        assert isinstance(item.body, Report)  # noqa: S101 - narrows the type; the kind says so
        timeline.note = Note(item.body, item.time)


def _apply_inventory(timeline: Timeline, item: Item, _minutes: Minutes) -> None:
    if timeline.removed:
        return
    assert isinstance(item.body, dict)  # noqa: S101 - narrows the type; the kind says so
    for uid, report in item.body.items():
        if (
            uid in timeline.tracks
        ):  # a removal that truly applied before the inventory takes its connectors back
            timeline.tracks[uid].take_inventory_status(item.key, item.event_id, report)
    timeline.sync_port(item.time)


def _apply_removed(timeline: Timeline, item: Item, _minutes: Minutes) -> None:
    if timeline.removed:
        return
    timeline.removed = True
    for track in timeline.every():
        track.report_status(item.key, item.event_id, Report(Status.REMOVED))
    timeline.sync_port(item.time)


def _apply_sign(timeline: Timeline, item: Item, _minutes: Minutes) -> None:
    timeline.see(item.time)
    if timeline.is_offline:
        timeline.hear(item.key, item.event_id)


_APPLY: Final[dict[ItemKind, Callable[[Timeline, Item, Minutes], None]]] = {
    ItemKind.STATUS: _apply_status,
    ItemKind.ONLINE: _apply_online,
    ItemKind.NOTE: _apply_note,
    ItemKind.INVENTORY: _apply_inventory,
    ItemKind.REMOVED: _apply_removed,
    ItemKind.SIGN: _apply_sign,
}

__all__ = ["NEVER", "Item", "ItemKind", "Minutes", "Note", "PortTrack", "Timeline"]
