"""
What a worker does between two batches: the census of its partitions, silences, bases, the slow tick and the
fleet in numbers.

Each is done a bounded share at a time, so that no batch waits for long.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import structlog

from service.processing.closing import Closing, changed_since
from service.processing.fleet import Fleet
from service.processing.instruments import Instruments, Part
from service.processing.options import Options, Ports
from service.processing.outputs import Topics
from service.processing.owned import Owned
from service.processing.ports import OwnershipLost
from service.processing.retry import Retrying
from service.processing.steps import Steps
from service.processing.tick import SlowTick
from service.processing.values import Checkpoint, Mark, Resend, TopicPartition

_log = structlog.get_logger()

_LOOKED_AT_ONCE = 2_000


class Chores:
    """Called once a turn; every call to a part outside is made again until it answers."""

    def __init__(
        self,
        ports: Ports,
        options: Options,
        *,
        steps: Steps,
        owned: Owned,
        retrying: Retrying,
        instruments: Instruments,
        now: float,
    ) -> None:
        self._ports = ports
        self._options = options
        self._steps = steps
        self._assignment = owned.assignment
        self._watching = owned.watching
        self._states = owned.states
        self._instruments = instruments
        self._retrying = retrying
        look_at = partial(steps.load, heard=False)
        self._fleet = Fleet(ports, options, steps.planning.rules, look_at, owned, retrying, instruments)
        self._tick = SlowTick(options.tick_interval_s, options.tick_share, now)
        topics = Topics.with_prefix(options.topic_prefix, options.source)
        self._closing = Closing(topics, steps.planning.rules)
        self._resending: dict[int, list[str]] = {}
        self._share = options.tick_share
        self._watch_at = now
        self._count_withheld_at = now

    def drop(self, number: int) -> None:
        """Give up what was begun for a partition."""
        self._closing.drop(number)
        self._fleet.drop(number)
        self._resending.pop(number, None)
        self._count_withheld_at = self._ports.clock.monotonic()

    async def do(self) -> None:
        """Do a share of each chore."""
        await self._steps.sending.check()
        await self._take_census()
        now = self._ports.clock.monotonic()
        if now >= self._watch_at:
            self._watch_at = now + self._options.watch_interval_s
            for number, overdue in list(self._watching.due(self._ports.clock.now())):
                await self._steps.voice.tell_silences(number, overdue)
            await self._steps.voice.tell_gaps()
            self._begin_closing()
        await self._resend()
        await self._close()
        await self._steps.refresh(self._tick.due(now, self._watching.uids))
        await self._fleet.count()
        self._count_withheld(now)

    def _count_withheld(self, now: float) -> None:
        """Tell now and then how many are not declared offline, and why."""
        if self._options.standings_interval_s and now >= self._count_withheld_at:
            self._count_withheld_at = now + self._options.standings_interval_s
            self._instruments.silences_withheld(self._watching.withheld(self._ports.clock.now()))

    async def _take_census(self) -> None:
        """Find out who lives in a partition that came, and when each was last heard."""
        unlooked = self._watching.unlooked(_LOOKED_AT_ONCE)
        if unlooked is not None:
            number, uids = unlooked
            found = await self._retrying(Part.STORE, partial(self._ports.store.look, uids))
            self._watching.looked(number, found, uids)
        await self._look_for_missing()

    async def _look_for_missing(self) -> None:
        """
        Raise `Hole` where an EVSE of a partition has no state although all of the log was read.

        Somebody deleted it while no worker held it, or the server evicted it.
        """
        for number in {place.partition for place in self._assignment.owned}:
            missing = self._watching.unlocated(number)
            if missing:
                found = await self._retrying(Part.STORE, partial(self._ports.store.look, missing))
                self._watching.refuse_loss(missing, found)

    async def _resend(self) -> None:
        """Send a share of what the output topics must be told anew, of one partition after the other."""
        progress = self._assignment.progress()
        for number in sorted({place.partition for place, one in progress.items() if one.resend}):
            here = [one for place, one in progress.items() if place.partition == number]
            if not self._watching.is_counted(number) or any(one.done < one.until for one in here):
                continue
            left = self._resending.setdefault(number, self._watching.uids_of(number))
            some = left[: self._share]
            if some:
                await self._steps.resend(some, max(one.resend for one in here))
                self._resending[number] = left[len(some) :]  # not before: what interrupts leaves nobody out
            else:
                del self._resending[number]
                await self._sent_again(number)
            return

    async def _sent_again(self, number: int) -> None:
        """Note, and sign in the commit, that the output topics are as the view is."""
        since = self._assignment.progress()
        await self._prove_the_view()
        commits = {}
        for place, progress in since.items():
            # One that went meanwhile may be unrestored, and is told what it must send by its next commit.
            if place.partition == number and self._assignment.is_kept(place, progress):
                progress.resend = Resend.NOTHING
                commits[place] = progress.commit(progress.done)
        try:
            await self._retrying(Part.LOG, partial(self._ports.log.commit, commits))
        except OwnershipLost as lost:
            _log.warning(str(lost), action="ownership_lost")

    def _begin_closing(self) -> None:
        """Begin to write the bases of partitions for which a day has closed on the clock."""
        now, progress = self._ports.clock.now(), self._assignment.progress()
        for number in {place.partition for place in progress}:
            here = [one for place, one in progress.items() if place.partition == number]
            if any(not one.restored or one.resend is Resend.HISTORY or one.done < one.until for one in here):
                continue  # the mark would say that the ledger holds what it does not yet
            marks, reached = [one.mark for one in here], self._reached(number)
            at_once = self._options.bases_at_once and self._watching.is_caught_up(number)
            through = list(reached.values()) if at_once else ()
            if self._watching.is_counted(number) and self._closing.is_due(number, now, marks, through):
                uids, ingest = self._watching.uids_of(number), self._watching.ingest_of(number)
                self._closing.begin(number, now, uids, reached, ingest)

    def _reached(self, number: int) -> dict[TopicPartition, int]:
        progress = self._assignment.progress()
        return {place: progress[place].done for place in progress if place.partition == number}

    async def _close(self) -> None:
        """
        Write a share of the bases that are due, and the mark after the last.

        Bases are of the view as it was found: one that had gone back has none of what it lost.
        """
        share = self._closing.share(self._options.tick_share)
        if share is None:
            return
        number, uids = share
        progress = self._assignment.progress()
        places = [TopicPartition(topic, number) for topic in self._options.topics]
        if uids:
            marks = [progress[place].mark if place in progress else None for place in places]
            bases = await self._write_bases(number, uids, marks)
            self._closing.done(number, len(uids), bases)
            return
        # The ingest goes with the mark, and what it has settled is nowhere else until it is told.
        await self._steps.voice.tell_gaps()
        await self._prove_the_view()
        epochs = self._steps.planning.epochs
        marks_now = self._closing.finish(number, epochs)
        messages = self._closing.marked(number, marks_now, epochs)
        await self._retrying(Part.PUBLISHER, partial(self._ports.publisher.publish, messages))
        checkpoints: dict[TopicPartition, Checkpoint] = {}
        for place, mark in marks_now.items():
            if place in progress:
                progress[place].mark = mark.mark
                ingest = self._watching.ingest_of(number)
                checkpoints[place] = progress[place].checkpoint(progress[place].done, ingest)
        await self._retrying(Part.STORE, partial(self._ports.store.save_checkpoints, checkpoints))
        _log.info(
            "The bases of a partition are in the ledger, of every EVSE that changed.",
            action="bases_written",
            partition=number,
            reached={place.topic: one.mark.next_offset for place, one in marks_now.items()},
        )

    async def _prove_the_view(self) -> None:
        """Raise `Behind` where the view has gone back since it was read, before it is said what was found."""
        await self._retrying(Part.STORE, self._ports.store.ping)

    async def _write_bases(self, number: int, uids: Sequence[str], marks: Sequence[Mark | None]) -> int:
        """Write the bases of those of these EVSEs that changed since the marks; give how many have one."""
        seen = await self._retrying(Part.STORE, partial(self._ports.store.look, uids))
        self._watching.refuse_loss(uids, seen)
        changed = [uid for uid, each in seen.items() if changed_since(each.position, marks)]
        await self._steps.load(changed, heard=False)
        saved_at = self._ports.clock.monotonic()
        held = ((uid, self._states.peek(uid)) for uid in changed)
        here = ((uid, each) for uid, each in held if each is not None and each.state.partition == number)
        # What an older generation left is folded anew: it is as good as not there.
        plans = [self._closing.base(uid, each) for uid, each in here if each.stored]
        await self._steps.sending.publish(plans, saved_at, self._closing.base)
        self._instruments.based(len(plans))
        self._states.shrink()
        return len(seen) - len(changed) + len(plans)
