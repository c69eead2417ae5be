"""Files that commands read and write; this module knows nothing of what is in them."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

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
    """Open a file, gzip or not, or `-` for standard input; raise `CommandError` where it cannot be."""
    if path == STANDARD:
        yield InputFile("standard input", sys.stdin.buffer, sys.stdin.buffer, None)
        return
    try:
        raw = path.open("rb")
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}; check the path") from error
    with raw:
        regular = path.is_file()
        packed = regular and raw.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC)
        lines = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if packed else raw
        yield InputFile(str(path), lines, raw, path.stat().st_size if regular else None)


@contextmanager
def opened_for_writing(path: Path | None) -> Iterator[BinaryIO]:
    """
    Open a file that appears whole or not at all; None or `-` is standard output.

    Opened before the work begins, so that a wrong path costs no waiting. A device or a pipe is written to in
    place.
    """
    if path is None or path == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    in_place = path.exists() and not path.is_file()
    target = path if in_place else path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        stream = target.open("wb")
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}; choose another --output") from error
    try:
        with stream:
            yield stream
            stream.flush()
            if not in_place:
                os.fsync(stream.fileno())
        if not in_place:
            target.replace(path)
    finally:
        if not in_place:
            target.unlink(missing_ok=True)


def refuse_to_overwrite(inputs: Iterable[Path], output: Path | None) -> None:
    """Raise `CommandError` where the output would take the place of an input, under whatever name."""
    if output is None or not output.is_file():
        return
    for path in inputs:
        if path.is_file() and path.samefile(output):
            raise CommandError(
                f"{path} is read, and --output {output} would overwrite it; choose another file"
            )
