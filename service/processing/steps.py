"""
The steps of a batch: decode, load, fold, save, publish, commit (design 4). Nothing is committed before its
outputs are acknowledged. This module knows neither assignment changes nor when to fetch.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import structlog

from schemas.evse import FieldWarning
from schemas.vocabulary import RejectionReason, Verdict
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.processing import storing
from service.processing.assignment import Progress, partition_of
from service.processing.batching import EVSES_AT_ONCE, TooLong, Waiting
from service.processing.committing import Committing
from service.processing.dead_letters import is_accepted
from service.processing.decoding import decode
from service.processing.instruments import Instruments, Part, Step
from service.processing.options import Options, Ports
from service.processing.outbox import Outbox
from service.processing.outputs import Topics
from service.processing.owned import Owned
from service.processing.planning import (
    Defect,
    Plan,
    Planning,
    grouped,
    is_unsure,
    outputs_again,
    plan,
    resend,
    tick,
)
from service.processing.ports import Torn, Unusable
from service.processing.refusing import Renewed
from service.processing.rejection import Rejection, skipped
from service.processing.retry import Abandoned, Retrying
from service.processing.sending import Sending
from service.processing.sifting import Item, Rejected, Sifting, misplaced, sift
from service.processing.states import Held, new_position, position_of
from service.processing.timing import Timing
from service.processing.values import Epochs, Record, Resend, SaveOutcome, StoredEvse, TopicPartition
from service.processing.voice import Voice

_log = structlog.get_logger()

SAVE_ROUNDS = 3
"""How often a batch gives way to a view that is ahead of it, before it is left to whoever writes there."""

_WORDS_TOLD = 50
"""Words of statuses that are not known, of which each is told in the log once."""

_FOLDED_FOR_S = 1.0
"""Seconds after which a portion ends, whatever it holds yet."""

_TURN_S = 0.05
"""Seconds after which others get their turn: the group's heartbeats, and who asks for health."""


