"""`show`: one EVSE for people, or its snapshot for programs."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from schemas.evse import Connector
from schemas.no_uptime import of_window
from schemas.snapshot import ConnectorState, Reliability, Snapshot, Window
from schemas.view import Exclusion, Gap, Outage, is_up, parse_recent
from schemas.vocabulary import TimeClass
from service import reading
from service.commands.asked import UidArgument, no_such_evse
from service.commands.console import ConfigOption, printable, results
from service.commands.wording import in_words, moment, online_in_words, share
from service.domain.intervals import merge
from service.domain.time import datetime_from, micros_from
from service.settings import Settings, load_settings

_RECENT = timedelta(days=30)
_OUTAGES_SHOWN = 15
_DECLARED_SHOWN = 5

_STYLES = {"AVAILABLE": "green", "CHARGING": "blue", "OUTOFORDER": "red", "INOPERATIVE": "red"}


@dataclass(frozen=True, slots=True)
class Shown:
    """What the view holds of one EVSE, as far as it is shown; `outages` in no order, `gaps` by their end."""

    snapshot: Snapshot
    removed_at: str
    outages: tuple[Outage, ...]
    exclusions: Mapping[str, Exclusion] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()


def show(
    uid: UidArgument,
    as_json: Annotated[
        bool, typer.Option("--json", help="The snapshot as it is kept in Redis, for programs.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Show one EVSE: its connectors now, uptime, reliability, and the outages of the last 30 days."""
    settings = load_settings(config)
    document, shown = asyncio.run(_read(settings, uid))
    if as_json:
        typer.echo(document["snapshot"])
        return
    results().print(described(shown, datetime_from(reading.system_clock().now())))


async def _read(settings: Settings, uid: str) -> tuple[dict[str, str], Shown]:
    """Read the document, the outages (closed or not), and the exclusions and gaps."""
    async with reading.opened_view(settings) as reader:
        document = await reader.document(uid)
        if document is None:
            raise no_such_evse(uid, settings.redis_prefix)
        as_of = datetime.fromisoformat(document["as_of"])
        closed = await reader.outages(uid, from_us=micros_from(as_of - _RECENT))
        exclusions, gaps = await reader.exclusions(uid), await reader.gaps(uid)
    recent = parse_recent(document["recent"]) if document.get("recent") else None
    late = [outage for each in recent.connectors.values() for outage in each.outages] if recent else []
    down = [outage for outage in (*closed, *late) if outage.time_class is TimeClass.DOWN]
    snapshot = Snapshot.model_validate_json(document["snapshot"])
    return document, Shown(snapshot, document.get("removed_at", ""), tuple(down), exclusions, gaps)


def described(shown: Shown, now: datetime) -> RenderableType:
    """Lay out an EVSE for people; 80 columns are enough."""
    return Group(
        *_heading(shown, now),
        *_connectors(shown.snapshot),
        Text(),
        *_outages(shown.outages, shown.gaps, now),
        *_declared(shown),
        Text(f"`evse-status explain {_quoted(shown.snapshot)}` shows what is behind the uptime", "dim"),
    )


def _quoted(snapshot: Snapshot) -> str:
    return shlex.quote(printable(snapshot.evse.uid))


def _heading(shown: Shown, now: datetime) -> Iterator[Text]:
    snapshot = shown.snapshot
    online = [each.online for each in snapshot.evse.connectors or ()]
    title = Text.assemble((printable(snapshot.evse.uid), "bold"), "  ", _status(snapshot.status))
    if online and all(each is False for each in online):
        title.append("  offline", "red")
    if snapshot.evse.evse_id:
        title.append(f"  {printable(snapshot.evse.evse_id)}", "dim")
    yield title
    seen = snapshot.last_seen_at
    ago = "never" if seen is None else f"{in_words(max(now - seen, timedelta(0)))} ago, {moment(seen)}"
    yield Text(f"last seen {ago}")
    yield Text(f"as of {moment(snapshot.as_of)}, revision {snapshot.revision}")
    if shown.removed_at:
        yield Text(f"removed at {shown.removed_at}", "yellow")
    if snapshot.note is not None:
        note = snapshot.note
        said = " ".join(filter(None, (note.raw_status or note.status, note.error_code)))
        yield Text(f"of the whole charger was said: {printable(said)}, {moment(note.at)}", "dim")
    yield Text(f"uptime as a port, up while any connector is: {_uptime(snapshot.windows[0])}")


def _uptime(window: Window) -> str:
    no_uptime = of_window(window)
    if no_uptime is not None:
        return f"not known\n    {no_uptime.sentence}"
    observed = share(window.coverage, 1)
    return f"{share(window.uptime)} since {window.from_:%Y-%m-%d}, of which {observed} was observed"


def _connectors(snapshot: Snapshot) -> Iterator[Text]:
    if not snapshot.connectors:
        yield Text("\nno connector is known yet")
    published = {each.uid: each for each in snapshot.evse.connectors or ()}
    for state in snapshot.connectors:
        yield Text()
        yield _now(state, published.get(state.connector_uid))
        yield Text(f"  uptime {_uptime(state.windows[0])}")
        yield from _rating(state.reliability)


