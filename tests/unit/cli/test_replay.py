"""`replay`: files in, one snapshot a line out, and what is said about the lines."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Call

HOUR = "2026-01-05T{:02}:00:00Z"


def status(event_id: str, at: str, word: str, evse: str = "charger-1", **fields: Any) -> str:
    """One line with a status event of connector c1."""
    event = {
        "type": "connector.status",
        "event_id": event_id,
        "evse_uid": evse,
        "connector_uid": "c1",
        "status": word,
        "occurred_at": at,
    }
    return json.dumps(event | fields) + "\n"


def a_day() -> list[str]:
    """A charger that was out of order from six to twelve o'clock, seen until the next midnight."""
    return [
        status("1", HOUR.format(0), "AVAILABLE"),
        status("2", HOUR.format(6), "OUTOFORDER", error_code="GroundFailure"),
        status("3", HOUR.format(12), "AVAILABLE"),
        status("4", "2026-01-06T00:00:00Z", "AVAILABLE"),
    ]


CSV_HEADER = "seq,cp,received_at,kind,connector_id,status,error_code,vendor_error_code,device_ts"


def charge_points_log(path: Path, *rows: str) -> Path:
    """Write the log of a charge point."""
    path.write_text("\n".join([CSV_HEADER, *rows]), encoding="utf-8")
    return path


def snapshots(text: str) -> list[dict[str, Any]]:
    """Parse the lines of the output."""
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Give a file with a day of one charger."""
    path = tmp_path / "log.jsonl"
    path.write_text("".join(a_day()))
    return path


def test_one_snapshot_a_line_and_the_counts_apart(call: Call, log: Path) -> None:
    """Standard output holds nothing but snapshots; the verdicts are counted on standard error."""
    result = call("replay", str(log))

    assert result.exit_code == 0
    (snapshot,) = snapshots(result.stdout)
    assert snapshot["as_of"] == "2026-01-06T00:00:00Z"
    assert snapshot["connectors"][0]["windows"][0]["uptime"] == 0.75
    assert snapshot["evse"]["connectors"][0]["uptime"] == 0.75
    assert result.stderr.splitlines() == [
        "applied 3",
        "refreshed 1",
        "corrected 0",
        "duplicate 0",
        "late 0",
        "rejected 0",
    ]


def test_lines_stand_in_order_of_uid(call: Call, tmp_path: Path) -> None:
    """Whatever the order in which the EVSEs were heard; as of one time for all."""
    path = tmp_path / "log.jsonl"
    at = HOUR.format(1)
    path.write_text(
        "".join(status("1", at, "AVAILABLE", evse=evse) for evse in ("b", "é", "a", "Z"))
        + status("2", HOUR.format(2), "CHARGING", evse="a")
    )

    found = snapshots(call("replay", str(path)).stdout)

    assert [one["evse"]["uid"] for one in found] == ["Z", "a", "b", "é"]
    assert {one["as_of"] for one in found} == {HOUR.format(2)}


def test_files_are_one_log(call: Call, log: Path, tmp_path: Path) -> None:
    """Several files, standard input among them, give what one file with all lines gives."""
    lines = a_day()
    first, last = tmp_path / "first.jsonl", tmp_path / "last.jsonl.gz"
    first.write_text(lines[0])
    last.write_bytes(gzip.compress("".join(lines[2:]).encode()))

    together = call("replay", str(first), "-", str(last), stdin=lines[1])

    assert together.exit_code == 0
    assert together.stdout == call("replay", str(log)).stdout


@pytest.mark.parametrize("size", ["1", "2", "3", "1000"])
def test_the_cut_into_batches_changes_nothing(call: Call, log: Path, size: str) -> None:
    """Revisions and times of update included."""
    assert call("replay", str(log), "--batch-size", size).stdout == call("replay", str(log)).stdout


def test_a_rejected_line_is_named_and_costs_nobody_else(call: Call, tmp_path: Path) -> None:
    """File, line, reason, field and remedy; the rest counts, and the exit code stays 0."""
    path = tmp_path / "log.jsonl"
    path.write_text("{oops\n\n" + status("1", "yesterday", "AVAILABLE") + "".join(a_day()))

    result = call("replay", str(path))

    assert result.exit_code == 0
    first, second, *counts = result.stderr.splitlines()
    assert first.startswith(f"{path}:1: not_json: ")
    assert second.startswith(f"{path}:3: invalid_field: occurred_at ")
    assert counts[-1] == "rejected 2"
    assert len(snapshots(result.stdout)) == 1


def test_a_bad_field_of_an_inventory_is_told_and_costs_only_itself(call: Call, tmp_path: Path) -> None:
    """Coordinates with too few decimals are left out, with the line, the field and the remedy."""
    place = {"latitude": "1.2", "longitude": "3.00000"}
    event = {
        "type": "evse.upserted",
        "event_id": "1",
        "evse_uid": "u",
        "occurred_at": "2026-01-05T00:00:00Z",
        "evse": {"uid": "u", "floor_level": "2", "coordinates": place},
    }
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(event), encoding="utf-8")

    result = call("replay", str(path))

    evse = json.loads(result.stdout)["evse"]
    assert (evse["floor_level"], evse.get("coordinates", {}).get("latitude")) == ("2", None)
    assert f"{path}:1: evse.coordinates.latitude is left out: must be degrees" in result.stderr


def test_each_status_in_an_unknown_word_is_told_once(call: Call, tmp_path: Path) -> None:
    """A log in OCPP's words gives snapshots, all of them UNKNOWN: what was meant is said."""
    path = tmp_path / "log.jsonl"
    words = ("Available", "Charging", "Available")
    path.write_text(
        "".join(
            json.dumps(
                {
                    "type": "connector.status",
                    "event_id": str(number),
                    "evse_uid": "u",
                    "connector_uid": "c1",
                    "occurred_at": f"2026-01-05T00:0{number}:00Z",
                    "status": word,
                }
            )
            + "\n"
            for number, word in enumerate(words)
        ),
        encoding="utf-8",
    )

    result = call("replay", str(path))

    first, second, *_ = result.stderr.splitlines()
    remedy = "is no status; did you mean"
    assert first == f"{path}:1: status is taken for UNKNOWN: 'Available' {remedy} AVAILABLE?"
    assert second == f"{path}:2: status is taken for UNKNOWN: 'Charging' {remedy} CHARGING?"
    assert result.stderr.count(remedy) == 2


