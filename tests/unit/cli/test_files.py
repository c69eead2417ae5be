"""Files that commands read and write: packed or not, in pipes and on devices, and what is said of them."""

from __future__ import annotations

import gzip
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from service.commands.console import CommandError
from service.commands.files import STANDARD, opened_for_reading, opened_for_writing
from tests.unit.cli.conftest import Call

TEXT = b"one\ntwo\n"
PACKED = gzip.compress(TEXT, mtime=0)
FULL = Path("/dev/full")

needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


@dataclass(frozen=True)
class Stdout:
    """Stands in for standard output: bytes go where they are told, at once."""

    buffer: io.RawIOBase


@contextmanager
def a_pipe(content: bytes) -> Iterator[io.BufferedReader]:
    """Give the end to read of a pipe that holds this, and ends."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:
        with os.fdopen(writing, "wb") as end:
            end.write(content)
        yield pipe


def read(path: Path) -> list[bytes]:
    """Read all lines."""
    with opened_for_reading(path) as file:
        return list(file.lines)


@pytest.mark.parametrize("content", [TEXT, PACKED], ids=["plain", "packed"])
def test_standard_input_is_read_packed_or_not(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """`replay - < log.gz` and `cat log.gz | replay -` give the lines that the file gives."""
    with a_pipe(content) as pipe:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(pipe))
        assert read(STANDARD) == [b"one\n", b"two\n"]


@pytest.mark.parametrize("content", [TEXT, PACKED], ids=["plain", "packed"])
def test_a_named_pipe_is_read_packed_or_not(content: bytes) -> None:
    """As the shell makes one of `<(cat log.gz)`."""
    with a_pipe(content) as pipe:
        assert read(Path(f"/dev/fd/{pipe.fileno()}")) == [b"one\n", b"two\n"]


def test_a_pipe_that_gives_its_first_byte_alone_is_read_through_gzip() -> None:
    """What comes first decides, and half of the mark is as good as all of it."""

    class Dripping(io.RawIOBase):
        def __init__(self) -> None:
            self.rest = io.BytesIO(PACKED)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return self.rest.readinto(memoryview(buffer)[:1])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Dripping())))
        assert read(STANDARD) == [b"one\n", b"two\n"]


@pytest.mark.parametrize("content", [b"", b"\n", b"1"])
def test_what_is_shorter_than_the_mark_is_not_packed(tmp_path: Path, content: bytes) -> None:
    """An empty file has no lines."""
    path = tmp_path / "log"
    path.write_bytes(content)

    assert b"".join(read(path)) == content


def test_a_closed_standard_input_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """`replay - <&-` names what to do."""
    monkeypatch.setattr(sys, "stdin", None)

    with pytest.raises(CommandError, match="cannot read standard input: it is closed; name a file"):
        read(STANDARD)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """Its name and why are in the line."""
    with pytest.raises(CommandError, match=f"cannot read {tmp_path}: Is a directory; check the path"):
        read(tmp_path)


def test_a_closed_standard_output_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """`replay log.jsonl >&-` names what to do."""
    monkeypatch.setattr(sys, "stdout", None)

    with (
        pytest.raises(CommandError, match="cannot write standard output: it is closed; name a file"),
        opened_for_writing(None),
    ):
        pass


@needs_full
def test_an_output_without_room_is_named_with_the_remedy(call: Call, tmp_path: Path) -> None:
    """And not only the number of the system's error."""
    path = tmp_path / "log.jsonl"
    path.write_text(
        '{"type":"evse.heartbeat","event_id":"1","evse_uid":"u","occurred_at":"2026-01-05T00:00:00Z"}'
    )

    result = call("replay", str(path), "--output", str(FULL))

    assert result.exit_code == 1
    assert f"cannot write {FULL}: No space left on device; make room or choose another" in result.stderr


@needs_full
def test_a_standard_output_without_room_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be a file on a full disk."""
    with FULL.open("wb", buffering=0) as raw:
        monkeypatch.setattr(sys, "stdout", Stdout(raw))
        with (
            pytest.raises(CommandError, match="cannot write standard output: No space left on device"),
            opened_for_writing(STANDARD) as sink,
        ):
            sink.write(b"x")


def test_a_reader_that_has_enough_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """`replay log.jsonl | head -1` says nothing of the pipe."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", buffering=0) as broken:
        monkeypatch.setattr(sys, "stdout", Stdout(broken))
        with pytest.raises(BrokenPipeError), opened_for_writing(None) as sink:
            sink.write(b"x")
