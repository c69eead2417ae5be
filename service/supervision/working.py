"""One worker in this process, alone or as one of several, and its last word."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from service import app
from service.adapters.parent import Parent, Place
from service.logs import configure_logs
from service.processing.dead_letters import Allowance, TooManyRejections
from service.processing.garbage import calm_collector
from service.processing.health import Stuck
from service.processing.planning import Defect
from service.processing.ports import PortError, Unusable
from service.settings import Settings

_log = structlog.get_logger()

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def ended_well(
    settings: Settings, allowance: Allowance, loop_factory: LoopFactory | None, place: str | None
) -> bool:
    """
    Run to the end and give the last word where it was a bad one, in the form of the log.

    `place` is what a parent gave, as `Place` writes it; raises ValueError for anything else.
    """
    parent = None if place is None else Parent(Place.parse(place))
    configure_logs(settings.log_level, settings.log_format, worker=None if parent is None else parent.number)
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            calm_collector()
            runner.run(app.run(settings, allowance, parent=parent))
    except Defect as defect:
        _tell(parent, defect)  # the worker has told all of it in the log, with the trace
    except (PortError, TooManyRejections) as error:
        _log.critical(str(error), action="worker_failed", error=type(error).__name__)
        if isinstance(error, (Unusable, TooManyRejections)):
            _tell(parent, error)
    except Stuck as error:
        _log.critical(f"The worker makes no progress: {error}.", action="worker_stuck")
    except Exception:  # noqa: BLE001 - the last word: any bug stands in the log, in its form
        _log.exception("A bug of this program stopped the worker; report it.", action="worker_failed")
    else:
        return True
    finally:
        if parent is not None:
            parent.close()
    return False


def _tell(parent: Parent | None, error: Exception) -> None:
    """Tell the parent what needs somebody: a new start would end in the same way."""
    if parent is not None:
        parent.hears_last_word(str(error))
