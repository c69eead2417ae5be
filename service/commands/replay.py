"""`replay`: the worker's fold over files."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from schemas.vocabulary import Verdict
from service.commands.asked import definition_named, window_between
from service.commands.console import CommandError, ConfigOption, notices, parse_time, printable
from service.commands.files import opened_for_reading, opened_for_writing, refuse_to_overwrite
from service.domain.definitions import OBSERVED, Definition
from service.domain.events import Event
from service.domain.time import Micros, rfc3339
from service.durations import written_duration
from service.processing.garbage import calm_collector
from service.processing.rejection import Rejection
from service.replay import Format, Leaps, Line, LogReader, Replay, ReplayError
from service.settings import load_settings, micros_of

_LONG_BYTES = 4_000_000
"""Files that are longer together get a bar of progress."""

_LINES_A_STEP = 2_000
"""Lines between two movements of the bar."""

_MOST_LEAPS = 10
"""Lines whose time leaps ahead that are told one by one."""


def replay(  # noqa: PLR0913, PLR0917 - a parameter for each option
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="Files, read as one log in this order; '-' is standard input."),
    ],
    form: Annotated[
        Format,
        typer.Option("--format", help="JSON Lines of events, or an OCPP 1.6 charge point's log as CSV."),
    ] = Format.EVENTS,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of", metavar="T", help="Ignore what happened after T. Default: the newest time in the log."
        ),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="T", help="Begin the windows at T, not 30 days before --as-of."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="T", help="End the windows at T, not at --as-of.")
    ] = None,
    definition: Annotated[
        list[str] | None,
        typer.Option("--definition", metavar="NAME", help="Also count by this definition; may be repeated."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if a line was rejected.")] = False,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, help="Events folded at a time; changes no result.")
    ] = 1000,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write here, not to standard output.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """
    Fold events from files, with neither Kafka nor Redis, and write one snapshot a line.

    Lines that cannot be used go to standard error with their number and what helps; the others still count.
    """
    settings = load_settings(config)
    refuse_to_overwrite(files, output)
    console = notices()
    job = Replay(settings.rules(_definitions(definition or [])), _time("--as-of", as_of))
    clocks = _Clocks(settings.allowed_lateness, console)
    span = (_time("--from", from_), _time("--until", until))
    reader = LogReader(form, settings.max_record_bytes)
    calm_collector()
    with opened_for_writing(output) as sink:
        rejected = _fold(_lines_of(files, reader, console), job, clocks, batch_size, console)
        for line in job.snapshots(_window(span, job)):
            sink.write(line + b"\n")
    _show_counts(job, rejected, console, capped=as_of is not None)
    clocks.conclude(job)
    advice = _advice(reader, files, job, rejected)
    if advice is not None:
        console.print(printable(advice), markup=False)
    if strict and rejected:
        raise typer.Exit(1)


def _advice(reader: LogReader, files: list[Path], job: Replay, rejected: int) -> str | None:
    """Name the format that was probably forgotten, None where nothing speaks for that."""
    if reader.mistaken:
        return f"{reader.mistaken[0]} looks like a charge point's log: read it with --format ocpp16-csv."
    is_csv = reader.form is Format.EVENTS and all(path.suffix == ".csv" for path in files)
    if is_csv and rejected and job.as_of is None:
        return "No line was an event. For a charge point's log add --format ocpp16-csv."
    return None


def _time(option: str, text: str | None) -> Micros | None:
    return None if text is None else parse_time(text, option)


def _definitions(names: list[str]) -> tuple[Definition, ...]:
    """Give `observed`, which the field `uptime` needs, then each other definition once, in order."""
    return tuple(definition_named(name) for name in dict.fromkeys([OBSERVED.name, *names]))


def _window(span: tuple[Micros | None, Micros | None], job: Replay) -> tuple[Micros, Micros] | None:
    """Complete a window of which one end was given, None if none was; raise where it cannot be answered."""
    start, end = span
    if (start is None and end is None) or job.as_of is None or job.oldest is None:
        return None
    remedy = "give a later --from or an earlier --as-of"
    return window_between(start, end, job.as_of, job.oldest, remedy=remedy)


class _Clocks:
    """Tells of times that make other lines late, as one of a clock that was wrong does."""

    def __init__(self, lateness: timedelta, console: Console) -> None:
        self._leaps = Leaps(micros_of(lateness))
        self._lateness = f"the allowed lateness ({written_duration(lateness)})"
        self._console = console
        self._told: set[tuple[str, int]] = set()

    def look(self, line: Line, event: Event) -> None:
        """Tell of the line before this one, if its time leaps ahead of both its neighbours."""
        for leap in self._leaps.take(line, event):
            place = (leap.line.file, leap.line.number)
            if place not in self._told and len(self._told) < _MOST_LEAPS:
                then = f"its time, {rfc3339(leap.time)}, is followed by {rfc3339(leap.followed_by)}"
                rule = f"What is older than the newest time of its EVSE by more than {self._lateness} is late"
                text = f"{then}. {rule}: if a clock was wrong, correct the line or leave it out"
                _tell(leap.line, text, self._console)
            self._told.add(place)

    def conclude(self, job: Replay) -> None:
        """Tell of lines that were not told of one by one, and of a log of which most is late."""
        more = len(self._told) - _MOST_LEAPS
        if more > 0:
            self._console.print(f"The times of {more} more lines leap ahead of what follows.", markup=False)
        late, all_of_them = job.verdicts[Verdict.LATE], job.verdicts.total()
        newest = self._leaps.newest
        if newest.line is not None and late * 2 > all_of_them:
            place = f"{newest.line.file}:{newest.line.number}"
            text = (
                f"Most events are late ({late} of {all_of_them}): older than what stands before them by more "
                f"than {self._lateness}. The newest time is {rfc3339(newest.time)}, in {place}. Correct it "
                "if it is wrong, and put lines that stand newest first into the order in which they came."
            )
            self._console.print(printable(text), markup=False)


def _fold(lines: Iterator[Line], job: Replay, clocks: _Clocks, batch_size: int, console: Console) -> int:
    """Fold all lines in batches, telling of each rejected line at once, and of each unknown status once."""
    rejected, unknown = 0, set[str]()
    batch: list[Event] = []
    for line in lines:
        if isinstance(line.content, Rejection):
            rejected += 1
            _tell(line, f"{line.content.reason}: {line.content.message}", console)
            continue
        for warning in line.left_out:
            if warning.word is None or warning.word not in unknown:
                _tell(line, f"{warning.field} is {warning.message}", console)
            if warning.word is not None:
                unknown.add(warning.word)
        if not job.ignores(line.content):
            clocks.look(line, line.content)
        batch.append(line.content)
        if len(batch) >= batch_size:
            job.take(batch)
            batch = []
    job.take(batch)
    return rejected


def _lines_of(files: list[Path], reader: LogReader, console: Console) -> Iterator[Line]:
    """Read all files as one log, moving a bar where that takes long and somebody looks."""
    sizes = [path.stat().st_size if path.is_file() else 0 for path in files]
    long = sum(sizes) > _LONG_BYTES
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not (long and console.is_terminal),
    )
    with bar:
        task = bar.add_task("reading", total=sum(sizes))
        before = 0
        for path, size in zip(files, sizes, strict=True):
            with opened_for_reading(path) as file:
                bar.update(task, description=printable(file.name))
                try:
                    lines = reader.read(file.name, file.lines)
                    while step := list(islice(lines, _LINES_A_STEP)):
                        yield from step
                        bar.update(task, completed=before + file.read_bytes())
                except ReplayError as error:
                    raise CommandError(printable(str(error))) from error
            before += size


def _tell(line: Line, text: str, console: Console) -> None:
    console.print(printable(f"{line.file}:{line.number}: {text}"), markup=False)


def _show_counts(job: Replay, rejected: int, console: Console, *, capped: bool) -> None:
    """Tell how many events got each verdict: a table for people, else a line each."""
    counts = {verdict.value: job.verdicts[verdict] for verdict in Verdict}
    counts[Verdict.REJECTED.value] += rejected
    if capped:
        counts["after --as-of"] = job.after_cap
    if console.is_terminal:
        table = Table("verdict", "events")
        table.columns[1].justify = "right"
        for name, count in counts.items():
            table.add_row(name, f"{count:,}")
        console.print(table)
    else:
        for name, count in counts.items():
            console.print(name, count)
