"""`rebuild`: what it is called with, what it says before it asks, which EVSEs it names, and what ends it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from typer.testing import CliRunner

from schemas.vocabulary import RejectionReason
from service import maintenance
from service.cli import app
from service.commands.console import bars
from service.commands.rebuild import named
from service.commands.repartition import Telling, planned
from service.layouts import Prospect
from service.maintenance import Step
from service.processing.dead_letters import TooManyRejections
from service.processing.rejection import Rejection
from service.processing.values import Epochs, Record
from service.settings import Settings
from tests.unit.cli.conftest import Call


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


def test_the_prefix_of_the_new_topics_is_not_that_of_the_old_ones(call: Call) -> None:
    """Whoever exports the old one by mistake is told before anything is looked at."""
    result = call("rebuild", "--repartition", "--from-prefix", "old.", TOPIC_PREFIX="old.")

    assert result.exit_code == 2
    assert "EVSE_STATUS_TOPIC_PREFIX itself" in result.stderr


def test_what_is_going_to_be_done_is_said() -> None:
    """Nothing, and then what has to be done before; single ones; all; or what was begun."""
    settings, epochs = Settings(), Epochs()
    told = [
        next(planned(prospect, settings))
        for prospect in (
            Prospect(3, 3, epochs, 0, is_done=True),
            Prospect(3, 3, epochs, 0, evses=20, moving=1),
            Prospect(3, 6, epochs, 0, evses=20, moving=9),
            Prospect(3, 3, epochs, 0, is_begun=True),
        )
    ]

    assert told[0].endswith(
        "the 3 partitions of evse.events. If there are to be others, add them to the topics first."
    )
    assert told[1].endswith("some EVSEs were first heard in another one than their own.")
    assert told[2] == "View and ledger are laid out for 3 partitions, and evse.events has 6."
    assert told[3] == "View and ledger are laid out for 3 partitions, and evse.events has 3."


def test_the_bar_of_a_step_that_is_over_is_full_and_its_time_stands() -> None:
    """Also of a step of which nobody knew how long it would be."""
    console = Console(file=io.StringIO(), force_terminal=True)
    with bars(console) as progress:
        telling = Telling(console, progress)
        telling.tell(Step("records read", 7))
        telling.tell(Step("partitions restored", 0, 2))

        assert [(task.completed, task.total, task.finished) for task in progress.tasks] == [
            (7, 7, True),
            (0, 2, False),
        ]
