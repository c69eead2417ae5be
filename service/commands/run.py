"""`run`: the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import structlog
import typer

from service.commands.console import ConfigOption
from service.logs import configure_logs
from service.processing.dead_letters import Allowance, OffsetRange
from service.processing.health import Stuck
from service.processing.ports import PortError
from service.settings import Settings, load_settings

_log = structlog.get_logger()


AcceptOption = Annotated[
    list[str] | None,
    typer.Option(
        "--accept-rejections",
        metavar="TOPIC:PARTITION:FROM-TO",
        help="Go on past a worker stopped by too many rejections: these offsets may become dead letters "
        "and are not counted. May be repeated.",
    ),
]
SkipOption = Annotated[
    list[str] | None,
    typer.Option(
        "--skip",
        metavar="TOPIC:PARTITION:OFFSET",
        help="Go on past a worker stopped by a bug: this record becomes a dead letter, unread. May be "
        "repeated.",
    ),
]


def run(
    accept_rejections: AcceptOption = None,
    skip: SkipOption = None,
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            min=1,
            help="So many workers, each a process of its own, started again when it ends: one for each core, "
            "and no more than partitions.",
        ),
    ] = 1,
    as_worker: Annotated[str | None, typer.Option("--as-worker", hidden=True)] = None,
    config: ConfigOption = None,
) -> None:
    """
    Run the worker until SIGTERM or Ctrl-C: it finishes the batch in hand, commits it and exits with 0.

    Start as many as there is work for: workers of one EVSE_STATUS_GROUP_ID share the partitions.
    """
    settings = load_settings(config)
    allowance = allowed(accept_rejections, skip)
    if workers > 1 and as_worker is None:
        well = _all_ended_well(settings, workers, _options(accept_rejections, skip, config))
    else:
        well = _ended_well(settings, allowance, as_worker)
    if not well:
        raise typer.Exit(1)


def allowed(accept_rejections: list[str] | None, skip: list[str] | None) -> Allowance:
    """Read what an operator lets a worker leave out."""
    return Allowance(_ranges("--accept-rejections", accept_rejections or []), _ranges("--skip", skip or []))


def _ranges(option: str, texts: list[str]) -> frozenset[OffsetRange]:
    try:
        return frozenset(map(OffsetRange.parse, texts))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _options(accept_rejections: list[str] | None, skip: list[str] | None, config: Path | None) -> list[str]:
    """Write the options that each of several workers gets as they came."""
    pairs = [("--accept-rejections", one) for one in accept_rejections or []]
    pairs += [("--skip", one) for one in skip or []]
    pairs += [] if config is None else [("--config", str(config))]
    return [word for pair in pairs for word in pair]


def _all_ended_well(settings: Settings, workers: int, options: list[str]) -> bool:
    """Run several workers to the end, and repeat the last word of one that stopped the others."""
    from service.supervision.running import supervise  # noqa: PLC0415 - a worker needs none of it

    configure_logs(settings.log_level, settings.log_format)
    try:
        outcome = asyncio.run(supervise(settings, workers, options))
    except (PortError, OSError, Stuck) as error:
        _log.critical(str(error), action="worker_failed", error=type(error).__name__)
        return False
    if outcome.last_word is not None:
        _log.critical(outcome.last_word, action="worker_failed", worker=outcome.worker)
    return outcome.ok


def _ended_well(settings: Settings, allowance: Allowance, place: str | None) -> bool:
    from service.supervision.working import ended_well  # noqa: PLC0415 - the parent of workers is small without

    return ended_well(settings, allowance, _loop_factory(), place)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Take uvloop where it is installed (the extra `uvloop`), else asyncio's own loop."""
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return uvloop.new_event_loop
