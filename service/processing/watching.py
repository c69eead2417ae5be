"""
The watch over the partitions a worker owns: whom it hears, who fell silent, and when the ingest stood still.

Everything that promise P5 hangs on comes together here; the rules themselves are in `silence` and `ingest`.
This module waits for nobody: it is told what was read, looked up and when.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import gcd
from typing import Any

import orjson

from service.domain.events import GapObserved
from service.domain.time import CLOCK_TOLERANCE, EARLIEST, Micros
from service.domain.vitals import unpack_vitals, vitals
from service.processing.ingest import Gap, Ingest, is_from_charger
from service.processing.planning import EPOCH_SHIFT, TOPIC_SHIFT, Plan
from service.processing.ports import Hole
from service.processing.sifting import Item
from service.processing.silence import Knowledge, Overdue, SilenceRules, Watchdog, Withheld
from service.processing.values import Seen, TopicPartition

_ORDINAL = ~(((1 << EPOCH_SHIFT - TOPIC_SHIFT) - 1) << TOPIC_SHIFT)
"""Leaves of an event's position the epoch and the offset."""


@dataclass(slots=True)
class _Watch:
    """One partition number, over all topics."""

    ingest: Ingest
    watchdog: Watchdog
    members: dict[str, bool] = field(default_factory=dict)
    """Every EVSE that is known to live here, and whether it was heard since the watch began."""
    census: list[str] | None = None
    """EVSEs whose vitals are still to be looked up; None: nobody has asked who there is."""
    enlisted: set[str] = field(default_factory=set)
    """EVSEs that were in the partition's list when the watch began, and not found nor saved since."""
    missing: list[str] = field(default_factory=list)
    """Of these, those that had no state when they were looked up."""
    gaps: list[Gap] = field(default_factory=list)
    unseen: dict[str, Micros] = field(default_factory=dict)
    """EVSEs of which records are gone, and from when on, until the next record of a charger."""
    unseen_until: Micros | None = None
    """Until when they have been told so, though no record came."""
    losses: list[tuple[str, Gap]] = field(default_factory=list)
    look: tuple[Micros, Mapping[TopicPartition, int]] | None = None
    caught_up_through: Micros | None = None

    @property
    def known(self) -> Knowledge:
        """What is known of the partition; before everybody in it is, it does not count as caught up."""
        through = self.caught_up_through if self.census == [] else None
        return Knowledge(through, self.ingest.newest_charger_record, self.ingest.resumed_at)


def with_losses(
    ingest: bytes,
    like: Ingest,
    unseen: Mapping[str, Micros],
    behind: Mapping[str, Micros],
    *,
    lost: bool,
) -> bytes:
    """
    Give what is kept of a partition's ingest, with what is still to be told of records that are gone.

    It is part of the checkpoint, so that no crash forgets it. `like` is an ingest of the same settings that
    has observed nothing. `lost`: records of the whole partition are
    gone, from the last that was observed on. `unseen` are EVSEs of which nothing is known from their own time
    on, `behind` those whose base is all there is: the gap of the partition covers these, if it has a begin.
    """
    plain = _parts_of(ingest)
    kept = like if not plain["ingest"] else like.unpacked(plain["ingest"])
    told = {**plain.get("unseen", {}), **unseen}
    if not (lost and kept.is_known):
        told |= behind
    if lost:
        kept.lost_until_next()
    return _packed(kept, told, None if unseen or behind else plain.get("unseen_until"))


def spread(
    ingests: Sequence[bytes], like: Ingest, number: int, partitions: int, home: Callable[[str], int]
) -> bytes:
    """
    Give what is kept of the ingest of a partition, where those of these ingests are laid out as so many.

    `like` is as in `with_losses`; `home` gives the new partition of an EVSE. What was still to be told of
    single ones goes with them.
    """
    step = gcd(len(ingests), partitions)
    parts = [_parts_of(each) for each in ingests]
    known = [like if not plain["ingest"] else like.unpacked(plain["ingest"]) for plain in parts]
    sources = range(number % step, len(ingests), step)
    unseen: dict[str, Micros] = {}
    for plain in parts:
        until, told = plain.get("unseen_until"), plain.get("unseen", {})
        unseen |= {
            uid: since if until is None else max(since, until)
            for uid, since in told.items()
            if home(uid) == number
        }
    made = known[number % len(ingests)].spread([known[each] for each in sources], partitions, len(ingests))
    return _packed(made, unseen, None)


def _parts_of(ingest: bytes) -> dict[str, Any]:
    plain = orjson.loads(ingest) if ingest else None
    return plain if isinstance(plain, dict) else {"ingest": plain}


def _packed(ingest: Ingest, unseen: Mapping[str, Micros], until: Micros | None) -> bytes:
    plain = ingest.pack()
    if unseen:
        plain = {"ingest": plain, "unseen": unseen, "unseen_until": until}
    return orjson.dumps(plain)


