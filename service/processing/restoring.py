"""
How a partition comes back when it is assigned, or when the view has lost what it held (promise P7).

The view's checkpoint says how far the log is in the view, the group's commit how far it was. Where the view
is behind, the log is read again from the checkpoint; where it does not reach back so far, or the view holds
nothing, the bases of the ledger go before. What neither holds is said, and unobserved. This module reads no
records of the input.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import structlog

from service.domain.time import rfc3339
from service.processing.announcing import Announcing
from service.processing.bearings import Bearings
from service.processing.from_ledger import FromLedger
from service.processing.identity import Identified, Identity, others, refuse_count, refuse_topics
from service.processing.instruments import Instruments, Part
from service.processing.options import Options, Ports
from service.processing.outputs import Topics
from service.processing.planning import Planning
from service.processing.remnants import named
from service.processing.restored import Restored, done_before, is_history_due, resend_due
from service.processing.retry import Retrying
from service.processing.skipping import Skipping
from service.processing.values import Epochs, TopicPartition

_log = structlog.get_logger()

_LOOKS = 3
_BETWEEN_LOOKS_S = 2.0


class Restoring:
    """Restores partitions by their number: the partition of that number of every input topic."""

    def __init__(
        self,
        ports: Ports,
        options: Options,
        retrying: Retrying,
        instruments: Instruments,
        hold: Callable[[], Awaitable[None]],
    ) -> None:
        self._ports = ports
        self._retrying = retrying
        self._instruments = instruments
        self._inputs, self._partitions = options.topics, options.partitions
        topics = Topics.with_prefix(options.topic_prefix, options.source)
        self.skipping = Skipping(ports, retrying, hold, options.skipped, topics)
        self._identity = Identity(ports, retrying, options.topics, topics)
        self._announcing = Announcing(ports, retrying, topics)
        self._from_ledger = FromLedger(
            ports, options, retrying, instruments, hold, self.skipping, self._announcing
        )

    async def partition(self, number: int, planning: Planning, *, has_hole: bool = False) -> Restored:
        """
        Bring back what is kept of a partition; raises `Unusable` where the log is another one.

        `has_hole`: the view has lost some EVSE although its checkpoint stands, so the bases go before it and
        the log is read again from them; those who are further take it for repeats.
        Doing it twice, or after half of it, does no harm.
        """
        refuse_topics(self._inputs, planning.epochs)
        refuse_count(self._partitions, planning.epochs)
        if number >= (planning.epochs.partitions or number + 1):
            refuse_count(number + 1, planning.epochs)  # it was given more under this worker
        places = [TopicPartition(topic, number) for topic in self._inputs]
        bearings = await self._bearings(places, planning.epochs)
        for place, each in bearings.items():
            each.refuse(place)
        topics = await self._identity.of(bearings.values(), planning.epochs)
        if topics.has_lost_ledger or topics.has_lost_snapshots:
            # A broker that creates topics unasked, which is Kafka's own default, makes one that deletes in
            # time what is written to it once.
            await self._retrying(Part.LOG, self._ports.check_topics)
        if topics.has_lost_snapshots:
            _log.warning(
                "The snapshots were deleted and created again: the last of every EVSE is sent again.",
                action="snapshots_lost",
                partition=number,
            )
        if has_hole:
            bearings = {
                place: replace(each, checkpoint=None, left=each.known or each.left)
                for place, each in bearings.items()
            }
        await self.skipping.remember(number, planning.epochs)
        if all(each.serves for each in bearings.values()) and not others(planning.epochs.ids, topics.ids):
            return await self._from_the_view(number, bearings, planning.epochs, topics)
        began = self._ports.clock.monotonic()
        restored = await self._from_ledger.restore(number, bearings, planning, topics)
        if restored.is_new:
            _log.info(
                "A partition is new: nothing is known of it.", action="partition_begun", partition=number
            )
            return restored
        seconds = self._ports.clock.monotonic() - began
        self._instruments.restored(restored.evses, seconds)
        self._tell(number, restored, seconds)
        return restored

    async def mend(self, uids: Sequence[str], planning: Planning) -> None:
        """Put closed history back of which the view has lost some."""
        await self._from_ledger.mend(uids, planning)

    def _tell(self, number: int, restored: Restored, seconds: float) -> None:
        is_whole = not (restored.lost or restored.unseen or restored.behind)
        _log.warning(
            "A partition is restored: bases from the ledger, the rest is read again from the log. "
            + ("Nothing is lost." if is_whole else "Records between them are gone: unobserved."),
            action="partition_restored",
            partition=number,
            evses=restored.evses,
            read_on_from={place.topic: one.next_offset for place, one in restored.checkpoints.items()},
            lost=not is_whole,
            seconds=round(seconds, 1),
        )
        for what, uids in (
            (
                "have no base: closed history and their last snapshot are all there is of them",
                restored.unseen,
            ),
            ("are as of their base: what the log said since is gone", restored.behind),
        ):
            if uids:
                _log.warning(
                    f"{len(uids)} EVSEs {what}. Their time since then is unobserved until a charger of "
                    "the partition is heard.",
                    action="evses_unobserved",
                    partition=number,
                    evses=len(uids),
                    evse_uids=list(named(sorted(uids))),
                )
            for uid, since in uids.items():
                _log.debug(
                    "The time of an EVSE is unobserved.",
                    action="evse_unobserved",
                    evse_uid=uid,
                    since=rfc3339(since),
                )

    async def _bearings(
        self, places: Sequence[TopicPartition], epochs: Epochs
    ) -> dict[TopicPartition, Bearings]:
        log, load = self._ports.log, self._ports.store.load_checkpoint
        begins = await self._retrying(Part.LOG, lambda: log.begin_offsets(places))
        checkpoints = {place: await self._retrying(Part.STORE, partial(load, place)) for place in places}
        # Asked after the checkpoints, which may be those of a worker that took the partition over meanwhile:
        # what they say was committed is.
        committed = await self._retrying(Part.LOG, lambda: log.committed(places))
        bearings = {}
        for place, checkpoint in checkpoints.items():
            each = Bearings.of(checkpoint, committed[place], epochs, place.topic)
            bearings[place] = replace(each, begin=max(begins[place], epochs.begin(place)))
        for _ in range(_LOOKS):
            # Asked last: whatever was processed before is below it. A new leader may lag for a moment.
            ends = await self._retrying(Part.LOG, lambda: log.end_offsets(places))
            bearings = {place: replace(each, end=ends[place]) for place, each in bearings.items()}
            if not any(each.is_beyond for each in bearings.values()):
                break
            await self._ports.clock.sleep(_BETWEEN_LOOKS_S)
        return bearings

    async def _from_the_view(
        self,
        number: int,
        bearings: Mapping[TopicPartition, Bearings],
        epochs: Epochs,
        topics: Identified,
    ) -> Restored:
        checkpoints, seek = {}, {}
        for place, each in bearings.items():
            if each.checkpoint is None:  # never: it serves
                continue
            checkpoints[place] = each.checkpoint
            known = each.checkpoint.next_offset
            if each.commit is not None and each.commit.resend:
                # What was read again may not have come to its end: repeats do no harm.
                known = max(each.begin, min(known, each.commit.next_offset))
                checkpoints[place] = replace(each.checkpoint, next_offset=known)
            seek[place] = known
            if each.committed is not None and each.committed > known:
                self._instruments.behind()
                _log.warning(
                    "The view is behind what was committed; the log is read again from where the view is.",
                    action="view_behind",
                    topic=place.topic,
                    partition=place.partition,
                    checkpoint=known,
                    committed=each.committed,
                )
        restored = Restored(checkpoints, seek, topics=topics)
        restored.resend, restored.until = resend_due(bearings, seek, topics), done_before(bearings)
        if topics.has_lost_ledger or is_history_due(bearings):
            # The bases went with the old ledger, whatever a worker that did not know of it has said since.
            checkpoints |= {place: replace(each, mark=None) for place, each in checkpoints.items()}
        if topics.has_lost_ledger:
            _log.warning(
                "The ledger was deleted and created again: the view's whole history is written to it anew.",
                action="ledger_lost",
                partition=number,
            )
            await self._retrying(Part.STORE, lambda: self._ports.store.save_checkpoints(checkpoints))
            await self._announcing.begin_ledger(
                number, restored, {}, epochs.identified(topics.ids, self._partitions)
            )
        await self._announcing.commit(bearings, restored, epochs)
        return restored
