"""
What inventories, exclusions and gaps say of an EVSE: declarations that obey no lateness.

Of several the latest by (effective time, position) holds, whenever it arrives (settled readings 3 and 10).
What applies after a removal is ignored, and one may come however late: some superseded ones are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, NamedTuple

from schemas.vocabulary import ExclusionReason
from service.domain.intervals import Interval, merge
from service.domain.time import Micros
from service.domain.track import Key

Document = Mapping[str, Any]
"""Fields as published."""

FOREVER: Final[Micros] = 1 << 62
"""The end of what is open."""

SUPERSEDED_KEPT: Final = 3
"""How many superseded versions of one thing outlive the horizon: a removal dated back may bring them back."""


MOST_VERSIONS: Final = 32
"""So many versions of one thing are kept at most, however new: some operators send an inventory a minute."""

MOST_TEXT: Final = 1_000_000
"""
So many characters superseded inventories have at most together, and so many exclusions.

All of an EVSE has to fit into one record of the ledger. Of exclusions those go that ended first, as those do
that are too old.
"""

MOST_EXCLUSIONS: Final = 1_000
MOST_GAPS: Final = 1_000

_BESIDE_TEXT: Final = 100
"""Characters that an exclusion takes beside its id, its note and its connectors."""


def same(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Tell whether two documents say the same in the same order: the order of connectors is published."""
    if one is None or other is None:
        return one is other
    return one is other or (one == other and list(one) == list(other))


class Inventory(NamedTuple):
    """One upsert: the published fields of the EVSE and, by uid, of its connectors (None: not said)."""

    key: Key
    evse: Document
    connectors: Mapping[str, Document] | None


class Exclusion(NamedTuple):
    """One declaration or withdrawal of an exclusion; `until` None is open."""

    key: Key
    withdrawn: bool
    from_: Micros = 0
    until: Micros | None = None
    reason: ExclusionReason = ExclusionReason.OTHER
    connector_uids: tuple[str, ...] | None = None
    note: str | None = None

    def terms(self) -> tuple[Any, ...]:
        """Give what it says, without when it was said."""
        return tuple(self)[1:]


class Gap(NamedTuple):
    """A time in which nothing could be seen of the EVSE."""

    from_: Micros
    until: Micros
    key: Key
    event_id: str


