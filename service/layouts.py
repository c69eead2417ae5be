"""
For how many partitions view and ledger are laid out, and what there is to do where it is to be others.

Reads alone, joins nothing, builds no adapters and prints nothing; `repartition` does what is to be done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import orjson

from service.inspection import GroupLook
from service.processing import ledger
from service.processing.identity import another, others, refuse_topics
from service.processing.ledger import Kind, LedgerMark
from service.processing.outputs import Topics
from service.processing.ports import LedgerReader, Unusable, ViewStore
from service.processing.values import Checkpoint, Commit, Epochs, Record, Resend, TopicPartition

Partitioner = Callable[[bytes, int], int]
"""Gives the partition, of so many, of a key."""

_FEWEST_FIT = 0.9
"""Where the partitioner puts a smaller share of the EVSEs than this to where they live, it is another one."""


@dataclass(frozen=True, slots=True)
class Side:
    """The topics of one layout, and what reads back those of them that are compacted."""

    inputs: tuple[str, ...]
    topics: Topics
    ledger: LedgerReader
    snapshots: LedgerReader


@dataclass(frozen=True, slots=True)
class Producers:
    """Where producers put records: by one of the known partitioners, by its name."""

    chosen: str
    known: Mapping[str, Partitioner]

    def home(self, uid: str, partitions: int) -> int:
        """Give the partition of an EVSE, of so many."""
        return self.known[self.chosen](uid.encode(), partitions)

    def fitting(self, places: Iterable[tuple[str, int]], partitions: int) -> dict[str, int]:
        """Count by partitioner the EVSEs that are where it puts them, the best of them first."""
        known = list(places)
        counts = {
            name: sum(partitioner(uid.encode(), partitions) == number for uid, number in known)
            for name, partitioner in self.known.items()
        }
        return dict(sorted(counts.items(), key=lambda each: each[1], reverse=True))


@dataclass(frozen=True, slots=True)
class Layouts:
    """What is laid out now, and what is to be: the same topics, or others."""

    old: Side
    new: Side
    producers: Producers

    @property
    def are_apart(self) -> bool:
        """Whether the new one has a ledger of its own, so that nothing has to go from the old one."""
        return self.old.topics.ledger != self.new.topics.ledger


@dataclass(frozen=True, slots=True)
class Prospect:
    """
    What there is to do.

    `old` and `new` count partitions. `epochs` are the newest that anybody knows of. `is_begun`: it was begun
    before, and all that is to be copied is; `is_done`: nothing is to be laid out anew. `waits`: so many
    offsets of the old layout are to be processed first. `evses` and `moving`: how many are known, and how
    many of these will live in another partition: with the same number of them those who were heard first in
    a partition that is not theirs, as of a producer that did not know of new ones yet.
    """

    old: int
    new: int
    epochs: Epochs
    members: int
    is_begun: bool = False
    is_done: bool = False
    waits: int = 0
    evses: int = 0
    moving: int = 0


@dataclass(frozen=True, slots=True)
class Drained:
    """How far the old layout is processed, in offsets; `done` when all is, and the bases hold it."""

    reached: int
    of: int
    done: bool


@dataclass(slots=True)
class Told:
    """
    What a ledger says of its partitions: their epochs, their marks, the ingest kept with these, and who has a
    base in which, holding from which generation on.
    """

    epochs_of: dict[int, Epochs] = field(default_factory=dict)
    marks: dict[TopicPartition, LedgerMark] = field(default_factory=dict)
    ingests: dict[int, bytes] = field(default_factory=dict)
    """Of partitions that were told of a new layout, what was known of their ingest in the old one."""
    bases: dict[tuple[int, str], int] = field(default_factory=dict)

    def take(self, number: int, record: Record) -> None:
        """Note a record of a partition."""
        words = ledger.parsed_key(record.key)
        if words[:1] == [Kind.BASE]:
            self.bases.pop((number, words[1]), None)
        elif words[:1] == [Kind.MARK]:
            self.marks.pop(TopicPartition(words[1], number), None)
        if record.value is None or not words:
            return
        if words[0] == Kind.BASE:
            self.bases[number, words[1]] = ledger.holds_from(record.value)
        elif words[0] == Kind.MARK:
            self.marks[TopicPartition(words[1], number)] = ledger.read_mark(record.value)
        elif words[0] == Kind.EPOCH:
            self.epochs_of[number] = ledger.read_epochs(record.value)
            self.ingests.pop(number, None)
            if (ingest := orjson.loads(record.value).get("ingest")) is not None:
                self.ingests[number] = ingest.encode()

    @property
    def epochs(self) -> Epochs:
        """The newest that any partition knows of; unfinished where one of them says so."""
        known = self.epochs_of.values()
        return max(known, key=lambda each: (each.generation, each.moved_from), default=Epochs())

    def living(self, generation: int) -> set[tuple[str, int]]:
        """
        Give the EVSEs that have a base, and their partitions, in a generation.

        Of others there may be what was left when they went, or a copy that came to no end.
        """
        return {(uid, number) for (number, uid), first in self.bases.items() if first <= generation}

    def ingest_of(self, number: int, topic: str) -> bytes:
        """Give what was known of the ingest of a partition in the old layout."""
        if number in self.ingests:
            return self.ingests[number]
        mark = self.marks.get(TopicPartition(topic, number))
        return b"" if mark is None else mark.ingest


async def told_by(reader: LedgerReader, partitions: int) -> Told:
    """Read what a ledger says of its partitions."""
    told = Told()
    for number in range(partitions):
        async for records in reader.read(number):
            for record in records:
                told.take(number, record)
    return told


class Outlook:
    """Looks at what there is to do."""

    def __init__(self, store: ViewStore, group: GroupLook, layouts: Layouts) -> None:
        self._store = store
        self._group = group
        self._layouts = layouts
        self._old, self._new, self._producers = layouts.old, layouts.new, layouts.producers

    async def look(self) -> Prospect:
        """Find out what there is to do; raise `Unusable`, with the remedy, where it cannot be done."""
        await self._refuse_missing()
        new, told = await self._count(self._new.inputs), await self._told(self._new)
        before = await self._told(self._old) if self._layouts.are_apart else told
        known = (before.epochs, told.epochs, await self._store.load_epochs())
        epochs = max(known, key=lambda each: each.generation)
        members = await self._group.members()
        if told.epochs.moved_from and told.epochs.generation >= epochs.generation:
            epochs = told.epochs
            self._refuse_another_partitioner(told)
            return Prospect(epochs.moved_from, epochs.partitions, epochs, members, is_begun=True)
        old = epochs.partitions or await self._count_of_old()
        is_done = (told.epochs.partitions if self._layouts.are_apart else old) == new
        is_done &= told.epochs.generation == epochs.generation or not self._layouts.are_apart
        if is_done and (self._layouts.are_apart or not old):
            return Prospect(old, new, epochs, members, is_done=True)
        homes = await self._homes(before.living(epochs.generation), old)
        moving = sum(self._producers.home(uid, new) != number for uid, number in homes)
        is_done &= not moving or not _fit(len(homes) - moving, len(homes))
        prospect = Prospect(old, new, epochs, members, is_done=is_done)
        if is_done:
            return prospect
        await self._refuse(prospect, told)
        self._refuse_partitioner(homes, old)
        drained = await self.drained(old)
        return replace(prospect, waits=drained.of - drained.reached, evses=len(homes), moving=moving)

    async def _homes(self, living: set[tuple[str, int]], partitions: int) -> set[tuple[str, int]]:
        """Add to those that have a base who has none yet, and is known to the view alone."""
        known = {uid for uid, _ in living}
        members = {number: await self._store.members(number) for number in range(partitions)}
        return living | {
            (uid, number) for number, uids in members.items() for uid in uids if uid not in known
        }

    async def drained(self, partitions: int) -> Drained:
        """Tell how far the old layout is processed, bases and outputs included."""
        places = [TopicPartition(topic, number) for topic in self._old.inputs for number in range(partitions)]
        commits, ends = await self._group.committed(), await self._group.ends(places)
        ids = await self._group.topic_ids([self._old.topics.ledger])
        reached, done = 0, True
        for place in places:
            checkpoint = await self._store.load_checkpoint(place)
            offset = 0 if checkpoint is None else min(checkpoint.next_offset, ends[place])
            waits = offset < ends[place] and await self._group.has_records(place, offset, ends[place])
            reached += offset if waits else ends[place]
            done &= not waits and _is_whole(checkpoint, commits.get(place), set(ids.values()))
        return Drained(reached, sum(ends.values()), done)

    async def _told(self, side: Side) -> Told:
        return await told_by(side.ledger, await self._count([side.topics.ledger]))

    async def _count(self, topics: Iterable[str]) -> int:
        """Give how many partitions these topics have, which all have as many."""
        return len({place.partition for place in await self._group.partitions(topics)})

    async def _count_of_old(self) -> int:
        """Give for how many partitions all is laid out, where nobody says: so many were ever processed."""
        places = await self._group.partitions(self._old.inputs)
        known = {place for place in await self._group.committed() if place.topic in self._old.inputs}
        known |= {place for place in places if await self._store.load_checkpoint(place) is not None}
        return max((place.partition + 1 for place in known), default=0)

    async def _refuse_missing(self) -> None:
        """Raise `Unusable` where an input topic is not there yet."""
        there = {place.topic for place in await self._group.partitions(self._new.inputs)}
        for topic in self._new.inputs:
            if topic not in there:
                raise Unusable(
                    f"there is no input topic {topic}, or this user may not see it: create it first, with as "
                    "many partitions as view and ledger are to be laid out for"
                )

    def _refuse_used(self, prospect: Prospect, told: Told) -> None:
        """Raise `Unusable` where the new topics have held a layout before, and so an older log."""
        if not self._layouts.are_apart or not told.epochs_of:
            return
        if told.epochs.generation == prospect.epochs.generation:
            raise Unusable(
                f"view and ledger are in the topics of {self._new.topics.ledger} already, laid out for "
                f"{prospect.old} partitions: call it without --from-prefix"
            )
        raise Unusable(
            f"{self._new.topics.ledger} was in use before, and what it and the input topics hold is older "
            "than the view: take new topics, with an EVSE_STATUS_TOPIC_PREFIX that none had before"
        )

    async def _refuse(self, prospect: Prospect, told: Told) -> None:
        """Raise `Unusable` where there is nothing to lay out, or no way to."""
        self._refuse_used(prospect, told)
        refuse_topics(self._old.inputs, prospect.epochs)
        there = {place.topic for place in await self._group.partitions(self._old.inputs)}
        for topic in set(self._old.inputs) - there:
            raise Unusable(f"there is no topic {topic}: name those so far by --from-prefix and --from-topic")
        if not prospect.old:
            raise Unusable("nothing was processed yet, so nothing is to be laid out anew: start the workers")
        if prospect.new < prospect.old and not self._layouts.are_apart:
            raise Unusable(
                f"the input topics have {prospect.new} partitions, fewer than the {prospect.old} for which "
                "view and ledger are laid out, and Kafka takes none away from the output topics: let the new "
                "topics have another EVSE_STATUS_TOPIC_PREFIX, and name the one they had by --from-prefix"
            )
        for topic in others(prospect.epochs.ids, await self._group.topic_ids(self._old.inputs)):
            raise Unusable(
                f"{another(topic)}; for that it needs as many partitions as it had, add more afterwards"
            )

    def _refuse_another_partitioner(self, told: Told) -> None:
        """
        Raise `Unusable` where all was copied to where another partitioner puts it.

        Whoever went on would end the copies, and what stands in the old places, too.
        """
        copies = ((uid, number) for number, uid in told.bases)
        fitting = self._producers.fitting(copies, told.epochs.partitions)
        best, chosen = next(iter(fitting)), self._producers.chosen
        if fitting[chosen] < fitting[best]:
            raise Unusable(
                f"it was begun with another partitioner than {chosen}: set "
                f"EVSE_STATUS_INPUT_PARTITIONER={best}"
            )

    def _refuse_partitioner(self, places: set[tuple[str, int]], partitions: int) -> None:
        """Raise `Unusable` where the partitioner that is set is not the one that the producers use."""
        fitting = self._producers.fitting(places, partitions)
        best, chosen = next(iter(fitting)), self._producers.chosen
        if _fit(fitting[chosen], len(places)):
            return
        said = f"of {len(places)} EVSEs {fitting[chosen]} live where {chosen} puts them"
        if _fit(fitting[best], len(places)):
            raise Unusable(
                f"{said}, and {fitting[best]} where {best} does: set EVSE_STATUS_INPUT_PARTITIONER={best}"
            )
        raise Unusable(
            f"{said}: the producers use a partitioner that EVSE_STATUS_INPUT_PARTITIONER cannot name, and "
            "nobody here knows where they put a uid among other partitions"
        )


def _fit(fitting: int, of: int) -> bool:
    """Tell whether so many EVSEs are where a partitioner puts them that it is the one of the producers."""
    return fitting >= _FEWEST_FIT * of


def _is_whole(checkpoint: Checkpoint | None, commit: Commit | None, ledgers: set[str]) -> bool:
    """
    Tell whether the bases hold all that was processed, and no output is still to be sent again.

    `ledgers`: the id of the ledger, if brokers tell ids: what was written may have been another one.
    """
    if checkpoint is None or commit is None or checkpoint.mark is None:
        return False
    if commit.ledger and ledgers - {commit.ledger}:
        return False
    is_told = commit.resend is Resend.NOTHING and commit.generation == checkpoint.epoch
    return is_told and checkpoint.mark.next_offset == checkpoint.next_offset == commit.next_offset
