"""Files read as one log: positions, blank lines, what is rejected."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest

from schemas.vocabulary import RejectionReason
from service.domain.events import StatusReported
from service.processing.rejection import Rejection
from service.replay import Format, Line, LogReader, ReplayError

HEADER = b"seq,cp,received_at,kind,connector_id,status,error_code,vendor_error_code,device_ts\n"


def status(event_id: str, **fields: str) -> bytes:
    """One line with a status event."""
    event = {
        "type": "connector.status",
        "event_id": event_id,
        "evse_uid": "charger-1",
        "connector_uid": "c1",
        "status": "AVAILABLE",
        "occurred_at": "2026-01-05T12:00:00Z",
    }
    return orjson.dumps(event | fields) + b"\n"


def positions(lines: list[Line]) -> list[tuple[str, int, int | RejectionReason]]:
    """Give (file, line, position or reason) of each line."""
    return [
        (
            line.file,
            line.number,
            line.content.reason if isinstance(line.content, Rejection) else line.content.position,
        )
        for line in lines
    ]


def test_positions_go_on_across_files_and_blank_lines_count() -> None:
    """A line keeps its number in its file; its position counts all lines before."""
    reader = LogReader()

    lines = [
        *reader.read("a", [status("1"), b"\n", b"  \r\n", status("2")]),
        *reader.read("b", [status("3")]),
    ]

    assert positions(lines) == [("a", 1, 1), ("a", 4, 4), ("b", 1, 5)]


def test_a_bad_line_costs_nobody_else() -> None:
    """It becomes a rejection in its place, and the rest is read."""
    lines = list(LogReader().read("a", [b"{oops\n", status("1")]))

    assert positions(lines) == [("a", 1, RejectionReason.NOT_JSON), ("a", 2, 2)]


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm() -> None:
    """Files that passed through a spreadsheet or an editor are read like others."""
    lines = list(LogReader().read("a", [b"\xef\xbb\xbf" + status("1").replace(b"\n", b"\r\n")]))

    assert positions(lines) == [("a", 1, 1)]


def test_a_line_without_any_time_is_rejected() -> None:
    """A file has no record time to fall back on."""
    (line,) = LogReader().read("a", [status("1", occurred_at="1970-01-01T00:00:00Z")])

    assert isinstance(line.content, Rejection)
    assert line.content.reason is RejectionReason.NO_VALID_TIME


def test_a_line_that_the_worker_would_not_read_is_rejected_too() -> None:
    """The limit on a record's size holds for files."""
    (line,) = LogReader(max_bytes=100).read("a", [status("1", raw_status="x" * 100)])

    assert isinstance(line.content, Rejection)
    assert line.content.reason is RejectionReason.TOO_LARGE


def test_in_a_charge_points_log_the_position_is_seq() -> None:
    """The id is `cp:seq`, so a row sent twice is a duplicate wherever it stands."""
    row = b"17,cp-9,2026-01-05T12:00:01Z,status,1,Faulted,GroundFailure,,2026-01-05T12:00:00Z\n"

    (line,) = LogReader(Format.OCPP16_CSV).read("a", [HEADER, row])

    event = line.content
    assert isinstance(event, StatusReported)
    assert (event.position, event.event_id, event.evse_uid, event.connector_uid) == (
        17,
        "cp-9:17",
        "cp-9",
        "cp-9-1",
    )
    assert event.at == event.seen - 1_000_000


def test_a_bad_row_names_its_field() -> None:
    """The words are those of the translation, with the number of the line."""
    (line,) = LogReader(Format.OCPP16_CSV).read("a", [HEADER, b"x,cp-9,2026-01-05T12:00:01Z,online,,,,,\n"])

    assert isinstance(line.content, Rejection)
    assert (line.number, line.content.field) == (2, "seq")
    assert "'x' is not a whole number" in line.content.message


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (b"1,cp,1970-01-01T00:00:00Z,status,1,Available,,,1970-01-01T00:00:00Z\n", "device_ts"),
        (b"1,cp,1970-01-01T00:00:00Z,boot,,,,,\n", "received_at"),
        (b"1,c\x7fp,2026-01-05T12:00:01Z,online,,,,,\n", "cp"),
    ],
)
def test_a_bad_row_names_columns_that_the_file_has(row: bytes, column: str) -> None:
    """And no field of the event that it would have been."""
    (line,) = LogReader(Format.OCPP16_CSV).read("a", [HEADER, row])

    assert isinstance(line.content, Rejection)
    assert line.content.field == column
    assert line.content.message.startswith(f"{column} ")
    assert "occurred_at" not in line.content.message
    assert "event_id" not in line.content.message


def test_a_log_without_its_columns_ends_the_reading() -> None:
    """No row of it could be understood."""
    with pytest.raises(ReplayError, match=r"^a: the header misses"):
        list(LogReader(Format.OCPP16_CSV).read("a", [b"seq,cp\n"]))


def test_a_file_that_breaks_off_is_named_with_its_line() -> None:
    """A truncated archive or a failing disk is told where it stopped."""

    def broken() -> Iterator[bytes]:
        yield status("1")
        raise EOFError("compressed file ended early")

    with pytest.raises(ReplayError, match=r"^a: cannot be read beyond line 1"):
        list(LogReader().read("a", broken()))
