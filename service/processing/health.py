"""
Health that means progress (promise P9).

Live: the loop turned lately, and every assigned partition with records waiting moved lately or is paused
because a part outside does not answer. Ready: joined the group, restored, and every part answers. Time is an
argument, in monotonic seconds; this module serves nothing over HTTP.

Two witnesses tell of the parts outside: the loop, by the calls it makes and makes again, and a probe beside
it, which asks small questions and so notices in seconds what a call with its repetitions takes long to tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from service.processing.instruments import Part
from service.processing.ports import Clock
from service.processing.values import TopicPartition


class Stuck(Exception):
    """The worker makes no progress; the process exits so that it is started anew."""


class Witness(StrEnum):
    """Who says that a part outside does not answer."""

    LOOP = "loop"
    PROBE = "probe"


@dataclass(frozen=True, slots=True)
class HealthLimits:
    """How long, in seconds, a turn of the loop may take and a partition with records waiting may stand."""

    loop_s: float = 60.0
    partition_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Report:
    """The answer to a probe; `reasons` says what is wrong, one short line each."""

    ok: bool
    reasons: tuple[str, ...]


@dataclass(slots=True)
class _Progress:
    position: int | None
    moved_at: float
    waiting: bool
    restored: bool


class Health:
    """Told by the loop what happened and when; asked by probes and by the watchdog."""

    def __init__(self, limits: HealthLimits, now: float) -> None:
        self._limits = limits
        self._turned_at = now
        self._unassigned = "has not joined the consumer group yet"
        self._partitions: dict[TopicPartition, _Progress] = {}
        self._blocked: dict[Part, dict[Witness, str]] = {}
        self._broken: tuple[str, ...] = ()
        self._missing: tuple[str, ...] = ()
        self._ending: tuple[str, ...] = ()

    def turned(self, now: float) -> None:
        """Note that the loop turned, or that it waits for a part outside and knows it."""
        self._turned_at = now

    def assigned(self, partitions: Iterable[TopicPartition], now: float) -> None:
        """Note an assignment; none at all is a valid one."""
        self._unassigned = ""
        for partition in partitions:
            self._partitions[partition] = _Progress(None, now, waiting=False, restored=False)

    def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        """Note that partitions went; until the next assignment nobody knows what this worker owns."""
        self._unassigned = "is between two assignments: the group's rebalance has not ended"
        for partition in partitions:
            self._partitions.pop(partition, None)

    def restored(self, partition: TopicPartition) -> None:
        """Note that what is kept of a partition came back."""
        if partition in self._partitions:
            self._partitions[partition].restored = True

    def misses(self, topics: Iterable[str]) -> None:
        """Note which input topics are not there: to own no partition is then no valid assignment."""
        self._missing = tuple(topics)

    def seen(self, partition: TopicPartition, position: int | None, end: int, now: float) -> None:
        """Note how far a partition has been read; an unknown position is one that has not moved."""
        progress = self._partitions.get(partition)
        if progress is None:
            return
        progress.waiting = end > (position or 0)
        if not progress.waiting or position != progress.position:
            progress.moved_at = now
        progress.position = position

    def blocked(self, part: Part, reason: str, witness: Witness = Witness.LOOP) -> None:
        """Note that a part outside does not answer; until `recovered` no partition is expected to move."""
        self._blocked.setdefault(part, {})[witness] = reason

    def answers(self, part: Part) -> bool:
        """Tell whether nobody misses a part outside."""
        return part not in self._blocked

    def recovered(self, part: Part, now: float, witness: Witness = Witness.LOOP) -> bool:
        """
        Note that a part answered; when no witness misses it any more, everything gets its full time again.

        Tells whether that is new.
        """
        reasons = self._blocked.get(part, {})
        if reasons.pop(witness, None) is None or reasons:
            return False
        del self._blocked[part]
        for progress in self._partitions.values():
            progress.moved_at = now
        if witness is Witness.PROBE:
            self._turned_at = max(self._turned_at, now)
        return True

    def resumed(self, now: float) -> None:
        """Note that the process as a whole stood still and goes on: everything gets its full time again."""
        self._turned_at = now
        for progress in self._partitions.values():
            progress.moved_at = now

    def broke(self, reason: str) -> None:
        """Note what this process cannot go on without; nothing heals that."""
        self._broken += (reason,)

    def ends(self, reason: str) -> None:
        """Note why the worker ends: it is live until it has, and ready no more."""
        self._ending = (f"the worker ends: {reason}",)

    def live(self, now: float) -> Report:
        """Tell whether the process makes progress; if not, it must be started anew."""
        reasons = list(self._broken)
        if now - self._turned_at > self._limits.loop_s and not self._is_missed_by(Witness.PROBE):
            reasons.append(f"the loop has not turned for {now - self._turned_at:.0f} s")
        if not self._blocked:
            reasons += [
                f"{partition.topic}[{partition.partition}] stands at offset {progress.position} "
                f"for {now - progress.moved_at:.0f} s although records wait"
                for partition, progress in sorted(self._partitions.items())
                if progress.waiting and now - progress.moved_at > self._limits.partition_s
            ]
        return Report(not reasons, tuple(reasons))

    def ready(self, now: float) -> Report:
        """Tell whether records are processed now: live, joined, restored, and every part answers."""
        reasons = [*self._ending, *self.live(now).reasons]
        if self._unassigned:
            reasons.append(self._unassigned)
        reasons += [
            f"the input topic {topic} is not there: create it again with as many partitions, then run "
            "`evse-status rebuild`, which keeps the history"
            for topic in self._missing
        ]
        unrestored = sum(not progress.restored for progress in self._partitions.values())
        if unrestored:
            reasons.append(
                f"{unrestored} of {len(self._partitions)} assigned partitions are not restored yet"
            )
        reasons += [
            f"{part} does not answer: {reasons[min(reasons)]}"
            for part, reasons in sorted(self._blocked.items())
        ]
        return Report(not reasons, tuple(reasons))

    def _is_missed_by(self, witness: Witness) -> bool:
        return any(witness in reasons for reasons in self._blocked.values())

    def check(self, now: float) -> None:
        """Raise `Stuck`, naming what stands still, unless live."""
        report = self.live(now)
        if not report.ok:
            raise Stuck("; ".join(report.reasons))


async def watch(health: Health, clock: Clock, every_s: float = 5.0) -> None:
    """
    Check for ever; raise `Stuck` when the loop makes no progress.

    Runs beside the loop, since a loop that stands still cannot notice it. The caller ends the process. Where
    it sleeps far too long itself, the process was stopped or starved, which is no standstill of the loop.
    """
    now = clock.monotonic()
    while True:
        due = now + every_s
        await clock.sleep(every_s)
        now = clock.monotonic()
        if now > due + every_s:
            health.resumed(now)
        health.check(now)
