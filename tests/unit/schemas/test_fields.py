"""Single values: times and identifiers."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from schemas.fields import is_uid, parse_time


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-05T12:34:56Z", "2026-01-05T12:34:56+00:00"),
        ("2026-01-05t12:34:56z", "2026-01-05T12:34:56+00:00"),
        ("2026-01-05 12:34:56Z", "2026-01-05T12:34:56+00:00"),
        ("2026-01-05T12:34:56", "2026-01-05T12:34:56+00:00"),
        ("2026-01-05T12:34:56.1", "2026-01-05T12:34:56.100000+00:00"),
        ("2026-01-05T12:34:56.123456789Z", "2026-01-05T12:34:56.123456+00:00"),
        ("2026-01-05T12:34:56+05:30", "2026-01-05T07:04:56+00:00"),
        ("2026-01-05T12:34:56-00:00", "2026-01-05T12:34:56+00:00"),
        ("2026-01-04T23:30:00-01:00", "2026-01-05T00:30:00+00:00"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00+00:00"),
        ("0000-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00"),
        ("0001-01-01T00:00:00+05:00", "0001-01-01T00:00:00+00:00"),
        ("9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59.999999+00:00"),
    ],
)
def test_a_time_is_read_as_utc(text: str, expected: str) -> None:
    """RFC 3339 in all the forms that devices write it, also where the year is none we could keep."""
    assert parse_time(text).isoformat() == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "2026-01-05",
        "2026-W02-1",
        "20260105T123456Z",
        "2026-01-05T12:34Z",
        "2026-01-05T12:34:56+0100",
        "2026-01-05T24:00:00Z",
        "2026-01-05T12:60:00Z",
        "2026-02-30T00:00:00Z",
        "0000-02-30T00:00:00Z",
        "2026-01-05T12:34:56Z\n",
        "٢026-01-05T12:34:56Z",
        1_767_571_200,
        1_767_571_200.5,
        True,
        None,
        ["2026-01-05T12:34:56Z"],
    ],
)
def test_what_is_no_rfc_3339_time_is_refused(value: object) -> None:
    """Unix numbers too: nobody can tell seconds from milliseconds by looking."""
    with pytest.raises(ValueError, match=r"."):
        parse_time(value)


@pytest.mark.parametrize("word", ["a", "DE*ABC*E1", "x" * 255, "{a}/%b", "å", "a b"])
def test_a_uid_is_any_short_text(word: str) -> None:
    """Operators choose their own; nothing is read into it."""
    assert is_uid(word)


@pytest.mark.parametrize("word", ["", "x" * 256, "a\n", "a\x00b", "\x7f", "a\x85", 5, None, ["a"]])
def test_a_uid_is_not_empty_nor_endless_nor_unprintable(word: object) -> None:
    """It becomes a key, a log field and a line on a page."""
    assert not is_uid(word)


def test_a_datetime_is_taken_too() -> None:
    """Programs build events with these models; a naive one is UTC, as in text."""
    noon = datetime(2026, 1, 5, 12, tzinfo=timezone(timedelta(hours=1)))

    assert parse_time(noon).isoformat() == "2026-01-05T11:00:00+00:00"
    assert parse_time(noon.replace(tzinfo=None)).isoformat() == "2026-01-05T12:00:00+00:00"
