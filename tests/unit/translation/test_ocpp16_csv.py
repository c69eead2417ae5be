"""The log of a charge point: each kind of row, and every way in which a line can be wrong."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.fields import is_uid
from schemas.vocabulary import RejectionReason
from service.translation.ocpp16 import lies_outside
from service.translation.ocpp16_csv import COLUMNS, HeaderError, LogEvent, LogRejection, read_log

HEADER = ",".join(COLUMNS)
RECEIVED = "2026-01-02T01:52:58Z"
GOOD = f"7,cp-A,{RECEIVED},status,1,Charging,NoError,,2026-01-02T01:52:57.300Z"
REAL_LOG = Path(__file__).parents[4] / "shared" / "data" / "ocpp16_charger_a.csv"


def event_of(row: str) -> dict[str, Any]:
    """Read one row that must be understood."""
    (result,) = read_log([HEADER, row])
    assert isinstance(result, LogEvent), result
    return result.event


def rejection_of(row: str) -> LogRejection:
    """Read one row that must not be understood."""
    (result,) = read_log([HEADER, row])
    assert isinstance(result, LogRejection), result
    return result


def test_a_status_row_is_a_connector_status_at_the_devices_time() -> None:
    """The charger's own time says when, the raw word is kept, NoError is no code."""
    assert event_of(GOOD) == {
        "type": "connector.status",
        "event_id": "cp-A:7",
        "evse_uid": "cp-A",
        "connector_uid": "cp-A-1",
        "occurred_at": "2026-01-02T01:52:57.300000Z",
        "received_at": RECEIVED,
        "status": "CHARGING",
        "raw_status": "Charging",
    }


def test_a_status_row_keeps_its_error_codes() -> None:
    """A code beside a status other than Faulted is a warning, so both are kept and the status stays."""
    event = event_of(f"1,cp-A,{RECEIVED},status,2,Finishing,OtherError,StopReason:VehicleStop,{RECEIVED}")
    assert event["connector_uid"] == "cp-A-2"
    assert (event["status"], event["error_code"]) == ("FINISHING", "OtherError")
    assert event["vendor_error_code"] == "StopReason:VehicleStop"


def test_a_status_without_device_time_has_no_occurred_at() -> None:
    """OCPP 1.6 makes the timestamp optional: the receipt then decides."""
    event = event_of(f"1,cp-A,{RECEIVED},status,1,Available,NoError,,")
    assert "occurred_at" not in event
    assert event["received_at"] == RECEIVED


def test_a_status_without_receipt_applies_at_the_devices_time() -> None:
    """One time of the two is enough."""
    event = event_of(f"1,cp-A,,status,1,Available,NoError,,{RECEIVED}")
    assert "received_at" not in event
    assert event["occurred_at"] == RECEIVED


def test_connector_0_is_the_whole_charger() -> None:
    """It becomes a note about the EVSE and names no connector."""
    event = event_of(f"1,cp-A,{RECEIVED},status,0,Faulted,OtherError,EmergencyButtonPressed,{RECEIVED}")
    assert event["type"] == "evse.status"
    assert "connector_uid" not in event
    assert (event["status"], event["raw_status"]) == ("OUTOFORDER", "Faulted")


def test_an_unknown_status_word_is_kept_raw() -> None:
    """An unknown enum value never costs the event."""
    event = event_of(f"1,cp-A,{RECEIVED},status,1,Occupied,NoError,,{RECEIVED}")
    assert (event["status"], event["raw_status"]) == ("UNKNOWN", "Occupied")


def test_a_status_in_another_case_is_the_status_it_names() -> None:
    """The raw word stays as it was written."""
    event = event_of(f"1,cp-A,{RECEIVED},STATUS,1,FAULTED,NOERROR,,{RECEIVED}")
    assert (event["status"], event["raw_status"]) == ("OUTOFORDER", "FAULTED")
    assert "error_code" not in event