def test_strict_turns_a_rejected_line_into_exit_code_1(call: Call, tmp_path: Path) -> None:
    """The snapshots are written all the same."""
    path = tmp_path / "log.jsonl"
    path.write_text("{oops\n" + "".join(a_day()))

    result = call("replay", str(path), "--strict")

    assert result.exit_code == 1
    assert len(snapshots(result.stdout)) == 1


def test_a_rejected_line_cannot_steer_the_terminal(call: Call, tmp_path: Path) -> None:
    """Control characters of the log are written as escapes."""
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"type": "\x1b[2J\x07", "event_id": "1", "evse_uid": "a"}, ensure_ascii=False))

    assert "\x1b" not in call("replay", str(path)).stderr


def test_as_of_ignores_what_came_later(call: Call, log: Path) -> None:
    """The number is that of the time asked for, and what is ignored is counted."""
    result = call("replay", str(log), "--as-of", HOUR.format(8))

    (snapshot,) = snapshots(result.stdout)
    assert snapshot["as_of"] == HOUR.format(8)
    assert snapshot["evse"]["connectors"][0]["status"] == "OUTOFORDER"
    assert snapshot["connectors"][0]["windows"][0]["uptime"] == 0.75
    assert result.stderr.splitlines()[-1] == "after --as-of 2"


def test_as_of_before_everything_gives_nothing(call: Call, log: Path) -> None:
    """An EVSE that was not heard of yet has no line."""
    assert call("replay", str(log), "--as-of", "2026-01-04").stdout == ""


