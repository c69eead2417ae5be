"""`dead-letters`: look at what could not be processed, and send it again."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from contextlib import AsyncExitStack
from itertools import islice
from typing import Annotated

import orjson
import typer
from rich.table import Table

from schemas.vocabulary import RejectionReason
from service import app
from service.commands.console import CommandError, ConfigOption, notices, printable, results
from service.domain.time import rfc3339
from service.letters import Homes, Letter, Selection, Sorted, TopicReader, sort_out
from service.processing.dead_letters import OffsetRange
from service.processing.identity import refuse_topics
from service.processing.ports import PortError
from service.processing.values import Message
from service.settings import Settings, load_settings

commands = typer.Typer(
    help="Look at records that could not be processed, and send them again.", no_args_is_help=False
)

_SENT_TOGETHER = 500

ReasonOption = Annotated[
    list[RejectionReason] | None,
    typer.Option("--reason", help="Only those rejected for this reason. May be repeated."),
]


@commands.command("list")
def list_letters(
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=1_000_000, metavar="N", help="The newest N of them.")
    ] = 20,
    reason: ReasonOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, with the whole value.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """List the newest dead letters: reason, where each came from, what is wrong, and how it begins."""
    settings = load_settings(config)
    letters = asyncio.run(_newest(settings, limit, Selection(frozenset(reason or ()))))
    if as_json:
        for letter in letters:
            typer.echo(_as_json(letter))
    elif results().is_terminal:
        results().print(_table(letters))
    else:
        for letter in letters:
            fields = (_when(letter), letter.reason, letter.place, letter.message, letter.preview())
            typer.echo("\t".join(map(printable, fields)))
    if not letters:
        notices().print(f"no dead letters in {settings.dead_letters_topic}", markup=False)


@commands.command("replay")
def replay_letters(
    reason: ReasonOption = None,
    offset: Annotated[
        list[str] | None,
        typer.Option(
            "--offset",
            metavar="TOPIC:PARTITION:OFFSET",
            help="Only the one from this place, as `list` shows it; FROM-TO for several. May be repeated.",
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before sending.")] = False,
    config: ConfigOption = None,
) -> None:
    """
    Send dead letters again to where they came from, with their key, value, headers and timestamp; to where
    their EVSE lives now, if partitions were added since.

    Nothing is remembered: the same command sends them again. An event that counted before is a duplicate
    within the allowed lateness; a record that is still wrong becomes a dead letter again.
    """
    if every == bool(reason or offset):
        raise typer.BadParameter("say which: either --all, or --reason, --offset or both")
    settings = load_settings(config)
    selection = Selection(frozenset(reason or ()), tuple(_place(text) for text in offset or ()))
    asyncio.run(_replay(settings, selection, dry_run=dry_run, yes=yes))


def _place(text: str) -> OffsetRange:
    try:
        return OffsetRange.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--offset") from error


async def _newest(settings: Settings, limit: int, selection: Selection) -> list[Letter]:
    """Give the newest letters, oldest first; a filter needs all of them to be read."""
    async with AsyncExitStack() as stack:
        reader = await _reader(settings, stack)
        newest = None if selection.reasons else limit
        kept: dict[int, deque[Letter]] = {}
        async for record in reader.records(settings.dead_letters_topic, newest):
            letter = Letter.read(record)
            if letter in selection:
                kept.setdefault(record.partition, deque(maxlen=limit)).append(letter)
    letters = [letter for some in kept.values() for letter in some]
    letters.sort(key=lambda letter: (letter.record.timestamp, letter.record.partition, letter.record.offset))
    return letters[-limit:]


async def _reader(settings: Settings, stack: AsyncExitStack) -> TopicReader:
    reader = app.kafka_reader(settings)
    stack.push_async_callback(reader.stop)
    await reader.start()
    return reader


async def _replay(settings: Settings, selection: Selection, *, dry_run: bool, yes: bool) -> None:
    async with AsyncExitStack() as stack:
        reader = await _reader(settings, stack)
        topics = await reader.topics()
        found = [
            letter
            async for record in reader.records(settings.dead_letters_topic)
            if (letter := Letter.read(record)) in selection
        ]
        chosen = sort_out(found, {name: topics.get(name, 0) for name in settings.input_topics})
        _show_choice(chosen, dry_run=dry_run)
        if dry_run or not chosen.ready:
            return
        if not yes and not typer.confirm(f"Send {len(chosen.ready)} records again?", err=True):
            raise CommandError("nothing was sent")
        homes = await _homes(settings)
        messages = [letter.restored(homes) for letter in chosen.ready]
        # What was in the topic once fits in it; the producer has a limit of its own, which knows no topic.
        publisher = app.kafka_publisher(settings, max(map(_size, messages)))
        stack.push_async_callback(publisher.stop)
        await publisher.start()
        waiting = iter(messages)
        while batch := list(islice(waiting, _SENT_TOGETHER)):
            await publisher.publish(batch)
        _show_sent(messages)


async def _homes(settings: Settings) -> Homes | None:
    """Ask the view whether partitions were added; who may not reach it sends to where records came from."""
    try:
        epochs = await app.known_epochs(settings)
    except PortError as error:
        notices().print(
            printable(f"records go to the partitions they came from: the view cannot be asked ({error})"),
            markup=False,
        )
        return None
    # Nobody would read what is sent to topics that were left for others.
    refuse_topics(settings.input_topics, epochs)
    return Homes(epochs, app.partitioner(settings))


def _size(message: Message) -> int:
    headers = sum(len(name) + len(value) for name, value in message.headers)
    return len(message.key or b"") + len(message.value or b"") + headers


def _show_choice(chosen: Sorted, *, dry_run: bool) -> None:
    for letter, obstacle in chosen.left:
        notices().print(printable(f"left: {letter.place} ({letter.reason}): {obstacle}"), markup=False)
    if dry_run:
        for letter in chosen.ready:
            typer.echo(printable(f"would send: {letter.place} ({letter.reason})  {letter.preview()}"))
    if not chosen.ready:
        notices().print("nothing to send", markup=False)


def _show_sent(messages: list[Message]) -> None:
    counts = Counter((message.topic, message.partition) for message in messages)
    for (topic, partition), count in sorted(counts.items()):
        typer.echo(f"sent {count} to {topic}, partition {partition}")
    notices().print("Nothing is remembered: the same command would send them again.", markup=False)


def _when(letter: Letter) -> str:
    return rfc3339(letter.record.timestamp)


def _table(letters: list[Letter]) -> Table:
    table = Table("at", "reason", "from", "what is wrong", "value", show_lines=False)
    for letter in letters:
        fields = (_when(letter), letter.reason, letter.place, letter.message, letter.preview())
        table.add_row(*(printable(field).replace("[", r"\[") for field in fields))
    return table


def _as_json(letter: Letter) -> bytes:
    record = letter.record
    return orjson.dumps(
        {
            "at": _when(letter),
            "reason": letter.reason,
            "message": letter.message,
            "origin": None if letter.origin is None else letter.place,
            "cut": letter.cut,
            "key": None if record.key is None else record.key.decode("utf-8", "backslashreplace"),
            "value": None if record.value is None else record.value.decode("utf-8", "backslashreplace"),
        }
    )