def test_an_unknown_status_word_is_told_with_the_words_that_are_accepted() -> None:
    """`Occupied` of OCPP 2.0.1 may be any of three: it is not guessed. A known word needs no remark."""
    rows = (f"1,cp-A,{RECEIVED},{said},,," for said in ("status,1,Occupied", "status,1,charging", "online,,"))
    warnings = [row.warning for row in read_log([HEADER, *rows]) if isinstance(row, LogEvent)]
    assert [warning is not None for warning in warnings] == [True, False, False]
    assert warnings[0] is not None
    assert (warnings[0].field, warnings[0].word) == ("status", "'Occupied'")
    assert "accepted are Available, Preparing, Charging" in warnings[0].message


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("online", {"type": "connector.online", "online": True, "occurred_at": RECEIVED}),
        ("offline", {"type": "connector.online", "online": False, "occurred_at": RECEIVED}),
        ("boot", {"type": "connector.online", "online": True, "occurred_at": RECEIVED, "reason": "boot"}),
        ("heartbeat", {"type": "evse.heartbeat"}),
    ],
)
def test_link_rows_apply_to_the_whole_evse_at_their_receipt(kind: str, body: dict[str, Any]) -> None:
    """Connects, disconnects and boots name no connector; a heartbeat says nothing but its receipt."""
    expected = {"event_id": "cp-A:3", "evse_uid": "cp-A", "received_at": RECEIVED} | body
    assert event_of(f"3,cp-A,{RECEIVED},{kind},,,,,") == expected


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-01-02T01:52:58", "2026-01-02T01:52:58Z"),
        ("2026-01-02 01:52:58Z", "2026-01-02T01:52:58Z"),
        ("2026-01-02T03:52:58+02:00", "2026-01-02T01:52:58Z"),
        ("1970-01-01T00:00:09Z", "1970-01-01T00:00:09Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00+02:00", "0001-01-01T00:00:00Z"),
        ("0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
    ],
)
def test_a_device_time_is_given_in_utc_and_never_judged(written: str, meant: str) -> None:
    """Whether a clock can be trusted is for the fold to say; a time without an offset is UTC."""
    assert event_of(f"1,cp-A,{RECEIVED},status,1,Available,,,{written}")["occurred_at"] == meant


@pytest.mark.parametrize(
    ("row", "field", "remedy"),
    [
        (f"x,cp-A,{RECEIVED},online,,,,,", "seq", "whole number"),
        (f"-1,cp-A,{RECEIVED},online,,,,,", "seq", "whole number"),
        (f"1_0,cp-A,{RECEIVED},online,,,,,", "seq", "whole number"),
        (f"{'9' * 5000},cp-A,{RECEIVED},online,,,,,", "seq", "whole number"),
        (f"1,,{RECEIVED},online,,,,,", "cp", "every row names"),
        (f"1,c\x7fp,{RECEIVED},online,,,,,", "cp", "take it out"),
        (f"1,{'c' * 237},{RECEIVED},online,,,,,", "cp", "at most 236"),
        ("1,cp-A,yesterday,online,,,,,", "received_at", "RFC 3339"),
        ("1,cp-A,2026-02-30T00:00:00Z,online,,,,,", "received_at", "correct it"),
        ("1,cp-A,,online,,,,,", "received_at", "fill it in"),
        (f"1,cp-A,{RECEIVED},reboot,,,,,", "kind", "status, online, offline, boot, heartbeat"),
        (f"1,cp-A,{RECEIVED},,,,,,", "kind", "status, online, offline, boot, heartbeat"),
        (f"1,cp-A,{RECEIVED},status,,Available,,,", "connector_id", "0 for the whole"),
        (f"1,cp-A,{RECEIVED},status,one,Available,,,", "connector_id", "0 for the whole"),
        (f"1,cp-A,{RECEIVED},status,1,,,,", "status", "Available"),
        (f"1,cp-A,{RECEIVED},status,1,Available,,,2026-W01", "device_ts", "RFC 3339"),
        ("1,cp-A,,status,1,Available,,,", "device_ts", "fill in one"),
        (f"1,cp-A,{RECEIVED},online", "line", "complete the line"),
        (f"1,cp-A,{RECEIVED},online,,,,,,surplus", "line", "quote its commas"),
        (f'1,cp-A,"{RECEIVED},online,,,,,', "line", "close every quote"),
    ],
)
def test_a_faulty_row_is_a_rejection_that_names_field_and_remedy(row: str, field: str, remedy: str) -> None:
    """What cannot be read says where it is wrong and what would help."""
    rejection = rejection_of(row)
    assert rejection.field == field
    assert remedy in rejection.reason
    assert rejection.line == 2


