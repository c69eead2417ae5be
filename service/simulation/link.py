"""
The link of a charger to its back end: heartbeats, drops, flapping, and the times its whole site is dark.

An operator that does not report links says nothing of all this; its chargers are merely not heard meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence

from schemas.vocabulary import EventType
from service.simulation.charger import Charger
from service.simulation.sessions import FREE, Sessions, draw_span
from service.simulation.sites import Site
from service.simulation.timestamps import DAY, HOUR, MINUTE, SECOND
from service.simulation.words import AVAILABLE

HISTORY_INTERVAL = 4 * HOUR
"""Time between heartbeats in the past: few, so that a month is written quickly; announced as such."""

_FLAPS = 12
"""Disconnect and connect pairs within a minute, as seen on a real charger."""

_STALE_CLOSES = 0.08
"""Share of drops in which the close of the old socket is told after the open of the new one."""

_BLINKS = 0.3
"""Share of drops that are over within the same second."""


class Link:
    """The link of one charger."""

    def __init__(
        self, charger: Charger, site: Site, sessions: Sequence[Sessions], live_from: int | None
    ) -> None:
        self._charger = charger
        self._site = site
        self._sessions = sessions
        self._live_from = live_from
        self._reports = site.operator.reports_link
        self._dark = 0
        self._in_dark = False
        self._drop_days, self._flap_days = (0.5, 4.0) if charger.traits.poor_link else (5.0, 45.0)

    def start(self, moment: int) -> None:
        """Connect for the first time, and plan what will go wrong with the link."""
        self._charger.booted_at = moment
        self._connect(moment, boot=True)
        if self._reports:
            self._plan_drop(moment)
            self._plan_flapping(moment)
            self._charger.at(moment + draw_span(self._charger.rng, SECOND, 5 * MINUTE), self._beat)
        while self._site.dark(self._dark).begin < moment:
            self._dark += 1
        self._plan_dark()

    def cut(self, moment: int) -> None:
        """Disconnect now, and for good unless something connects again."""
        self._disconnect(moment)

    def _say_online(self, moment: int, *, online: bool, reason: str | None = None) -> None:
        if self._reports:
            body = {"online": online} if reason is None else {"online": online, "reason": reason}
            self._charger.say(moment, EventType.CONNECTOR_ONLINE, body)

    def _connect(self, moment: int, *, boot: bool = False) -> None:
        self._charger.linked = True
        self._say_online(moment, online=True, reason="boot" if boot else None)
        report = self._report_boot if boot else self._report
        self._charger.at(moment + draw_span(self._charger.rng, 300_000, 3 * SECOND), report)

    def _disconnect(self, moment: int) -> None:
        if self._charger.linked:
            self._charger.linked = False
            self._say_online(moment, online=False)

    def _report(self, moment: int, _number: int) -> None:
        if self._charger.linked:
            self._charger.report_again(moment)

    def _report_boot(self, moment: int, _number: int) -> None:
        if self._charger.linked:
            if self._reports:
                body = {"status": AVAILABLE.status, "raw_status": AVAILABLE.raw}
                self._charger.say(moment, EventType.EVSE_STATUS, body)
            self._charger.report_again(moment)

    def _beat(self, moment: int, _number: int) -> None:
        traits = self._charger.traits
        live_from = self._live_from
        live = live_from is not None and moment >= live_from
        interval = traits.heartbeat_interval_s * SECOND if live else HISTORY_INTERVAL
        if self._charger.linked:
            body = {"heartbeat_interval_s": interval // SECOND}
            self._charger.say(moment, EventType.EVSE_HEARTBEAT, body)
        following = moment + interval + draw_span(self._charger.rng, -SECOND, SECOND)
        if live_from is not None and moment < live_from < following:
            following = live_from + draw_span(self._charger.rng, 0, traits.heartbeat_interval_s * SECOND)
        self._charger.at(following, self._beat)

    def _plan_drop(self, moment: int) -> None:
        wait = int(self._charger.rng.expovariate(1 / (self._drop_days * DAY)))
        self._charger.at(moment + MINUTE + wait // 1000 * 1000, self._drop)

    def _drop(self, moment: int, _number: int) -> None:
        self._plan_drop(moment)
        rng = self._charger.rng
        if not self._charger.linked:
            return
        lot = rng.random()
        if lot < _STALE_CLOSES:
            self._connect(moment)
            self._charger.at(moment + draw_span(rng, 20_000, 250_000), self._close_stale)
        elif lot < _STALE_CLOSES + _BLINKS:
            self._disconnect(moment)
            self._connect(moment)
        else:
            self._disconnect(moment)
            self._charger.at(moment + draw_span(rng, 20 * SECOND, 25 * MINUTE), self._reconnect)

    def _close_stale(self, moment: int, _number: int) -> None:
        # The back end hears of the old socket's end last, and is wrong until the charger next speaks.
        if self._charger.linked:
            self._say_online(moment, online=False, reason="old socket closed")

    def _reconnect(self, moment: int, _number: int) -> None:
        if not self._in_dark and not self._charger.linked:
            self._connect(moment)

    def _plan_flapping(self, moment: int) -> None:
        wait = int(self._charger.rng.expovariate(1 / (self._flap_days * DAY)))
        self._charger.at(moment + HOUR + wait // 1000 * 1000, self._flap, _FLAPS)

    def _flap(self, moment: int, left: int) -> None:
        if self._in_dark or left == 0:
            self._plan_flapping(moment)
            return
        rng = self._charger.rng
        self._disconnect(moment)
        back = self._reconnect if left == 1 else self._reconnect_briefly
        self._charger.at(moment + draw_span(rng, 300_000, 3 * SECOND), back)
        self._charger.at(moment + draw_span(rng, 3500_000, 4900_000), self._flap, left - 1)

    def _reconnect_briefly(self, moment: int, _number: int) -> None:
        # Gone again before it could report its statuses.
        if not self._in_dark and not self._charger.linked:
            self._charger.linked = True
            self._say_online(moment, online=True)

    def _plan_dark(self) -> None:
        # Not all of a site's links are found dead in the same second.
        begin = self._site.dark(self._dark).begin + draw_span(self._charger.rng, 0, 90 * SECOND)
        self._charger.at(begin, self._go_dark)

    def _go_dark(self, moment: int, _number: int) -> None:
        dark = self._site.dark(self._dark)
        self._in_dark = True
        if dark.silent:
            self._charger.linked = False
        else:
            self._disconnect(moment)
        if dark.power_cut:
            self._charger.powered = False
            for sessions in self._sessions:
                if sessions.busy:
                    sessions.stop()
        end = dark.end + draw_span(self._charger.rng, 0, 5 * MINUTE)
        self._charger.at(end, self._come_back)

    def _come_back(self, moment: int, _number: int) -> None:
        dark = self._site.dark(self._dark)
        self._in_dark = False
        self._connect(moment, boot=dark.power_cut)
        if dark.power_cut:
            self._charger.powered = True
            self._charger.booted_at = moment
            for sessions in self._sessions:
                if sessions.busy:
                    sessions.follow(moment, [FREE])
        self._dark += 1
        self._plan_dark()
