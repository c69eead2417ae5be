"""The audit: a vulnerability fails it, a database that cannot be reached does not and is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from deploy.audit import audit
from tests.processes import free_port

PINNED = "jinja2==2.4.1 --hash=sha256:" + "0" * 64 + "\nrich==15.0.0 --hash=sha256:" + "1" * 64 + "\n"

VULNERABLE = {
    "id": "PYSEC-0000-1",
    "aliases": ["CVE-0000-1"],
    "summary": "a template may do anything",
    "modified": "2026-01-05T00:00:00Z",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "jinja2"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.11.3"}]}],
            "versions": ["2.4.1"],
        }
    ],
}


class _Database(BaseHTTPRequestHandler):
    """Answers as the advisory database does: it knows of one package."""

    def do_POST(self) -> None:
        """Answer a question about one package at one version."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found: dict[str, Any] = {"vulns": [VULNERABLE]} if asked["package"]["name"] == "jinja2" else {}
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def database() -> Iterator[str]:
    """Give the address of an advisory database."""
    with HTTPServer(("127.0.0.1", 0), _Database) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()
        thread.join()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """Give a lock file with a package that has a vulnerability, and one that has none."""
    file = tmp_path / "requirements.lock"
    file.write_text(PINNED)
    return file


def test_a_known_vulnerability_fails_and_names_the_version_that_mends_it(
    lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line a finding."""
    with database() as url:
        assert audit(lock, url) == 1

    said = capsys.readouterr().out
    assert "jinja2 2.4.1: PYSEC-0000-1, CVE-0000-1; mended in 2.11.3\n" in said
    assert said.endswith("audit: 2 packages, 1 known vulnerabilities\n")


def test_what_is_sound_passes(lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And says how much was looked up."""
    lock.write_text(PINNED.splitlines()[1] + "\n")

    with database() as url:
        assert audit(lock, url) == 0

    assert capsys.readouterr().out == "audit: 1 packages, 0 known vulnerabilities\n"


def test_a_database_that_cannot_be_reached_fails_nothing_and_is_said(
    lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing network is no finding, and no clean bill either."""
    assert audit(lock, f"http://127.0.0.1:{free_port()}/v1/query") == 0

    assert capsys.readouterr().out.startswith("audit: not run: the advisory database cannot be reached")


def test_any_other_failure_fails(lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A lock file that pip-audit cannot read is not a missing network."""
    lock.write_text("rich\n")

    assert audit(lock, f"http://127.0.0.1:{free_port()}/v1/query") == 1

    assert "audit: pip-audit failed" in capsys.readouterr().err
