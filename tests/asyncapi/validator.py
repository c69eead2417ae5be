"""
Finds the parser of the AsyncAPI project: installed by npm from the lock beside this file, once, into a cache.

Nothing that is installed runs scripts of its own, and nothing is written into the checkout.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.local_kafka import cache_folder

HERE = Path(__file__).parent
PARTS = ("package.json", "package-lock.json", ".npmrc", "validate.mjs")
INSTALL_TIMEOUT = 150
"""Seconds; a cold registry took 13."""


class ValidatorMissing(Exception):
    """There is no node or npm, or the packages cannot be fetched; the message says what was tried."""


def missing_is_failure() -> bool:
    """Tell whether everything is promised to be there."""
    return bool(os.environ.get("CI"))


@dataclass(frozen=True)
class Validator:
    """The parser, ready to run."""

    node: str
    folder: Path

    def problems(self, document: Path) -> list[str]:
        """Return each error and warning of a document, one a line."""
        done = subprocess.run(  # noqa: S603 - our own script, and a path of ours
            [self.node, "validate.mjs", str(document)],
            cwd=self.folder,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        lines = done.stderr.splitlines()
        if done.returncode and not any(line.startswith(("error ", "warning ")) for line in lines):
            raise RuntimeError(f"the validator itself failed: {done.stderr[-500:]}")
        return lines


def find_validator() -> Validator:
    """Return the validator, installed first where it is missing, by one run at a time."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise ValidatorMissing("node and npm are not installed")
    parts = [(name, (HERE / name).read_bytes()) for name in PARTS]
    digest = hashlib.sha256(b"".join(content for _, content in parts)).hexdigest()[:12]
    folder = cache_folder() / f"asyncapi-{digest}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _install(npm, folder, parts)
    return Validator(node, folder)


def _install(npm: str, folder: Path, parts: list[tuple[str, bytes]]) -> None:
    """Install beside the place it goes to, then move it there in one step."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        fresh = Path(scratch) / "validator"
        fresh.mkdir()
        for name, content in parts:
            (fresh / name).write_bytes(content)
        try:
            subprocess.run(  # noqa: S603 - the command is built here, from no outside input
                [npm, "ci", "--silent"],
                cwd=fresh,
                check=True,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                timeout=INSTALL_TIMEOUT,
            )
        except subprocess.CalledProcessError as failure:
            raise ValidatorMissing(f"npm could not fetch it: {failure.stderr[-500:]}") from failure
        except subprocess.TimeoutExpired as failure:
            raise ValidatorMissing(f"npm took more than {INSTALL_TIMEOUT} s to fetch it") from failure
        fresh.rename(folder)
