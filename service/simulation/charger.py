"""
One charger: its agenda, its connectors, and how what happens to it becomes events.

What happens is decided elsewhere (sessions, link, upkeep); this module knows only how it is told. Times are
microseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any, NamedTuple

from schemas.vocabulary import EventType
from service.simulation.timestamps import HOUR, SECOND, rfc3339
from service.simulation.traits import Traits, device_time
from service.simulation.words import AVAILABLE, Event, State, Trouble

Task = Callable[[int, int], None]
"""Something on the agenda: called with its time and the number it was put there with."""

REPEATED = 0.5
"""Share of changes that are reported once more within a minute. With what is sent again on reconnects this
makes about a third of all reports; 41 % of 553 real ones were repeats."""

OLDEST_RESENT = 29 * HOUR + 24 * 60 * SECOND
"""The oldest original timestamp seen on a status sent again on reconnect, in a real log: 29.4 h."""

MOST_UNSENT = 100
"""Changes a charger keeps while it is offline; real ones forget the oldest, too."""

OPERATIONS = "operations-desk"
"""Source of what people declare, as against what chargers say."""

_STATUS = EventType.CONNECTOR_STATUS.value


class Report(NamedTuple):
    """One status of one connector, as of `at`."""

    connector_uid: str
    state: State
    trouble: Trouble | None
    at: int


class Connector:
    """A connector as it is in truth: its state and since when."""

    __slots__ = ("since", "state", "trouble", "uid")

    def __init__(self, uid: str, since: int) -> None:
        self.uid = uid
        self.state = AVAILABLE
        self.trouble: Trouble | None = None
        self.since = since


class Charger:
    """
    A charger and what is still going to happen to it.

    `linked` says whether anything of it arrives, `powered` whether anything can happen at it at all.
    """

    def __init__(self, evse: dict[str, Any], source: str, traits: Traits, rng: Random, start: int) -> None:
        self.evse = evse
        self.uid: str = evse["uid"]
        self.source = source
        self.traits = traits
        self.rng = rng
        self.connectors = [Connector(connector["uid"], start) for connector in evse["connectors"]]
        self.linked = False
        self.powered = True
        self.booted_at = start
        self._agenda: list[tuple[int, int, Task, int]] = []
        self._tasks = 0
        self._said: list[Event] = []
        self._events = 0
        self._unsent: list[Report] = []

    def at(self, moment: int, task: Task, number: int = 0) -> None:
        """Put a task on the agenda; of one moment, what was put there first comes first."""
        self._tasks += 1
        heappush(self._agenda, (moment, self._tasks, task, number))

    @property
    def next_at(self) -> int | None:
        """When the next task is due, None if nothing will ever happen again."""
        return self._agenda[0][0] if self._agenda else None

    def step(self) -> list[Event]:
        """Do the next task and give the events that arrive by it, at its time."""
        moment, _, task, number = heappop(self._agenda)
        task(moment, number)
        said, self._said = self._said, []
        return said

    def retire(self) -> None:
        """Strike everything off the agenda."""
        self._agenda.clear()

    def say(self, moment: int, kind: EventType, body: Event, source: str | None = None) -> None:
        """Let an event arrive now."""
        self._events += 1
        event = {
            "type": kind.value,
            "event_id": f"{self.uid}:{self._events}",
            "evse_uid": self.uid,
            "received_at": rfc3339(moment),
            "source": source or self.source,
        }
        event.update(body)
        self._said.append(event)

    def change(self, moment: int, connector: Connector, state: State, trouble: Trouble | None = None) -> None:
        """Put a connector into another state, and report it now or, if nobody hears it, later or never."""
        connector.state = state
        connector.trouble = trouble
        connector.since = moment - self.traits.latency
        report = Report(connector.uid, state, trouble, connector.since)
        if self.linked:
            self._send(moment, report)
            if self.rng.random() < REPEATED:
                place = self.connectors.index(connector)
                self.at(moment + self.rng.randrange(500, 40_000) * 1000, self._repeat, place)
        elif self.traits.queues:
            self._unsent.append(report)
            del self._unsent[:-MOST_UNSENT]

    def report_again(self, moment: int) -> None:
        """Send what was kept while offline, then every connector's state, as chargers do on reconnect."""
        unsent, self._unsent = self._unsent, []
        for report in unsent:
            self._send(moment, report)
        for connector in self.connectors:
            original = connector.since
            if self.traits.restamps or moment - original > OLDEST_RESENT:
                original = moment - self.traits.latency
            self._send(moment, Report(connector.uid, connector.state, connector.trouble, original))

    def _repeat(self, moment: int, place: int) -> None:
        if self.linked:
            connector = self.connectors[place]
            now = moment - self.traits.latency
            self._send(moment, Report(connector.uid, connector.state, connector.trouble, now))

    def _send(self, moment: int, report: Report) -> None:
        self._events += 1
        state = report.state
        event: Event = {
            "type": _STATUS,
            "event_id": f"{self.uid}:{self._events}",
            "evse_uid": self.uid,
            "connector_uid": report.connector_uid,
            "status": state.status,
            "raw_status": state.raw,
            "received_at": rfc3339(moment),
            "source": self.source,
        }
        occurred_at = device_time(self.traits, report.at, self.booted_at)
        if occurred_at is not None:
            event["occurred_at"] = occurred_at
        if report.trouble is not None:
            event["error_code"], vendor_error_code = report.trouble
            if vendor_error_code is not None:
                event["vendor_error_code"] = vendor_error_code
        self._said.append(event)
