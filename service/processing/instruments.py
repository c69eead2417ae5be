"""
What the loop tells about itself, as one protocol: counts, durations and gauges.

Labels are enums and partitions, never an EVSE: the number of series stays bounded. This module knows no
metrics library; an adapter names the series.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from schemas.vocabulary import RejectionReason, Status, TimeClass, Verdict
from service.domain.events import Event
from service.domain.time import Micros
from service.processing.ports import ErrorKind
from service.processing.silence import Withheld
from service.processing.values import TopicPartition


class Step(StrEnum):
    """One step of the loop; each batch takes them in this order."""

    FETCH = "fetch"
    DECODE = "decode"
    LOAD = "load"
    FOLD = "fold"
    SAVE = "save"
    PUBLISH = "publish"
    COMMIT = "commit"
    TICK = "tick"
    """A share of the slow tick, between two batches; its saves and sends are counted here, too."""


class Part(StrEnum):
    """A part outside the worker that may fail to answer."""

    STORE = "store"
    LOG = "log"
    PUBLISHER = "publisher"


class OutputKind(StrEnum):
    """What a written message is."""

    SNAPSHOT = "snapshot"
    TOMBSTONE = "tombstone"
    TRANSITION = "transition"
    DEAD_LETTER = "dead_letter"
    LEDGER = "ledger"
    EVENT = "event"
    """What the worker itself says in the input log: a silence, a gap in the observation."""


class Online(StrEnum):
    """Whether an EVSE is online, as the view spells it."""

    TRUE = "true"
    FALSE = "false"
    NULL = "null"
    """Its operator does not tell."""


class UptimeBand(StrEnum):
    """How much of its window an EVSE was up; a band begins with its lower bound, in percent."""

    NONE = "none"
    """It has no number: too little was seen of it."""
    BELOW_90 = "below_90"
    FROM_90 = "from_90"
    FROM_95 = "from_95"
    FROM_97 = "from_97"
    FROM_99 = "from_99"
    FROM_99_9 = "from_99_9"


class Instruments(Protocol):
    """
    Told by the loop what happened; must not raise and must not wait.

    Durations and delays are in seconds.
    """

    def judged(self, verdict: Verdict, count: int = 1, *, clocks_corrected: int = 0) -> None:
        """So many events got a verdict; the own time of `clocks_corrected` of them was not believed (P3)."""

    def field_left_out(self) -> None:
        """One bad field of an inventory was left out; the rest of it counted."""

    def unknown_status(self) -> None:
        """One status came in a word that is not known."""

    def repeated(self, count: int) -> None:
        """So many records had been applied before; their outputs are published again."""

    def rejected(self, reason: RejectionReason) -> None:
        """One record went to the dead letters; counted as the verdict *rejected*, too."""

    def delayed(self, events: Sequence[Event], now: Micros, trace_id: str | None) -> None:
        """
        The outputs of these events of one batch are acknowledged, at wall-clock `now`.

        `trace_id` is the trace of the batch, if it has one. Neither it nor an event is a label: they may
        stand beside a number as an example of it.
        """

    def step_took(self, step: Step, seconds: float) -> None:
        """One step of one batch is done, waiting for parts outside included."""

    def batch_done(self, records: int, evses: int, seconds: float) -> None:
        """One batch is committed."""

    def published(self, kind: OutputKind, count: int) -> None:
        """So many messages of a kind are acknowledged."""

    def ticked(self, evses: int) -> None:
        """The slow tick refreshed so many EVSEs."""

    def stale_writes(self, count: int) -> None:
        """The guard refused so many writes: the view is ahead of this worker."""

    def overtaken(self, count: int) -> None:
        """So many snapshots were sent late and then again, since another worker had gone on meanwhile."""

    def behind(self) -> None:
        """The view was found behind what it had acknowledged or what was committed."""

    def restored(self, evses: int, seconds: float) -> None:
        """A partition was restored from the ledger: so many EVSEs, in so long."""

    def based(self, evses: int) -> None:
        """So many bases were written into the ledger."""

    def silences(self, count: int) -> None:
        """So many EVSEs were declared offline because nothing was heard of them."""

    def silences_withheld(self, evses: Mapping[Withheld, int]) -> None:
        """EVSEs past their deadline that are not declared offline now, by why; what is not named is 0."""

    def gaps(self, count: int) -> None:
        """So many EVSEs were told of a time in which nothing could be seen of them."""

    def retried(self, part: Part) -> None:
        """A call to this part is tried again because it did not answer."""

    def failed(self, part: Part, kind: ErrorKind) -> None:
        """A call to this part failed, whether or not it is tried again."""

    def blocked(self, part: Part, *, waiting: bool) -> None:
        """From now on this part does not answer (True), or does again (False)."""

    def assigned(self, partitions: int) -> None:
        """So many partitions came; counts one rebalance."""

    def revoked(self, partitions: int) -> None:
        """So many partitions went."""

    def abandoned(self) -> None:
        """A batch was given up because a partition went meanwhile; its owner reads the records again."""

    def lag(self, partition: TopicPartition, records: int) -> None:
        """So many records of an assigned partition wait to be fetched."""

    def position(self, partition: TopicPartition, next_offset: int) -> None:
        """An assigned partition has been read up to this offset."""

    def forget_partition(self, partition: TopicPartition) -> None:
        """The partition is no longer assigned: its series end."""

    def unrestored(self, partitions: int) -> None:
        """So many assigned partitions wait to be restored."""

    def fleet_stands(self, evses: Mapping[tuple[Status, Online], int]) -> None:
        """The EVSEs of the assigned partitions by status and online; what is not named is 0."""

    def fleet_is_up(
        self,
        evses: Mapping[tuple[str, UptimeBand], int],
        micros: Mapping[tuple[str, TimeClass], int],
    ) -> None:
        """EVSEs by definition and band of uptime, and their windows in microseconds by class."""

    def states_held(self, count: int) -> None:
        """So many states are in memory."""

    def turned(self, now: int, seconds: float) -> None:
        """The loop turned at wall-clock `now` (microseconds since 1970); the turn took so long."""

    def goes_on(self, now: int) -> None:
        """The loop goes on at wall-clock `now` (microseconds since 1970) with a turn that takes long."""


class NoInstruments:
    """Instruments that nobody reads."""

    def judged(self, verdict: Verdict, count: int = 1, *, clocks_corrected: int = 0) -> None: ...

    def field_left_out(self) -> None: ...

    def unknown_status(self) -> None: ...

    def repeated(self, count: int) -> None: ...

    def rejected(self, reason: RejectionReason) -> None: ...

    def delayed(self, events: Sequence[Event], now: Micros, trace_id: str | None) -> None: ...

    def step_took(self, step: Step, seconds: float) -> None: ...

    def batch_done(self, records: int, evses: int, seconds: float) -> None: ...

    def published(self, kind: OutputKind, count: int) -> None: ...

    def ticked(self, evses: int) -> None: ...

    def stale_writes(self, count: int) -> None: ...

    def overtaken(self, count: int) -> None: ...

    def behind(self) -> None: ...

    def restored(self, evses: int, seconds: float) -> None: ...

    def based(self, evses: int) -> None: ...

    def silences(self, count: int) -> None: ...

    def silences_withheld(self, evses: Mapping[Withheld, int]) -> None: ...

    def gaps(self, count: int) -> None: ...

    def retried(self, part: Part) -> None: ...

    def failed(self, part: Part, kind: ErrorKind) -> None: ...

    def blocked(self, part: Part, *, waiting: bool) -> None: ...

    def assigned(self, partitions: int) -> None: ...

    def revoked(self, partitions: int) -> None: ...

    def abandoned(self) -> None: ...

    def lag(self, partition: TopicPartition, records: int) -> None: ...

    def position(self, partition: TopicPartition, next_offset: int) -> None: ...

    def forget_partition(self, partition: TopicPartition) -> None: ...

    def unrestored(self, partitions: int) -> None: ...

    def fleet_stands(self, evses: Mapping[tuple[Status, Online], int]) -> None: ...

    def fleet_is_up(
        self,
        evses: Mapping[tuple[str, UptimeBand], int],
        micros: Mapping[tuple[str, TimeClass], int],
    ) -> None: ...

    def states_held(self, count: int) -> None: ...

    def turned(self, now: int, seconds: float) -> None: ...

    def goes_on(self, now: int) -> None: ...
