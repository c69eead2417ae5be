"""
Lives of EVSEs that sizes are measured by: what happens to each on a day, on so many days.

Gives records in the order of the log and knows nothing of what is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.examples import EVSE_EXAMPLE
from service.domain.time import DAY, HOUR, MINUTE, SECOND, Micros
from tests.benchmarks.jobs import Entry, entry, status, uid_of

SESSION = ("PREPARING", "CHARGING", "FINISHING", "AVAILABLE")
"""The statuses of one session, an hour apart."""

_FLAP_LASTS: Micros = 10 * MINUTE
_LAST_FLAP: Micros = 23 * HOUR
"""Before midnight, so that no outage is in two days."""

_CLOSED_AFTER_DAYS = 4
"""More than the allowed lateness."""


@dataclass(frozen=True, slots=True)
class Life:
    """
    What EVSEs live through: `days` of `sessions` of each connector and `flaps` of the link a day.

    Then, when all of that is closed, a heartbeat, and `statuses` and `heartbeats` within some hours.
    """

    begin: Micros
    evses: int = 50
    connectors: int = 2
    days: int = 0
    sessions: int = 1
    flaps: int = 0
    statuses: int = 0
    heartbeats: int = 0

    def past(self, number: int) -> Iterator[Entry]:
        """Give the records of one EVSE that are history at the end."""
        names = self._names
        yield self._inventory(number, names)
        yield _said(number, self.begin, {"type": "connector.online", "online": True})
        for name in names:
            yield _said(number, self.begin + SECOND, status("", name, "AVAILABLE"))
        for day in range(self.days):
            at = self.begin + day * DAY + HOUR
            for _ in range(self.sessions):
                for word in SESSION:
                    at += HOUR // self.sessions
                    for name in names:
                        yield _said(number, at, status("", name, word))
            for flap in range(self.flaps):
                at = self.begin + day * DAY + _LAST_FLAP - (self.flaps - flap) * 2 * _FLAP_LASTS
                yield _said(number, at, {"type": "connector.online", "online": False})
                yield _said(number, at + _FLAP_LASTS, {"type": "connector.online", "online": True})

    @property
    def _names(self) -> list[str]:
        return [f"c{connector}" for connector in range(1, self.connectors + 1)]

    def _inventory(self, number: int, names: list[str]) -> Entry:
        connectors = [{**EVSE_EXAMPLE["connectors"][0], "uid": name, "status": None} for name in names]
        evse = {**EVSE_EXAMPLE, "uid": uid_of(number), "connectors": connectors}
        return _said(number, self.begin, {"type": "evse.upserted", "evse": evse})

    def newest(self, number: int) -> Iterator[Entry]:
        """Give the records of one EVSE that a late one may still come before; the first closes the past."""
        names = self._names
        at = self.begin + (self.days + _CLOSED_AFTER_DAYS if self.days else 0) * DAY + HOUR
        yield _said(number, at, {"type": "evse.heartbeat"})
        for turn in range(self.statuses):
            at += MINUTE
            yield _said(number, at, status("", names[turn % len(names)], SESSION[turn // len(names) % 4]))
        for _ in range(self.heartbeats):
            at += MINUTE
            yield _said(number, at, {"type": "evse.heartbeat"})


def _said(number: int, at: Micros, body: dict[str, object]) -> Entry:
    """Make a record whose id has the length of a UUID, which is what most producers give."""
    what = str(body.get("connector_uid", body["type"]))[-3:]
    return entry(number, at, {**body, "event_id": f"{what:->3}-{number:011d}-{at:020d}"})
