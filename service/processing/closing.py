"""
The bases: when a UTC day closes on the clock, every EVSE that changed since goes whole into the ledger.

With them and the log from the partition's mark on, a view that lost everything is restored exactly.
Bases are written a share at a time, between batches; the mark comes after all of them. Time is an argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from service.domain.rules import Rules
from service.domain.time import DAY, Micros
from service.processing import ledger, shown
from service.processing.ledger import Base, LedgerMark
from service.processing.outputs import Topics
from service.processing.planning import Plan, rewrite
from service.processing.states import Held
from service.processing.values import Epochs, Mark, Message, Position, TopicPartition


@dataclass(slots=True)
class _Sweep:
    """One partition's bases being written: who is left, how many have one, and what the mark will say."""

    day: int
    reached: Mapping[TopicPartition, int]
    ingest: bytes
    left: list[str]
    bases: int = 0


class Closing:
    """Decides which bases are due; told what was written, it gives the mark."""

    def __init__(self, topics: Topics, rules: Rules) -> None:
        self._topics = topics
        self._rules = rules
        self._sweeps: dict[int, _Sweep] = {}

    def is_due(
        self, number: int, now: Micros, marks: Sequence[Mark | None], reached: Sequence[int] = ()
    ) -> bool:
        """
        Tell whether a day has closed since the partition's mark, and its bases are not being written.

        A mark of the day after the next was set by a clock that was ahead: it counts for none, else no base
        would be written until that day. `reached`: how far each of its topics is processed, where the bases
        are to reach as far.
        """
        if number in self._sweeps:
            return False
        today = now // DAY
        behind = (mark.next_offset < end for mark, end in zip(marks, reached, strict=False) if mark)
        return any(mark is None or not today <= mark.day <= today + 1 for mark in marks) or any(behind)

    def begin(
        self,
        number: int,
        now: Micros,
        uids: Iterable[str],
        reached: Mapping[TopicPartition, int],
        ingest: bytes,
    ) -> None:
        """Begin to write bases of `uids`: all that the log holds before `reached` will be in them."""
        self._sweeps[number] = _Sweep(now // DAY, dict(reached), ingest, list(uids))

    def drop(self, number: int) -> None:
        """Give up what was begun of a partition; its next owner begins anew."""
        self._sweeps.pop(number, None)

    def share(self, most: int) -> tuple[int, list[str]] | None:
        """
        Give the partition and the EVSEs to go on with, at most so many; none left says the mark is due.

        The same again until they are `done`: what interrupts leaves nobody out.
        """
        return next(((number, sweep.left[:most]) for number, sweep in self._sweeps.items()), None)

    def done(self, number: int, evses: int, bases: int) -> None:
        """Note that the first so many of a share are done; so many have a base, written now or before."""
        sweep = self._sweeps[number]
        sweep.left = sweep.left[evses:]
        sweep.bases += bases

    def finish(self, number: int, epochs: Epochs) -> dict[TopicPartition, LedgerMark]:
        """End a sweep whose bases are all acknowledged, and give its marks by partition."""
        sweep = self._sweeps.pop(number)
        return {
            place: LedgerMark(Mark(sweep.day, offset), sweep.ingest, epochs.of(place.topic), sweep.bases)
            for place, offset in sweep.reached.items()
        }

    def base(self, uid: str, held: Held) -> Plan:
        """Plan to write the base of one EVSE, after what may be unwritten of its last save."""
        number = held.state.partition or 0
        whole = rewrite(uid, held, self._rules, replace=True)
        base = Base(held.position, whole.state, shown=shown.pack(whole, self._rules))
        kept = [] if held.acknowledged else self._topics.kept_from(uid, number, held.pending)
        messages = [*kept, self._topics.entry(number, ledger.base_entry(uid, base))]
        plan = Plan(uid, held, ())
        plan.messages = messages
        return plan

    def marked(
        self, number: int, marks: Mapping[TopicPartition, LedgerMark], epochs: Epochs
    ) -> list[Message]:
        """Make the messages that say how far the bases reach now, and in which log."""
        entries = [ledger.epoch_entry(epochs)]
        entries += [ledger.mark_entry(place.topic, mark) for place, mark in marks.items()]
        return [self._topics.entry(number, entry) for entry in entries]


def changed_since(position: Position, marks: Iterable[Mark | None]) -> bool:
    """Tell whether an EVSE at `position` has anything that the bases up to these marks do not have."""
    return any(
        mark is None or offset >= mark.next_offset
        for offset, mark in zip(position.offsets, marks, strict=False)
    )