@pytest.mark.parametrize(
    ("options", "uptime"),
    [
        (["--from", HOUR.format(0), "--until", HOUR.format(12)], 0.5),
        (["--from", HOUR.format(12)], 1.0),
        (["--until", HOUR.format(8)], 0.75),
        (["--from", "2026-01-05T08:00:00+02:00", "--until", "2026-01-05 12:00"], 0.0),
    ],
)
def test_another_window_gives_its_own_number(
    call: Call, log: Path, options: list[str], uptime: float
) -> None:
    """One end may be left out; an offset counts, none is UTC."""
    (snapshot,) = snapshots(call("replay", str(log), *options).stdout)

    assert snapshot["connectors"][0]["windows"][0]["uptime"] == uptime


@pytest.mark.parametrize(
    "options", [["--from", "2026-01-06", "--until", "2026-01-05"], ["--from", "1999-01-01"]]
)
def test_a_window_that_is_none_is_one_line(call: Call, log: Path, options: list[str]) -> None:
    """It ends before it begins, or begins before anything could be known."""
    result = call("replay", str(log), *options)

    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "--from" in line


def test_history_that_is_no_longer_kept_is_not_made_up(call: Call, log: Path, tmp_path: Path) -> None:
    """A window that begins before the history that is kept is refused, unless nothing was heard then."""
    late = tmp_path / "late.jsonl"
    late.write_text(status("9", "2027-06-01T00:00:00Z", "AVAILABLE"))

    refused = call("replay", str(log), str(late), "--from", "2026-01-01")
    answered = call("replay", str(late), "--from", "2026-01-01")

    assert refused.exit_code == 1
    assert "history is kept for 400 days" in refused.stderr
    assert answered.exit_code == 0


def test_the_allowed_lateness_is_the_workers(call: Call, tmp_path: Path) -> None:
    """The same setting decides here, and no setting of Kafka is needed."""
    path = tmp_path / "log.jsonl"
    path.write_text(
        status("1", "2026-01-05T00:00:00Z", "AVAILABLE") + status("2", "2026-01-01T00:00:00Z", "CHARGING")
    )

    assert "late 1" in call("replay", str(path)).stderr
    assert "corrected 1" in call("replay", str(path), ALLOWED_LATENESS="5d").stderr


def test_the_output_file_appears_whole(call: Call, log: Path, tmp_path: Path) -> None:
    """It holds what standard output would, and nothing else is left in the folder."""
    path = tmp_path / "out" / "snapshots.jsonl"
    path.parent.mkdir()

    result = call("replay", str(log), "--output", str(path))

    assert result.stdout == ""
    assert len(snapshots(path.read_text())) == 1
    assert list(path.parent.iterdir()) == [path]


def test_a_run_that_fails_leaves_the_old_output(call: Call, log: Path, tmp_path: Path) -> None:
    """What stood there is replaced at the end or not at all."""
    path = tmp_path / "out" / "snapshots.jsonl"
    path.parent.mkdir()
    path.write_text("old")

    result = call("replay", str(log), str(tmp_path / "none"), "--output", str(path))

    assert result.exit_code == 1
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", ["log.jsonl", "./log.jsonl", "another-name"])
def test_an_input_is_never_overwritten(call: Call, log: Path, tmp_path: Path, name: str) -> None:
    """The log that is read stays as it is, whatever the output calls it."""
    (tmp_path / "another-name").symlink_to(log)
    before = log.read_text()

    result = call("replay", str(log), "--output", name)

    assert (result.exit_code, result.stdout) == (1, "")
    assert f"--output {Path(name)} would overwrite it; choose another file" in " ".join(result.stderr.split())
    assert log.read_text() == before


@pytest.mark.parametrize("output", ["none/out.jsonl", "."])
def test_an_output_that_cannot_be_written_is_told_before_the_work(call: Call, log: Path, output: str) -> None:
    """One line with what to change."""
    result = call("replay", str(log), "--output", output)

    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "choose another --output" in line


def test_a_missing_file_is_one_line(call: Call, tmp_path: Path) -> None:
    """The path is in it."""
    result = call("replay", str(tmp_path / "none"))

    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "check the path" in line


