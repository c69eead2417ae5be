"""One EVSE to which things happen, told in a few words, so that a test shows only what matters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.vocabulary import ExclusionReason, Status
from service.domain import events
from service.domain.definitions import OBSERVED, Definition
from service.domain.fold import fold
from service.domain.outcomes import Folded
from service.domain.reliability import Reliability
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.domain.summary import Summary, reliability, summarize
from service.domain.time import DAY, SECOND, Micros, rfc3339
from service.domain.track import Track
from service.domain.windows import Window, connector_window, port_window

MONDAY: Micros = 1_767_571_200 * SECOND
"""2026-01-05T00:00:00Z, the day of all times without one."""

Statuses = Mapping[str, tuple[Status, str | None]]


def when(text: str) -> Micros:
    """Read `10:00`, `10:00:30.5`, or with a number of days after Monday before it `3 10:00`."""
    day, _, clock = text.rpartition(" ")
    parts = [*(float(part) for part in clock.split(":")), 0.0]
    return MONDAY + int(day or 0) * DAY + round((parts[0] * 3_600 + parts[1] * 60 + parts[2]) * SECOND)


class Evse:
    """Takes what happens to it in order of arrival; a position may be given, ids are made up."""

    def __init__(self, **rules: Any) -> None:
        self.rules = Rules(**rules)
        self.state = EvseState("e1")
        self.position = 0

    def head(self, at: str, received: str | None, more: dict[str, Any]) -> dict[str, Any]:
        """Give what every event has; `more` may hold `event_id` and `position`."""
        self.position += 1
        common: dict[str, Any] = {"event_id": f"n{self.position}", "position": self.position}
        times = {"at": when(at), "seen": when(received or at)}
        return {**common, "evse_uid": "e1", **times, **more}

    def take(self, event: events.Event, cap: str | None = None) -> Folded:
        """Fold any event."""
        return fold(self.state, event, self.rules, cap=None if cap is None else when(cap))

    def status(self, word: str, at: str, received: str | None = None, **more: Any) -> Folded:
        """Report the status of a connector, `c1` unless said otherwise."""
        more.setdefault("connector_uid", "c1")
        return self.take(events.StatusReported(status=Status(word), **self.head(at, received, more)))

    def status_capped(self, word: str, at: str, received: str, cap: str) -> Folded:
        """Report the status of `c1` to a fold that ends at a time."""
        head = self.head(at, received, {"connector_uid": "c1"})
        return self.take(events.StatusReported(status=Status(word), **head), cap)

    def heartbeat_capped(self, at: str, received: str, cap: str) -> Folded:
        """Send a heartbeat to a fold that ends at a time."""
        return self.take(events.HeartbeatReceived(**self.head(at, received, {})), cap)

    def statuses(self, words: str) -> None:
        """Report statuses of `c1`, such as `10:00 AVAILABLE, 11:00 CHARGING`."""
        for each in words.split(", "):
            at, _, word = each.rpartition(" ")
            self.status(word, at)

    def online(self, value: bool | None, at: str, received: str | None = None, **more: Any) -> Folded:
        """Report online of all connectors unless one is named."""
        return self.take(events.OnlineReported(online=value, **self.head(at, received, more)))

    def silence(self, last_seen: str, at: str, **more: Any) -> Folded:
        """Note that nothing was heard, as the worker does."""
        more |= {"silence": True, "last_seen_at": when(last_seen), "reason": "silence"}
        return self.online(False, at, **more)

    def heartbeat(self, at: str, received: str | None = None, **more: Any) -> Folded:
        """Send a heartbeat."""
        return self.take(events.HeartbeatReceived(**self.head(at, received, more)))

    def note(self, word: str, at: str, received: str | None = None, **more: Any) -> Folded:
        """Say something about the whole charger."""
        return self.take(events.ChargerNoted(status=Status(word), **self.head(at, received, more)))

    def inventory(
        self, at: str, *uids: str, statuses: dict[str, str] | None = None, evse: Any = None, **more: Any
    ) -> Folded:
        """Upsert an inventory that names connectors, for some of them with a status."""
        connectors = {uid: {"standard": "IEC_62196_T2"} for uid in (*uids, *(statuses or {}))}
        claimed: Statuses = {uid: (Status(word), None) for uid, word in (statuses or {}).items()}
        return self.take(
            events.InventoryUpserted(
                evse=evse or {"evse_id": "DE*ABC*E1"},
                connectors=more.pop("connectors", connectors),
                statuses=claimed,
                **self.head(at, None, more),
            )
        )

    def remove(self, at: str, **more: Any) -> Folded:
        """Remove the EVSE."""
        return self.take(events.EvseRemoved(**self.head(at, None, more)))

    def exclude(self, exclusion_id: str, start: str, until: str | None, at: str, **more: Any) -> Folded:
        """Declare an exclusion."""
        more |= {"exclusion_id": exclusion_id, "from_": when(start)}
        more |= {"until": None if until is None else when(until)}
        more.setdefault("reason", ExclusionReason.SCHEDULED_MAINTENANCE)
        return self.take(events.ExclusionDeclared(**self.head(at, None, more)))

    def withdraw(self, exclusion_id: str, at: str, **more: Any) -> Folded:
        """Withdraw an exclusion."""
        more |= {"exclusion_id": exclusion_id}
        return self.take(events.ExclusionWithdrawn(**self.head(at, None, more)))

    def gap(self, start: str, until: str, at: str | None = None, **more: Any) -> Folded:
        """Tell that nothing could be seen."""
        more |= {"from_": when(start), "until": when(until)}
        return self.take(events.GapObserved(**self.head(at or until, None, more)))

    def track(self, uid: str = "c1") -> Track:
        """Give a connector as it is now."""
        return self.state.tip.tracks[uid]

    def now(self) -> tuple[str | None, bool | None]:
        """Give status and online of `c1`."""
        return (self.track().status, self.track().online)

    def window(
        self, start: str, until: str, uid: str = "c1", definition: Definition = OBSERVED
    ) -> tuple[int, int, int, int]:
        """Give a connector's up, down, excluded and unobserved seconds, as of the window's end."""
        period = (when(start), when(until))
        return in_seconds(connector_window(self.state, uid, definition, period[1], period))

    def port(self, start: str, until: str) -> tuple[int, int, int, int]:
        """Give the port's up, down, excluded and unobserved seconds, as of the window's end."""
        period = (when(start), when(until))
        return in_seconds(port_window(self.state, OBSERVED, period[1], period))

    def summary(self, at: str | None = None) -> Summary:
        """Say everything."""
        return summarize(self.state, self.state.as_of if at is None else when(at), self.rules)

    def rating(self, at: str, uid: str = "c1") -> Reliability:
        """Rate a connector."""
        return reliability(self.state, uid, when(at))

    def since(self, uid: str = "c1") -> tuple[str | None, str | None]:
        """Give since when status and online of a connector are what they are."""
        track = self.track(uid)
        return tuple(  # type: ignore[return-value]
            None if each is None else rfc3339(each)[11:] for each in (track.status_since, track.online_since)
        )


def in_seconds(window: Window) -> tuple[int, int, int, int]:
    """Give the four kinds of time in whole seconds."""
    return (
        window.up // SECOND,
        window.down // SECOND,
        window.excluded // SECOND,
        window.unobserved // SECOND,
    )
