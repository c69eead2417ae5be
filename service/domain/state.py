"""
The state of one EVSE: closed history, the base folded up to the horizon, the reports since, and the tip.

The tip is the base with all recent items applied; a late event goes into its place among the recent ones,
and the tip is folded again from the base. Nothing here judges events: that is `fold`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from schemas.vocabulary import TimeClass
from service.domain.checkpoints import Checkpoints
from service.domain.closed import Days, PortDays, Spans
from service.domain.definitions import Weighting
from service.domain.inventory import Declarations, Gap
from service.domain.reliability import LeftOut
from service.domain.time import LATEST, Micros
from service.domain.timeline import NAMELESS, Item, Minutes, Timeline
from service.domain.track import NEVER, Key, Span

PORT: Final = ""
"""Under this uid stand the closed days of the EVSE as a port."""

LAST_UPDATED_STEP: Final[Micros] = 1000
"""By so much at least `last_updated` moves when content does (contract 2.3)."""

_SUMS_KEPT: Final = 6


@dataclass(slots=True)
class History:
    """The closed history of one connector: whole days by bucket, and the spans that were not plainly up."""

    days: Days = field(default_factory=Days)
    spans: Spans = field(default_factory=Spans)
    _sums: dict[tuple[int, Weighting], list[int]] = field(default_factory=dict, compare=False)

    left_out: tuple[tuple[Micros, int], LeftOut] | None = field(default=None, compare=False)
    """What is left out of the closed days; known by where they end, and by the declarations' version."""

    def copy(self) -> History:
        """Give an independent copy."""
        return History(self.days.copy(), self.spans.copy())

    def summed_since(self, first: int, weighting: Weighting) -> list[int]:
        """
        Add up the closed days from day `first` on, by a weighting.

        The sums are kept until days are closed or dropped, once a day: rendering asks at every change.
        """
        sums = self._sums.get((first, weighting))
        if sums is None:
            sums = [0] * weighting.size
            for bucket, amount in self.days.total_since(first).items():
                sums[weighting.places[bucket]] += amount
            if len(self._sums) > _SUMS_KEPT:
                self._sums.clear()
            self._sums[first, weighting] = sums
        return sums

    def days_changed(self) -> None:
        """Forget the kept sums; called after `days` was changed."""
        self._sums.clear()
        self.left_out = None


@dataclass(slots=True)
class Unsaved:
    """What was closed since the last save, so that each is written once."""

    days: set[tuple[str, int]] = field(default_factory=set)
    spans: list[tuple[str, Span]] = field(default_factory=list)
    exclusions: set[str] = field(default_factory=set)
    gaps: list[Gap] = field(default_factory=list)
    dropped_days: set[tuple[str, int]] = field(default_factory=set)
    dropped_spans: list[tuple[str, Span]] = field(default_factory=list)
    dropped_gaps: list[Gap] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(
            self.days
            or self.spans
            or self.exclusions
            or self.gaps
            or self.dropped_days
            or self.dropped_spans
            or self.dropped_gaps
        )

    def clear(self) -> None:
        """Forget all: it has been written."""
        self.days.clear()
        self.spans.clear()
        self.exclusions.clear()
        self.gaps.clear()
        self.dropped_days.clear()
        self.dropped_spans.clear()
        self.dropped_gaps.clear()


class Whole(NamedTuple):
    """
    How much of a state was written as a whole: the first so many recent items, minutes and ids.

    With the base and the declarations (those of version `declared`) of that time and what was added since,
    that is the state, as long as events only add: whoever changes one of these in another way takes it back.
    """

    items: int
    minutes: int
    ids: int
    declared: int


class Former(NamedTuple):
    """
    Where an EVSE lived before: its events of epochs up to this one lie in this partition.

    `topics`: the input topics of that time, where those that followed were others; of events before, too.
    """

    epoch: int
    partition: int
    topics: tuple[str, ...] = ()

    @classmethod
    def of(cls, plain: Sequence[Any]) -> Former:
        """Read what `plain` gave."""
        epoch, partition, *topics = plain
        return cls(epoch, partition, tuple(topics[0]) if topics else ())

    @property
    def plain(self) -> tuple[Any, ...]:
        """Give it as JSON can hold it; the topics only where there are any."""
        return tuple(self) if self.topics else tuple(self[:2])