def _now(state: ConnectorState, connector: Connector | None) -> Text:
    """Say how a connector is; None: the inventory no longer names it."""
    text = Text.assemble((printable(state.connector_uid), "bold"), "  ")
    if connector is None:
        return text.append("no longer part of the EVSE", "dim")
    text.append_text(_status(connector.status))
    if state.status_since is not None:
        text.append(f" since {moment(state.status_since)}")
    text.append(f"\n  {online_in_words(connector.online)}", "red" if connector.online is False else "")
    if state.online_since is not None:
        text.append(f" since {moment(state.online_since)}")
    for name, word in (("reported as", state.raw_status), ("error", state.error_code)):
        if word:
            text.append(f"\n  {name} {printable(word)}")
    return text


def _status(status: str | None) -> Text:
    word = printable(str(status or "UNKNOWN"))
    return Text(word, _STYLES.get(word, "yellow"))


def _rating(rating: Reliability) -> Iterator[Text]:
    if rating.value is None:
        yield Text("  reliability not known (less than a day was observed)")
        return
    yield Text(f"  reliability {rating.value:.2f} of 10, the product of")
    yield Text(f"    {share(rating.availability, 1):>7}  it works when a driver arrives")
    yield Text(f"    {share(rating.continuity, 1):>7}  no outage begins in an hour of charging")
    yield Text(f"    {share(rating.success, 1):>7}  the attempt to charge succeeds")
    observed, attempts = in_words(timedelta(seconds=rating.observed_seconds)), rating.attempts
    basis = (
        f"    from {observed} observed with {rating.outages} outages; attempts: {attempts.succeeded} good,\n"
        f"    {attempts.failed} failed, {attempts.abandoned} abandoned, {attempts.unknown} unknown"
    )
    yield Text(basis, "dim")


def _outages(outages: Sequence[Outage], gaps: Sequence[Gap], now: datetime) -> Iterator[RenderableType]:
    joined = joined_outages(outages)
    if not joined:
        yield Text("no outages in the last 30 days")
        return
    table = Table("outage of", "from", "lasted", "what", box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for parts in joined[:_OUTAGES_SHOWN]:
        end = parts[-1].until
        lasted = in_words(max((end or now) - parts[0].from_, timedelta(0)))
        table.add_row(
            Text(printable(parts[0].connector_uid)),
            moment(parts[0].from_),
            Text(lasted if end else f"{lasted}, open", "" if end else "red"),
            Text(printable(_reason(parts)) + _unseen(parts, gaps, now)),
        )
    yield table
    more = len(joined) - _OUTAGES_SHOWN
    if more > 0:
        yield Text(f"and {more} more in the last 30 days", "dim")


def _declared(shown: Shown) -> Iterator[Text]:
    """Name the exclusions and gaps that reach into the window, the newest of many."""
    window = shown.snapshot.windows[0]
    exclusions = [
        (name, each)
        for name, each in sorted(shown.exclusions.items(), key=lambda item: item[1].from_)
        if each.from_ < window.until and (each.until is None or each.until > window.from_)
    ]
    for name, each in exclusions[-_DECLARED_SHOWN:]:
        about = "" if each.connector_uids is None else f" of {', '.join(each.connector_uids)}"
        until = "open" if each.until is None else f"to {moment(each.until)}"
        words = f"exclusion {name}{about}, {each.reason}, {moment(each.from_)} {until}"
        yield Text(printable(words + (f": {each.note}" if each.note else "")), "yellow")
    gaps = [each for each in shown.gaps if each.from_ < window.until and each.until > window.from_]
    for gap in gaps[-_DECLARED_SHOWN:]:
        yield Text(f"gap {moment(gap.from_)} to {moment(gap.until)}: nothing could be seen", "magenta")
    more = max(len(exclusions) - _DECLARED_SHOWN, 0) + max(len(gaps) - _DECLARED_SHOWN, 0)
    if more:
        yield Text(f"and {more} earlier exclusions and gaps in the last 30 days", "dim")


def joined_outages(outages: Sequence[Outage]) -> list[list[Outage]]:
    """Join spans of one connector that follow each other without a moment up; the newest outage first."""
    joined: list[list[Outage]] = []
    for outage in sorted(outages, key=lambda outage: (outage.connector_uid, outage.from_)):
        last = joined[-1][-1] if joined else None
        if last and last.connector_uid == outage.connector_uid and last.until == outage.from_:
            joined[-1].append(outage)
        else:
            joined.append([outage])
    return sorted(joined, key=lambda parts: parts[0].from_, reverse=True)


def _unseen(parts: Sequence[Outage], gaps: Sequence[Gap], now: datetime) -> str:
    """Say of an outage how much of it lies in gaps: that is unobserved and no downtime."""
    start, end = micros_from(parts[0].from_), micros_from(parts[-1].until or now)
    covering = merge((micros_from(gap.from_), micros_from(gap.until)) for gap in gaps)
    covered = sum(max(0, min(end, stop) - max(start, begin)) for begin, stop in covering)
    if not covered:
        return ""
    if covered >= end - start:
        return "; all in a gap: unobserved"
    return f"; {in_words(timedelta(microseconds=covered))} in a gap: unobserved"


def _reason(parts: Sequence[Outage]) -> str:
    """Name each status that was no service, offline where it was, and the error codes."""
    down = [part.status for part in parts if part.status and not is_up(part.status, online=None)]
    offline = ["offline"] if any(part.online is False for part in parts) else []
    errors = [part.error_code for part in parts if part.error_code]
    return ", ".join(dict.fromkeys([*down, *offline, *errors]))