def test_an_archive_that_breaks_off_is_one_line(call: Call, tmp_path: Path) -> None:
    """No snapshot of half a log is written."""
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress("".join(a_day() * 100).encode())[:-20])

    result = call("replay", str(path))

    assert result.exit_code == 1
    assert result.stdout == ""
    assert "cannot be read beyond line" in result.stderr


@pytest.mark.parametrize("text", ["cp;seq\na;1\n", f"{CSV_HEADER}\n"])
def test_a_csv_taken_for_events_is_noticed(call: Call, tmp_path: Path, text: str) -> None:
    """Where no line was an event, the format is what was probably forgotten."""
    path = tmp_path / "charger.csv"
    path.write_text(text)

    assert call("replay", str(path)).stderr.count("--format ocpp16-csv") == 1


@pytest.mark.parametrize("header", [CSV_HEADER, "\ufeffCP, Seq, kind"])
def test_a_charge_points_log_under_another_name_is_noticed_by_its_columns(
    call: Call, log: Path, tmp_path: Path, header: str
) -> None:
    """Said once for all of its lines, and also where another file has events."""
    path = tmp_path / "charger.log"
    path.write_text(header + "\n1,cp,2026-01-05T00:00:00Z,online,,,,,\n" * 3, encoding="utf-8")

    result = call("replay", str(path), str(log))

    assert result.exit_code == 0
    assert result.stderr.splitlines()[-1] == (
        f"{path} looks like a charge point's log: read it with --format ocpp16-csv."
    )
    assert result.stderr.count("--format") == 1


def test_a_format_that_was_given_is_not_advised(call: Call, tmp_path: Path) -> None:
    """Where no row of a charge point's log is an event, the rows alone say why."""
    path = charge_points_log(tmp_path / "cp.csv", "1,cp,1970-01-01T00:00:00Z,online,,,,,")

    result = call("replay", str(path), "--format", "ocpp16-csv")

    assert f"{path}:2: no_valid_time: received_at lies before 2010" in result.stderr
    assert "--format" not in result.stderr


def test_an_empty_file_gives_nothing(call: Call, tmp_path: Path) -> None:
    """No lines, no snapshots, no error."""
    path = tmp_path / "empty"
    path.write_text("\n\n")

    result = call("replay", str(path))

    assert (result.exit_code, result.stdout) == (0, "")


def test_a_removed_evse_keeps_its_line(call: Call, tmp_path: Path) -> None:
    """All its connectors are REMOVED."""
    removal = {
        "type": "evse.removed",
        "event_id": "r",
        "evse_uid": "charger-1",
        "occurred_at": HOUR.format(9),
    }
    path = tmp_path / "log.jsonl"
    path.write_text("".join(a_day()) + json.dumps(removal) + "\n")

    (snapshot,) = snapshots(call("replay", str(path)).stdout)

    assert snapshot["status"] == "REMOVED"
    assert snapshot["evse"]["connectors"][0]["status"] == "REMOVED"


def test_a_charge_points_log_is_read(call: Call, tmp_path: Path) -> None:
    """Statuses at the charger's time, connects and disconnects at receipt; shuffled rows give the same."""
    rows = [
        "1,cp-9,2026-01-05T00:00:00Z,online,,,,,",
        "2,cp-9,2026-01-05T00:00:01Z,status,1,Available,NoError,,2026-01-05T00:00:00Z",
        "3,cp-9,2026-01-05T06:00:00Z,offline,,,,,",
        "4,cp-9,2026-01-05T12:00:00Z,online,,,,,",
        "5,cp-9,2026-01-05T12:00:01Z,status,1,Available,NoError,,2026-01-05T00:00:00Z",
        "6,cp-9,2026-01-06T00:00:00Z,heartbeat,,,,,",
    ]
    outputs = []
    for order in (rows, rows[::-1], rows[3:] + rows):
        path = charge_points_log(tmp_path / "cp-9.csv", *order)
        (snapshot,) = snapshots(call("replay", str(path), "--format", "ocpp16-csv").stdout)
        outputs.append(snapshot["connectors"])

    assert outputs[0][0]["windows"][0]["uptime"] == 0.75
    assert outputs[0] == outputs[1] == outputs[2]


