"""
How the service logs: a sentence, an `action` word for machines, and fields; JSON or for people.

Every logger, those of the libraries too, ends in one handler on standard error: standard output belongs to
what a command was asked for. What stands in every line of a task is bound with `structlog.contextvars`.
"""

from __future__ import annotations

import logging
import sys
from typing import Literal, TextIO

import orjson
import structlog
from structlog.types import EventDict, Processor, WrappedLogger

_CHATTY = ("aiokafka", "kafka", "asyncio", "uvicorn")
"""Libraries that tell at INFO what only they need; their warnings stay."""


def configure_logs(
    level: str = "info", form: Literal["json", "console"] = "json", stream: TextIO | None = None
) -> None:
    """Send every log line of this process through one form. Called once, before anything is built."""
    target = sys.stderr if stream is None else stream
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.StackInfoRenderer(),
        _only_own_words,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_ending(form, target))
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    logging.captureWarnings(capture=True)


def _ending(form: str, target: TextIO) -> list[Processor]:
    """Give the last steps of a line: how it is written."""
    bare: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if form == "console":
        return [*bare, structlog.dev.ConsoleRenderer(colors=target.isatty(), timestamp_key="at")]
    return [
        *bare,
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(serializer=_json),
    ]


def _only_own_words(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop what uvicorn adds for its own colours."""
    event.pop("color_message", None)
    return event


def _json(value: object, **_options: object) -> str:
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
