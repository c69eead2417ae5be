"""
A fleet of chargers: its inventory, its past and its present, in order of arrival.

The same seed, size, start and `live_from` give the same events, however the time is cut into calls. The fleet
reads no clock, waits for nothing and writes nowhere; it holds one agenda a charger and no list of events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import heapify, heappop, heapreplace
from random import Random

from schemas.vocabulary import EventType
from service.simulation.charger import Charger
from service.simulation.inventory import describe_evse, site_name
from service.simulation.link import Link
from service.simulation.sessions import Sessions, draw_span
from service.simulation.sites import KINDS, OPERATORS, Dark, Site, dark_times
from service.simulation.timestamps import DAY, HOUR, MINUTE, SECOND, micros_of, moment_of, rfc3339
from service.simulation.traits import Traits, draw_traits
from service.simulation.upkeep import Upkeep
from service.simulation.words import Event

_SITE_SIZES = (3, 12)
_DARK_EVERY_DAYS, _OFTEN_DARK_EVERY_DAYS = 35.0, 8.0
_OFTEN_DARK_EVERY = 6
_REMOVED_EVERY, _REMOVED_PLACE = 150, 11
_PLANNED_EVERY, _PLANNED_PLACE = 100, 6
_REMOVAL_DAYS = (15, 25)
_COMMISSION_DAYS = (6, 14)
_FIRST_TO_LOSE_POWER = (1, 1)  # site and number at the site
_LOSES_POWER_AFTER = 2 * MINUTE
_SAID_BY_CHARGERS = frozenset(
    kind.value
    for kind in (
        EventType.CONNECTOR_STATUS,
        EventType.CONNECTOR_ONLINE,
        EventType.EVSE_STATUS,
        EventType.EVSE_HEARTBEAT,
    )
)

# Of an EVSE's sessions, what its connectors get: most drivers take the first.
_SHARES: dict[int, tuple[float, ...]] = {1: (1.0,), 2: (0.6, 0.4), 3: (0.6, 0.25, 0.15)}


@dataclass(frozen=True, slots=True)
class PowerCut:
    """A loss of power that was asked for: whose, how often it was heard before, and when it is back."""

    uid: str
    heartbeat_interval_s: int
    until: datetime


class Fleet:
    """
    A simulated fleet of so many EVSEs.

    Args:
        seed: what everything random is drawn from.
        evses: how many EVSEs, at least one.
        start: when all of it begins (aware).
        live_from: when the past ends and somebody watches (aware). Before it heartbeats come every few
            hours, after it several a minute, each time with the interval that then holds. Chargers lose
            their power now and then, without a word: one of the second site soon after it, then any; and a
            few minutes after it the whole first site falls silent. None: all of it is past.
        heartbeat_interval_s: of all chargers, once somebody watches; None: each has its own.

    """

    def __init__(
        self,
        seed: int,
        evses: int,
        start: datetime,
        live_from: datetime | None = None,
        heartbeat_interval_s: int | None = None,
    ) -> None:
        if evses < 1:
            raise ValueError("a fleet has at least one EVSE")
        self._seed = seed
        self._start = micros_of(start) // 1000 * 1000
        self._live_from = None if live_from is None else micros_of(live_from) // 1000 * 1000
        self._heartbeat_interval_s = heartbeat_interval_s
        self._pending: deque[tuple[datetime, Event]] = deque()
        self._inventory: list[Event] = []
        self._asked = Random(f"{seed}/asked")
        self._links: dict[str, Link] = {}
        self._chargers = [
            self._build(place, site, number) for place, (site, number) in enumerate(self._places(evses))
        ]
        self._heap: list[tuple[int, int, Charger]] = []
        self._order()

    def inventory(self) -> Iterator[Event]:
        """Give one `evse.upserted` for each EVSE, as of the fleet's start; to be sent before all else."""
        yield from deepcopy(self._inventory)

    def history(self, until: datetime | None = None) -> Iterator[tuple[datetime, Event]]:
        """Give the past: everything that arrives up to `until`, by default up to `live_from`."""
        if until is None and self._live_from is None:
            raise ValueError("say until when: a fleet without live_from has no end of its past")
        yield from self.until(until if until is not None else moment_of(self._live_from or 0))

    def until(self, moment: datetime) -> Iterator[tuple[datetime, Event]]:
        """
        Give everything that arrives up to and including `moment` since the last call, with its arrival.

        An iteration that is left early goes on in the next call.
        """
        limit = micros_of(moment)
        pending, heap = self._pending, self._heap
        while True:
            while pending:
                if pending[0][0] > moment:
                    return
                yield pending.popleft()
            if not heap or heap[0][0] > limit:
                return
            due, place, charger = heap[0]
            said = charger.step()
            if charger.next_at is None:
                heappop(heap)
            else:
                heapreplace(heap, (charger.next_at, place, charger))
            if said:
                arrival = moment_of(due)
                pending.extend((arrival, event) for event in said)

    def can_fall_silent(self) -> list[str]:
        """Give the uids of the EVSEs that are linked and whose silence means something."""
        return [uid for uid, link in self._links.items() if link.can_fall_silent]

    def cut_power(self, moment: datetime, uid: str | None = None) -> PowerCut:
        """
        Let an EVSE, this one or any, lose its power at `moment` without a word.

        Raises `ValueError` where its silence could not be seen.
        """
        candidates = self.can_fall_silent()
        if uid is None and candidates:
            uid = self._asked.choice(candidates)
        if uid is None:
            raise ValueError("no EVSE is linked at the moment")
        if uid not in self._links:
            raise ValueError(f"there is no EVSE {uid} in this fleet")
        if uid not in candidates:
            raise ValueError(f"{uid} is not heard anyway, or its operator says nothing of links")
        link = self._links[uid]
        charger = next(each for each in self._chargers if each.uid == uid)
        at, lasting = micros_of(moment), link.draw_power_loss()
        charger.at(at, link.lose_power, lasting)
        self._order()
        return PowerCut(uid, charger.traits.heartbeat_interval_s, moment_of(at + lasting))

    def unheard_until(self, moment: datetime) -> Iterator[tuple[datetime, Event]]:
        """
        Live on to `moment` while nobody listens: what chargers say until then is lost.

        Gives what people and back offices said meanwhile, as arriving at `moment`. Whatever has a link then
        connects anew and reports its statuses, as chargers do when a back end comes back.
        """
        for _, event in self.until(moment):
            if event["type"] not in _SAID_BY_CHARGERS:
                yield moment, event
        for charger in self._chargers:
            if charger.next_at is not None:
                charger.at(micros_of(moment), self._links[charger.uid].connect_anew)
        self._order()

    def _order(self) -> None:
        """Put the chargers in order of what is due next."""
        self._heap = [
            (charger.next_at, place, charger)
            for place, charger in enumerate(self._chargers)
            if charger.next_at is not None
        ]
        heapify(self._heap)

    def _places(self, evses: int) -> Iterator[tuple[Site, int]]:
        """Give site and number at the site for each EVSE."""
        rng = Random(f"{self._seed}/sites")
        number_of_site, left = 0, evses
        while left:
            size = min(rng.randint(*_SITE_SIZES), left)
            site = self._site(rng, number_of_site)
            yield from ((site, number) for number in range(1, size + 1))
            number_of_site, left = number_of_site + 1, left - size

    def _site(self, rng: Random, number: int) -> Site:
        kind = KINDS[number % len(KINDS)]
        often = number % _OFTEN_DARK_EVERY == 0
        every_days = _OFTEN_DARK_EVERY_DAYS if often else _DARK_EVERY_DAYS
        certain = None
        if number == 0 and self._live_from is not None:
            begin = self._live_from + 4 * MINUTE
            certain = Dark(begin, begin + 25 * MINUTE, silent=True)
        return Site(
            number=number,
            name=site_name(kind.name, number),
            kind=kind,
            operator=OPERATORS[number % len(OPERATORS)],
            latitude=rng.uniform(48.0, 53.4),
            longitude=rng.uniform(7.2, 13.2),
            darks_from=dark_times(Random(f"{self._seed}/dark/{number}"), self._start, every_days, certain),
        )

    def _build(self, place: int, site: Site, number: int) -> Charger:
        # A generator of random numbers for each, so that no charger's fate hangs on the size of the fleet.
        rng = Random(f"{self._seed}/charger/{place}")
        planned = place % _PLANNED_EVERY == _PLANNED_PLACE
        evse = describe_evse(rng, site, number, planned=planned)
        source = site.operator.source
        self._inventory.append(
            {
                "type": EventType.EVSE_UPSERTED.value,
                "event_id": f"{evse['uid']}:0",
                "evse_uid": evse["uid"],
                "occurred_at": rfc3339(self._start),
                "received_at": rfc3339(self._start),
                "source": source,
                "evse": evse,
            }
        )
        begin = self._start + draw_span(rng, *(span * DAY for span in _COMMISSION_DAYS)) if planned else None
        if begin is None:
            begin = self._start + draw_span(rng, SECOND, MINUTE)
        charger = Charger(evse, source, self._traits(rng, place), rng, begin)
        shares = _SHARES[len(charger.connectors)]
        sessions = [
            Sessions(charger, connector, site.kind, share)
            for connector, share in zip(charger.connectors, shares, strict=True)
        ]
        link = self._links[charger.uid] = Link(charger, site, sessions, self._live_from)
        upkeep = Upkeep(charger, site, sessions, link)
        charger.at(begin, lambda moment, _: self._commission(moment, sessions, link, upkeep))
        if self._live_from is not None and (site.number, number) == _FIRST_TO_LOSE_POWER:
            charger.at(self._live_from + _LOSES_POWER_AFTER, link.lose_power, link.draw_power_loss())
        if place % _REMOVED_EVERY == _REMOVED_PLACE:
            upkeep.plan_removal(self._start + draw_span(rng, *(span * DAY for span in _REMOVAL_DAYS)))
        return charger

    def _traits(self, rng: Random, place: int) -> Traits:
        traits = draw_traits(rng, place)
        if self._heartbeat_interval_s is None:
            return traits
        return replace(traits, heartbeat_interval_s=self._heartbeat_interval_s)

    @staticmethod
    def _commission(moment: int, sessions: list[Sessions], link: Link, upkeep: Upkeep) -> None:
        link.start(moment)
        for one in sessions:
            one.await_driver(moment + HOUR // 60)
        upkeep.start(moment)
