"""
The steps of a batch: decode, load, fold, save, publish, commit (design 4). Nothing is committed before its
outputs are acknowledged. This module knows neither assignment changes nor when to fetch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import structlog

from schemas.evse import FieldWarning
from schemas.vocabulary import RejectionReason, Verdict
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.domain.time import SECOND
from service.processing import storing
from service.processing.assignment import Assignment, Progress, partition_of
from service.processing.decoding import decode
from service.processing.instruments import Instruments, Part, Step
from service.processing.options import Options, Ports
from service.processing.outbox import Outbox
from service.processing.outputs import Topics
from service.processing.planning import Defect, Plan, Planning, grouped, plan, tick
from service.processing.ports import OwnershipLost, Record, SaveOutcome, StoredEvse, TopicPartition, Unusable
from service.processing.rejection import Rejection
from service.processing.retry import Abandoned, Retrying
from service.processing.sifting import Item, Rejected, Sifting, misplaced, sift
from service.processing.states import Held, States, new_position, position_of

_log = structlog.get_logger()

SAVE_ROUNDS = 3
"""How often a batch gives way to a view that is ahead of it, before it is left to whoever writes there."""


class Steps:
    """Takes batches through all steps; every call to a part outside is made again until it answers."""

    def __init__(
        self,
        ports: Ports,
        options: Options,
        rules: Rules,
        *,
        states: States,
        assignment: Assignment,
        retrying: Retrying,
        instruments: Instruments,
    ) -> None:
        self._ports = ports
        self._options = options
        self._states = states
        self._assignment = assignment
        self._retrying = retrying
        self._instruments = instruments
        topics = Topics.with_prefix(options.topic_prefix, options.source)
        self._planning = Planning(rules, topics, options.topics)
        self._outbox = Outbox(ports, topics, options.max_dead_letter_bytes, retrying, instruments)

    async def process(self, records: Sequence[Record]) -> None:
        """
        Take a batch, records of each partition in order, through all steps.

        Raises `TooManyRejections` after everything before that rejection is committed, `Defect` where our own
        code fails, and `Abandoned` where another worker owns the EVSEs; then the states must be forgotten.
        """
        clock = self._ports.clock
        began = clock.monotonic()
        with self._timed(Step.DECODE):
            decoded = self._decode(records)
        await self._load(entry.event.evse_uid for entry in decoded if isinstance(entry, Item))
        progress = self._assignment.progress()
        sifted = sift(decoded, self._sifting(progress))
        plans, displaced = await self._fold_and_save(sifted.items)
        rejected = sifted.rejected + displaced
        await self._publish(plans, rejected)
        self._tell(plans, rejected)
        await self._commit(sifted.next_offsets, progress)
        self._states.forget(_strangers(rejected))
        self._states.shrink()
        self._instruments.states_held(len(self._states))
        self._instruments.batch_done(len(records), len(plans), clock.monotonic() - began)
        _log.debug("Processed a batch.", action="batch_processed", records=len(records), evses=len(plans))
        if sifted.too_many is not None:
            raise sifted.too_many

    async def refresh(self, uids: Iterable[str]) -> None:
        """Publish the snapshots of these EVSEs anew, their numbers as of now (the slow tick)."""
        now = self._ports.clock.now()
        held = ((uid, self._states.peek(uid)) for uid in uids)
        made = (tick(uid, each, now, self._planning) for uid, each in held if each is not None)
        plans = [each for each in made if each is not None]
        if not plans:
            return
        with self._timed(Step.TICK):
            stale = await self._save(plans)
            self._states.forget(stale)
            plans = [each for each in plans if each.uid not in stale]
            await self._publish(plans, ())
        self._instruments.ticked(len(plans))

    def _decode(self, records: Sequence[Record]) -> list[Item | Rejected]:
        warnings: list[tuple[str, FieldWarning]] = []
        decoded: list[Item | Rejected] = []
        for record in records:
            try:
                outcome = decode(
                    record.value,
                    key=record.key,
                    headers=record.headers,
                    position=self._planning.position(record),
                    record_time=record.timestamp,
                    max_bytes=self._options.max_record_bytes,
                    warn=lambda uid, warning: warnings.append((uid, warning)),
                )
            except Exception as error:  # decoding never raises: this is a bug of ours, told with its record
                raise Defect("", record) from error
            if isinstance(outcome, Rejection):
                decoded.append(Rejected(record, outcome))
            else:
                decoded.append(Item(record, outcome))
        for uid, warning in warnings:
            self._instruments.field_left_out()
            _log.debug(warning.message, action="field_left_out", evse_uid=uid, field=warning.field)
        return decoded

    async def _load(self, uids: Iterable[str]) -> None:
        """Bring the states into memory that are not there."""
        missing = self._states.missing(uids)
        if not missing:
            return
        with self._timed(Step.LOAD):
            found = await self._retrying(Part.STORE, lambda: self._ports.store.load(missing))
        inputs = len(self._options.topics)
        for uid in missing:
            stored = found.get(uid)
            if stored is None:
                held = Held(EvseState(uid), new_position(self._options.epoch, inputs))
            else:
                held = Held(
                    _restored(uid, stored), position_of(stored, inputs), stored.pending, acknowledged=False
                )
            self._states.put(uid, held)

    def _sifting(self, progress: Mapping[TopicPartition, Progress]) -> Sifting:
        """Sift for the owner of these partitions; of one that went meanwhile nobody keeps the run."""
        gone = Progress()
        return Sifting(
            self._home,
            lambda partition: progress.get(partition, gone).run,
            self._options.max_rejections_in_a_row,
            self._options.accepted,
        )

    def _home(self, uid: str) -> int | None:
        held = self._states.get(uid)
        return None if held is None else held.state.partition

    async def _fold_and_save(self, items: Sequence[Item]) -> tuple[list[Plan], list[Rejected]]:
        """
        Fold and save, an EVSE at a time; give what was done, and what turned out to live elsewhere.

        Where the view is ahead of what is held, that is forgotten and loaded, and the records are taken
        again: those the view has are then repeats.
        """
        done: list[Plan] = []
        displaced: list[Rejected] = []
        for _ in range(SAVE_ROUNDS):
            with self._timed(Step.FOLD):
                plans = self._plan(items)
            with self._timed(Step.SAVE):
                stale = await self._save(plans)
            done += [each for each in plans if each.uid not in stale]
            if not stale:
                return done, displaced
            self._states.forget(stale)
            await self._load(stale)
            again = [item for item in items if item.event.evse_uid in stale]
            items = [
                item for item in again if self._home(item.event.evse_uid) in (None, item.record.partition)
            ]
            displaced += [self._displaced(item) for item in again if item not in items]
        raise Abandoned("another worker writes the same EVSEs")

    def _plan(self, items: Sequence[Item]) -> list[Plan]:
        plans = []
        for uid, group in grouped(items).items():
            held = self._states.get(uid)
            if held is not None:
                plans.append(plan(uid, group, held, self._planning))
        return plans

    def _displaced(self, item: Item) -> Rejected:
        lives_in = self._home(item.event.evse_uid)
        return Rejected(item.record, misplaced(item.event, lives_in or 0, item.record.partition))

    async def _save(self, plans: Sequence[Plan]) -> set[str]:
        """Save what is to be saved, and give the EVSEs whose view was ahead."""
        writes = [each.write for each in plans if each.write is not None]
        if not writes:
            return set()
        outcomes = await self._retrying(Part.STORE, lambda: self._ports.store.save(writes))
        stale = {
            write.uid for write, outcome in zip(writes, outcomes, strict=True) if outcome is SaveOutcome.STALE
        }
        for each in plans:
            if each.uid not in stale:
                each.saved()
        if stale:
            self._instruments.stale_writes(len(stale))
            _log.warning(
                "The view is ahead of this worker; what it held is forgotten.",
                action="stale_write",
                evses=len(stale),
                evse_uid=min(stale),
            )
        return stale

    async def _publish(self, plans: Sequence[Plan], rejected: Sequence[Rejected]) -> None:
        with self._timed(Step.PUBLISH):
            await self._outbox.publish([message for each in plans for message in each.messages], rejected)
        for each in plans:
            each.published()

    def _tell(self, plans: Sequence[Plan], rejected: Sequence[Rejected]) -> None:
        """Count what became of every record."""
        now, instruments = self._ports.clock.now(), self._instruments
        for each in plans:
            for item, folded in each.folded:
                event = item.event
                instruments.judged(folded.verdict, clock_corrected=event.clock_corrected)
                instruments.delayed(max(0, now - event.at) / SECOND, max(0, now - event.seen) / SECOND)
            for _ in range(each.repeated):
                instruments.repeated()
        for each_rejected in rejected:
            instruments.judged(Verdict.REJECTED, clock_corrected=False)
            instruments.rejected(each_rejected.rejection.reason)
            _log.debug(
                each_rejected.rejection.message, action="dead_letter_written", **_place(each_rejected.record)
            )
        if rejected:
            _log.warning(
                "Records could not be processed and went to the dead letters.",
                action="dead_letters_written",
                count=len(rejected),
                reason=rejected[0].rejection.reason.value,
                first=rejected[0].rejection.message,
                **_place(rejected[0].record),
            )

    async def _commit(
        self, next_offsets: Mapping[TopicPartition, int], progress: Mapping[TopicPartition, Progress]
    ) -> None:
        """Write the checkpoints, then commit, of what has been owned all the while."""
        checkpoints = self._assignment.checkpoints(next_offsets, progress)
        if not checkpoints:
            return
        owned = {partition: next_offsets[partition] for partition in checkpoints}
        with self._timed(Step.COMMIT):
            await self._retrying(Part.STORE, lambda: self._ports.store.save_checkpoints(checkpoints))
            try:
                await self._retrying(Part.LOG, lambda: self._ports.log.commit(owned))
            except OwnershipLost as lost:
                kept = {each.partition for each in self._ports.log.assignment()}
                self._states.keep_partitions(kept)
                _log.warning(str(lost), action="ownership_lost")

    @contextmanager
    def _timed(self, step: Step) -> Iterator[None]:
        began = self._ports.clock.monotonic()
        yield
        self._instruments.step_took(step, self._ports.clock.monotonic() - began)


def _restored(uid: str, stored: StoredEvse) -> EvseState:
    try:
        return storing.restore(stored)
    except storing.UnknownVersion as error:
        raise Unusable(f"the view of EVSE {uid!r} cannot be read: {error}") from error


def _strangers(rejected: Iterable[Rejected]) -> list[str]:
    """Give the EVSEs that were looked up only to find that they live elsewhere, maybe with another worker."""
    return [
        each.rejection.uid
        for each in rejected
        if each.rejection.reason is RejectionReason.WRONG_PARTITION and each.rejection.uid is not None
    ]


def _place(record: Record) -> dict[str, object]:
    return {**_partition_words(partition_of(record)), "offset": record.offset}


def _partition_words(partition: TopicPartition) -> dict[str, object]:
    return {"topic": partition.topic, "partition": partition.partition}
