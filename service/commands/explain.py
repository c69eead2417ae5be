"""`explain`: the intervals and events behind the uptime of one EVSE, for people and for programs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer

from schemas.explanation import Explanation
from service import reading
from service.commands.asked import UidArgument, definition_named, no_such_evse, window_between
from service.commands.console import CommandError, ConfigOption, parse_time, results
from service.commands.explained import laid_out
from service.domain.definitions import OBSERVED
from service.domain.rules import published_from
from service.domain.time import Micros, micros_from
from service.explanation.account import Question, explained
from service.explanation.evidence import Evidence
from service.settings import Settings, load_settings


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options ask for."""

    uid: str
    connector: str | None
    start: Micros | None
    end: Micros | None


def explain(  # noqa: PLR0913, PLR0917 - a parameter for each option
    uid: UidArgument,
    connector: Annotated[
        str | None,
        typer.Option("--connector", metavar="UID", help="Only this connector, and not the EVSE as a port."),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="T", help="Begin the window at T, not 30 days before its end."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="T", help="End the window at T, not where the view ends.")
    ] = None,
    definition: Annotated[
        str, typer.Option("--definition", metavar="NAME", help="Count by this definition.")
    ] = OBSERVED.name,
    every: Annotated[
        bool, typer.Option("--all", help="Show every interval, not only the longest of very many.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document (`evse-status schemas explanation`).")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """
    Explain the uptime of one EVSE: each interval with its cause and events, and what they sum to.

    Without --from and --until it is the published window; its sums are then compared with the published
    numbers, and a difference ends with exit code 1.
    """
    settings = load_settings(config)
    counting = definition_named(definition)
    start = None if from_ is None else parse_time(from_, "--from")
    end = None if until is None else parse_time(until, "--until")
    asked = Asked(uid, connector, start, end)
    evidence = asyncio.run(_read(settings, asked))
    remedy = "give a later --from"
    period = window_between(start, end, evidence.as_of, evidence.first_heard(), remedy=remedy)
    explanation = explained(evidence, Question(period, counting, settings.input_topics, connector))
    if as_json:
        typer.echo(explanation.model_dump_json(by_alias=True))
    else:
        results().print(laid_out(explanation, every=every))
    _require_agreement(explanation)


async def _read(settings: Settings, asked: Asked) -> Evidence:
    """Read what the view holds, with the closed spans that reach into the window."""
    async with reading.opened_view(settings) as reader:
        times = await reader.documents([asked.uid], ["as_of"])
        if asked.uid not in times:
            raise no_such_evse(asked.uid, settings.redis_prefix)
        as_of = micros_from(datetime.fromisoformat(times[asked.uid]["as_of"]))
        # What is read next may be later, and its window begin later, but never earlier.
        since = published_from(asked.end or as_of) if asked.start is None else asked.start
        kept = await reader.kept(asked.uid, since)
    if kept is None:  # gone between the two
        raise no_such_evse(asked.uid, settings.redis_prefix)
    evidence = Evidence.of(kept.document, kept.outages, kept.exclusions, kept.gaps, kept.verdicts)
    known = evidence.connector_uids()
    if asked.connector is not None and asked.connector not in known:
        there = f"it has: {', '.join(known)}" if known else "none is known yet"
        raise CommandError(f"EVSE {asked.uid!r} has no connector {asked.connector!r}; {there}")
    return evidence


def _require_agreement(explanation: Explanation) -> None:
    """End with 1 where the sums are not those that are published."""
    parts = [("the port", explanation.port), *((each.connector_uid, each) for each in explanation.connectors)]
    wrong = [name for name, part in parts if part is not None and part.agrees is False]
    if wrong:
        raise CommandError(
            f"the intervals of {', '.join(wrong)} do not sum to what the snapshot says; "
            "`evse-status rebuild` makes the view anew; where it stays, report it with the output of --json"
        )
