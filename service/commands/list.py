"""`list`: which EVSEs there are, by status and online."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Annotated

import orjson
import typer
from rich.table import Table
from rich.text import Text

from schemas.vocabulary import Status
from service import reading
from service.commands.console import ConfigOption, notices, printable, results
from service.settings import Settings, load_settings

_FIELDS = ("status", "online", "last_seen_at", "last_updated", "revision")


class Online(StrEnum):
    """What an EVSE's online may be."""

    TRUE = "true"
    FALSE = "false"
    NULL = "null"


def list_evses(
    status: Annotated[Status | None, typer.Option("--status", help="Only those with this status.")] = None,
    online: Annotated[
        Online | None,
        typer.Option("--online", help="true: some connector is; false: all are offline; null: not reported."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")] = 50,
    offset: Annotated[int, typer.Option("--offset", min=0, max=1_000_000_000, help="Pass over so many.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    config: ConfigOption = None,
) -> None:
    """List EVSEs, the latest updated first; the lists may lag a little behind the EVSEs."""
    settings = load_settings(config)
    total, rows = asyncio.run(_read(settings, status, online, slice(offset, offset + limit)))
    if as_json:
        for row in rows:
            typer.echo(orjson.dumps(row))
    elif results().is_terminal:
        results().print(_table(rows))
    else:
        for row in rows:
            typer.echo("\t".join(printable(row[name]) for name in ("uid", *_FIELDS)))
    shown = f"{offset + 1} to {offset + len(rows)} of {total}" if rows else f"none of {total}"
    rest = f"; go on with --offset {offset + limit}" if offset + len(rows) < total and rows else ""
    notices().print(shown + rest, markup=False)


async def _read(
    settings: Settings, status: Status | None, online: Online | None, part: slice
) -> tuple[int, list[dict[str, str]]]:
    async with reading.opened_view(settings) as reader:
        page = await reader.page(
            status=status, online=online, offset=part.start, limit=part.stop - part.start
        )
        documents = await reader.documents(page.uids, _FIELDS) if page.uids else {}
    return page.total, [
        {"uid": uid} | {name: documents[uid].get(name, "") for name in _FIELDS}
        for uid in page.uids
        if uid in documents
    ]


def _table(rows: list[dict[str, str]]) -> Table:
    table = Table("EVSE", "status", "online", "last seen", "last updated", "revision")
    for row in rows:
        table.add_row(*(Text(printable(row[name])) for name in ("uid", *_FIELDS)))
    return table
