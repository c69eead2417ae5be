"""
What every command shares: where it writes, how it fails, how it asks for settings and times.

Results go to standard output, everything else to standard error. This module knows no command.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from service.domain.time import LATEST, Micros, micros_from

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="TOML file with settings; the environment goes before it."),
]

Value = TypeVar("Value", bound="str | list[str] | None")

_FIRST = micros_from(datetime.min.replace(tzinfo=UTC))


class CommandError(typer.TyperException):
    """The command cannot do what was asked; one line says why and what helps. Ends with exit code 1."""


def results() -> Console:
    """Give the console for what was asked for: no wrapping and no colours unless it is a terminal."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def notices() -> Console:
    """Give the console for everything else, on standard error."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def bars(console: Console) -> Iterator[Progress]:
    """
    Give the bars by which a long work shows how far it is; none where nobody looks at a terminal.

    They are to be seen from `agreed` on.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=console, disable=not console.is_terminal)
    try:
        yield progress
    finally:
        progress.stop()


def agreed(progress: Progress, *, yes: bool) -> bool:
    """
    Ask whether to go on, unless that was said before, and show the bars from then on.

    Not earlier: they wipe the line that the question is on.
    """
    if not (yes or typer.confirm("Go on?", err=True)):
        return False
    progress.start()
    return True


def printable(text: str) -> str:
    """Write control characters as escapes: a line of the log must not steer the reader's terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def only_text(value: Value) -> Value:
    """
    Refuse an argument that is no UTF-8: no key, topic or host is written so.

    Such bytes come from a terminal or a script of another encoding, and Python lets them pass as surrogates.
    """
    for word in [value] if isinstance(value, str) else cast("list[str]", value or []):
        try:
            word.encode()
        except UnicodeEncodeError:
            raise typer.BadParameter(f"{word!r} is no UTF-8; write it in that encoding") from None
    return value


def parse_time(text: str, option: str) -> Micros:
    """Read what an option gives as RFC 3339, or as a date for its midnight; without an offset it is UTC."""
    remedy = "write 2026-01-05T00:00:00Z or 2026-01-05"
    try:
        moment = micros_from(datetime.fromisoformat(text.strip()))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time; {remedy}", param_hint=option) from None
    # An offset may lead out of what can be written in UTC.
    if not _FIRST <= moment <= LATEST:
        raise typer.BadParameter(
            f"{text!r} lies in UTC outside the years 1 to 9999; {remedy}", param_hint=option
        )
    return moment
