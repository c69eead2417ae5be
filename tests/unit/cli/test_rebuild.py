"""`rebuild`: which EVSEs it names, and what it says where a record ends it."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from schemas.vocabulary import RejectionReason
from service import maintenance
from service.cli import app
from service.commands.rebuild import named
from service.processing.dead_letters import TooManyRejections
from service.processing.ports import Record
from service.processing.rejection import Rejection


def test_of_many_evses_some_are_named_and_how_to_see_the_rest() -> None:
    """Never the first of them alone, as if they were all."""
    uids = [f"e{number}" for number in range(12)]

    some = "12 EVSEs (e0, e1, e2, e3, e4, e5, e6, e7, e8, e9 and 2 more, which --all names)"
    assert named(uids, every=False) == some
    assert named(uids, every=True) == f"12 EVSEs ({', '.join(uids)})"
    assert named(uids[:10], every=False).endswith("e8, e9)")
    assert named(["e1"], every=False) == "1 EVSE (e1)"


@pytest.mark.parametrize(
    ("option", "what", "then"),
    [
        ([], "rebuild", "A worker that is started so"),
        (["--repartition"], "repartition", "call this command again"),
    ],
)
def test_records_that_end_it_are_told_in_one_line(
    option: list[str], what: str, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what lets it go on, and no traceback."""

    async def ended(*_: object) -> bool:
        record = Record("evse.events", 2, 823, 0, b"e1", b"{oops")
        raise TooManyRejections(record, Rejection(RejectionReason.NOT_JSON, "the value must be JSON"), 100)

    monkeypatch.setattr(maintenance, what, ended)

    done = CliRunner().invoke(app, ["rebuild", "--yes", *option])

    assert done.exit_code == 1
    [line] = done.output.splitlines()
    assert "--accept-rejections evse.events:2:823-823" in line
    assert then in line
