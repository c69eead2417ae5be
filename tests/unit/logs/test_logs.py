"""The form of log lines, whoever wrote them."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator

import pytest
import structlog

from service.logs import OncePerWhile, configure_logs


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


def test_each_line_names_the_worker_where_there_are_several() -> None:
    """Those of libraries and threads, too; a line about another worker keeps that one."""
    stream = io.StringIO()
    configure_logs("info", "json", stream, worker=2)

    logging.getLogger("aiokafka.consumer").warning("Heartbeat failed")
    thread = threading.Thread(target=lambda: structlog.get_logger("service.test").info("Beats."))
    thread.start()
    thread.join()
    structlog.get_logger("service.test").info("Ended.", worker=1)

    assert [json.loads(line)["worker"] for line in stream.getvalue().splitlines()] == [2, 2, 1]


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


def line_at(
    seconds: float, sentence: str = "Unable to connect to %s", name: str = "aiokafka"
) -> logging.LogRecord:
    """Make a line of a library, said so many seconds after a moment."""
    record = logging.LogRecord(name, logging.ERROR, "conn.py", 1, sentence, ("broker",), None)
    record.created = 1_767_571_200.0 + seconds
    return record


def test_what_a_library_repeats_is_said_once_in_a_while() -> None:
    """The flood of an outage is one line in half a minute, and the next line says how much was left out."""
    once = OncePerWhile(every_s=30)
    lines = [line_at(second / 10) for second in range(601)]

    passed = [line for line in lines if once.filter(line)]

    assert [line.created - lines[0].created for line in passed] == [0, 30, 60]
    assert [getattr(line, "left_out", None) for line in passed] == [None, 299, 299]


def test_different_sentences_and_our_own_lines_all_pass() -> None:
    """Nothing new is held back, and nothing that the service itself says; a clock set back holds nothing."""
    once = OncePerWhile(every_s=30)

    assert once.filter(line_at(0))
    assert once.filter(line_at(1, "Unable to update metadata from %s"))
    assert once.filter(line_at(1, name="aiokafka.consumer"))
    assert once.filter(line_at(-5))
    assert all(once.filter(line_at(second, name="service.processing.worker")) for second in range(5))


def test_sentences_with_values_in_them_do_not_fill_the_memory() -> None:
    """However many there are, only so many are remembered."""
    once = OncePerWhile()

    assert all(once.filter(line_at(0, f"Task {number} was never retrieved")) for number in range(5_000))
    assert len(once._said) <= 1_000


def test_the_number_of_lines_left_out_is_a_field() -> None:
    """It stands in the line, and the line is one of the handler that everything ends in."""
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    logger = logging.getLogger("aiokafka")

    for second in (0, 1, 31):
        logger.handle(line_at(second))

    assert [json.loads(line).get("left_out") for line in stream.getvalue().splitlines()] == [None, 1]
