"""
What a fleet needs, as arithmetic over what was measured: cores, partitions, memory, disk.

Pure: a fleet in, a list of needs out, each with how it comes about and the constants in it. Everything is
for after so many days of history as the fleet is asked for, since history is most of what is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.domain.rules import KEPT_DAYS
from service.sizing import constants as measured
from service.sizing.constants import Constant

_DAY_S = 86_400
_HOURS = 24

GB = 1e9
MB = 1e6

EVSES_A_PARTITION = 20_000
"""At most, since one worker restores a partition by itself."""

_HEARD_WITHIN_S = 1_800
"""`STATE_IDLE_AFTER`: who is heard as often is always in the memory of a worker."""

_STATE_LIMIT = 200_000
"""`STATE_LIMIT`: so many states are in the memory of one worker, at most."""

RESIDENT = 1.4
"""What is resident of a worker for each byte that its states were given: the rest lies between them."""

_RECENT_DAYS = 2
"""`ALLOWED_LATENESS`: reports of this time may still be corrected, and are kept one by one."""

_TICKS_A_DAY = 24
"""`TICK_INTERVAL` of an hour: so often every snapshot is saved and published anew."""

_TRANSITION_DAYS = 7
"""What Kafka keeps of a topic unless it is told otherwise."""

_UNCLEANED = 2
"""A compacted topic is cleaned when half of it is old (`min.cleanable.dirty.ratio`), the usual half."""

_SEGMENT = 2**30
"""`segment.bytes`: the newest segment of a partition is never compacted."""

_SEGMENT_DAYS = 7
"""`segment.ms`: after this long a segment is closed, full or not."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """
    What is to be carried. `events_a_day`: records of an EVSE, heartbeats aside.

    `flaps`: how often a day an EVSE goes offline and comes back, two of these events. `heartbeat_s` 0: none.
    `headroom`: the share of a core and of Redis's memory that is left free; `peak`: the busiest hour by the
    mean.
    """

    evses: int
    connectors: int = 2
    events_a_day: float = 40.0
    flaps: float = 0.2
    heartbeat_s: float = 300.0
    history_days: int = KEPT_DAYS
    retention_days: float = 5.0
    replication: int = 3
    peak: float = 4.0
    headroom: float = 0.25
    shard_gb: float = 16.0
    compiled: bool = False

    @property
    def heartbeats_a_day(self) -> float:
        return _DAY_S / self.heartbeat_s if self.heartbeat_s else 0.0

    @property
    def records_a_day(self) -> float:
        """Of one EVSE."""
        return self.events_a_day + self.heartbeats_a_day

    @property
    def rate(self) -> float:
        """Records a second, in the mean."""
        return self.evses * self.records_a_day / _DAY_S

    @property
    def busiest(self) -> float:
        """Records a second in the busiest hour."""
        return self.rate * self.peak

    @property
    def links_a_day(self) -> float:
        return 2 * self.flaps

    @property
    def statuses_a_day(self) -> float:
        return self.events_a_day - self.links_a_day

    @property
    def flaps_kept(self) -> float:
        return self.flaps * self.history_days


@dataclass(frozen=True, slots=True)
class Need:
    """One line: how much of what, how it comes about, and what was measured for it."""

    part: str
    what: str
    amount: float
    unit: str
    how: str
    constants: tuple[Constant, ...] = ()


@dataclass(frozen=True, slots=True)
class Sizing:
    """What a fleet needs; `needs` in the order in which it is read."""

    fleet: Fleet
    needs: Sequence[Need]

    def amount(self, part: str, what: str) -> float:
        """Give the amount of one line."""
        return next(each.amount for each in self.needs if (each.part, each.what) == (part, what))


def size(fleet: Fleet) -> Sizing:
    """Work out what a fleet needs."""
    cores = _cores(fleet)
    workers = _up(cores / (1 - fleet.headroom))
    partitions = partitions_for(workers, fleet.evses)
    needs = [
        *_load(fleet),
        *_workers(fleet, cores, workers, partitions),
        *_redis(fleet),
        *_kafka(fleet, partitions),
    ]
    return Sizing(fleet, needs)


def partitions_for(workers: int, evses: int) -> int:
    """Give the power of two at which workers can be doubled once, and no partition has too many EVSEs."""
    needed = max(2 * workers, math.ceil(evses / EVSES_A_PARTITION), 1)
    return 1 << (needed - 1).bit_length()


def state_bytes(fleet: Fleet) -> float:
    """Give what an EVSE that is heard takes in the memory of a worker, as resident."""
    return RESIDENT * _kept(
        fleet,
        (measured.STATE, measured.STATE_STATUS, measured.STATE_HEARTBEAT),
        (measured.STATE_DAY, measured.STATE_FLAP),
    )


def redis_bytes(fleet: Fleet) -> float:
    """Give what an EVSE takes in Redis."""
    return _kept(
        fleet,
        (measured.REDIS_EVSE, measured.REDIS_STATUS, measured.REDIS_HEARTBEAT),
        (measured.REDIS_DAY, measured.REDIS_FLAP),
    )


def ledger_bytes(fleet: Fleet) -> float:
    """Give what an EVSE takes in the ledger, once it is compacted."""
    return _kept(
        fleet,
        (measured.BASE, measured.BASE_STATUS, measured.BASE_HEARTBEAT),
        (measured.LEDGER_DAY, measured.LEDGER_FLAP),
    )


_History = tuple[Constant, Constant]
_Recent = tuple[Constant, Constant, Constant]


def _kept(fleet: Fleet, recent: _Recent, history: _History) -> float:
    """Add up an EVSE: itself, its recent reports and heartbeats, then its closed days and offline spans."""
    day, flap = history
    return (
        _recent(fleet, recent)
        + fleet.history_days * day.of(fleet.connectors)
        + fleet.flaps_kept * flap.of(fleet.connectors)
    )


def _recent(fleet: Fleet, constants: _Recent) -> float:
    evse, report, heartbeat = constants
    return (
        evse.of(fleet.connectors)
        + _RECENT_DAYS * fleet.events_a_day * report.value
        + _RECENT_DAYS * fleet.heartbeats_a_day * heartbeat.value
    )


def _cpu(fleet: Fleet) -> tuple[float, str, tuple[Constant, ...]]:
    """Give the microseconds that a record takes, how they come about, and what was measured for them."""
    us, how = measured.CPU.value, f"{measured.CPU.value:g} µs a record, each a save of its own"
    if not fleet.compiled:
        return us, how, (measured.CPU,)
    share = measured.WAITING_COMPILED.value / measured.WAITING.value
    return (
        us * share,
        f"{how}; compiled {share:.0%} of it, as of a log that waits",
        (measured.CPU, measured.WAITING_COMPILED, measured.WAITING),
    )


def _cores(fleet: Fleet) -> float:
    """Give the cores that the busiest hour takes; a refresh by the slow tick counts as a record."""
    ticks = fleet.evses * _TICKS_A_DAY / _DAY_S
    us, _, _ = _cpu(fleet)
    return (fleet.busiest + ticks) * us / 1e6


def _heard(fleet: Fleet) -> float:
    """Give the share of EVSEs that were heard within the time that states are held."""
    return min(1.0, fleet.records_a_day * _HEARD_WITHIN_S / _DAY_S)


def _load(fleet: Fleet) -> Iterator[Need]:
    a_day = f"{fleet.events_a_day:g} events and {fleet.heartbeats_a_day:g} heartbeats of an EVSE a day"
    yield Need("log", "records, mean", fleet.rate, "records/s", f"{fleet.evses:,} EVSEs, {a_day}")
    yield Need(
        "log",
        "records, busiest hour",
        fleet.busiest,
        "records/s",
        f"the mean times {fleet.peak:g} (peak factor)",
    )


def _workers(fleet: Fleet, cores: float, workers: int, partitions: int) -> Iterator[Need]:
    _, how, cpu = _cpu(fleet)
    yield Need(
        "workers",
        "CPU, busiest hour",
        cores,
        "cores",
        f"{how}; each snapshot of the hourly tick counts as a record",
        cpu,
    )
    yield Need(
        "workers",
        "workers",
        workers,
        "",
        f"one core each, of which {fleet.headroom:.0%} stays free in the busiest hour",
        cpu,
    )
    yield Need(
        "workers",
        "partitions",
        partitions,
        "",
        f"two a worker, at most {EVSES_A_PARTITION:,} EVSEs in each, rounded up to a power of two",
    )
    held = min(fleet.evses * _heard(fleet), workers * _STATE_LIMIT)
    state = state_bytes(fleet)
    yield Need(
        "workers",
        "memory, all",
        held * state + (fleet.evses - held) * measured.IDLE.value + workers * measured.WORKER.value * MB,
        "bytes",
        f"{state / 1e3:,.0f} kB for each of {held:,.0f} EVSEs that are heard within 30 minutes "
        f"(STATE_LIMIT: {_STATE_LIMIT:,} a worker), {measured.IDLE.value / 1e3:.1f} kB for each other one",
        (
            measured.STATE,
            measured.STATE_STATUS,
            measured.STATE_HEARTBEAT,
            measured.STATE_DAY,
            measured.STATE_FLAP,
            measured.IDLE,
            measured.WORKER,
        ),
    )


def _redis(fleet: Fleet) -> Iterator[Need]:
    each = redis_bytes(fleet)
    memory = fleet.evses * each
    kept = (
        measured.REDIS_EVSE,
        measured.REDIS_STATUS,
        measured.REDIS_HEARTBEAT,
        measured.REDIS_DAY,
        measured.REDIS_FLAP,
    )
    yield Need(
        "Redis",
        "memory, primaries",
        memory,
        "bytes",
        f"{each / 1e3:,.0f} kB an EVSE: itself, {_RECENT_DAYS} days of reports, {fleet.history_days} days "
        f"of history with {fleet.flaps_kept:,.0f} offline spans",
        kept,
    )
    yield Need(
        "Redis",
        "shards",
        _up(memory / (1 - fleet.headroom) / (fleet.shard_gb * GB)),
        "",
        f"{fleet.shard_gb:g} GB each, of which {fleet.headroom:.0%} stays free; a replica of each doubles it",
        kept,
    )
    saved, whole = _saved(fleet)
    yield Need(
        "Redis",
        "writes, busiest hour",
        fleet.busiest * saved,
        "bytes/s",
        f"{saved / 1e3:,.1f} kB a save, one for each record at most, of which one an hour writes all of "
        f"a state, {whole / 1e3:,.0f} kB",
        (measured.SAVED, measured.WHOLE, measured.WHOLE_STATUS, measured.WHOLE_HEARTBEAT),
    )
    yield Need(
        "Redis",
        "writes to the lists, one shard",
        fleet.evses * fleet.events_a_day * fleet.peak / _DAY_S,
        "writes/s",
        "each event that is no heartbeat may move an EVSE in the lists, which hang on one slot",
    )


def _saved(fleet: Fleet) -> tuple[float, float]:
    """
    Give the bytes of a save in the mean of a day, and of a whole state.

    What is not written as a whole has what was added since: half of what an hour adds, in the mean.
    """
    whole = _recent(fleet, (measured.WHOLE, measured.WHOLE_STATUS, measured.WHOLE_HEARTBEAT))
    an_hour = (whole - measured.WHOLE.of(fleet.connectors)) / (_RECENT_DAYS * _HOURS)
    wholes = min(1.0, _HOURS / fleet.records_a_day)
    return measured.SAVED.of(fleet.connectors) + wholes * whole + (1 - wholes) * an_hour / 2, whole


def _kafka(fleet: Fleet, partitions: int) -> Iterator[Need]:
    of_input = (
        fleet.statuses_a_day * measured.INPUT_STATUS.value
        + fleet.links_a_day * measured.INPUT_LINK.value
        + fleet.heartbeats_a_day * measured.INPUT_HEARTBEAT.value
    )
    inputs = (measured.INPUT_STATUS, measured.INPUT_LINK, measured.INPUT_HEARTBEAT)
    yield _disk(
        fleet,
        "input",
        fleet.evses * of_input * fleet.retention_days,
        f"{of_input / 1e3:,.1f} kB an EVSE and day, uncompressed, {fleet.retention_days:g} days (retention)",
        inputs,
    )
    yield Need(
        "Kafka",
        "input written, busiest hour",
        fleet.evses * of_input / _DAY_S * fleet.peak,
        "bytes/s",
        f"the same a second, times {fleet.peak:g}",
        inputs,
    )
    snapshot = measured.SNAPSHOT.of(fleet.connectors)
    snapshots_a_day = fleet.events_a_day + _TICKS_A_DAY
    yield _disk(
        fleet,
        "snapshots",
        _compacted(fleet.evses * snapshot, fleet.evses * snapshots_a_day * snapshot, partitions),
        f"{snapshot / 1e3:,.1f} kB each, {_COMPACTED}; {snapshots_a_day:g} are written of an EVSE a day",
        (measured.SNAPSHOT,),
    )
    yield _disk(
        fleet,
        "transitions",
        fleet.evses * fleet.statuses_a_day * measured.TRANSITION.value * _TRANSITION_DAYS,
        f"{measured.TRANSITION.value:.0f} B for each status, {_TRANSITION_DAYS} days (Kafka's own default)",
        (measured.TRANSITION,),
    )
    each = ledger_bytes(fleet)
    bases = _recent(fleet, (measured.BASE, measured.BASE_STATUS, measured.BASE_HEARTBEAT))
    yield _disk(
        fleet,
        "ledger",
        _compacted(fleet.evses * each, fleet.evses * bases, partitions),
        f"{each / 1e3:,.0f} kB an EVSE: a base and {fleet.history_days} days of history, {_COMPACTED}",
        (
            measured.BASE,
            measured.BASE_STATUS,
            measured.BASE_HEARTBEAT,
            measured.LEDGER_DAY,
            measured.LEDGER_FLAP,
        ),
    )


_COMPACTED = "twice until it is cleaned, and a segment of up to 1 GiB a partition"


def _compacted(kept: float, written_a_day: float, partitions: int) -> float:
    """Give what a compacted topic takes at most: until it is cleaned, with its newest segments."""
    newest = min(partitions * _SEGMENT, written_a_day * _SEGMENT_DAYS)
    return _UNCLEANED * kept + newest


def _disk(fleet: Fleet, topic: str, a_replica: float, how: str, constants: tuple[Constant, ...]) -> Need:
    """Give the line of a topic's disk, all replicas together."""
    return Need(
        "Kafka",
        f"disk, {topic}",
        a_replica * fleet.replication,
        "bytes",
        f"{how}; {fleet.replication} replicas",
        constants,
    )


def _up(amount: float) -> int:
    """Round up, to one at least; what floats add behind the last digit counts for nothing."""
    return max(1, math.ceil(round(amount, 9)))
