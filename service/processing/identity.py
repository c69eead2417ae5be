"""
Whether the topics are those that were processed before, by their ids and how many partitions they have.

A topic that is deleted and created again has its name and another id. Where brokers tell no ids the offsets
alone tell (`bearings`), which takes longer. Where it has another number of partitions EVSEs live elsewhere.
This module reads no records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from service.processing.bearings import Bearings
from service.processing.instruments import Part
from service.processing.options import Ports
from service.processing.outputs import Topics
from service.processing.ports import Unusable
from service.processing.retry import Retrying
from service.processing.values import Epochs

_LOOKS = 3
_BETWEEN_LOOKS_S = 2.0


@dataclass(frozen=True, slots=True)
class Identified:
    """
    The ids of the input topics, of the ledger and of the snapshots.

    And whether one of these two is another than was written to.
    """

    ids: Mapping[str, str] = field(default_factory=dict)
    ledger: str = ""
    snapshots: str = ""
    has_lost_ledger: bool = False
    has_lost_snapshots: bool = False


class Identity:
    """Asks for the ids of topics."""

    def __init__(self, ports: Ports, retrying: Retrying, inputs: Sequence[str], outputs: Topics) -> None:
        self._ports = ports
        self._retrying = retrying
        self._topics = (*inputs, outputs.ledger, outputs.snapshots)
        self._outputs = outputs

    async def of(self, bearings: Iterable[Bearings], epochs: Epochs) -> Identified:
        """Find out which topics these are, and whether those that are kept are those the group wrote to."""
        commits = [each.commit for each in bearings if each.commit is not None]
        ledgers = {each.ledger for each in commits} - {""}
        snapshots = {each.snapshots for each in commits} - {""}
        said = ((self._outputs.ledger, ledgers), (self._outputs.snapshots, snapshots))
        ids = await self._look({**epochs.ids, **{topic: min(known) for topic, known in said if known}})
        # One that is gone for the moment is still the one that was written to: the next is another.
        ledger, snapshot = (ids.pop(topic, "") or min(known, default="") for topic, known in said)
        return Identified(
            ids,
            ledger,
            snapshot,
            has_lost_ledger=bool(ledger and ledgers - {ledger}),
            has_lost_snapshots=bool(snapshot and snapshots - {snapshot}),
        )

    async def _look(self, expected: Mapping[str, str]) -> dict[str, str]:
        """Give the ids of the topics that exist; where one is not as expected it is asked for again."""
        for _ in range(_LOOKS - 1):
            ids = await self._ask()
            if not others(expected, ids):
                return ids
            # A broker may know yet of the one before.
            await self._ports.clock.sleep(_BETWEEN_LOOKS_S)
        return await self._ask()

    async def _ask(self) -> dict[str, str]:
        return await self._retrying(Part.LOG, lambda: self._ports.log.topic_ids(self._topics))


def others(expected: Mapping[str, str], ids: Mapping[str, str]) -> list[str]:
    """Give the topics that have another id than was expected; what is not known is no other."""
    return [topic for topic, each in expected.items() if ids.get(topic, each) != each]


def another(topic: str) -> Unusable:
    """Say that a topic is not the one that was processed, and what helps."""
    return Unusable(
        f"topic {topic} is another one than was processed: it was deleted and created again, or copied to "
        "another cluster; run `evse-status rebuild`, which begins a new epoch and keeps the history"
    )


def refuse_topics(inputs: Iterable[str], epochs: Epochs) -> None:
    """
    Raise `Unusable` where view and ledger know other input topics, and none of these.

    Offsets of one log mean nothing in another: what comes from it would be taken for repeats. One topic more
    or less is no matter.
    """
    read = tuple(inputs)
    if epochs.ids and epochs.ids.keys().isdisjoint(read):
        raise Unusable(
            f"view and ledger are of topic {', '.join(sorted(epochs.ids))}, and not of {', '.join(read)}: "
            "set EVSE_STATUS_TOPIC_PREFIX and EVSE_STATUS_INPUT_TOPICS to what they are of or, if the topics "
            "are to be others from now on, stop producers and workers, then run `evse-status rebuild "
            "--repartition --from-prefix PREFIX`, with the prefix of those so far"
        )


def refuse_count(partitions: int, epochs: Epochs) -> None:
    """
    Raise `Unusable` where view and ledger are not laid out for so many partitions.

    `partitions`: so many are known to be there; 0 where nobody has counted.
    """
    if epochs.moved_from:
        raise Unusable(
            f"view and ledger were being laid out for {epochs.partitions} partitions, which came to no end: "
            "run `evse-status rebuild --repartition` again"
        )
    if epochs.partitions and partitions and partitions != epochs.partitions:
        raise Unusable(
            f"view and ledger are laid out for {epochs.partitions} partitions of the input topics, and they "
            f"have {'more' if partitions > epochs.partitions else 'fewer'} now: stop producers and workers, "
            "then run `evse-status rebuild --repartition`"
        )
