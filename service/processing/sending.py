"""
Sends what was saved, and looks after what was sent late (promise P7).

The guard holds back a late write, but nothing holds back a late *send*: it may come after that of the next
owner, and would stand as the newest. So whatever took long from its save to its acks, or was given up, is
compared with the view, and what is current is sent after it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog

from service.processing.instruments import Instruments, Part, Step
from service.processing.options import Options, Ports
from service.processing.outbox import Outbox
from service.processing.owned import Owned
from service.processing.planning import Plan
from service.processing.retry import Retrying
from service.processing.states import Held
from service.processing.timing import Timing
from service.processing.values import Position, SaveOutcome

_log = structlog.get_logger()

Remake = Callable[[str, Held], Plan]
"""Plans what is current of an EVSE."""


class Current(Protocol):
    """Who knows what is current."""

    async def load(self, uids: Iterable[str]) -> None:
        """Bring the states into memory that are not there."""

    def plan_current(self, uid: str, held: Held) -> Plan:
        """Plan all that the output topics should end with of an EVSE."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """At which position an EVSE was sent, and how what is current of it is planned."""

    position: Position
    remake: Remake


class Sending:
    """Publishes plans, and remembers those of which nobody knows yet whether they came late."""

    def __init__(
        self,
        ports: Ports,
        options: Options,
        *,
        owned: Owned,
        outbox: Outbox,
        retrying: Retrying,
        instruments: Instruments,
        current: Current,
    ) -> None:
        self._clock = ports.clock
        self._publisher = ports.publisher
        self._store = ports.store
        self._late_after_s = options.late_after_s
        self._states = owned.states
        self._assignment = owned.assignment
        self._outbox = outbox
        self._retrying = retrying
        self._instruments = instruments
        self._current = current
        self._timed = Timing(ports.clock, instruments, ports.tracing)
        self._unchecked: dict[str, _Sent] = {}

    async def publish(self, plans: Sequence[Plan], saved_at: float, remake: Remake | None = None) -> None:
        """
        Publish what was saved at `saved_at` (monotonic seconds), and what is current where that came late.

        `remake` plans what is current of an EVSE; by default all that the output topics should end with.
        """
        remake = remake or self._current.plan_current
        sent = {each.uid: _Sent(each.held.position, remake) for each in plans if each.messages}
        self._unchecked |= sent
        with self._timed(Step.PUBLISH):
            await self._outbox.publish([message for each in plans for message in each.messages], ())
        for each in plans:
            each.published()
        if self._clock.monotonic() - saved_at > self._late_after_s:
            await self._overtake(sent)
        for uid in sent:
            self._unchecked.pop(uid, None)

    async def check(self) -> None:
        """
        Look after what was sent in a batch that was given up: it may arrive after what the next owner sends.

        Called between batches, and before the end: nobody else knows of it.
        """
        if not self._unchecked:
            return
        # With nothing to write it waits for what is under way.
        await self._retrying(Part.PUBLISHER, partial(self._publisher.publish, ()))
        sent = dict(self._unchecked)
        await self._overtake(sent)
        for uid in sent:
            self._unchecked.pop(uid, None)
        self._states.keep_partitions({each.partition for each in self._assignment.owned})

    async def _overtake(self, sent: Mapping[str, _Sent]) -> None:
        """Publish the current state of those EVSEs that another worker has taken further meanwhile."""
        seen = await self._retrying(Part.STORE, partial(self._store.look, list(sent)))
        overtaken = [
            uid for uid, each in seen.items() if sent[uid].position.judge(each.position) is SaveOutcome.SAVED
        ]
        if not overtaken:
            return
        self._instruments.overtaken(len(overtaken))
        _log.warning(
            "Another worker had gone on while this one sent; the current snapshots are sent after.",
            action="late_send",
            evses=len(overtaken),
            evse_uid=min(overtaken),
        )
        self._states.forget(overtaken)
        await self._current.load(overtaken)
        for remake in {sent[uid].remake for uid in overtaken}:
            held = {uid: self._states.peek(uid) for uid in overtaken if sent[uid].remake == remake}
            current = [remake(uid, each) for uid, each in held.items() if each is not None]
            # Others own these: however quick it is, they may have gone on since this was loaded.
            await self.publish(current, -math.inf, remake)
