"""`run`: the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated

import structlog
import typer

from service import app
from service.commands.console import ConfigOption
from service.garbage import calm_collector
from service.logs import configure_logs
from service.processing.dead_letters import Allowance, OffsetRange, TooManyRejections
from service.processing.health import Stuck
from service.processing.planning import Defect
from service.processing.ports import PortError
from service.settings import Settings, load_settings

_log = structlog.get_logger()


def run(
    accept_rejections: Annotated[
        list[str] | None,
        typer.Option(
            "--accept-rejections",
            metavar="TOPIC:PARTITION:FROM-TO",
            help="Go on past a worker stopped by too many rejections: these offsets may become dead letters "
            "and are not counted. May be repeated.",
        ),
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option(
            "--skip",
            metavar="TOPIC:PARTITION:OFFSET",
            help="Go on past a worker stopped by a bug: this record becomes a dead letter, unread. May be "
            "repeated.",
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """
    Run the worker until SIGTERM or Ctrl-C: it finishes the batch in hand, commits it and exits with 0.

    Start as many as there is work for: workers of one EVSE_STATUS_GROUP_ID share the partitions.
    """
    settings = load_settings(config)
    configure_logs(settings.log_level, settings.log_format)
    allowance = Allowance(
        _ranges("--accept-rejections", accept_rejections or []), _ranges("--skip", skip or [])
    )
    if not _ended_well(settings, allowance):
        raise typer.Exit(1)


def _ranges(option: str, texts: list[str]) -> frozenset[OffsetRange]:
    try:
        return frozenset(map(OffsetRange.parse, texts))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _ended_well(settings: Settings, allowance: Allowance) -> bool:
    """Run to the end and give the last word where it was a bad one, in the form of the log."""
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            calm_collector()
            runner.run(app.run(settings, allowance))
    except Defect:
        return False  # the worker has told all of it, with the trace
    except (PortError, TooManyRejections) as error:
        _log.critical(str(error), action="worker_failed", error=type(error).__name__)
    except Stuck as error:
        _log.critical(f"The worker makes no progress: {error}.", action="worker_stuck")
    except Exception:  # noqa: BLE001 - the last word: any bug stands in the log, in its form
        _log.exception("A bug of this program stopped the worker; report it.", action="worker_failed")
    else:
        return True
    return False


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Take uvloop where it is installed (the extra `uvloop`), else asyncio's own loop."""
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return uvloop.new_event_loop
