"""What several commands ask alike: the window that numbers are of, and the definition behind them."""

from __future__ import annotations

from typing import Annotated

import typer

from service.commands.console import CommandError, only_text
from service.domain.definitions import DEFINITIONS, Definition
from service.domain.intervals import Interval
from service.domain.rules import KEPT_DAYS, published_from
from service.domain.time import DAY, EARLIEST, Micros, rfc3339

UidArgument = Annotated[str, typer.Argument(metavar="UID", help="The EVSE's uid.", callback=only_text)]


def definition_named(name: str) -> Definition:
    """Give the definition of a name; raise what ends the command where there is none."""
    if name not in DEFINITIONS:
        known = ", ".join(DEFINITIONS)
        raise typer.BadParameter(f"there is no {name!r}; there are: {known}", param_hint="--definition")
    return DEFINITIONS[name]


def no_such_evse(uid: str, prefix: str) -> CommandError:
    """Say that the view holds no EVSE of a uid, under the prefix of its keys."""
    return CommandError(
        f"there is no EVSE {uid!r} under the prefix {prefix!r}; `evse-status list` shows which there are"
    )


def window_between(
    start: Micros | None, end: Micros | None, as_of: Micros, oldest: Micros | None, *, remedy: str
) -> Interval:
    """
    Complete a window of which an end may be left out: it ends at `as_of`, and begins as published ones do.

    `oldest` is when the first thing was heard, None if nobody knows any more. Raises where it is no window,
    or where history is gone; `remedy` then says what helps.
    """
    if end is None and start is not None and start >= as_of:
        raise CommandError(
            f"nothing later than {rfc3339(as_of)} is known; give a --from before that, or an --until"
        )
    end = as_of if end is None else end
    start = published_from(end) if start is None else start
    if start >= end:
        raise CommandError("the window ends before it begins; give a --from that lies before --until")
    if start < EARLIEST:
        raise CommandError("nothing is known of the time before 2010; give a later --from")
    kept = (as_of // DAY - KEPT_DAYS) * DAY
    if max(start, start if oldest is None else oldest) < kept:
        raise CommandError(f"history is kept for {KEPT_DAYS} days, here from {rfc3339(kept)}; {remedy}")
    return start, end