@dataclass(slots=True)
class Declarations:
    """All standing declarations of one EVSE, with those that a removal may bring back."""

    inventories: list[Inventory] = field(default_factory=list)
    named_before: set[str] = field(default_factory=set)
    """Connectors that an inventory named which is not kept any more."""
    taken_out: frozenset[str] = frozenset()
    """Connectors that an inventory named and the standing one names no longer."""
    exclusions: dict[str, list[Exclusion]] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    merged_gaps: list[Interval] = field(default_factory=list)
    connectors: Mapping[str, Document] | None = None
    """The connectors' fields by the standing inventory that speaks of connectors, None without any."""
    told: dict[str, str] = field(default_factory=dict, compare=False)
    """The standing inventory in the words of whoever renders it, until another stands."""
    version: int = field(default=0, compare=False)
    """Goes up when anything of this changes."""

    @property
    def evse(self) -> Document:
        """The EVSE's fields by the standing inventory."""
        return self.inventories[-1].evse if self.inventories else {}

    def named(self) -> set[str]:
        """Give the connectors that any inventory named."""
        return set(self.named_before).union(*(each.connectors or () for each in self.inventories))

    @property
    def takes_time_out(self) -> bool:
        """Whether there may be exclusions or gaps, so that windows are not what was reported alone."""
        return bool(self.exclusions or self.merged_gaps)

    def is_published(self, connector_uid: str) -> bool:
        """
        Tell whether a connector stands in the published EVSE (settled reading 13).

        One that an inventory named once and the standing one names no longer is taken out; one that no
        inventory ever named is kept.
        """
        return connector_uid not in self.taken_out

    def upsert(self, inventory: Inventory) -> None:
        """Put an inventory in its place; one that says nothing new shares the documents of its neighbour."""
        self.version += 1
        if self.inventories:
            newest = self.inventories[-1]
            evse = newest.evse if same(newest.evse, inventory.evse) else inventory.evse
            connectors = newest.connectors
            if not same(connectors, inventory.connectors):
                connectors = inventory.connectors
            inventory = Inventory(inventory.key, evse, connectors)
        self.inventories.append(inventory)
        self.inventories.sort(key=lambda each: each.key)
        while len(self.inventories) > MOST_VERSIONS or (
            len(self.inventories) > 1 + SUPERSEDED_KEPT and _length(self.inventories) > MOST_TEXT
        ):
            self._drop_oldest()
        self._refresh()

    def declare(self, exclusion_id: str, exclusion: Exclusion) -> bool:
        """Put a declaration or withdrawal in its place; tells whether what holds has changed."""
        self.version += 1
        before = self.standing(exclusion_id)
        versions = self.exclusions.setdefault(exclusion_id, [])
        versions.append(exclusion)
        versions.sort(key=lambda each: each.key)
        del versions[:-MOST_VERSIONS]
        after = self.standing(exclusion_id)
        return (before and before.terms()) != (after and after.terms())

    def forget_excess(self) -> set[str]:
        """Forget the exclusions that ended first, where there are too many of them; give their ids."""
        lengths = {key: len(key) + sum(map(_extent, versions)) for key, versions in self.exclusions.items()}
        length, gone = sum(lengths.values()), set[str]()
        while len(self.exclusions) > MOST_EXCLUSIONS or length > MOST_TEXT:
            key = min(self.exclusions, key=lambda each: _end_of(self.exclusions[each]))
            length -= lengths[key]
            del self.exclusions[key]
            gone.add(key)
        return gone

    def standing(self, exclusion_id: str) -> Exclusion | None:
        """Give the exclusion that holds under an id, None where it is withdrawn or was never declared."""
        versions = self.exclusions.get(exclusion_id)
        if not versions or versions[-1].withdrawn:
            return None
        return versions[-1]

    def all_standing(self) -> dict[str, Exclusion]:
        """Give every exclusion that holds."""
        return {
            key: versions[-1]
            for key, versions in self.exclusions.items()
            if versions and not versions[-1].withdrawn
        }

    def observe_gap(self, gap: Gap) -> bool:
        """Add a gap; tells whether anything that was observed is so no more."""
        self.version += 1
        before = self.merged_gaps
        self.gaps.append(gap)
        self.gaps.sort()
        self._merge_gaps()
        return self.merged_gaps != before

    def join_gaps(self) -> tuple[tuple[Gap, Gap], Gap] | None:
        """
        Join the two neighbours with the least between them where there are too many; give both and the whole.

        What lay between is not observed any more either: so nothing that was not seen is up.
        """
        if len(self.gaps) <= MOST_GAPS:
            return None
        one, next_one = min(pairwise(self.gaps), key=lambda pair: pair[1].from_ - pair[0].until)
        whole = one._replace(until=max(one.until, next_one.until))
        self.gaps = sorted([*(each for each in self.gaps if each not in (one, next_one)), whole])
        self._merge_gaps()
        return (one, next_one), whole

    def restore_gaps(self, gaps: list[Gap]) -> None:
        """Take over gaps that were kept."""
        self.version += 1
        self.gaps = gaps
        self._merge_gaps()

    def remove_after(self, key: Key) -> list[Gap]:
        """Forget what applies after a removal (settled reading 13); give the gaps that are gone for it."""
        self.version += 1
        self.inventories = [each for each in self.inventories if each.key < key]
        self._refresh()
        for exclusion_id, versions in self.exclusions.items():
            self.exclusions[exclusion_id] = [each for each in versions if each.key < key]
        before = self.gaps
        self.gaps = [gap for gap in before if gap.key < key]
        self._merge_gaps()
        kept = {gap[:2] for gap in self.gaps}
        return [gap for gap in before if gap[:2] not in kept]

    def settle(self, closed: Micros, keep_from: Micros) -> tuple[list[Gap], set[str]]:
        """
        Drop what was superseded long ago once history is closed up to `closed`, and what is too old.

        Gives the gaps and the ids of the exclusions that are gone for their age.
        """
        while _are_too_many(self.inventories, closed):
            self.version += 1
            self._drop_oldest()
        too_old: set[str] = set()
        for exclusion_id, versions in list(self.exclusions.items()):
            while _are_too_many(versions, closed):
                self.version += 1
                versions.pop(0)
            if not versions or _has_ended(versions[-1], keep_from):
                self.version += 1
                del self.exclusions[exclusion_id]
                too_old.add(exclusion_id)
        gone = [gap for gap in self.gaps if gap.until < keep_from]
        if gone:
            self.version += 1
            self.gaps = [gap for gap in self.gaps if gap.until >= keep_from]
            self._merge_gaps()
        return gone, too_old

    def restore_inventories(self, inventories: list[Inventory], named_before: set[str]) -> None:
        """Take over inventories that were kept."""
        self.version += 1
        self.inventories, self.named_before = inventories, named_before
        self._refresh()

    def _drop_oldest(self) -> None:
        replaced = self.inventories.pop(0)
        self.named_before.update(replaced.connectors or ())
        successor = self.inventories[0]
        if successor.connectors is None:
            # As of when they were said: what applies between the two speaks of connectors later.
            self.inventories[0] = Inventory(replaced.key, successor.evse, replaced.connectors)

    def _refresh(self) -> None:
        spoken = [each.connectors for each in self.inventories if each.connectors is not None]
        standing = self.connectors = spoken[-1] if spoken else None
        self.told = {}
        self.taken_out = frozenset() if standing is None else frozenset(self.named().difference(standing))

    def _merge_gaps(self) -> None:
        self.merged_gaps = merge((gap.from_, gap.until) for gap in self.gaps)


def _are_too_many(versions: Sequence[Inventory] | Sequence[Exclusion], closed: Micros) -> bool:
    """Tell whether the first of some versions is superseded for good, for all that is kept to answer."""
    return len(versions) > 1 + SUPERSEDED_KEPT and versions[1 + SUPERSEDED_KEPT].key[0] < closed


def _length(inventories: Sequence[Inventory]) -> int:
    """Give the characters of the documents of all but the newest, those that they share once."""
    documents = {
        id(document): document for each in inventories[:-1] for document in (each.evse, each.connectors)
    }
    return sum(len(repr(document)) for document in documents.values())


def _extent(exclusion: Exclusion) -> int:
    return _BESIDE_TEXT + len(exclusion.note or "") + sum(map(len, exclusion.connector_uids or ()))


def _end_of(versions: Sequence[Exclusion]) -> Key:
    """Give when what holds of an exclusion ends, and when that was said; a removal may leave nothing."""
    if not versions:
        return 0, 0
    last = versions[-1]
    if last.withdrawn:
        return last.key[0], last.key[1]
    return FOREVER if last.until is None else last.until, last.key[1]


def _has_ended(exclusion: Exclusion, keep_from: Micros) -> bool:
    if exclusion.withdrawn:
        return exclusion.key[0] < keep_from
    return exclusion.until is not None and max(exclusion.until, exclusion.key[0]) < keep_from
