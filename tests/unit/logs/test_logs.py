"""The form of log lines, whoever wrote them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from service.logs import configure_logs


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Leave the process's logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    for name in ("aiokafka", "kafka", "asyncio", "uvicorn"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_json_line_has_sentence_action_and_fields() -> None:
    """One object a line; the sentence is `message`, the machine word `action`."""
    stream = io.StringIO()
    configure_logs("info", "json", stream)

    structlog.get_logger("service.test").info("Processed a batch.", action="batch_processed", records=3)

    line = json.loads(stream.getvalue())
    assert line.pop("at").endswith("Z")
    assert line == {
        "message": "Processed a batch.",
        "action": "batch_processed",
        "records": 3,
        "level": "info",
        "logger": "service.test",
    }


def test_lines_of_libraries_take_the_same_form() -> None:
    """What aiokafka says through the standard library comes out as JSON too, with its extra fields."""
    stream = io.StringIO()
    configure_logs("info", "json", stream)

    logging.getLogger("aiokafka.consumer").warning("Heartbeat failed for %s", "evse", extra={"partition": 1})

    line = json.loads(stream.getvalue())
    assert (line["message"], line["partition"], line["logger"]) == (
        "Heartbeat failed for evse",
        1,
        "aiokafka.consumer",
    )


def test_what_libraries_tell_at_info_is_left_out() -> None:
    """The worker's own lines are not lost among those of its client library."""
    stream = io.StringIO()
    configure_logs("info", "json", stream)

    logging.getLogger("aiokafka.consumer").info("Revoking previously assigned partitions")
    structlog.get_logger("service.test").debug("Nothing per record.", action="record_read")

    assert stream.getvalue() == ""


def test_an_exception_is_part_of_its_line() -> None:
    """A traceback does not break the rule of one object a line."""
    stream = io.StringIO()
    configure_logs("info", "json", stream)

    try:
        int("broken")
    except ValueError:
        structlog.get_logger("service.test").exception("It broke.", action="worker_failed")

    (text,) = stream.getvalue().splitlines()
    assert "ValueError: invalid literal" in json.loads(text)["exception"]


def test_the_console_form_is_for_people() -> None:
    """Without a terminal there are no colours in it."""
    stream = io.StringIO()
    configure_logs("info", "console", stream)

    structlog.get_logger("service.test").info("Processed a batch.", action="batch_processed")

    assert "Processed a batch." in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
