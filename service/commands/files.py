"""Files that commands read and write; this module knows nothing of what is in them."""

from __future__ import annotations

import gzip
import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, TextIO, cast

from service.commands.console import CommandError

STANDARD = Path("-")
"""Standard input or output."""

_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class InputFile:
    """An open file: its lines, and how far its bytes have been read of how many (None: nobody knows)."""

    name: str
    lines: IO[bytes]
    raw: IO[bytes]
    size: int | None

    def read_bytes(self) -> int:
        """Tell how many bytes were taken from the disk; less than were given as lines, where compressed."""
        return self.raw.tell() if self.size is not None else 0


@contextmanager
def opened_for_reading(path: Path) -> Iterator[InputFile]:
    """Open a file, a pipe or `-` for standard input, gzip or not; raise `CommandError` where it cannot be."""
    if path == STANDARD:
        stdin = cast("TextIO | None", sys.stdin)
        if stdin is None:
            raise CommandError("cannot read standard input: it is closed; name a file, or write into a pipe")
        with _telling("read standard input", "name a file"):
            file = _unpacked("standard input", _peekable(stdin.buffer), None)
        yield file
        return
    with _telling(f"read {path}", "check the path"):
        raw = path.open("rb")
    with raw:
        with _telling(f"read {path}", "check the path"):
            file = _unpacked(str(path), raw, path.stat().st_size if path.is_file() else None)
        yield file


def _peekable(stream: BinaryIO) -> io.BufferedReader:
    # Standard input of a process is buffered; what stands in for it may be not.
    return (
        stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", stream))
    )


def _unpacked(name: str, raw: io.BufferedReader, size: int | None) -> InputFile:
    """Read through gzip what begins as gzip does, also where it cannot be read twice: in a pipe."""
    begin = raw.peek(len(_GZIP_MAGIC))[: len(_GZIP_MAGIC)]
    # A pipe may give one byte at first: no line of a log begins with that.
    packed = bool(begin) and _GZIP_MAGIC.startswith(begin)
    return InputFile(name, cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if packed else raw, raw, size)


@contextmanager
def _telling(what: str, remedy: str) -> Iterator[None]:
    """Say what could not be done, why, and what helps, where the system alone would say why."""
    try:
        yield
    except BrokenPipeError:
        raise  # whoever read the output has enough of it: nothing to be told
    except OSError as error:
        raise CommandError(f"cannot {what}: {error.strerror or error}; {remedy}") from error


class OutputFile:
    """An open file to write to; what cannot be written raises `CommandError` with its name."""

    def __init__(self, stream: BinaryIO, what: str, remedy: str) -> None:
        self._stream = stream
        self._what = what
        self._remedy = remedy

    def write(self, data: bytes) -> None:
        with _telling(self._what, self._remedy):
            self._stream.write(data)

    def finish(self, *, on_disk: bool) -> None:
        """Have all of it written; `on_disk`: not only as far as the system's memory."""
        with _telling(self._what, self._remedy):
            self._stream.flush()
            if on_disk:
                os.fsync(self._stream.fileno())


@contextmanager
def opened_for_writing(path: Path | None) -> Iterator[OutputFile]:
    """
    Open a file that appears whole or not at all; None or `-` is standard output.

    Opened before the work begins, so that a wrong path costs no waiting. A device or a pipe is written to in
    place. Raises `CommandError` where it cannot be opened or written.
    """
    if path is None or path == STANDARD:
        yield from _standard_output()
        return
    in_place = path.exists() and not path.is_file()
    target = path if in_place else path.with_name(f".{path.name}.{os.getpid()}.part")
    what, remedy = f"write {path}", "make room or choose another --output"
    with _telling(what, "choose another --output"):
        stream = target.open("wb")
    try:
        sink = OutputFile(stream, what, remedy)
        yield sink
        sink.finish(on_disk=not in_place)
        with _telling(what, remedy):
            stream.close()
            if not in_place:
                target.replace(path)
    finally:
        # Closing tries once more to write what could not be, which was told.
        with suppress(OSError):
            stream.close()
        if not in_place:
            target.unlink(missing_ok=True)


def _standard_output() -> Iterator[OutputFile]:
    stdout = cast("TextIO | None", sys.stdout)
    if stdout is None:
        raise CommandError("cannot write standard output: it is closed; name a file with --output")
    sink = OutputFile(stdout.buffer, "write standard output", "make room, or name a file with --output")
    yield sink
    sink.finish(on_disk=False)


def refuse_to_overwrite(inputs: Iterable[Path], output: Path | None) -> None:
    """Raise `CommandError` where the output would take the place of an input, under whatever name."""
    if output is None or not output.is_file():
        return
    for path in inputs:
        if path.is_file() and path.samefile(output):
            raise CommandError(
                f"{path} is read, and --output {output} would overwrite it; choose another file"
            )
