"""
The fleet in numbers: how many EVSEs stand how, and how their windows are, of the partitions a worker owns.

Counted between batches, a share at a time, and never as events come: an event costs nothing more. Only sums
are kept, so an idle EVSE costs no memory either. Several workers add up, as each counts what it owns.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from schemas.vocabulary import Status, TimeClass
from service.domain.rules import Rules
from service.domain.windows import Window, port_window
from service.processing.instruments import Instruments, Online, Part, UptimeBand
from service.processing.options import Options, Ports
from service.processing.owned import Owned
from service.processing.ports import Unavailable
from service.processing.retry import Retrying
from service.processing.values import Standing

_STANDINGS_SHARE = 2_000
_WINDOWS_SHARE = 400
"""In a turn at most: some five milliseconds each (measured)."""

# A word that only a later version knows must not stop this one.
_STATUSES = {status.value: status for status in Status}
_ONLINE = {online.value: online for online in Online}

_BANDS = (
    (0.90, UptimeBand.BELOW_90),
    (0.95, UptimeBand.FROM_90),
    (0.97, UptimeBand.FROM_95),
    (0.99, UptimeBand.FROM_97),
    (0.999, UptimeBand.FROM_99),
)


def band_of(uptime: float | None) -> UptimeBand:
    """Give the band that an uptime lies in; a band begins with its lower bound."""
    if uptime is None:
        return UptimeBand.NONE
    return next((band for below, band in _BANDS if uptime < below), UptimeBand.FROM_99_9)


@dataclass(slots=True)
class Standings:
    """EVSEs of a partition by status and online."""

    evses: Counter[tuple[Status, Online]] = field(default_factory=Counter)

    def add(self, standing: Standing) -> None:
        """Count one EVSE."""
        status = _STATUSES.get(standing.status, Status.UNKNOWN)
        self.evses[status, _ONLINE.get(standing.online, Online.NULL)] += 1


@dataclass(slots=True)
class Windows:
    """EVSEs of a partition by definition and band of uptime, and their windows by class, in microseconds."""

    evses: Counter[tuple[str, UptimeBand]] = field(default_factory=Counter)
    micros: Counter[tuple[str, TimeClass]] = field(default_factory=Counter)

    def add(self, window: Window) -> None:
        """Count one EVSE under one definition."""
        name = window.definition
        self.evses[name, band_of(window.uptime)] += 1
        self.micros[name, TimeClass.UP] += window.up
        self.micros[name, TimeClass.DOWN] += window.down
        self.micros[name, TimeClass.EXCLUDED] += window.excluded
        self.micros[name, TimeClass.UNOBSERVED] += window.unobserved


@dataclass(frozen=True, slots=True)
class Share:
    """Some EVSEs of a partition; `begins` and `ends`: they are its first and last ones of a round."""

    number: int
    uids: list[str]
    begins: bool
    ends: bool


class Round:
    """Goes over the partitions once an interval, a share at a time. Time is in monotonic seconds."""

    def __init__(self, first_at: float, interval_s: float, share: int) -> None:
        """Begin at `first_at` and then every `interval_s` (0: never)."""
        self._next_at = first_at
        self._interval_s = interval_s
        self._share = share
        self._waiting: deque[int] = deque()
        self._number: int | None = None
        self._left: list[str] = []

    def drop(self, number: int) -> None:
        """Leave a partition out of this round."""
        if number in self._waiting:
            self._waiting.remove(number)
        if self._number == number:
            self._number, self._left = None, []

    def due(
        self, now: float, numbers: Callable[[], Iterable[int]], uids_of: Callable[[int], list[str]]
    ) -> Share | None:
        """Give the share that is due; who there is is asked when a round, and a partition in it, begins."""
        if not self._interval_s:
            return None
        if self._number is None and not self._waiting:
            if now < self._next_at:
                return None
            self._next_at = now + self._interval_s
            self._waiting.extend(numbers())
        number, begins = self._number, self._number is None
        if number is None:
            if not self._waiting:
                return None
            number = self._waiting.popleft()
            self._left = uids_of(number)
        some, self._left = self._left[: self._share], self._left[self._share :]
        self._number = number if self._left else None
        return Share(number, some, begins, ends=not self._left)


class Fleet:
    """Counts the EVSEs of the owned partitions; called once a turn."""

    def __init__(
        self,
        ports: Ports,
        options: Options,
        rules: Rules,
        load: Callable[[Iterable[str]], Awaitable[None]],
        owned: Owned,
        retrying: Retrying,
        instruments: Instruments,
    ) -> None:
        now = ports.clock.monotonic()
        self._ports = ports
        self._definitions = rules.definitions
        self._load = load
        self._watching = owned.watching
        self._states = owned.states
        self._retrying = retrying
        self._instruments = instruments
        self._standing = Round(now, options.standings_interval_s, _STANDINGS_SHARE)
        # After a start there is enough to do: the first windows wait.
        first_windows_at = now + min(options.windows_interval_s, options.windows_first_after_s)
        self._measuring = Round(first_windows_at, options.windows_interval_s, _WINDOWS_SHARE)
        self._standings_of: dict[int, Standings] = {}
        self._windows_of: dict[int, Windows] = {}
        self._standings = Standings()
        self._windows = Windows()

    def drop(self, number: int) -> None:
        """Count a partition no longer: whoever has it now does."""
        self._standing.drop(number)
        self._measuring.drop(number)
        if self._standings_of.pop(number, None) is not None:
            self._tell_standings()
        if self._windows_of.pop(number, None) is not None:
            self._tell_windows()

    async def count(self) -> None:
        """Take a share of each round that is due."""
        now = self._ports.clock.monotonic()
        share = self._standing.due(now, self._watching.counted, self._watching.uids_of)
        if share is not None:
            await self._count_standings(share)
        share = self._measuring.due(now, self._watching.counted, self._watching.uids_of)
        if share is not None:
            await self._measure(share)

    async def _count_standings(self, share: Share) -> None:
        try:
            found = await self._ports.store.standings(share.uids)
        except Unavailable as error:
            # Nobody waits for these: the survey goes on asking, and the next round counts.
            self._retrying.unanswered(Part.STORE, error)
            self._standing.drop(share.number)
            return
        if share.begins:
            self._standings = Standings()
        for standing in found.values():
            self._standings.add(standing)
        if share.ends and self._watching.is_counted(share.number):
            self._standings_of[share.number] = self._standings
            self._tell_standings()

    async def _measure(self, share: Share) -> None:
        """Add the windows of these; the states of those that say nothing come from the view for it."""
        try:
            await self._load(share.uids)
        except BaseException:
            self._measuring.drop(share.number)  # the next round begins it anew: half of it is not counted
            raise
        if share.begins:
            self._windows = Windows()
        now = self._ports.clock.now()
        for uid in share.uids:
            held = self._states.peek(uid)
            if held is not None and not held.state.removed:
                as_of = max(now, held.state.as_of)
                for definition in self._definitions:
                    self._windows.add(port_window(held.state, definition, as_of))
        if share.ends:
            self._windows_of[share.number] = self._windows
            self._tell_windows()

    def _tell_standings(self) -> None:
        evses: Counter[tuple[Status, Online]] = Counter()
        for each in self._standings_of.values():
            evses.update(each.evses)
        self._instruments.fleet_stands(evses)

    def _tell_windows(self) -> None:
        evses: Counter[tuple[str, UptimeBand]] = Counter()
        micros: Counter[tuple[str, TimeClass]] = Counter()
        for each in self._windows_of.values():
            evses.update(each.evses)
            micros.update(each.micros)
        self._instruments.fleet_is_up(evses, micros)
