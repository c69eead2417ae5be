"""
The worker: joins the group, takes batch after batch through the steps, and gives partitions up in order.

One batch is in hand at a time. This module knows no vendor, and nothing of what a record says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial

import structlog

from service.domain.rules import Rules
from service.processing.assignment import Assignment, Progress, partition_of
from service.processing.batching import BatchSize, TooLong
from service.processing.chores import Chores
from service.processing.dead_letters import TooManyRejections
from service.processing.garbage import settle
from service.processing.health import Health
from service.processing.instruments import Instruments, NoInstruments, Part, Step
from service.processing.options import Options, Ports
from service.processing.owned import Owned
from service.processing.planning import Defect
from service.processing.ports import Behind, Hole, PortError, Torn
from service.processing.refusing import Renewed
from service.processing.restoring import Restoring
from service.processing.retry import Abandoned, Retrying, Stopping
from service.processing.states import States
from service.processing.steps import Steps
from service.processing.survey import Survey
from service.processing.values import Record, TopicPartition
from service.processing.watching import Watching

_log = structlog.get_logger()


class Worker:
    """
    Runs until it is stopped or something ends it.

    `run` raises `TooManyRejections`, `Defect`, or what a part outside says that waiting does not heal
    (`PortError`); each message is one line that names the remedy. `health` is asked by probes and watched
    beside the loop (`health.watch`).
    """

    def __init__(
        self,
        ports: Ports,
        options: Options | None = None,
        rules: Rules | None = None,
        instruments: Instruments | None = None,
    ) -> None:
        self._ports = ports
        self._options = options or Options()
        self._instruments = instruments or NoInstruments()
        self._clock = ports.clock
        now = self._clock.monotonic()
        self.health = Health(self._options.health, now)
        self._assignment = Assignment()
        self._states = States(self._options.states_limit, self._options.states_idle_after_s)
        self._watching = Watching(
            self._options.silence, self._options.ingest_silent_after, self._options.topics
        )
        self._retrying = Retrying(
            self._clock, self.health, self._instruments, self._options.backoff, self._hold, ports.tracing
        )
        owned = Owned(self._assignment, self._states, self._watching)
        self._steps = Steps(
            ports,
            self._options,
            rules or Rules(),
            owned=owned,
            retrying=self._retrying,
            instruments=self._instruments,
        )
        self._restoring = Restoring(
            ports, self._options, self._retrying, self._instruments, self._hold_restoring
        )
        self._survey = Survey(ports, self._options, owned, self.health, self._retrying, self._instruments)
        self._chores = Chores(
            ports,
            self._options,
            steps=self._steps,
            owned=owned,
            retrying=self._retrying,
            instruments=self._instruments,
            now=now,
        )
        self._size = BatchSize(self._options.max_batch_records, self._options.drain_budget_s / 2)
        self._turn_in_hand = asyncio.Lock()
        self._in_hand: frozenset[TopicPartition] = frozenset()
        self._held_back: list[Record] = []
        self._void = self._has_hole = False
        self._torn: Sequence[str] = ()
        self._went: set[int] = set()
        self._paused = False
        self._reading = False
        self._stopping = False

    def stop(self) -> None:
        """Finish the batch in hand, commit it, and let `run` return; safe in a signal handler of the loop."""
        self._stopping = True

    async def run(self) -> None:
        """Start, turn until `stop`, and give everything back in order."""
        try:
            await self.start()
            while not self._stopping:
                await self.turn()
            if self.health.answers(Part.LOG):  # else it would be waited for once more, for nothing
                async with self._turn_in_hand:
                    await self._commit_before_leaving(self._assignment.owned)
        except Stopping:
            _log.info("Stopped while waiting; the batch in hand is read again.", action="batch_abandoned")
        except Defect as defect:
            record = defect.record
            _log.critical(
                str(defect),
                action="defect",
                evse_uid=defect.uid,
                topic=record and record.topic,
                partition=record and record.partition,
                offset=record and record.offset,
                key=record and record.key,
                exc_info=True,
            )
            self.health.ends(str(defect))
            raise
        except (PortError, TooManyRejections) as error:
            self.health.ends(str(error))
            raise
        finally:
            await self.close()

    async def start(self) -> None:
        """Connect to the parts, waiting for those that do not answer yet, and join the group."""
        await self._retrying(Part.STORE, self._start_store)
        await self._retrying(Part.PUBLISHER, self._ports.publisher.start)
        await self._retrying(Part.LOG, lambda: self._ports.log.start(self._on_assigned, self._on_revoked))
        self._reading = True
        _log.info("The worker reads.", action="worker_started", topics=self._options.topics)

    async def _start_store(self) -> None:
        """Start the store; a view that goes back meanwhile is as good a beginning as any."""
        while True:
            try:
                return await self._ports.store.start()
            except Behind as reason:
                _log.warning(str(reason), action="view_behind")

    async def close(self) -> None:
        """Leave the group at once, so that others take over; then stop what was written to."""
        self._reading = False
        # The last one is stopped first, and each whatever became of the others.
        async with AsyncExitStack() as farewells:
            farewells.push_async_callback(self._ports.store.stop)
            farewells.push_async_callback(self._ports.publisher.stop)
            # Beside the check: where Kafka hangs each takes all its time, and who stops us waits for both.
            leaving = asyncio.ensure_future(self._ports.log.stop())
            farewells.push_async_callback(lambda: leaving)
            await self._check_sends()
        _log.info("The worker stopped.", action="worker_stopped")

    async def _check_sends(self) -> None:
        """Look after late sends once more, as far as the parts answer."""
        checking = asyncio.ensure_future(self._steps.sending.check())
        try:
            await asyncio.wait({checking}, timeout=self._options.last_check_s)
        finally:
            # Else it would go on with parts that are stopped; what it waits for is closed next.
            checking.cancel()
        [failure] = await asyncio.gather(checking, return_exceptions=True)
        if failure is not None and not isinstance(failure, Stopping):
            why = "it took too long" if checking.cancelled() else str(failure)
            _log.warning("Sends that may have come late are unchecked.", action="sends_unchecked", why=why)

    async def turn(self) -> int:
        """
        Fetch once and take what came through all steps; give the number of records that came.

        Not 0 either where reading goes on elsewhere from now on.

        Raises what ends the worker; see the class.
        """
        began = self._clock.monotonic()
        fetched = await self._fetch()
        async with self._turn_in_hand:
            records = self._assignment.still_owned(fetched)
            self._in_hand, since = self._assignment.owned, self._assignment.progress()
            moved: set[TopicPartition] = set()
            try:
                try:
                    await self._restore(since, moved)
                finally:  # also where one of several is not restored: the others are read from elsewhere
                    records = self._without(records, moved, since)
                if records:
                    await self._survey.notice_jumps(records)
                    taken_at = self._clock.monotonic()
                    await self._steps.process(records, since)
                    self._size.took(len(records), self._clock.monotonic() - taken_at)
                    settle(len(records), after_failure=self._retrying.has_failed())
                else:
                    await self._steps.committing.commit()
                epochs = self._steps.planning.epochs
                await self._survey.look(epochs, all_is_processed=not self._held_back)
                await self._chores.do()
            except TooLong as reason:
                self._size.was_too_long(len(records))
                self._give_up(records, reason, since)
            except Abandoned as reason:
                self._give_up(records, reason, since)
            except (Behind, Renewed) as reason:
                self._begin_again(reason)
            except Torn as torn:
                self._instruments.behind()
                self._torn = torn.uids
                self._give_up(records, Abandoned(str(torn)), since)
            except Defect as defect:
                if not await self._was_skipped(defect):
                    raise
                skipped = Abandoned("an operator had a record of it skipped before")
                self._give_up(records, skipped, since)
            self._in_hand = frozenset()
            self._resume()
            self._forget_what_went()
        now = self._clock.monotonic()
        self._states.hear(now)
        self._states.shrink()
        self.health.turned(now)
        self._instruments.turned(self._clock.now(), now - began)
        return len(fetched) or len(moved)

    async def _fetch(self) -> Sequence[Record]:
        if self._held_back:
            records, self._held_back = self._held_back, []
            return records
        began = self._clock.monotonic()
        timeout_s = min(self._options.fetch_timeout_s, self._steps.committing.due_in_s())
        fetched = await self._ports.log.fetch(timeout_s, self._size.records)
        if fetched:
            self._instruments.step_took(Step.FETCH, self._clock.monotonic() - began)
        return fetched

    def _without(
        self,
        records: list[Record],
        moved: Collection[TopicPartition],
        since: Mapping[TopicPartition, Progress],
    ) -> list[Record]:
        """
        Leave out records of partitions that are read from elsewhere now, or went and came back since then.

        The latter are not restored yet: another may have owned them, and what is in hand comes again.
        """
        is_kept = self._assignment.is_kept
        void = {place for place, one in since.items() if place in moved or not is_kept(place, one)}
        return [record for record in records if partition_of(record) not in void] if void else records

    async def _restore(self, since: Mapping[TopicPartition, Progress], moved: set[TopicPartition]) -> None:
        """
        Bring back what is kept of new partitions; note in `moved` those that are read from elsewhere now.

        Records of these that are in hand come again, or are in the view. A partition that has not been owned
        all the time since then, of which `since` is the progress, is left out: its next owner restores it,
        this worker too, if it came back.
        """
        if self._torn:
            await self._restoring.mend(self._torn, self._steps.planning)
            self._torn = ()
        unrestored = self._assignment.unrestored()
        if not unrestored and not self._void:
            return
        store = self._ports.store
        if self._void:
            await self._retrying(Part.STORE, store.begin)
            self._void = False
        self._steps.renew(await self._retrying(Part.STORE, store.load_epochs))
        for number, places in unrestored.items():
            if not self._assignment.are_kept(places, since):
                continue
            restored = await self._restoring.partition(number, self._steps.planning, has_hole=self._has_hole)
            uids = await self._retrying(Part.STORE, partial(store.members, number))
            await self._adopt(restored.topics.ids)
            if not self._assignment.are_kept(places, since):
                continue
            for place in places:
                checkpoint = restored.checkpoints.get(place)
                self._assignment.restore(
                    place,
                    checkpoint,
                    restored.commits.get(place),
                    until=restored.until.get(place, 0),
                )
                if place in restored.seek:
                    self._ports.log.seek(place, restored.seek[place])
                self.health.restored(place)
            moved.update(restored.seek)
            self._survey.reads_from(restored.seek)
            self._held_back = [each for each in self._held_back if partition_of(each) not in restored.seek]
            self._tell_unrestored()
            ingest = next((one.ingest for one in restored.checkpoints.values()), b"")
            self._watching.begin(number, ingest)
            self._watching.count(number, uids)
        self._has_hole = self._has_hole and bool(self._assignment.unrestored())

    async def _adopt(self, ids: Mapping[str, str]) -> None:
        """Keep which topics these are, and how many partitions they have, where that was not known."""
        known = self._steps.planning.epochs
        epochs = known.identified(ids, self._options.partitions)
        if epochs != known:
            await self._retrying(Part.STORE, lambda: self._ports.store.save_epochs(epochs))
            self._steps.renew(epochs)

    async def _was_skipped(self, defect: Defect) -> bool:
        """Tell whether an operator had skipped the record that our own code fails on, or it went."""
        try:
            return await self._restoring.skipping.knows(defect.record, self._steps.planning.epochs)
        except Abandoned:
            return True

    def _begin_again(self, reason: Exception) -> None:
        """Take all that is held for void, and restore every partition in the next turn."""
        if isinstance(reason, Behind):
            self._instruments.behind()
            _log.warning(f"All of this worker's partitions are restored: {reason}", action="view_behind")
        else:
            _log.info(
                f"All of this worker's partitions begin anew: {str(reason) or Renewed.__doc__}",
                action="epoch_renewed",
            )
        self._void, self._has_hole = True, self._has_hole or isinstance(reason, Hole)
        self._torn = ()  # it is found again
        self._states.keep_partitions(())
        self._held_back = []
        self._assignment.begin_again()
        for number in {place.partition for place in self._assignment.owned}:
            self._watching.drop(number)
            self._chores.drop(number)
        self.health.assigned(self._assignment.owned, self._clock.monotonic())
        self._tell_unrestored()

    def _tell_unrestored(self) -> None:
        self._instruments.unrestored(sum(map(len, self._assignment.unrestored().values())))

    async def _hold(self) -> None:
        """
        Go on being a member of the group while a part outside does not answer.

        A consumer that does not fetch is put out of its group, so paused partitions are fetched from. What
        comes nevertheless, from partitions assigned meanwhile, waits for the next turn.
        """
        self.health.turned(self._clock.monotonic())
        self._instruments.goes_on(self._clock.now())
        if self._stopping:
            raise Stopping
        if self._assignment.is_leaving(self._in_hand):
            raise Abandoned("a partition went while a part outside did not answer")
        if self._reading:
            self._ports.log.pause(self._ports.log.assignment())
            self._paused = True
            self._held_back += await self._ports.log.fetch(0.0, self._size.records)
            await self._survey.look_while_waiting()

    async def _hold_restoring(self) -> None:
        """
        Go on likewise with a restoration, of which a piece is done.

        That is progress, however many pieces there are: no partition is read meanwhile, restored or not.
        """
        self.health.resumed(self._clock.monotonic())
        await self._hold()

    def _resume(self) -> None:
        if self._paused:
            self._ports.log.resume(self._ports.log.assignment())
            self._paused = False

    def _forget_what_went(self) -> None:
        """
        Drop the states of partitions that went; not while a batch is in hand, which holds on to them.

        Also where one came back meanwhile: another may have taken its EVSEs further.
        """
        if self._went:
            self._states.keep_partitions({each.partition for each in self._assignment.owned} - self._went)
            self._went.clear()

    def _give_up(
        self, records: Sequence[Record], reason: Abandoned, since: Mapping[TopicPartition, Progress]
    ) -> None:
        """
        Forget what was half done, and read again what has been ours since then.

        None of it may be of partitions that are read from elsewhere now (`_without`). One that went and came
        back is read from where its owners committed.
        """
        self._instruments.abandoned()
        _log.warning(
            f"The batch in hand is given up: {reason}.", action="batch_abandoned", records=len(records)
        )
        self._states.keep_partitions(())
        first: dict[TopicPartition, int] = {}
        for record in records:
            place = partition_of(record)
            if self._assignment.are_kept([place], since):
                first.setdefault(place, record.offset)
        self._held_back = [record for record in self._held_back if partition_of(record) not in first]
        for partition, offset in first.items():
            if not self._assignment.is_leaving([partition]):
                self._ports.log.seek(partition, offset)
                self._survey.reads_from({partition: offset})

    async def _on_assigned(self, partitions: frozenset[TopicPartition]) -> None:
        new = self._assignment.assign(partitions)
        self.health.assigned(new, self._clock.monotonic())
        self._instruments.assigned(len(new))
        self._tell_unrestored()
        _log.info("Partitions were assigned.", action="partitions_assigned", partitions=_names(partitions))

    async def _on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Finish the batch in hand, commit included, within the budget; then forget what goes."""
        self._assignment.leave(partitions)
        drained = await self._drained(partitions)
        self._assignment.drop(partitions)
        self._went |= {each.partition for each in partitions}
        if drained:
            self._forget_what_went()
        self._held_back = self._assignment.still_owned(self._held_back)
        self.health.revoked(partitions)
        self._survey.forget(partitions)
        self._instruments.revoked(len(partitions))
        self._tell_unrestored()
        for partition in partitions:
            self._instruments.forget_partition(partition)
            self._watching.drop(partition.partition)
            self._chores.drop(partition.partition)
        _log.info(
            "Partitions were revoked.",
            action="partitions_revoked",
            partitions=_names(partitions),
            drained=drained,
        )

    async def _drained(self, partitions: frozenset[TopicPartition]) -> bool:
        """Wait until no batch is in hand and all is committed; tell whether that came within the budget."""
        try:
            async with asyncio.timeout(self._options.drain_budget_s):
                await self._turn_in_hand.acquire()
        except TimeoutError:
            return False
        try:
            # Outside the timeout: no call is cancelled, and what does not answer at once is not asked again.
            await self._commit_before_leaving(partitions)
        finally:
            self._turn_in_hand.release()
        return True

    async def _commit_before_leaving(self, partitions: frozenset[TopicPartition]) -> None:
        """Commit what is done; where a part does not answer at once, the next owner reads it again."""
        self._in_hand = partitions
        try:
            await self._steps.committing.commit()
        except (Abandoned, Behind, Stopping) as reason:
            _log.warning(f"What was done last is not committed: {reason}", action="commit_abandoned")
        finally:
            self._in_hand = frozenset()


def _names(partitions: frozenset[TopicPartition]) -> list[str]:
    return [f"{each.topic}[{each.partition}]" for each in sorted(partitions)]