@pytest.mark.parametrize("word", ["Faulted", "FAULTED", "faulted"])
def test_an_outage_counts_in_whatever_case_its_word_is_written(call: Call, tmp_path: Path, word: str) -> None:
    """Ten hours of 24 were out of order."""
    path = charge_points_log(
        tmp_path / "cp.csv",
        "1,cp,2026-01-02T00:00:00Z,status,1,Available,,,",
        f"2,cp,2026-01-02T10:00:00Z,status,1,{word},GroundFailure,,",
        "3,cp,2026-01-02T20:00:00Z,status,1,Available,,,",
        "4,cp,2026-01-03T00:00:00Z,heartbeat,,,,,",
    )

    result = call("replay", str(path), "--format", "ocpp16-csv")

    (snapshot,) = snapshots(result.stdout)
    assert snapshot["connectors"][0]["windows"][0]["uptime"] == pytest.approx(14 / 24)
    assert "UNKNOWN" not in result.stderr


def test_each_unknown_word_of_a_charge_points_log_is_told_once(call: Call, tmp_path: Path) -> None:
    """With its line and the words that are accepted; the rows count all the same."""
    rows = (f"{n},cp,2026-01-02T0{n}:00:00Z,status,1,{word},,," for n, word in enumerate(["Occupied"] * 3, 1))
    path = charge_points_log(tmp_path / "cp.csv", *rows)

    result = call("replay", str(path), "--format", "ocpp16-csv")

    first, second, *_ = result.stderr.splitlines()
    assert first.startswith(f"{path}:2: status is taken for UNKNOWN: 'Occupied' is no status of OCPP 1.6;")
    assert "accepted are Available, Preparing," in first
    assert second == "applied 1"


def test_a_time_of_the_future_that_makes_the_rest_late_is_told_with_its_line(
    call: Call, tmp_path: Path
) -> None:
    """The numbers are what they are, but nobody takes them for good without a word."""
    path = tmp_path / "log.jsonl"
    receipts = ["2026-01-01", "2062-01-02", "2026-01-03", "2026-01-04", "2026-01-05"]
    path.write_text(
        "".join(
            status(str(n), f"2026-01-0{n}T00:00:00Z", "AVAILABLE", received_at=f"{day}T00:00:00Z")
            for n, day in enumerate(receipts, 1)
        )
    )

    result = call("replay", str(path))

    assert result.exit_code == 0
    first, *counts, last = result.stderr.splitlines()
    assert first.startswith(
        f"{path}:2: its time, 2062-01-02T00:00:00Z, is followed by 2026-01-03T00:00:00Z. "
    )
    assert "the allowed lateness (2d) is late: if a clock was wrong, correct the line" in first
    assert "late 4" in counts
    assert last.startswith("Most events are late (4 of 5): ")
    assert f"The newest time is 2062-01-02T00:00:00Z, in {path}:2." in last


def test_no_more_than_ten_leaps_are_told_one_by_one(call: Call, tmp_path: Path) -> None:
    """A clock that is wrong again and again costs no screenful; the others are counted."""
    path = tmp_path / "log.jsonl"
    times = (f"{year}-01-05T00:00:00Z" for n in range(12) for year in (2030 + n, 2026))
    path.write_text("".join(status(str(n), at, "AVAILABLE") for n, at in enumerate(times)))

    errors = call("replay", str(path)).stderr

    assert errors.count("is followed by 2026-01-05T00:00:00Z") == 10
    assert "The times of 2 more lines leap ahead of what follows." in errors


def test_a_time_after_the_one_asked_for_is_no_leap(call: Call, tmp_path: Path) -> None:
    """It is ignored altogether."""
    path = tmp_path / "log.jsonl"
    path.write_text(status("1", "2062-01-01T00:00:00Z", "AVAILABLE") + "".join(a_day()))

    assert "is followed by" not in call("replay", str(path), "--as-of", "2026-01-06").stderr