@dataclass(slots=True)
class EvseState:
    """
    Everything known of one EVSE.

    `as_of` is the newest time it is known to have reached, `horizon` that less the allowed lateness (it
    never goes back), `closed` where the base ends. `removal_key` is when the EVSE was removed, `removed_from`
    where that takes effect on its connectors: later only where it was removed before the horizon. `named`
    holds the earliest (time, position) at which a report named a connector. `ids` maps digests of event ids
    to the time until which they count. Of its newest sign of life `last_seen_position` is the position and
    `source` who told it; `interval_key` is the (time, position) of the newest heartbeat that told its
    interval. `has_reported_online`: it, and not the worker, said an online other than null. `partition` is
    where it lives; `former` holds where it lived before, the earliest first.
    """

    uid: str
    partition: int | None = None
    former: list[Former] = field(default_factory=list)
    revision: int = 0
    last_updated: Micros = 0
    connectors_updated: dict[str, Micros] = field(default_factory=dict)
    as_of: Micros = 0
    last_seen_at: Micros | None = None
    last_seen_position: int = -1
    source: str | None = None
    horizon: Micros = 0
    closed: Micros = 0
    days_closed: int = 0
    removal_key: Key | None = None
    removed_from: Key | None = None
    heartbeat_interval_s: int | None = None
    interval_key: Key = NEVER
    has_sent_heartbeat: bool = False
    has_reported_online: bool = False
    overflows: int = 0
    """How often `recent_limit` moved the horizon up."""

    base: Timeline = field(default_factory=Timeline)
    tip: Timeline = field(default_factory=Timeline)
    checkpoints: Checkpoints = field(default_factory=Checkpoints, compare=False)
    """Kept in step with the recent items by whoever changes these; of no account to what the state says."""
    recent: list[Item] = field(default_factory=list)
    reports: int = 0
    """How many of the recent items are effects of reports, which `recent_limit` bounds."""
    minutes: Minutes = field(default_factory=Minutes)
    ids: dict[int, Micros] = field(default_factory=dict)
    declarations: Declarations = field(default_factory=Declarations)
    verdicts: list[tuple[Micros, int, str]] = field(default_factory=list)
    """(time, position, word) of the newest events that corrected history, told by whoever judged them."""
    named: dict[str, Key] = field(default_factory=dict)
    history: dict[str, History] = field(default_factory=lambda: {NAMELESS: History()})
    port_days: PortDays = field(default_factory=PortDays)
    """The closed days of the port; whoever changes them says `port_days_changed`."""
    _port_sums: tuple[int, dict[TimeClass, Micros]] | None = field(default=None, compare=False)
    unsaved: Unsaved = field(default_factory=Unsaved)
    whole: Whole | None = field(default=None, compare=False)
    """What the view has of it as a whole, so that a save need not write that again; None: none that holds."""

    @property
    def removed(self) -> bool:
        """Whether the EVSE was removed: terminal for its uid."""
        return self.removal_key is not None

    def ahead(self) -> Iterator[Timeline]:
        """Give what lies ahead of the base: the checkpoints and the tip."""
        return iter([*self.checkpoints.timelines(), self.tip])

    def base_changed(self) -> None:
        """Forget what follows from the base, after it was changed in another way than by the next item."""
        self.whole = None
        self.checkpoints.forget_after(0)

    def was_written(self) -> None:
        """Note that all of it, as it is, was written as a whole."""
        self.whole = Whole(
            len(self.recent), len(self.minutes.starts), len(self.ids), self.declarations.version
        )

    def hear(self, sign: Micros, position: int, source: str | None) -> None:
        """Take a sign of life, and who told it, if none is newer."""
        last = -1 if self.last_seen_at is None else self.last_seen_at
        if sign > last or (sign == last and position > self.last_seen_position):
            self.last_seen_at, self.last_seen_position, self.source = sign, position, source

    def beat(self, key: Key, interval_s: int | None) -> None:
        """Note that it sends heartbeats, and their interval, if one was told and none is newer."""
        self.has_sent_heartbeat = True
        if interval_s is not None and key > self.interval_key:
            self.heartbeat_interval_s, self.interval_key = interval_s, key

    def step_revision(self, connectors: Iterable[str]) -> None:
        """Note that content moved by an event, of these connectors and so of the EVSE (promise P10)."""
        moved_at = self.as_of
        if self.revision:
            stepped = self.last_updated + LAST_UPDATED_STEP
            if stepped > moved_at:
                moved_at = min(stepped, LATEST)
        self.last_updated = moved_at
        self.revision += 1
        for uid in connectors:
            self.connectors_updated[uid] = moved_at

    def connector_uids(self) -> list[str]:
        """Give the known connectors: the standing inventory's in its order, then the others by uid."""
        listed: Mapping[str, object] = self.declarations.connectors or {}
        known = self.tip.tracks
        uids = [uid for uid in listed if uid in known]
        if len(uids) < len(known):
            uids += sorted([uid for uid in known if uid not in listed])
        return uids

    def port_summed_since(self, first: int) -> dict[TimeClass, Micros]:
        """Add up the port's closed days from day `first` on; kept like `History.summed_since`."""
        if self._port_sums is None or self._port_sums[0] != first:
            self._port_sums = (first, self.port_days.total_since(first))
        return self._port_sums[1]

    def port_days_changed(self) -> None:
        """Forget the kept sums of the port."""
        self._port_sums = None
