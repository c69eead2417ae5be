"""What commands share: how they ask, and show how far they are."""

from __future__ import annotations

import io
from typing import Any

import pytest
import typer
from rich.console import Console

from service.commands.console import agreed, bars


@pytest.mark.parametrize("answer", [True, False])
def test_while_a_question_stands_no_bar_wipes_its_line(
    monkeypatch: pytest.MonkeyPatch, *, answer: bool
) -> None:
    """They are redrawn ten times a second, each time from the beginning of the line that the cursor is on."""
    shown = []

    def confirm(*_: Any, **__: Any) -> bool:
        shown.append(progress.live.is_started)
        return answer

    monkeypatch.setattr(typer, "confirm", confirm)
    with bars(Console(file=io.StringIO(), force_terminal=True)) as progress:
        assert agreed(progress, yes=False) is answer
        shown.append(progress.live.is_started)

    assert shown == [False, answer]
    assert not progress.live.is_started


def test_who_has_agreed_before_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bars are there at once."""
    monkeypatch.delattr(typer, "confirm")
    with bars(Console(file=io.StringIO(), force_terminal=True)) as progress:
        assert agreed(progress, yes=True)
        assert progress.live.is_started