@pytest.mark.parametrize(
    ("row", "field", "remedy"),
    [
        ("1,cp-A,1970-01-01T00:00:00Z,online,,,,,2026-01-01T00:00:00Z", "received_at", "correct it"),
        ("1,cp-A,2009-12-31T23:59:59Z,heartbeat,,,,,", "received_at", "lies before 2010"),
        ("1,cp-A,1970-01-01T00:00:00Z,status,1,Available,,,0001-01-01T00:00:00Z", "device_ts", "correct one"),
        ("1,cp-A,,status,1,Available,,,1970-01-01T00:00:00Z", "device_ts", "lies before 2010"),
        ("1,cp-A,1970-01-01T00:00:00Z,status,1,Available,,,", "device_ts", "received_at"),
        ("1,cp-A,,heartbeat,,,,,", "received_at", "fill it in"),
    ],
)
def test_a_row_without_a_time_that_was_set_names_its_column(row: str, field: str, remedy: str) -> None:
    """One good time of two is enough; where none is, the row is not the one that says whose log this is."""
    rejection, good = read_log([HEADER, row.replace("cp-A", "cp-B"), GOOD], datetime(2010, 1, 1, tzinfo=UTC))

    assert isinstance(rejection, LogRejection)
    assert (rejection.field, rejection.code) == (field, RejectionReason.NO_VALID_TIME)
    assert remedy in rejection.reason
    assert isinstance(good, LogEvent)


@pytest.mark.parametrize("times", [("1970-01-01T00:00:00Z", RECEIVED), (RECEIVED, "1970-01-01T00:00:00Z")])
def test_one_time_that_was_set_is_enough(times: tuple[str, str]) -> None:
    """The other is given as it stands."""
    received_at, device_ts = times
    row = f"1,cp-A,{received_at},status,1,Available,,,{device_ts}"
    (result,) = read_log([HEADER, row], datetime(2010, 1, 1, tzinfo=UTC))

    assert isinstance(result, LogEvent)
    assert (result.event["received_at"], result.event["occurred_at"]) == times


def test_a_faulty_row_costs_nobody_else() -> None:
    """An open quote, bytes that are not UTF-8 and an empty line leave their neighbours alone."""
    lines = [HEADER.encode(), b'1,"open', GOOD.encode(), b"", b"2,\xff,,,,,,,", b"  \r\n", GOOD.encode()]
    results = list(read_log(lines))
    assert [type(result) for result in results] == [LogRejection, LogEvent, LogRejection, LogEvent]
    assert [result.line for result in results] == [2, 3, 5, 7]


def test_a_second_charge_point_is_rejected_with_the_advice_to_split() -> None:
    """One charger a file; the first row understood says which, a garbled one before it does not."""
    rows = [f"1,?,{RECEIVED},nonsense,,,,,", GOOD, f"8,cp-B,{RECEIVED},online,,,,,"]
    garbled, good, foreign = read_log([HEADER, *rows])
    assert isinstance(garbled, LogRejection)
    assert garbled.field == "kind"
    assert isinstance(good, LogEvent)
    assert isinstance(foreign, LogRejection)
    assert (foreign.field, foreign.position) == ("cp", 8)
    assert "split the file" in foreign.reason


def test_a_charge_point_that_is_no_name_costs_its_own_row_alone() -> None:
    """It is no charge point that the rows behind it could differ from."""
    bad, good = read_log([HEADER, f"1,c\x7fp,{RECEIVED},online,,,,,", GOOD])
    assert isinstance(bad, LogRejection)
    assert bad.field == "cp"
    assert isinstance(good, LogEvent)


