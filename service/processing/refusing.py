"""
When a partition must not be restored: view, ledger, snapshots and log contradict each other (promise P7).

The worker stops then, and `rebuild` helps. Nothing is written but a generation that only commits know of.
"""

from __future__ import annotations

from collections.abc import Mapping

from service.processing.bearings import Bearings, forgotten
from service.processing.identity import Identified, another, others
from service.processing.instruments import Part
from service.processing.ledger import LedgerMark
from service.processing.options import Ports
from service.processing.planning import Planning
from service.processing.ports import Unusable
from service.processing.rebuilding import Book
from service.processing.remnants import Remnants
from service.processing.retry import Retrying
from service.processing.values import Commit, Epochs, TopicPartition

_LOOKS, _BETWEEN_LOOKS_S = 5, 1.0


class Renewed(Exception):
    """The log has another epoch than this worker knew: everything is restored anew."""


class Refusing:
    """Asked once the ledger of a partition was read."""

    def __init__(self, ports: Ports, retrying: Retrying, remnants: Remnants) -> None:
        self._ports = ports
        self._retrying = retrying
        self._remnants = remnants

    async def another_log(
        self,
        number: int,
        bearings: Mapping[TopicPartition, Bearings],
        marks: Mapping[TopicPartition, LedgerMark],
        book: Book,
        planning: Planning,
        topics: Identified,
    ) -> None:
        """
        Raise `Unusable` where ledger or snapshots contradict that this is the log that was processed.

        A topic that is deleted takes the group's offsets with it; where the view is lost, too, and brokers
        tell no ids, nothing else tells. The snapshots are asked where the ledger says nothing.
        """
        for topic in others(book.epochs.identified(planning.epochs.ids).ids, topics.ids):
            raise another(topic)
        await self._find_generation(bearings, max(planning.epochs.generation, book.epochs.generation))
        forgets = any(each.is_forgotten for each in bearings.values())
        last = await self._remnants.reached(number) if forgets else None
        for index, (place, each) in enumerate(bearings.items()):
            epoch = planning.epochs.of(place.topic)
            reached = book.reached(index, epoch)
            if place in marks:
                reached = max(reached, marks[place].mark.next_offset)
            if last is not None and last.epoch >= epoch and index < len(last.offsets):
                reached = max(reached, last.offsets[index] + 1)
            each.refuse(place, reached)
            if each.is_forgotten and (reached or (book.has_history and len(bearings) == 1)):
                await self._ask_again(place)
                raise forgotten(place)

    async def _find_generation(self, bearings: Mapping[TopicPartition, Bearings], known: int) -> None:
        """
        Take the generation from the commits where neither view nor ledger know it; raise `Renewed` then.

        Raises `Unusable` where an older log went before: what it said was in view and ledger.
        """
        commits = {place: each.commit for place, each in bearings.items() if each.commit is not None}
        for place, commit in commits.items():
            if commit.has_lost_logs(known):
                raise lost_generation(place, commit, known)
        newest = max((commit.generation or 0 for commit in commits.values()), default=0)
        if newest > known:
            store = self._ports.store
            await self._retrying(Part.STORE, lambda: store.save_epochs(Epochs(newest)))
            raise Renewed("the group's commits know of a newer generation than view and ledger")

    async def _ask_again(self, place: TopicPartition) -> None:
        """
        Ask for the group's offset a few times more; raise `Renewed` where there is one after all.

        A broker that has just started may answer that there is none: it does not know the topic yet, and the
        client takes that for nothing committed (seed 6017).
        """
        for _ in range(_LOOKS):
            await self._ports.clock.sleep(_BETWEEN_LOOKS_S)
            committed = await self._retrying(Part.LOG, lambda: self._ports.log.committed([place]))
            if committed[place] is not None:
                raise Renewed("the broker did not know the group's offsets yet")


def lost_generation(place: TopicPartition, commit: Commit, known: int) -> Unusable:
    """Say that what went before the log was in view and ledger alone, and both are lost."""
    return Unusable(
        f"topic {place.topic}, partition {place.partition} was processed after rebuild {commit.generation}, "
        f"and view and ledger know of {known or 'none'}: the ledger was deleted while the view was lost; run "
        "`evse-status rebuild`, which goes on from the last snapshots"
    )
