"""
The same fold over files: lines in, one snapshot for each EVSE out, with neither Kafka nor Redis.

Several files are one log: a line's number, counted on across files, is its position (in a charge point's log
it is the row's `seq`). This module opens no files and prints nothing.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import orjson

from schemas.evse import FieldWarning
from schemas.vocabulary import Verdict
from service.domain.events import Event
from service.domain.fold import fold
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.domain.time import EARLIEST, Micros, datetime_from
from service.processing.decoding import MAX_BYTES, decode
from service.processing.rejection import Rejection
from service.processing.rendering import snapshot
from service.translation.ocpp16_csv import HeaderError, LogEvent, looks_like_header, read_log


class ReplayError(Exception):
    """A file cannot be read, or not any further; the message names it and the remedy."""


class Format(StrEnum):
    """What the lines of a file are."""

    EVENTS = "events"
    OCPP16_CSV = "ocpp16-csv"


@dataclass(frozen=True, slots=True)
class Line:
    """
    One line that was not blank, what it says, the fields of its inventory that had to be left out, and the
    status in a word that is not known.
    """

    file: str
    number: int
    content: Event | Rejection
    left_out: tuple[FieldWarning, ...] = ()


@dataclass(slots=True)
class LogReader:
    """
    Reads files as one log; `lines_before` is where the next file's positions go on.

    `mistaken` names files that are read as events, and begin as a charge point's log does.
    """

    form: Format = Format.EVENTS
    max_bytes: int = MAX_BYTES
    lines_before: int = 0
    mistaken: list[str] = field(default_factory=list)

    def read(self, file: str, lines: Iterable[bytes]) -> Iterator[Line]:
        """Give what each line says, in order; raise `ReplayError` where the file cannot be read on."""
        counted = self._counted(file, lines)
        if self.form is Format.OCPP16_CSV:
            yield from self._read_csv(file, counted)
        else:
            yield from self._read_events(file, counted)

    def _counted(self, file: str, lines: Iterable[bytes]) -> Iterator[bytes]:
        number = 0
        try:
            for line in lines:
                number += 1
                self.lines_before += 1
                yield line
        except (OSError, EOFError, zlib.error) as error:
            raise ReplayError(f"{file}: cannot be read beyond line {number} ({error}); restore it") from error

    def _read_events(self, file: str, lines: Iterable[bytes]) -> Iterator[Line]:
        for number, line in enumerate(lines, start=1):
            text = line
            if number == 1:
                text = line.removeprefix(b"\xef\xbb\xbf")
                if looks_like_header(text):
                    self.mistaken.append(file)
            if text.strip():
                yield Line(file, number, *self._decode(text, self.lines_before))

    def _read_csv(self, file: str, lines: Iterable[bytes]) -> Iterator[Line]:
        try:
            for row in read_log(lines, datetime_from(EARLIEST)):
                if isinstance(row, LogEvent):
                    content, left_out = self._decode(orjson.dumps(row.event), row.position)
                    unknown = () if row.warning is None else (row.warning,)
                    yield Line(file, row.line, content, left_out + unknown)
                else:
                    yield Line(file, row.line, Rejection(row.code, f"{row.field} {row.reason}", row.field))
        except HeaderError as error:
            raise ReplayError(f"{file}: {error}") from error

    def _decode(self, value: bytes, position: int) -> tuple[Event | Rejection, tuple[FieldWarning, ...]]:
        left_out: list[FieldWarning] = []
        content = decode(
            value,
            key=None,
            compare_key=False,
            headers=(),
            position=position,
            record_time=None,
            max_bytes=self.max_bytes,
            warn=lambda _, warning: left_out.append(warning),
        )
        return content, tuple(left_out)


@dataclass(frozen=True, slots=True)
class Leap:
    """A line whose `time` is ahead of `followed_by`, that of a line behind it, by more than the lateness."""

    line: Line
    time: Micros
    followed_by: Micros


@dataclass(slots=True)
class _Reached:
    """How far the times of some lines have come; `alone`: by a leap that no line behind it bears out yet."""

    time: Micros = 0
    line: Line | None = None
    alone: bool = False

    def go_on(self, line: Line, time: Micros, lateness: Micros) -> Leap | None:
        if time > self.time:
            self.alone = time - self.time > lateness
            self.time, self.line = time, line
        elif self.alone:
            self.alone = False
            if self.line is not None and self.time - time > lateness:
                return Leap(self.line, self.time, time)
        return None


class Leaps:
    """
    Finds times that leap ahead of the log, as those of a clock that was wrong do.

    One such time makes what follows late, and is what the snapshots are of. The worker has the time of the
    record as a witness against it; in a file what follows is the only one. So nothing is corrected here: a
    line is found where the times before it, of its EVSE or of its file, and the next one are all more than
    `lateness` older.
    """

    def __init__(self, lateness: Micros) -> None:
        self.newest = _Reached()
        """The line with the newest time of all."""
        self._lateness = lateness
        self._by_evse: dict[str, _Reached] = defaultdict(_Reached)
        self._in_file = ("", _Reached())

    def take(self, line: Line, event: Event) -> Iterator[Leap]:
        """Give the line before that has leapt, if this one shows it; the same one may be given twice."""
        time = max(event.at, event.seen)
        self.newest.go_on(line, time, self._lateness)
        file, reached = self._in_file
        if file != line.file:
            # Files may be of a charger each: the next one begins where it will.
            reached = _Reached()
            self._in_file = (line.file, reached)
        for times in (self._by_evse[event.evse_uid], reached):
            leap = times.go_on(line, time, self._lateness)
            if leap is not None:
                yield leap


class Replay:
    """
    Folds events of many EVSEs, in any cut into batches, up to `cap`.

    What applies after `cap` is ignored, whatever it is about, and a sign of life after it is none; without a
    cap the newest time of the log is as of when the snapshots are.
    """

    def __init__(self, rules: Rules, cap: Micros | None = None) -> None:
        self.verdicts: Counter[Verdict] = Counter()
        self.after_cap = 0
        """Events that were ignored because they apply after the cap."""
        self._rules = rules
        self._cap = cap
        self.oldest: Micros | None = None
        """When the first thing happened; None while no event was taken."""
        self._states: dict[str, EvseState] = {}

    @property
    def as_of(self) -> Micros | None:
        """When the snapshots are of; None while no event gives a time."""
        if self._cap is not None:
            return self._cap
        return max((state.as_of for state in self._states.values()), default=None)

    def ignores(self, event: Event) -> bool:
        """Tell whether an event applies after the cap."""
        return self._cap is not None and event.at > self._cap

    def take(self, batch: Sequence[Event]) -> None:
        """Fold a batch, grouped by EVSE as the worker does, each in the order of the log."""
        by_evse: dict[str, list[Event]] = defaultdict(list)
        for event in batch:
            self.oldest = event.at if self.oldest is None else min(self.oldest, event.at)
            if self.ignores(event):
                self.after_cap += 1
            else:
                by_evse[event.evse_uid].append(event)
        for uid, events in by_evse.items():
            self._fold(uid, events)

    def _fold(self, uid: str, events: list[Event]) -> None:
        state = self._states.setdefault(uid, EvseState(uid))
        for event in events:
            self.verdicts[fold(state, event, self._rules, cap=self._cap).verdict] += 1

    def snapshots(self, window: tuple[Micros, Micros] | None = None) -> Iterator[bytes]:
        """Write each EVSE's snapshot as JSON, in order of uid; `window` replaces the published one."""
        as_of = self.as_of
        if as_of is not None:
            for _, state in sorted(self._states.items()):
                yield snapshot(state, as_of, self._rules, window)
