"""Instruments that keep what they hear, for tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from schemas.vocabulary import RejectionReason, Status, TimeClass, Verdict
from service.domain.events import Event
from service.domain.time import Micros
from service.processing.instruments import Online, OutputKind, Part, Step, UptimeBand
from service.processing.ports import ErrorKind
from service.processing.silence import Withheld
from service.processing.values import TopicPartition


class RecordingInstruments:
    """Counts by word, so that a test can ask what was counted; the newest value of what is a level."""

    def __init__(self) -> None:
        self.verdicts: Counter[Verdict] = Counter()
        self.clocks_corrected = 0
        self.left_out = 0
        self.unknown_statuses = 0
        self.repeats = 0
        self.rejections: Counter[RejectionReason] = Counter()
        self.delayed_events: list[Event] = []
        self.traces: list[str | None] = []
        self.steps: Counter[Step] = Counter()
        self.batches: list[tuple[int, int]] = []
        self.outputs: Counter[OutputKind] = Counter()
        self.ticks = 0
        self.stale = 0
        self.late_sends = 0
        self.behinds = 0
        self.restorations: list[int] = []
        self.bases = 0
        self.went_on = 0
        self.silences_written = 0
        self.withheld: dict[Withheld, int] = {}
        self.gaps_written = 0
        self.retries: Counter[Part] = Counter()
        self.errors: Counter[tuple[Part, ErrorKind]] = Counter()
        self.waiting: set[Part] = set()
        self.assignments: list[int] = []
        self.revocations: list[int] = []
        self.given_up = 0
        self.lags: dict[TopicPartition, int] = {}
        self.positions: dict[TopicPartition, int] = {}
        self.waiting_for_restoration = 0
        self.standings: dict[tuple[Status, Online], int] = {}
        self.uptimes: dict[tuple[str, UptimeBand], int] = {}
        self.window_micros: dict[tuple[str, TimeClass], int] = {}
        self.states = 0
        self.turns = 0

    def judged(self, verdict: Verdict, count: int = 1, *, clocks_corrected: int = 0) -> None:
        self.verdicts[verdict] += count
        self.clocks_corrected += clocks_corrected

    def unknown_status(self) -> None:
        self.unknown_statuses += 1

    def field_left_out(self) -> None:
        self.left_out += 1

    def repeated(self, count: int) -> None:
        self.repeats += count

    def rejected(self, reason: RejectionReason) -> None:
        self.rejections[reason] += 1

    def delayed(self, events: Sequence[Event], now: Micros, trace_id: str | None) -> None:
        assert now > 0
        self.delayed_events += events
        self.traces.append(trace_id)

    def step_took(self, step: Step, seconds: float) -> None:
        assert seconds >= 0
        self.steps[step] += 1

    def batch_done(self, records: int, evses: int, seconds: float) -> None:
        assert seconds >= 0
        self.batches.append((records, evses))

    def published(self, kind: OutputKind, count: int) -> None:
        self.outputs[kind] += count

    def ticked(self, evses: int) -> None:
        self.ticks += evses

    def stale_writes(self, count: int) -> None:
        self.stale += count

    def overtaken(self, count: int) -> None:
        self.late_sends += count

    def behind(self) -> None:
        self.behinds += 1

    def restored(self, evses: int, seconds: float) -> None:
        assert seconds >= 0
        self.restorations.append(evses)

    def based(self, evses: int) -> None:
        self.bases += evses

    def silences(self, count: int) -> None:
        self.silences_written += count

    def silences_withheld(self, evses: Mapping[Withheld, int]) -> None:
        self.withheld = dict(evses)

    def gaps(self, count: int) -> None:
        self.gaps_written += count

    def retried(self, part: Part) -> None:
        self.retries[part] += 1

    def failed(self, part: Part, kind: ErrorKind) -> None:
        self.errors[part, kind] += 1

    def blocked(self, part: Part, *, waiting: bool) -> None:
        (self.waiting.add if waiting else self.waiting.discard)(part)

    def assigned(self, partitions: int) -> None:
        self.assignments.append(partitions)

    def revoked(self, partitions: int) -> None:
        self.revocations.append(partitions)

    def abandoned(self) -> None:
        self.given_up += 1

    def lag(self, partition: TopicPartition, records: int) -> None:
        self.lags[partition] = records

    def position(self, partition: TopicPartition, next_offset: int) -> None:
        self.positions[partition] = next_offset

    def forget_partition(self, partition: TopicPartition) -> None:
        self.lags.pop(partition, None)
        self.positions.pop(partition, None)

    def unrestored(self, partitions: int) -> None:
        self.waiting_for_restoration = partitions

    def fleet_stands(self, evses: Mapping[tuple[Status, Online], int]) -> None:
        self.standings = dict(evses)

    def fleet_is_up(
        self,
        evses: Mapping[tuple[str, UptimeBand], int],
        micros: Mapping[tuple[str, TimeClass], int],
    ) -> None:
        self.uptimes, self.window_micros = dict(evses), dict(micros)

    def states_held(self, count: int) -> None:
        self.states = count

    def turned(self, now: int, seconds: float) -> None:
        assert now > 0
        assert seconds >= 0
        self.turns += 1

    def goes_on(self, now: int) -> None:
        assert now > 0
        self.went_on += 1
