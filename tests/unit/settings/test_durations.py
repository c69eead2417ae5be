"""Spans of time as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service.durations import parse_duration, written_duration


@pytest.mark.parametrize(
    ("written", "span"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("30s", timedelta(seconds=30)),
        ("15m", timedelta(minutes=15)),
        ("48h", timedelta(hours=48)),
        ("1d", timedelta(days=1)),
        ("1.5h", timedelta(minutes=90)),
        (" 90 ", timedelta(seconds=90)),
        (90, timedelta(seconds=90)),
        (0.25, timedelta(milliseconds=250)),
        (timedelta(hours=1), timedelta(hours=1)),
        ("0", timedelta(0)),
    ],
)
def test_durations_are_read(written: object, span: timedelta) -> None:
    """With a unit, or plain seconds."""
    assert parse_duration(written) == span


@pytest.mark.parametrize("written", ["", "h", "48 hours", "-1s", "1e3", "inf", True, None, "1h30m", []])
def test_what_is_no_duration_names_the_remedy(written: object) -> None:
    """The message shows how to write one."""
    with pytest.raises(ValueError, match=r"write 500ms, 30s"):
        parse_duration(written)


@pytest.mark.parametrize("text", ["0s", "250ms", "30s", "15m", "36h", "2d", "1500ms"])
def test_written_durations_read_back(text: str) -> None:
    """What is shown can be set."""
    assert written_duration(parse_duration(text)) == text
