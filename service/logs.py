"""
How the service logs: a sentence, an `action` word for machines, and fields; JSON or for people.

Every logger, those of the libraries too, ends in one handler on standard error: standard output belongs to
what a command was asked for. What stands in every line of a task is bound with `structlog.contextvars`.
What a library repeats is said once in half a minute, with the number of lines left out.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import Literal, TextIO

import orjson
import structlog
from structlog.types import EventDict, Processor, WrappedLogger

_REPEATED_AFTER_S = 30.0
"""Seconds in which a library says the same once; Kafka's client says it 90 times a second in an outage."""

_MOST_SENTENCES = 1_000
"""Sentences remembered; a library that puts values into them must not fill the memory."""

_OWN = "service"

_CHATTY = ("aiokafka", "kafka", "asyncio", "urllib3", "uvicorn")
"""Libraries that tell at INFO what only they need; their warnings stay."""


class OncePerWhile(logging.Filter):
    """
    Lets pass what a library repeats once in a while, with the number of lines left out since (`left_out`).

    Lines are the same when logger, level and sentence are, whatever stands in its gaps. Our own all pass.
    """

    def __init__(self, every_s: float = _REPEATED_AFTER_S) -> None:
        super().__init__()
        self._every_s = every_s
        self._said: dict[tuple[str, int, str], _Said] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] == _OWN:
            return True
        sentence = (record.name, record.levelno, str(record.msg))
        said = self._said.get(sentence)
        if said is not None and 0 <= record.created - said.at < self._every_s:
            said.left_out += 1
            return False
        if said is not None and said.left_out:
            record.left_out = said.left_out
        if len(self._said) >= _MOST_SENTENCES:
            self._said.clear()
        self._said[sentence] = _Said(record.created)
        return True


@dataclass(slots=True)
class _Said:
    """When a sentence last passed, in seconds since 1970, and how often it was left out since."""

    at: float
    left_out: int = 0


def configure_logs(
    level: str = "info",
    form: Literal["json", "console"] = "json",
    stream: TextIO | None = None,
    *,
    worker: int | None = None,
) -> None:
    """
    Send every log line of this process through one form. Called once, before anything is built.

    `worker` stands in each line, for several that write to the same place.
    """
    target = sys.stderr if stream is None else stream
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        *([] if worker is None else [_naming(worker)]),
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
    handler.addFilter(OncePerWhile())
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


def _naming(worker: int) -> Processor:
    """Make what names the worker in a line; not bound to a task, for libraries and threads log, too."""

    def name(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("worker", worker)
        return event

    return name


def _only_own_words(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop what uvicorn adds for its own colours."""
    event.pop("color_message", None)
    return event


def _json(value: object, **_options: object) -> str:
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
