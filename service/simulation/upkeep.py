"""
Faults and their repair, maintenance and what is declared about it, changes of the inventory, and the end.

Declarations come from people, so they are early, late, corrected and taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from schemas.vocabulary import EventType, ExclusionReason
from service.simulation.charger import OPERATIONS, Charger
from service.simulation.link import Link
from service.simulation.sessions import FREE, Sessions, Step, draw_around, draw_span
from service.simulation.sites import Site, next_working_hour
from service.simulation.timestamps import DAY, HOUR, MINUTE, SECOND, rfc3339
from service.simulation.words import AVAILABLE, FAULTED, FAULTS, FINISHING, UNAVAILABLE, Trouble

_EMERGENCY: Trouble = ("OtherError", "EmergencyButtonPressed")
_FAULT_DAYS, _OFTEN_FAULT_DAYS = 22.0, 4.0
_HEALS_ALONE = 0.3
_TECHNICIAN = 0.35
_MAINTENANCE_DAYS = (4, 40)

# What the desk does about a maintenance, as shares: declares it before, forgets `until` and adds it later,
# declares it after the fact, declares it after the fact and takes it back; else nothing.
_BEFORE, _OPEN, _AFTER, _WITHDRAWN = 0.3, 0.15, 0.25, 0.08
_UTILITY_DECLARED = 0.6
_TARIFF_CHANGES = 0.5


class Upkeep:
    """The care one charger gets."""

    def __init__(self, charger: Charger, site: Site, sessions: Sequence[Sessions], link: Link) -> None:
        self._charger = charger
        self._site = site
        self._sessions = sessions
        self._link = link
        self._maintenances = 0
        self._maintained_for = 0
        self._cuts = 0

    def start(self, moment: int) -> None:
        """Plan what will happen; nothing is said yet."""
        rng = self._charger.rng
        self._plan_fault(moment)
        self._plan_maintenance(moment)
        self._plan_power_cut(moment)
        self._charger.at(moment + draw_span(rng, 2 * DAY, 28 * DAY), self._revise_inventory)

    def plan_removal(self, moment: int) -> None:
        """Take the charger out of service at that time and, a while later, away."""
        self._charger.at(moment, self._decommission)

    def _plan_fault(self, moment: int) -> None:
        days = _OFTEN_FAULT_DAYS if self._charger.traits.often_faulty else _FAULT_DAYS
        wait = int(self._charger.rng.expovariate(1 / (days * DAY)))
        self._charger.at(moment + HOUR + wait // 1000 * 1000, self._break)

    def _break(self, moment: int, _number: int) -> None:
        self._plan_fault(moment)
        rng = self._charger.rng
        sessions = rng.choice(self._sessions)
        if not self._charger.powered or sessions.connector.state in (FAULTED, UNAVAILABLE):
            return
        trouble = rng.choice(FAULTS)
        heals = rng.random() < _HEALS_ALONE
        lasting = draw_span(rng, MINUTE, 25 * MINUTE) if heals else draw_around(rng, 5 * HOUR, 0.9)
        steps = [Step(FAULTED, lasting, trouble)]
        if not heals and rng.random() < _TECHNICIAN:
            steps.append(Step(UNAVAILABLE, draw_span(rng, 10 * MINUTE, 50 * MINUTE)))
        if trouble == _EMERGENCY and self._site.operator.reports_link:
            self._say_whole(moment, 0)
            self._charger.at(moment + lasting, self._say_whole, 1)
        sessions.follow(moment, [*steps, FREE])

    def _say_whole(self, moment: int, released: int) -> None:
        if self._charger.linked:
            state = AVAILABLE if released else FAULTED
            body = {"status": state.status, "raw_status": state.raw}
            if not released:
                body["error_code"], body["vendor_error_code"] = "OtherError", "EmergencyButtonPressed"
            self._charger.say(moment, EventType.EVSE_STATUS, body)

    def _plan_maintenance(self, moment: int) -> None:
        rng = self._charger.rng
        low, high = _MAINTENANCE_DAYS
        begin = next_working_hour(rng, moment + draw_span(rng, low * DAY, high * DAY))
        self._maintained_for = draw_span(rng, HOUR, 5 * HOUR)
        self._maintenances += 1
        self._charger.at(begin, self._maintain)
        lot = rng.random()
        if lot < _BEFORE:
            self._charger.at(begin - draw_span(rng, HOUR, 3 * DAY), self._declare_whole, begin)
        elif lot < _BEFORE + _OPEN:
            self._charger.at(begin - draw_span(rng, MINUTE, HOUR), self._declare_forgetful, begin)
        elif lot < _BEFORE + _OPEN + _AFTER:
            self._charger.at(begin + draw_span(rng, 6 * HOUR, 4 * DAY), self._declare_whole, begin)
        elif lot < _BEFORE + _OPEN + _AFTER + _WITHDRAWN:
            self._charger.at(begin + draw_span(rng, 6 * HOUR, DAY), self._declare_whole, begin)
            self._charger.at(begin + draw_span(rng, 2 * DAY, 3 * DAY), self._withdraw)
        self._charger.at(begin + 4 * DAY + HOUR, self._maintenance_over)

    def _maintain(self, moment: int, _number: int) -> None:
        for sessions in self._sessions:
            out = [Step(UNAVAILABLE, self._maintained_for), FREE]
            if sessions.busy:
                # Free for less than a second before it is unavailable, as real firmware does it.
                out = [Step(FINISHING, 20 * SECOND), Step(AVAILABLE, 400_000), *out]
            sessions.follow(moment, out)

    def _maintenance_over(self, moment: int, _number: int) -> None:
        self._plan_maintenance(moment)

    @property
    def _maintenance_id(self) -> str:
        return f"{self._charger.uid}-maintenance-{self._maintenances}"

    def _declare_whole(self, moment: int, begin: int) -> None:
        self._declare_maintenance(moment, begin, until=begin + self._maintained_for)

    def _declare_forgetful(self, moment: int, begin: int) -> None:
        self._declare_maintenance(moment, begin)
        self._charger.at(begin + self._maintained_for + 10 * MINUTE, self._declare_whole, begin)

    def _declare_maintenance(self, moment: int, begin: int, until: int | None = None) -> None:
        reason = ExclusionReason.SCHEDULED_MAINTENANCE.value
        body = {"exclusion_id": self._maintenance_id, "from": rfc3339(begin), "reason": reason}
        if until is not None:
            body["until"] = rfc3339(until)
        self._charger.say(moment, EventType.EXCLUSION_DECLARED, body, OPERATIONS)

    def _withdraw(self, moment: int, _number: int) -> None:
        body = {"exclusion_id": self._maintenance_id}
        self._charger.say(moment, EventType.EXCLUSION_WITHDRAWN, body, OPERATIONS)

    def _plan_power_cut(self, moment: int) -> None:
        """Plan what the desk will declare about the site's next power cut, after the fact."""
        while (dark := self._site.dark(self._cuts)).end < moment or not dark.power_cut:
            self._cuts += 1
        wait = draw_span(self._charger.rng, 3 * HOUR, 2 * DAY)
        self._charger.at(dark.end + wait, self._declare_power_cut)

    def _declare_power_cut(self, moment: int, _number: int) -> None:
        dark = self._site.dark(self._cuts)
        if self._charger.rng.random() < _UTILITY_DECLARED:
            body = {
                "exclusion_id": f"{self._charger.uid}-power-cut-{self._cuts}",
                "from": rfc3339(dark.begin),
                "until": rfc3339(dark.end),
                "reason": ExclusionReason.UTILITY_INTERRUPTION.value,
                "note": "grid loss, confirmed by the network operator",
            }
            self._charger.say(moment, EventType.EXCLUSION_DECLARED, body, OPERATIONS)
        self._cuts += 1
        self._plan_power_cut(moment)

    def _revise_inventory(self, moment: int, _number: int) -> None:
        rng = self._charger.rng
        evse = self._charger.evse = deepcopy(self._charger.evse)
        if rng.random() < _TARIFF_CHANGES:  # else the same is sent once more, as inventories are
            for connector in evse["connectors"]:
                connector["tariff_uids"] = [f"{uid}-b" for uid in connector["tariff_uids"]]
        self._charger.say(moment, EventType.EVSE_UPSERTED, {"evse": evse})
        self._charger.at(moment + draw_span(rng, 20 * DAY, 60 * DAY), self._revise_inventory)

    def _decommission(self, moment: int, _number: int) -> None:
        for sessions in self._sessions:
            sessions.follow(moment, [Step(UNAVAILABLE, 400 * DAY)])
        self._charger.at(moment + HOUR, self._remove)

    def _remove(self, moment: int, _number: int) -> None:
        self._link.cut(moment)
        self._charger.say(moment, EventType.EVSE_REMOVED, {}, OPERATIONS)
        self._charger.retire()
