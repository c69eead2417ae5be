"""`rebuild`: the view made anew from the ledger and the log, and new logs taken for what they are."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from typing import Annotated, Any

import typer

from service import maintenance
from service.commands.console import (
    CommandError,
    ConfigOption,
    agreed,
    bars,
    notices,
    only_text,
    printable,
)
from service.commands.repartition import repartition as lay_out_anew
from service.commands.run import AcceptOption, SkipOption, allowed
from service.inspection import Findings
from service.logs import configure_logs
from service.processing.dead_letters import TooManyRejections
from service.processing.planning import Defect
from service.rebuild import Stage
from service.settings import Settings, load_settings

_SHOWN = 10
"""So many EVSEs are named, unless all are asked for."""


_NewLogOption = Annotated[
    list[str] | None,
    typer.Option(
        "--new-log",
        metavar="TOPIC",
        help="This input topic was deleted and created again, and has grown beyond what was processed "
        "since (else it is noticed). May be repeated.",
    ),
]
_YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
_AllOption = Annotated[
    bool, typer.Option("--all", help="Name every EVSE of which a time is unobserved, however many.")
]
_RepartitionOption = Annotated[
    bool,
    typer.Option(
        "--repartition",
        help="The input topics were given more partitions: lay view, ledger and snapshots out for these. "
        "Producers and workers must be stopped before.",
    ),
]
_FromPrefixOption = Annotated[
    str | None,
    typer.Option(
        "--from-prefix",
        metavar="PREFIX",
        callback=only_text,
        help="With --repartition, where all topics are new ones (as for fewer partitions): the "
        "TOPIC_PREFIX of those so far.",
    ),
]
_FromTopicOption = Annotated[
    list[str] | None,
    typer.Option(
        "--from-topic",
        metavar="TOPIC",
        callback=only_text,
        help="With --from-prefix: an input topic so far, in the order of INPUT_TOPICS. Default: "
        "`<prefix>events`. May be repeated.",
    ),
]


def rebuild(  # noqa: PLR0913, PLR0917 - the options of a command, each named where it is given
    new_log: _NewLogOption = None,
    yes: _YesOption = False,
    every: _AllOption = False,
    repartition: _RepartitionOption = False,
    from_prefix: _FromPrefixOption = None,
    from_topic: _FromTopicOption = None,
    accept_rejections: AcceptOption = None,
    skip: SkipOption = None,
    config: ConfigOption = None,
) -> None:
    """
    Make the view anew from the ledger and the log, under a new epoch.

    Running workers notice it within seconds and do it, each for its partitions; where none runs, it is done
    here. It may be stopped and called again at any time. An input topic that was deleted and created again is
    noticed: its offsets begin anew, and the history in the view is kept.

    With --repartition what is left in the log is processed first, with --accept-rejections and --skip as in
    `run`.
    """
    settings = load_settings(config)
    if repartition:
        if new_log:
            raise typer.BadParameter("does not go with --repartition", param_hint="--new-log")
        configure_logs("error", settings.log_format)
        before = _before(settings, from_prefix, from_topic)
        work = lay_out_anew(settings, before, allowed(accept_rejections, skip), yes=yes)
        _to_its_end(work, "With that option, call this command again.")
        return
    if from_prefix is not None or from_topic or accept_rejections or skip:
        raise typer.BadParameter(
            "--from-prefix, --from-topic, --accept-rejections and --skip go with --repartition"
        )
    if unknown := sorted(set(new_log or ()) - set(settings.input_topics)):
        raise typer.BadParameter(
            f"{unknown[0]!r} is not among INPUT_TOPICS ({', '.join(settings.input_topics)})",
            param_hint="--new-log",
        )
    configure_logs("error", settings.log_format)
    work = _rebuild(settings, frozenset(new_log or ()), yes=yes, every=every)
    _to_its_end(work, "A worker that is started so goes on with what was begun here.")


def _to_its_end(work: Coroutine[Any, Any, None], then: str) -> None:
    """Run it; what a record ends it for is told in one line, with how to go on."""
    try:
        asyncio.run(work)
    except (TooManyRejections, Defect) as error:
        raise CommandError(f"{error} {then}") from error


def _before(settings: Settings, prefix: str | None, topics: list[str] | None) -> Settings:
    """Give the settings by which the topics so far were processed."""
    if prefix is None:
        if topics:
            raise typer.BadParameter("goes with --from-prefix", param_hint="--from-topic")
        return settings
    if prefix == settings.topic_prefix:
        raise typer.BadParameter(
            "is EVSE_STATUS_TOPIC_PREFIX itself: that names the new topics, and this the old ones",
            param_hint="--from-prefix",
        )
    inputs = tuple(topics or [prefix + "events"])
    return settings.model_copy(update={"topic_prefix": prefix, "input_topics": inputs})


async def _rebuild(settings: Settings, told: frozenset[str], *, yes: bool, every: bool) -> None:
    console, found = notices(), list[Findings]()

    with bars(console) as bar:

        def confirm(findings: Findings) -> bool:
            found.append(findings)
            for line in _found_out(findings, told, every=every):
                console.print(line)
            return agreed(bar, yes=yes)

        restored = bar.add_task("partitions restored", total=None, visible=False)
        folded = bar.add_task("log read on", total=None, visible=False)
        said: list[Stage] = []

        def tell(stage: Stage) -> None:
            bar.update(restored, completed=stage.restored, total=stage.partitions, visible=True)
            bar.update(folded, completed=stage.folded, total=stage.records, visible=True)
            if not console.is_terminal and (not said or said[-1] != stage):
                console.print(
                    f"partitions restored: {stage.restored} of {stage.partitions}; "
                    f"log read to offset {stage.folded} of {stage.records}"
                )
            said.append(stage)

        if not await maintenance.rebuild(settings, told, confirm, tell):
            raise CommandError("nothing was done")
    lost = found[-1].unobserved
    if lost:
        console.print(
            f"The view is there, but not whole: of {named(lost, every=every)} a time is unobserved, which "
            "the log no longer holds; `evse-status explain` shows the gap."
        )
    else:
        console.print("The view is whole.")


def _found_out(findings: Findings, told: frozenset[str], *, every: bool) -> Iterator[str]:
    """Say what is there, and what is going to be done."""
    for topic in sorted(findings.new_logs | told):
        yield f"{topic} is another log than the one that was processed: its offsets begin anew."
    for place, offset in sorted(findings.by_hand.items()):
        yield (
            f"The group's offset of {place.topic}, partition {place.partition} was set to {offset} by "
            f"hand, beyond the end of the log ({findings.ends[place]}): it does not count."
        )
    if findings.unobserved:
        yield (
            "The log does not reach back to all that was processed of "
            f"{named(findings.unobserved, every=every)}: what ledger and snapshots hold of them is kept, "
            "the rest cannot be made again and is unobserved."
        )
    where = (
        f"the workers of the group do it ({findings.members})"
        if findings.members
        else "no worker runs, it is done here"
    )
    yield f"The view is made anew from the ledger and the log; {where}."


def named(uids: Sequence[str], *, every: bool) -> str:
    """Name some of many EVSEs, or all, and say how to see the rest."""
    left_out = 0 if every else max(len(uids) - _SHOWN, 0)
    shown = ", ".join(printable(uid) for uid in uids[: len(uids) - left_out])
    more = f" and {left_out} more, which --all names" if left_out else ""
    return f"{len(uids)} EVSE{'' if len(uids) == 1 else 's'} ({shown}{more})"
