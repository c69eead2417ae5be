"""`show`: one EVSE for people, or its snapshot for programs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from schemas.evse import Connector
from schemas.snapshot import ConnectorState, Reliability, Snapshot
from schemas.view import Outage, parse_recent
from schemas.vocabulary import TimeClass
from service import app
from service.commands.console import CommandError, ConfigOption, results
from service.commands.wording import in_words, moment, online_in_words, share
from service.domain.time import datetime_from, micros_from
from service.settings import Settings, load_settings

_RECENT = timedelta(days=30)
_OUTAGES_SHOWN = 15

_STYLES = {"AVAILABLE": "green", "CHARGING": "blue", "OUTOFORDER": "red", "INOPERATIVE": "red"}


@dataclass(frozen=True, slots=True)
class Shown:
    """What the view holds of one EVSE, as far as it is shown; `outages` newest first, times in UTC."""

    snapshot: Snapshot
    removed_at: str
    outages: tuple[Outage, ...]


def show(
    uid: Annotated[str, typer.Argument(metavar="UID", help="The EVSE's uid.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="The snapshot as it is kept in Redis, for programs.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Show one EVSE: its connectors now, uptime, reliability, and the outages of the last 30 days."""
    settings = load_settings(config)
    document, outages = asyncio.run(_read(settings, uid))
    if as_json:
        typer.echo(document["snapshot"])
        return
    shown = Shown(Snapshot.model_validate_json(document["snapshot"]), document.get("removed_at", ""), outages)
    results().print(described(shown, datetime_from(app.system_clock().now())))


async def _read(settings: Settings, uid: str) -> tuple[dict[str, str], tuple[Outage, ...]]:
    """Read the document and the outages, closed ones and those that a late event may still correct."""
    reader = app.view_reader(settings)
    try:
        document = await reader.document(uid)
        if document is None:
            raise CommandError(
                f"there is no EVSE {uid!r} under the prefix {settings.redis_prefix!r}; "
                "`evse-status list` shows which there are"
            )
        as_of = datetime.fromisoformat(document["as_of"])
        closed = await reader.outages(uid, from_us=micros_from(as_of - _RECENT))
    finally:
        await reader.close()
    recent = parse_recent(document["recent"]) if document.get("recent") else None
    late = [outage for each in recent.connectors.values() for outage in each.outages] if recent else []
    down = [outage for outage in (*closed, *late) if outage.time_class is TimeClass.DOWN]
    return document, tuple(sorted(down, key=lambda outage: outage.from_, reverse=True))


def described(shown: Shown, now: datetime) -> RenderableType:
    """Lay out an EVSE for people."""
    return Group(
        *_heading(shown, now),
        "",
        _connectors(shown.snapshot),
        "",
        *_ratings(shown.snapshot),
        *_outages(shown, now),
    )


def _heading(shown: Shown, now: datetime) -> Iterator[Text]:
    snapshot = shown.snapshot
    evse = snapshot.evse
    online = [each.online for each in evse.connectors or ()]
    words = "offline" if online and all(each is False for each in online) else None
    title = Text.assemble((str(evse.uid), "bold"), "  ", _status(snapshot.status))
    if words:
        title.append("  offline", "red")
    if evse.evse_id:
        title.append(f"  {evse.evse_id}", "dim")
    yield title
    seen = snapshot.last_seen_at
    ago = "never" if seen is None else f"{in_words(max(now - seen, timedelta(0)))} ago ({moment(seen)})"
    yield Text(f"last seen {ago} · revision {snapshot.revision} · as of {moment(snapshot.as_of)}")
    if shown.removed_at:
        yield Text(f"removed at {shown.removed_at}", "yellow")
    if snapshot.note is not None:
        note = snapshot.note
        said = " ".join(filter(None, (note.raw_status or note.status, note.error_code)))
        yield Text(f"the charger itself said {said} at {moment(note.at)}", "dim")
    port = snapshot.windows[0]
    yield Text(
        f"uptime {share(port.uptime)} of the {share(port.coverage, 1)} observed, from {moment(port.from_)}"
        if port.uptime is not None
        else "uptime - (less than an hour was observed)"
    )


def _connectors(snapshot: Snapshot) -> RenderableType:
    if not snapshot.connectors:
        return Text("no connector is known yet")
    published = {each.uid: each for each in snapshot.evse.connectors or ()}
    table = Table(
        "connector", "status", "since", "online", "since", "reported as", "error", "uptime", "coverage"
    )
    for state in snapshot.connectors:
        window = state.windows[0]
        connector = published.get(state.connector_uid)
        table.add_row(
            Text(state.connector_uid),
            _status(connector.status) if connector else Text("withdrawn", "dim"),
            moment(state.status_since),
            _online(connector),
            moment(state.online_since),
            Text(state.raw_status or "-"),
            Text(state.error_code or "-"),
            share(window.uptime),
            share(window.coverage, 1),
        )
    return table


def _status(status: str | None) -> Text:
    word = str(status or "UNKNOWN")
    return Text(word, _STYLES.get(word, "yellow"))


def _online(connector: Connector | None) -> Text:
    if connector is None:
        return Text("-")
    return Text(online_in_words(connector.online), "red" if connector.online is False else "")


def _ratings(snapshot: Snapshot) -> Iterator[Text]:
    for state in snapshot.connectors:
        yield _rating(state)
    if snapshot.connectors:
        yield Text("")


def _rating(state: ConnectorState) -> Text:
    rating = state.reliability
    value = "not yet (less than a day was observed)" if rating.value is None else f"{rating.value:.2f} of 10"
    text = Text.assemble((state.connector_uid, "bold"), f"  reliability {value}")
    text.append(
        f"\n  works when a driver arrives: {share(rating.availability, 1)}"
        f"\n  an hour of charging without an outage: {share(rating.continuity, 1)}"
        f"\n  an attempt to charge succeeds: {share(rating.success, 1)}"
    )
    text.append(f"\n  {_basis(rating)}", "dim")
    return text


def _basis(rating: Reliability) -> str:
    attempts = rating.attempts
    return (
        f"from {in_words(timedelta(seconds=rating.observed_seconds))} observed, {rating.outages} outages, "
        f"attempts: {attempts.succeeded} succeeded, {attempts.failed} failed, "
        f"{attempts.abandoned} abandoned, {attempts.unknown} unknown"
    )


def _outages(shown: Shown, now: datetime) -> Iterator[RenderableType]:
    if not shown.outages:
        yield Text("no outages in the last 30 days")
        return
    table = Table("outage of", "from", "until", "lasted", "status", "online", "error")
    for outage in shown.outages[:_OUTAGES_SHOWN]:
        table.add_row(
            Text(outage.connector_uid),
            moment(outage.from_),
            Text("still open", "red") if outage.until is None else moment(outage.until),
            in_words(max((outage.until or now) - outage.from_, timedelta(0))),
            _status(outage.status),
            online_in_words(outage.online),
            Text(outage.error_code or "-"),
        )
    yield table
    more = len(shown.outages) - _OUTAGES_SHOWN
    if more > 0:
        yield Text(f"and {more} more in the last 30 days", "dim")