class Steps:
    """Takes batches through all steps; every call to a part outside is made again until it answers."""

    def __init__(
        self,
        ports: Ports,
        options: Options,
        rules: Rules,
        *,
        owned: Owned,
        retrying: Retrying,
        instruments: Instruments,
    ) -> None:
        self._ports = ports
        self._options = options
        self._states = owned.states
        self._assignment = owned.assignment
        self._watching = owned.watching
        self._retrying = retrying
        self._instruments = instruments
        self._tracing = ports.tracing
        self._timed = Timing(ports.clock, instruments, ports.tracing)
        topics = Topics.with_prefix(options.topic_prefix, options.source)
        self.planning = Planning(rules, topics, options.topics)
        self._folded_s = 0.0
        self._unknown_words: set[str] = set()
        self._outbox = Outbox(ports, topics, options.max_dead_letter_bytes, retrying, instruments)
        self.sending = Sending(
            ports,
            options,
            owned=owned,
            outbox=self._outbox,
            retrying=retrying,
            instruments=instruments,
            current=self,
        )
        self.voice = Voice(ports, options, owned.watching, self._outbox, retrying, instruments)
        self.committing = Committing(ports, options, owned=owned, retrying=retrying, timed=self._timed)

    def renew(self, epochs: Epochs) -> None:
        """Go on in these epochs; no state may be held."""
        self.planning = replace(self.planning, epochs=epochs)

    async def process(self, records: Sequence[Record], since: Mapping[TopicPartition, Progress]) -> None:
        """
        Take a batch, records of each partition in order, through all steps.

        `since`: the progress of what was owned when the batch came to hand. A partition that went meanwhile
        may be another worker's, also where it came back.

        Raises `TooManyRejections` after everything before that rejection is committed, `Defect` where our own
        code fails, `Abandoned` where another worker owns the EVSEs, and `TooLong`; then the states must be
        forgotten.
        """
        with self._tracing.batch(records):
            await self._process(records, since)

    async def _process(self, records: Sequence[Record], since: Mapping[TopicPartition, Progress]) -> None:
        clock = self._ports.clock
        began = clock.monotonic()
        self._states.hear(began)
        with self._timed(Step.DECODE):
            decoded = self._decode(records)
        await self.load(entry.event.evse_uid for entry in decoded if isinstance(entry, Item))
        sifted = sift(decoded, self._sifting(since))
        rejected, evses = [*sifted.rejected], 0
        # In portions, however large the batch: what is written is let go, and others get their turn.
        waiting, self._folded_s = Waiting(grouped(sifted.items)), 0.0
        while portion := waiting.portion():
            if self._folded_s > self._options.drain_budget_s:
                raise TooLong(f"to fold it takes more than {self._options.drain_budget_s:g} s")
            if not self._assignment.are_kept(sifted.next_offsets, since):
                raise Abandoned("a partition of it went meanwhile")
            saved_at, folded_s = clock.monotonic(), self._folded_s
            plans, displaced, left = await self._fold_and_save(portion)
            waiting.done((uid for uid in portion if uid not in left), self._folded_s - folded_s)
            await self.sending.publish(plans, saved_at)
            self._watching.heard(plans)
            self._count(plans)
            evses += len(plans)
            rejected += displaced
            await self._delist(displaced)
        await self._reject(rejected)
        self._watching.observe(sifted.items, self._ports.clock.now())
        await self.voice.tell_gaps()
        self.committing.done(sifted.next_offsets, since)
        await self.committing.commit_if_due()
        self._states.forget(_strangers(rejected))
        self._states.shrink()
        self._instruments.states_held(len(self._states))
        self._instruments.batch_done(len(records), evses, clock.monotonic() - began)
        self._tracing.batch_done(evses, len(rejected))
        _log.debug("Processed a batch.", action="batch_processed", records=len(records), evses=evses)
        if sifted.too_many is not None:
            await self.committing.commit()
            raise sifted.too_many

    async def refresh(self, uids: Iterable[str]) -> None:
        """Publish the snapshots of these EVSEs anew, their numbers as of now (the slow tick)."""
        wanted = list(uids)
        if not wanted:
            return
        await self.load(wanted, heard=False)
        await self._make_sure(wanted)
        now, saved_at = self._ports.clock.now(), self._ports.clock.monotonic()
        held = ((uid, self._states.peek(uid)) for uid in wanted)
        made = (tick(uid, each, now, self.planning) for uid, each in held if each is not None)
        plans = [each for each in made if each is not None]
        with self._timed(Step.TICK):
            stale = await self._save(plans)
            self._states.forget(stale)
            plans = [each for each in plans if each.uid not in stale]
            await self.sending.publish(plans, saved_at)
        self._instruments.ticked(len(plans))
        self._states.shrink()

    async def _make_sure(self, uids: Iterable[str]) -> None:
        """Write once more what the last save of these EVSEs asked for, where nobody here knows it written."""
        held = ((uid, self._states.peek(uid)) for uid in uids)
        unsure = [(uid, each) for uid, each in held if each is not None and is_unsure(each)]
        plans = [outputs_again(uid, each, self.planning) for uid, each in unsure]
        await self.sending.publish(plans, saved_at=-math.inf)

    async def resend(self, uids: Iterable[str], what: Resend) -> None:
        """Publish once more what the output topics have to be told of these EVSEs."""
        wanted = list(uids)
        await self.load(wanted, heard=False)
        held = ((uid, self._states.peek(uid)) for uid in wanted)
        stored = ((uid, each) for uid, each in held if each is not None and each.stored)
        plans = [resend(uid, each, self.planning, what) for uid, each in stored]
        # No save has shown that these states are still what the view holds: it is asked in any case.
        await self.sending.publish(plans, saved_at=-math.inf)
        self._states.shrink()

    def _decode(self, records: Sequence[Record]) -> list[Item | Rejected]:
        warnings: list[tuple[str, FieldWarning]] = []
        decoded: list[Item | Rejected] = []
        skip, max_bytes, position = (
            self._options.skipped,
            self._options.max_record_bytes,
            self.planning.position,
        )

        def warn(uid: str, warning: FieldWarning) -> None:
            warnings.append((uid, warning))

        for record in records:
            if skip and is_accepted(record, skip):
                decoded.append(Rejected(record, skipped()))
                continue
            try:
                outcome = decode(
                    record.value,
                    key=record.key,
                    headers=record.headers,
                    position=position(record),
                    record_time=record.timestamp,
                    max_bytes=max_bytes,
                    warn=warn,
                )
            except Exception as error:  # decoding never raises: this is a bug of ours, told with its record
                raise Defect("", record) from error
            if isinstance(outcome, Rejection):
                decoded.append(Rejected(record, outcome))
            else:
                decoded.append(Item(record, outcome))
        for uid, warning in warnings:
            self._tell(uid, warning)
        return decoded

    def _tell(self, uid: str, warning: FieldWarning) -> None:
        message, word = f"{warning.field} is {warning.message}", warning.word
        if word is None:
            self._instruments.field_left_out()
            _log.debug(message, action="field_left_out", evse_uid=uid, field=warning.field)
            return
        self._instruments.unknown_status()
        # Each word once: a producer that knows none of ours says them with every event.
        if word not in self._unknown_words and len(self._unknown_words) < _WORDS_TOLD:
            self._unknown_words.add(word)
            _log.warning(message, action="unknown_status", evse_uid=uid, field=warning.field)

    def plan_current(self, uid: str, held: Held) -> Plan:
        """Plan all that the output topics should end with of an EVSE."""
        return resend(uid, held, self.planning)

    async def load(self, uids: Iterable[str], *, heard: bool = True) -> None:
        """
        Bring the states into memory that are not there; `heard`: because there is something of the EVSEs.

        Raises `Renewed` where the view is of a newer generation than this worker knows, `Torn` where some
        history is gone from it, and `Hole` where a whole EVSE is.
        """
        missing = self._states.missing(uids)
        if not missing:
            return
        with self._timed(Step.LOAD):
            found = await self._retrying(Part.STORE, lambda: self._ports.store.load(missing))
        self._watching.refuse_loss(missing, found)
        generation = self.planning.epochs.generation
        torn = [uid for uid, each in found.items() if each.is_torn and each.position.epoch >= generation]
        if torn:
            raise Torn(torn)
        for number, uid in enumerate(missing, 1):
            self._states.put(uid, self._held(uid, found.pop(uid, None)), heard=heard)
            if number % EVSES_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _held(self, uid: str, stored: StoredEvse | None) -> Held:
        inputs, generation = len(self._options.topics), self.planning.epochs.generation
        if stored is None or stored.position.epoch < generation:
            # What an older generation left is folded anew, and replaced.
            return Held(EvseState(uid), new_position(generation, inputs), replace=stored is not None)
        if stored.position.epoch > generation:
            raise Renewed
        position = position_of(stored, inputs)
        written = self._states.were_written(uid)
        return Held(
            _restored(uid, stored),
            position,
            stored.pending,
            acknowledged=written,
            stored=True,
            whole_at=stored.whole_at,
        )

    def _sifting(self, progress: Mapping[TopicPartition, Progress]) -> Sifting:
        """Sift for the owner of these partitions; of one that went meanwhile nobody keeps the run."""
        gone = Progress()
        return Sifting(
            self._home,
            lambda partition: progress.get(partition, gone).run,
            self._options.max_rejections_in_a_row,
            (*self._options.accepted, *self._options.skipped),
        )

    def _home(self, uid: str) -> int | None:
        held = self._states.get(uid)
        return None if held is None else held.state.partition

    async def _fold_and_save(
        self, groups: Mapping[str, Sequence[Item]]
    ) -> tuple[list[Plan], list[Rejected], dict[str, Sequence[Item]]]:
        """
        Fold and save, an EVSE at a time; give what was done, what lives elsewhere, and what is left.

        Where the view is ahead of what is held, that is forgotten and loaded, and the records are taken
        again: those the view has are then repeats.
        """
        done: list[Plan] = []
        displaced: list[Rejected] = []
        left: dict[str, Sequence[Item]] = {}
        for _ in range(SAVE_ROUNDS):
            with self._timed(Step.FOLD):
                plans, more = await self._plan(groups)
            left |= more
            with self._timed(Step.SAVE):
                stale = await self._save(plans)
            done += [each for each in plans if each.uid not in stale]
            if not stale:
                return done, displaced, left
            self._states.forget(stale)
            await self.load(stale)
            once_more = [item for uid in groups if uid in stale for item in groups[uid]]
            items = [
                item for item in once_more if self._home(item.event.evse_uid) in (None, item.record.partition)
            ]
            displaced += [self._displaced(item) for item in once_more if item not in items]
            groups = grouped(items)
        raise Abandoned("another worker writes the same EVSEs")

    async def _plan(
        self, groups: Mapping[str, Sequence[Item]]
    ) -> tuple[list[Plan], dict[str, Sequence[Item]]]:
        """Plan for some EVSEs, for a second at most; give what is left then."""
        plans: list[Plan] = []
        rest, monotonic = iter(groups.items()), self._ports.clock.monotonic
        began = turned = monotonic()
        for uid, group in rest:
            held = self._states.get(uid)
            if held is not None:
                plans.append(plan(uid, group, held, self.planning))
            if monotonic() - turned > _TURN_S:
                await asyncio.sleep(0)
                turned = monotonic()
                if turned - began >= _FOLDED_FOR_S:
                    break
        self._folded_s += monotonic() - began
        return plans, dict(rest)

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

    def _count(self, plans: Iterable[Plan]) -> None:
        """Count what became of the records of some EVSEs."""
        now, instruments = self._ports.clock.now(), self._instruments
        judged = [(item.event, folded.verdict) for each in plans for item, folded in each.folded]
        events = [event for event, _ in judged]
        corrected = Counter([verdict for event, verdict in judged if event.clock_corrected])
        for verdict, count in Counter([verdict for _, verdict in judged]).items():
            instruments.judged(verdict, count, clocks_corrected=corrected[verdict])
        if repeated := sum(each.repeated for each in plans):
            instruments.repeated(repeated)
        instruments.delayed(events, now, self._tracing.trace_id)

    async def _delist(self, displaced: Iterable[Rejected]) -> None:
        """Take EVSEs that live elsewhere out of the list that they were entered in to be saved."""
        here: dict[int, set[str]] = {}
        for each in displaced:
            if each.rejection.uid is not None:
                here.setdefault(each.record.partition, set()).add(each.rejection.uid)
        for number, uids in here.items():
            await self._retrying(Part.STORE, partial(self._ports.store.delist, number, sorted(uids)))

    async def _reject(self, rejected: Sequence[Rejected]) -> None:
        """Write the records that could not be processed to the dead letters, count and name them."""
        if not rejected:
            return
        with self._timed(Step.PUBLISH):
            await self._outbox.publish((), rejected)
        instruments = self._instruments
        for each_rejected in rejected:
            instruments.judged(Verdict.REJECTED)
            instruments.rejected(each_rejected.rejection.reason)
            _log.debug(
                each_rejected.rejection.message, action="dead_letter_written", **_place(each_rejected.record)
            )
        _log.warning(
            "Records could not be processed and went to the dead letters.",
            action="dead_letters_written",
            count=len(rejected),
            reason=rejected[0].rejection.reason.value,
            first=rejected[0].rejection.message,
            **_place(rejected[0].record),
        )


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
