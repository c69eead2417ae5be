"""`size`: what a fleet needs, from what was measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import orjson
import typer
from rich.table import Table
from rich.text import Text

from service.commands import size_options as options
from service.commands.console import results
from service.domain.rules import KEPT_DAYS
from service.durations import parse_duration
from service.sizing.constants import Constant, Source
from service.sizing.needs import Fleet, Need, Sizing
from service.sizing.needs import size as needs_of

_DECIMALS_BELOW = 10


def size(  # noqa: PLR0913, PLR0917 - a parameter for each option
    evses: options.Evses,
    events_per_day: options.EventsPerDay = 40.0,
    offline_flaps: options.OfflineFlaps = 0.2,
    heartbeat: options.Heartbeat = "5m",
    connectors: options.Connectors = 2,
    history_days: options.HistoryDays = KEPT_DAYS,
    retention_days: options.RetentionDays = 5.0,
    replication: options.Replication = 3,
    peak: options.Peak = 4.0,
    headroom: options.Headroom = 0.25,
    shard_gb: options.ShardGb = 16.0,
    compiled: options.Compiled = False,
    as_json: options.AsJson = False,
) -> None:
    """
    Say what a fleet needs: partitions, workers, memory of Redis, disk of Kafka.

    Each line names how it comes about and what was measured for it, with the benchmark, commit and machine.
    Memory and disk are those with all the history; GB is 10^9 bytes. Yours is another machine: run the
    benchmarks there for what hangs on its speed.
    """
    if 2 * offline_flaps > events_per_day:
        raise typer.BadParameter(
            f"{offline_flaps:g} flaps are {2 * offline_flaps:g} events a day, more than --events-per-day "
            f"{events_per_day:g}; give fewer, or more events",
            param_hint="--offline-flaps",
        )
    sizing = needs_of(
        Fleet(
            evses=evses,
            connectors=connectors,
            events_a_day=events_per_day,
            flaps=offline_flaps,
            heartbeat_s=_seconds(heartbeat),
            history_days=history_days,
            retention_days=retention_days,
            replication=replication,
            peak=peak,
            headroom=headroom,
            shard_gb=shard_gb,
            compiled=compiled,
        )
    )
    if as_json:
        typer.echo(orjson.dumps(told(sizing)))
    else:
        _print(sizing)


def _print(sizing: Sizing) -> None:
    """Write the needs as a table, or for pipes line by line, and the runs that their figures are from."""
    if results().is_terminal:
        results().print(_table(sizing))
    else:
        for need in sizing.needs:
            typer.echo("\t".join(_cells(need, sizing)))
    for number, source in enumerate(_sources(sizing.needs), 1):
        results().print(f"\n[{number}] {_run(source)}", markup=False)
        for constant in _constants(sizing.needs, source):
            results().print(f"    {_figure(constant)}", markup=False)


def told(sizing: Sizing) -> dict[str, Any]:
    """Give what a sizing says as plain values."""
    return {
        "fleet": asdict(sizing.fleet),
        "needs": [
            {
                **{name: value for name, value in asdict(need).items() if name != "constants"},
                "constants": [asdict(constant) for constant in need.constants],
            }
            for need in sizing.needs
        ],
    }


def in_units(amount: float, unit: str) -> str:
    """
    Write an amount in the unit that people read.

    >>> in_units(12_300_000_000, "bytes")
    '12 GB'
    """
    if unit.startswith("bytes"):
        rest = unit.removeprefix("bytes")
        for size, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
            if amount >= size:
                return f"{_number(amount / size)} {name}{rest}"
        return f"{amount:.0f} B{rest}"
    return f"{_number(amount)} {unit}".rstrip()


def _number(amount: float) -> str:
    """Write two digits at least, unless there is no more: the measurements hold little more either."""
    decimals = 0 if amount >= _DECIMALS_BELOW or amount == round(amount) else 1 if amount >= 1 else 2
    return f"{amount:,.{decimals}f}"


def _table(sizing: Sizing) -> Table:
    table = Table("", "what", "needs", "from", show_lines=True)
    for need in sizing.needs:
        table.add_row(*(Text(cell) for cell in _cells(need, sizing)))
    return table


def _cells(need: Need, sizing: Sizing) -> tuple[str, ...]:
    sources = _sources(sizing.needs)
    numbers = "".join(f" [{sources.index(source) + 1}]" for source in _sources([need]))
    return need.part, need.what, in_units(need.amount, need.unit), need.how + numbers


def _sources(needs: Iterable[Need]) -> list[Source]:
    """Give the runs that figures are from, each once."""
    return list(dict.fromkeys(constant.source for need in needs for constant in need.constants))


def _constants(needs: Iterable[Need], source: Source) -> list[Constant]:
    found = dict.fromkeys(constant for need in needs for constant in need.constants)
    return [constant for constant in found if constant.source == source]


def _run(source: Source) -> str:
    return f"{source.benchmark}, commit {source.commit}, {source.machine}"


def _figure(constant: Constant) -> str:
    more = f", and {constant.connector:,g} {constant.unit} a connector" if constant.connector else ""
    return f"{constant.meaning}: {constant.value:,g} {constant.unit}{more}"


def _seconds(text: str) -> float:
    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--heartbeat") from None