def test_the_longest_charge_point_has_ids_that_fit() -> None:
    """Whatever the numbers behind it are."""
    name, number = "c" * 236, "9" * 18
    event = event_of(f"{number},{name},{RECEIVED},status,{number},Charging,,,")
    assert is_uid(event["event_id"])
    assert is_uid(event["connector_uid"])


def test_the_header_may_have_a_byte_order_mark_crlf_another_order_and_more_columns() -> None:
    """Spreadsheets do all of this to a file; cells that are quoted or empty at the end are as good."""
    header = "\ufeffExtra," + ",".join(reversed(COLUMNS)) + "\r\n"
    row = "," + ",".join(reversed(GOOD.split(","))) + ",,\r\n"
    quoted = header.encode(), b'"a, b",' + row[1:].encode()
    (plain,) = read_log([header, row])
    (from_bytes,) = read_log(quoted)
    assert isinstance(plain, LogEvent)
    assert plain.event == event_of(GOOD)
    assert from_bytes == plain


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "there is no header"),
        (["\n"], "there is no header"),
        ([HEADER.replace(",kind", "").replace(",device_ts", "")], "misses kind, device_ts"),
        ([HEADER + ",seq"], "names seq more than once"),
        ([GOOD], "misses seq"),
        ([b"\xff\xfe"], "UTF-8"),
    ],
)
def test_a_header_without_its_columns_is_an_error_that_names_them(
    lines: list[str | bytes], message: str
) -> None:
    """A file of another kind is refused as a whole, with what is missing."""
    with pytest.raises(HeaderError, match=message):
        list(read_log(lines))


CELL = st.sampled_from(
    ["", "1", "0", "cp-A", RECEIVED, "status", "online", "Available", '"', "\x00", "\ud800", "²"]
)
GARBAGE = st.one_of(st.text(), st.binary(), st.lists(CELL, max_size=11).map(",".join))


@given(st.lists(GARBAGE, max_size=8))
def test_no_line_ever_raises(lines: list[str | bytes]) -> None:
    """Whatever the lines hold, each gives at most one result, in order, and events are complete."""
    results = list(read_log([HEADER, *lines]))
    numbers = [result.line for result in results]
    assert numbers == sorted(set(numbers))
    assert len(results) <= len(lines)
    for result in results:
        if isinstance(result, LogEvent):
            assert result.event["event_id"] == f"{result.event['evse_uid']}:{result.position}"
            assert "received_at" in result.event or "occurred_at" in result.event
        else:
            assert result.reason


@given(GARBAGE)
def test_no_first_line_raises_anything_but_a_header_error(first: str | bytes) -> None:
    """A file that is no such log at all ends in the one documented error."""
    with pytest.raises(HeaderError):
        list(read_log([first, GOOD]))


@pytest.fixture(scope="module")
def real_log() -> list[LogEvent]:
    """Read the log of a real charger; it has no licence to be shipped, so it lies beside the project."""
    if not REAL_LOG.exists():
        pytest.skip(f"the real charger's log is not at {REAL_LOG}")
    with REAL_LOG.open("rb") as file:
        results = list(read_log(file))
    assert not [result for result in results if isinstance(result, LogRejection)]
    return [result for result in results if isinstance(result, LogEvent)]


def test_every_row_of_a_real_log_is_understood(real_log: list[LogEvent]) -> None:
    """478 rows in order: 414 statuses, of which 22 are about the whole charger, and 64 about the link."""
    assert [row.position for row in real_log] == list(range(1, 479))
    types = Counter(row.event["type"] for row in real_log)
    assert types == {"connector.status": 392, "evse.status": 22, "connector.online": 64}
    links = Counter((row.event.get("online"), row.event.get("reason")) for row in real_log)
    assert (links[True, None], links[False, None], links[True, "boot"]) == (30, 30, 4)


def test_a_real_log_has_one_step_outside_the_table(real_log: list[LogEvent]) -> None:
    """Steps outside OCPP's table happen, and no row with an error code lost its status over it."""
    words = [row.event["raw_status"] for row in real_log if row.event["type"] == "connector.status"]
    outside = [step for step in pairwise(words) if lies_outside(*step)]
    assert len(outside) == 1
    assert not [row for row in real_log if row.event.get("status") == "UNKNOWN"]
