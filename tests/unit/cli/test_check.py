"""`check`: when it asks again."""

from __future__ import annotations

import pytest

from service.commands.check import when_ready
from service.processing.ports import ErrorKind, Unavailable


class Broker:
    """Fails so many times before it answers."""

    def __init__(self, failures: int, kind: ErrorKind) -> None:
        self.asked = 0
        self._failures = failures
        self._kind = kind

    async def ask(self) -> str:
        self.asked += 1
        if self.asked <= self._failures:
            raise Unavailable("not now", self._kind)
        return "ready"


async def test_a_broker_that_is_not_ready_yet_is_asked_again() -> None:
    """The first question about the group on a new cluster makes the topic that answers it."""
    broker = Broker(3, ErrorKind.UNREADY)

    assert await when_ready(broker.ask, pause_s=0) == "ready"
    assert broker.asked == 4


@pytest.mark.parametrize(("kind", "asked"), [(ErrorKind.UNREADY, 10), (ErrorKind.UNANSWERED, 1)])
async def test_what_does_not_answer_is_told(kind: ErrorKind, asked: int) -> None:
    """A broker that stays unready after some tries, and one that is away at once."""
    broker = Broker(99, kind)

    with pytest.raises(Unavailable):
        await when_ready(broker.ask, pause_s=0)
    assert broker.asked == asked