class Watching:
    """Told by the loop what it does; asked what has to be said."""

    def __init__(self, rules: SilenceRules, ingest_silent_after: Micros, topics: Sequence[str]) -> None:
        self._rules = rules
        self._ingest_silent_after = ingest_silent_after
        self._topics = tuple(topics)
        self._watches: dict[int, _Watch] = {}
        self._missed: set[str] = set()

    def begin(self, number: int, ingest: bytes) -> None:
        """Watch a partition from what is kept of its ingest, and of what is to be told (`with_losses`)."""
        plain = _parts_of(ingest)
        watch = self._watches[number] = _Watch(self._unpacked(plain["ingest"]), Watchdog(self._rules))
        watch.unseen, watch.unseen_until = plain.get("unseen", {}), plain.get("unseen_until")

    def drop(self, number: int) -> None:
        """Watch a partition no longer."""
        self._watches.pop(number, None)

    def _unpacked(self, plain: Any) -> Ingest:
        silent_after, topics = self._ingest_silent_after, len(self._topics)
        return Ingest(silent_after, topics) if not plain else Ingest.unpack(plain, silent_after, topics)

    def lost(self, number: int) -> None:
        """Note that records before those that come now are gone: nobody read them."""
        watch = self._watches.get(number)
        if watch is not None:  # it may have gone while the broker was asked: the next owner finds out
            watch.ingest.lost_until_next()

    def ingest_of(self, number: int) -> bytes:
        """Give what is kept of a partition's ingest, as of the records observed."""
        watch = self._watches.get(number)
        return b"" if watch is None else _packed(watch.ingest, watch.unseen, watch.unseen_until)

    def uids(self) -> Iterator[str]:
        """Give every EVSE that is known to live in the partitions."""
        return (uid for watch in self._watches.values() for uid in watch.members)

    def uids_of(self, number: int) -> list[str]:
        """Give every EVSE that is known to live in a partition."""
        watch = self._watches.get(number)
        return [] if watch is None else list(watch.members)

    def observe(self, items: Iterable[Item], now: Micros) -> None:
        """
        Take note of records in the order of the log.

        A record time that lies ahead of the clock is none: it would open a gap until then.
        """
        told: dict[str, list[GapObserved]] = {}
        for item in items:
            watch = self._watches.get(item.record.partition)
            if watch is None:
                continue
            at = item.record.timestamp if 0 < item.record.timestamp <= now + CLOCK_TOLERANCE else None
            if isinstance(item.event, GapObserved):
                told.setdefault(item.event.evse_uid, []).append(item.event)
            is_charger = is_from_charger(item.event)
            watch.gaps += watch.ingest.observe(
                self._topics.index(item.record.topic),
                item.event.position & _ORDINAL,
                at,
                is_charger=is_charger,
            )
            if watch.unseen and is_charger and at is not None and at >= EARLIEST:
                self._lose(watch, at)
                watch.unseen, watch.unseen_until = {}, None
        if told:
            for watch in self._watches.values():
                watch.losses = [each for each in watch.losses if not _is_told(*each, told)]

    def unwritten_gaps(self) -> dict[int, list[Gap]]:
        """Give the gaps to be written, by partition, until they are."""
        return {number: list(watch.gaps) for number, watch in self._watches.items() if watch.gaps}

    def unwritten_losses(self) -> dict[int, list[tuple[str, Gap]]]:
        """Give the gaps of single EVSEs to be written, by partition, until they are."""
        return {number: list(watch.losses) for number, watch in self._watches.items() if watch.losses}

    def gaps_written(self, number: int) -> None:
        """Note that the gaps of a partition are in the log."""
        if number in self._watches:
            self._watches[number].gaps.clear()

    def losses_written(self, number: int) -> None:
        """Note that the gaps of single EVSEs of a partition are in the log."""
        if number in self._watches:
            self._watches[number].losses.clear()

    @staticmethod
    def _lose(watch: _Watch, until: Micros) -> None:
        """Note the gaps up to `until`, from where they were told before, if they were."""
        for uid, since in watch.unseen.items():
            start = since if watch.unseen_until is None else watch.unseen_until
            if start < until:
                watch.losses.append((uid, Gap(start, until)))

    def heard(self, plans: Iterable[Plan]) -> None:
        """Take note of EVSEs that were saved."""
        for each in plans:
            number = each.held.state.partition
            watch = self._watches.get(number) if number is not None else None
            if watch is not None:
                watch.members[each.uid] = True
                watch.enlisted.discard(each.uid)
                watch.watchdog.heard(each.uid, vitals(each.held.state))

    def forget(self, uids: Iterable[str]) -> None:
        """Forget EVSEs that turned out to live elsewhere."""
        for uid in uids:
            for watch in self._watches.values():
                watch.watchdog.forget(uid)
                watch.members.pop(uid, None)
                watch.enlisted.discard(uid)

    def count(self, number: int, uids: Iterable[str]) -> None:
        """Take the list of those who live in a partition, before anything is read of it."""
        watch = self._watches.get(number)
        if watch is not None:
            watch.census = list(uids)
            watch.enlisted = set(watch.census) - watch.members.keys()

    def unlooked(self, most: int) -> tuple[int, list[str]] | None:
        """Give some EVSEs whose vitals are to be looked up."""
        for number, watch in self._watches.items():
            if watch.census:
                some, watch.census = watch.census[:most], watch.census[most:]
                return number, some
        return None

    def looked(self, number: int, found: Mapping[str, Seen], asked: Iterable[str] = ()) -> None:
        """Take vitals as they are stored; of an EVSE heard meanwhile they are the older ones."""
        watch = self._watches.get(number)
        if watch is None:
            return
        watch.missing += [uid for uid in asked if uid not in found]
        watch.enlisted.difference_update(found)
        for uid, seen in found.items():
            if not watch.members.setdefault(uid, False) and seen.vitals:
                watch.watchdog.heard(uid, unpack_vitals(seen.vitals))

    def refuse_loss(self, asked: Iterable[str], found: Container[str]) -> None:
        """
        Raise `Hole` where an EVSE has no state that was found before, or saved, or is in a partition's list.

        Somebody deleted it while no worker held it, or the server evicted it: begun anew it would be another.
        One that was only enlisted may never have been saved, and is missed once.
        """
        gone = [uid for uid in asked if uid not in found and self._should_be_there(uid)]
        if gone:
            self._missed.update(gone)
            raise Hole(f"the view has lost {len(gone)} EVSEs, {gone[0]} among them")

    def _should_be_there(self, uid: str) -> bool:
        watches = self._watches.values()
        if any(uid in watch.members for watch in watches):
            return True
        return uid not in self._missed and any(uid in watch.enlisted for watch in watches)

    def unlocated(self, number: int) -> list[str]:
        """Give those who should live in a partition and had no state there, once all it held is read."""
        watch = self._watches.get(number)
        if watch is None or watch.census != [] or watch.caught_up_through is None:
            return []
        missing, watch.missing = watch.missing, []
        return [uid for uid in missing if uid not in watch.members]

    def counted(self) -> list[int]:
        """Give the partitions of which every EVSE is known."""
        return [number for number, watch in self._watches.items() if watch.census == []]

    def is_counted(self, number: int) -> bool:
        """Tell whether every EVSE of a partition is known."""
        watch = self._watches.get(number)
        return watch is not None and watch.census == []

    def is_caught_up(self, number: int) -> bool:
        """Tell whether all that a partition held at some moment of the watch has been processed."""
        watch = self._watches.get(number)
        return watch is not None and watch.caught_up_through is not None

    def surveyed(
        self, now: Micros, ends: Mapping[TopicPartition, int], reached: Mapping[TopicPartition, int | None]
    ) -> None:
        """Take a look at the ends of the partitions at `now`, and at what is processed of each."""
        for number, watch in self._watches.items():
            places = [place for place in ends if place.partition == number]
            if not places:
                continue
            if watch.look is not None and _are_reached(watch.look[1], reached):
                self._caught_up(watch, watch.look[0])
            here = {place: ends[place] for place in places}
            if _are_reached(here, reached):
                self._caught_up(watch, now)
            elif watch.look is None:
                watch.look = (now, here)

    def _caught_up(self, watch: _Watch, at: Micros) -> None:
        """Note that all that was in the partition at a moment has been processed."""
        watch.caught_up_through, watch.look = at, None
        watch.gaps += watch.ingest.looked(at)
        if watch.unseen and watch.unseen_until is None:
            # No record came that would end it: what is known to be lost is not left to count as what it was.
            self._lose(watch, at)
            watch.unseen_until = at

    def due(self, now: Micros) -> Iterator[tuple[int, list[Overdue]]]:
        """Give those to be declared offline at `now` (wall clock), by partition."""
        for number, watch in self._watches.items():
            overdue = watch.watchdog.due(now, watch.known)
            if overdue:
                yield number, overdue

    def withheld(self, now: Micros) -> Counter[Withheld]:
        """Count those past their deadline at `now` who are not declared offline, by why."""
        found: Counter[Withheld] = Counter()
        for watch in self._watches.values():
            found += watch.watchdog.withheld(now, watch.known)
        return found


def _is_told(uid: str, gap: Gap, told: Mapping[str, Sequence[GapObserved]]) -> bool:
    """Tell whether the log, which is read again, turns out to say what is to be said."""
    return any(each.from_ <= gap.from_ and gap.until <= each.until for each in told.get(uid, ()))


def _are_reached(ends: Mapping[TopicPartition, int], reached: Mapping[TopicPartition, int | None]) -> bool:
    return all((reached.get(place) or 0) >= end for place, end in ends.items())
