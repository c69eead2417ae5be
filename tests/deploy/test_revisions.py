"""What an upgrade is judged by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.revisions import differing, disordered, main


def listed(uid: str, revision: int) -> str:
    """Write an EVSE as `list --json` does."""
    return json.dumps({"uid": uid, "revision": str(revision)})


def replayed(uid: str, revision: int) -> str:
    """Write an EVSE as `replay` does."""
    return json.dumps({"evse": {"uid": uid}, "revision": revision})


def sent(uid: str, revision: int, as_of: str = "2026-01-05T00:00:00Z") -> str:
    """Write a snapshot as Kafka's consumer prints it."""
    return f"{uid}\t{json.dumps({'revision': revision, 'as_of': as_of})}"


def test_a_view_that_is_what_the_log_gives_has_no_fault() -> None:
    """Whatever the order of the two."""
    assert list(differing([listed("a", 3), listed("b", 1)], [replayed("b", 1), replayed("a", 3)])) == []


def test_a_lost_and_a_repeated_revision_differ_from_an_undisturbed_run() -> None:
    """So does an EVSE that is missing."""
    told = list(
        differing([listed("a", 3), listed("b", 2)], [replayed("a", 4), replayed("b", 1), replayed("c", 1)])
    )

    assert [line.split()[0] for line in told] == ["a", "b", "c"]


def test_snapshots_may_skip_and_be_refreshed() -> None:
    """A batch publishes once, whatever it counted; the slow tick and a removal are no faults."""
    lines = [
        sent("a", 1),
        sent("b", 7),
        sent("a", 4),
        sent("a", 4, "2026-01-05T01:00:00Z"),
        "a\tnull",
        sent("a", 5),
    ]

    assert list(disordered([*lines, "Processed a total of 6 messages"])) == []


def test_snapshots_that_go_back_or_come_twice_are_told() -> None:
    """Each of them."""
    told = list(disordered([sent("a", 2), sent("a", 1), sent("b", 1), sent("b", 1)]))

    assert told == ["a went back from revision 2 to 1", "b came twice with revision 1"]


def test_the_exit_code_tells_whether_there_is_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For scripts."""
    files = [tmp_path / name for name in ("view", "replayed", "snapshots")]
    for file, text in zip(files, (listed("a", 2), replayed("a", 2), sent("a", 2)), strict=True):
        file.write_text(f"{text}\n", encoding="utf-8")
    names = [str(file) for file in files]

    assert main(*names) == 0
    files[1].write_text(replayed("a", 3), encoding="utf-8")
    assert main(*names) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 EVSEs, 1 snapshots, 1 faults"
