"""
The link of a charger to its back end: heartbeats, drops, flapping, lost power, and times its site is dark.

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

_POWER_LOSS_DAYS = 1.0
"""How long a charger keeps its power on average, once somebody watches: silence has to be seen."""

_POWER_LOSS = (5 * MINUTE, 20 * MINUTE)


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
        self._is_dead = False
        self._drop_days, self._flap_days = (0.5, 4.0) if charger.traits.poor_link else (5.0, 45.0)

    def start(self, moment: int) -> None:
        """Connect for the first time, and plan what will go wrong with the link."""
        self._charger.booted_at = moment
        self._connect(moment, boot=True)
        if self._reports:
            self._plan_drop(moment)
            self._plan_flapping(moment)
            self._plan_power_loss(moment)
            first = self._interval if self._is_live(moment) else 5 * MINUTE
            self._await_beat(moment, draw_span(self._charger.rng, SECOND, first))
        while self._site.dark(self._dark).begin < moment:
            self._dark += 1
        self._plan_dark()

    def cut(self, moment: int) -> None:
        """Disconnect now, and for good unless something connects again."""
        self._disconnect(moment)

    @property
    def can_fall_silent(self) -> bool:
        """Whether it is connected, and heard often enough for its silence to mean anything."""
        return self._charger.linked and self._reports

    @property
    def _is_cut_off(self) -> bool:
        return self._in_dark or self._is_dead

    def lose_power(self, moment: int, lasting: int) -> None:
        """Lose the power for a while: nothing more is said, and nobody notices that the link is gone."""
        if self.can_fall_silent:
            self._charger.linked = False
            self._is_dead = True
            self._power_off()
            self._charger.at(moment + lasting, self._regain_power)

    def draw_power_loss(self) -> int:
        """Draw how long a charger is without power."""
        return draw_span(self._charger.rng, *_POWER_LOSS)

    def connect_anew(self, moment: int, _number: int) -> None:
        """Open another connection, as when the back end was away; says nothing of what it said meanwhile."""
        if self._charger.linked:
            self._connect(moment)

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

    @property
    def _interval(self) -> int:
        return self._charger.traits.heartbeat_interval_s * SECOND

    def _is_live(self, moment: int) -> bool:
        return self._live_from is not None and moment >= self._live_from

    def _beat(self, moment: int, _number: int) -> None:
        interval = self._interval if self._is_live(moment) else HISTORY_INTERVAL
        if self._charger.linked:
            body = {"heartbeat_interval_s": interval // SECOND}
            self._charger.say(moment, EventType.EVSE_HEARTBEAT, body)
        self._await_beat(moment, interval + draw_span(self._charger.rng, -SECOND, SECOND))

    def _await_beat(self, moment: int, lasting: int) -> None:
        following, live_from = moment + lasting, self._live_from
        if live_from is not None and moment < live_from < following:
            following = live_from + draw_span(self._charger.rng, 0, self._interval)
        self._charger.at(following, self._beat)

    def _plan_power_loss(self, moment: int) -> None:
        if self._live_from is not None:
            wait = int(self._charger.rng.expovariate(1 / (_POWER_LOSS_DAYS * DAY)))
            self._charger.at(max(moment, self._live_from) + wait // 1000 * 1000, self._lose_power)

    def _lose_power(self, moment: int, _number: int) -> None:
        self._plan_power_loss(moment)
        self.lose_power(moment, self.draw_power_loss())

    def _regain_power(self, moment: int, _number: int) -> None:
        self._is_dead = False
        self._return(moment)

    def _return(self, moment: int) -> None:
        """Connect, unless something else still keeps it from that; it boots if it had no power."""
        if self._is_cut_off:
            return
        self._connect(moment, boot=not self._charger.powered)
        if not self._charger.powered:
            self._power_on(moment)

    def _power_off(self) -> None:
        self._charger.powered = False
        for sessions in self._sessions:
            if sessions.busy:
                sessions.stop()

    def _power_on(self, moment: int) -> None:
        self._charger.powered = True
        self._charger.booted_at = moment
        for sessions in self._sessions:
            if sessions.busy:
                sessions.follow(moment, [FREE])

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
        if not self._is_cut_off and not self._charger.linked:
            self._connect(moment)

    def _plan_flapping(self, moment: int) -> None:
        wait = int(self._charger.rng.expovariate(1 / (self._flap_days * DAY)))
        self._charger.at(moment + HOUR + wait // 1000 * 1000, self._flap, _FLAPS)

    def _flap(self, moment: int, left: int) -> None:
        if self._is_cut_off or left == 0:
            self._plan_flapping(moment)
            return
        rng = self._charger.rng
        self._disconnect(moment)
        back = self._reconnect if left == 1 else self._reconnect_briefly
        self._charger.at(moment + draw_span(rng, 300_000, 3 * SECOND), back)
        self._charger.at(moment + draw_span(rng, 3500_000, 4900_000), self._flap, left - 1)

    def _reconnect_briefly(self, moment: int, _number: int) -> None:
        # Gone again before it could report its statuses.
        if not self._is_cut_off and not self._charger.linked:
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
            self._power_off()
        end = dark.end + draw_span(self._charger.rng, 0, 5 * MINUTE)
        self._charger.at(end, self._come_back)

    def _come_back(self, moment: int, _number: int) -> None:
        self._in_dark = False
        self._return(moment)
        self._dark += 1
        self._plan_dark()
