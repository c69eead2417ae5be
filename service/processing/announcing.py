"""Says how a partition came back: in the group's commits, and in the ledger (promise P7)."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from service.processing import ledger
from service.processing.bearings import Bearings
from service.processing.instruments import Part
from service.processing.ledger import LedgerMark
from service.processing.options import Ports
from service.processing.outputs import Topics
from service.processing.ports import OwnershipLost
from service.processing.restored import Restored, commit_at
from service.processing.retry import Retrying
from service.processing.values import Epochs, TopicPartition

_log = structlog.get_logger()


class Announcing:
    """Every call is made again until it answers."""

    def __init__(self, ports: Ports, retrying: Retrying, topics: Topics) -> None:
        self._ports = ports
        self._retrying = retrying
        self.topics = topics

    async def commit(
        self,
        bearings: Mapping[TopicPartition, Bearings],
        restored: Restored,
        epochs: Epochs,
    ) -> None:
        """
        Commit from where reading goes on, so that the group's lag is the true one.

        It is ahead of the commit where a crash came between checkpoint and commit, and behind it where the
        view was behind. A commit stands before anything is written of a partition: where the ledger knows of
        one without, the group's offsets went, and with them maybe the log.
        """
        restored.commits = {
            place: commit_at(place, at, restored, epochs) for place, at in restored.seek.items()
        }
        commits = {
            place: commit for place, commit in restored.commits.items() if commit != bearings[place].commit
        }
        try:
            await self._retrying(Part.LOG, lambda: self._ports.log.commit(commits))
        except OwnershipLost as lost:
            _log.warning(str(lost), action="ownership_lost")

    async def begin_ledger(
        self,
        number: int,
        restored: Restored,
        marks: Mapping[TopicPartition, LedgerMark],
        epochs: Epochs,
        said: Epochs | None = None,
    ) -> None:
        """
        Say in the ledger from where on its bases will be complete, and of which log, where it does not.

        A mark that came into one that was begun anew is taken out: it tells of the bases of another.
        """
        messages = []
        if said != epochs:
            messages.append(self.topics.entry(number, ledger.epoch_entry(epochs)))
        for place, checkpoint in restored.checkpoints.items():
            if checkpoint.mark is None and restored.topics.has_lost_ledger:
                messages.append(self.topics.entry(number, ledger.no_mark(place.topic)))
            elif place not in marks and checkpoint.mark is not None:
                mark = LedgerMark(checkpoint.mark, checkpoint.ingest, epochs.of(place.topic))
                messages.append(self.topics.entry(number, ledger.mark_entry(place.topic, mark)))
        if messages:
            await self._retrying(Part.PUBLISHER, lambda: self._ports.publisher.publish(messages))
