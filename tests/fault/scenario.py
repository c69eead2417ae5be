"""What a seed decides: who works, and what goes wrong when. Values only; nothing is done here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from tests.fault.stage import PLACES
from tests.fault.striking import Strike
from tests.faults import When
from tests.proxy import Point


class Kind(StrEnum):
    """A kind of fault."""

    KILL = "worker killed"
    KILL_AT_CALL = "worker killed at a call"
    JOIN = "worker joins"
    LEAVE = "worker leaves"
    PAUSE = "worker paused"
    WORKER_OUT_OF_SIGHT = "worker out of sight"
    KAFKA_CUT = "kafka connections cut"
    KAFKA_CUT_IN_CALL = "kafka cut in a call"
    KAFKA_DELAYED = "kafka delayed"
    KAFKA_OUT_OF_SIGHT = "kafka out of sight"
    BROKER_STOPPED = "broker stopped"
    BROKER_KILLED = "broker killed"
    REDIS_CUT = "redis connections cut"
    REDIS_CUT_IN_CALL = "redis cut in a call"
    REDIS_DELAYED = "redis delayed"
    REDIS_OUT_OF_SIGHT = "redis out of sight"
    REDIS_FULL = "redis out of memory"
    REDIS_READ_ONLY = "redis read-only"
    REDIS_SLOW = "redis slow"
    REDIS_EMPTIED = "redis emptied"
    REDIS_RESTORED = "redis restored from a dump"
    REDIS_FAILED_OVER = "redis failed over"
    SLOTS_MOVED = "cluster's slots moved"
    LOG_CUT = "log cut behind the bases"
    LEDGER_DELETED = "ledger deleted"


LONG = frozenset({Kind.PAUSE, Kind.WORKER_OUT_OF_SIGHT, Kind.KAFKA_OUT_OF_SIGHT, Kind.REDIS_OUT_OF_SIGHT})
"""Last beside what else happens, until long after a session is over and others have taken over."""

BROKER = frozenset({Kind.BROKER_STOPPED, Kind.BROKER_KILLED})

VIEW_LOST = frozenset({Kind.REDIS_EMPTIED, Kind.REDIS_RESTORED, Kind.REDIS_FAILED_OVER})
"""After these the view has forgotten what it had acknowledged."""

ONE_SERVER = frozenset(
    {
        Kind.WORKER_OUT_OF_SIGHT,
        Kind.REDIS_CUT,
        Kind.REDIS_CUT_IN_CALL,
        Kind.REDIS_DELAYED,
        Kind.REDIS_OUT_OF_SIGHT,
        Kind.REDIS_READ_ONLY,
    }
)
"""What is done to a view on one server only: a cluster tells workers its own addresses, past all proxies."""

CLUSTER = frozenset({Kind.SLOTS_MOVED})

_MOST = ((LONG, 2), (BROKER, 1), (VIEW_LOST, 2), (frozenset({Kind.LEDGER_DELETED}), 1))
"""So many of a scenario's faults at most, for the sake of time."""

_WEIGHTS: Mapping[Kind, float] = {
    Kind.KILL: 2,
    Kind.KILL_AT_CALL: 4,
    Kind.PAUSE: 3,
    Kind.WORKER_OUT_OF_SIGHT: 3,
    Kind.KAFKA_CUT_IN_CALL: 2,
    Kind.REDIS_CUT_IN_CALL: 2,
    Kind.BROKER_STOPPED: 0.7,
    Kind.BROKER_KILLED: 0.7,
    Kind.REDIS_EMPTIED: 1.5,
    Kind.REDIS_RESTORED: 1.5,
    Kind.REDIS_FAILED_OVER: 2,
    Kind.LOG_CUT: 1.5,
    Kind.LEDGER_DELETED: 1.5,
    Kind.SLOTS_MOVED: 5,
}
"""How often a kind is drawn, against the 1 of those left out: what finds most comes most."""

_IN_A_CLUSTER = 0.2
_FAULTS = (5, 8)
# A session is over after 6 s, and the others know of it after more than one further.
_LONG_S = (9.0, 10.5)
_SHORT_S = (0.2, 1.2)
_MOST_CALLS = 12
_STRIKES = 20
_STRUCK = (
    "store.save",
    "store.save",
    "publisher.publish",
    "publisher.publish",
    "store.save_checkpoints",
    "log.commit",
)


@dataclass(frozen=True)
class Fault:
    """
    One thing that goes wrong.

    `place`: the worker it is about, or the next one there is. `after_s` counts from the beginning of its
    step, in which records are written; `lasting_s` is how long it holds. `prepared`: the step at which a dump
    is made, or a replica begins to lag. `point` and `call` say which request is cut, and where.
    """

    kind: Kind
    place: int
    after_s: float
    lasting_s: float
    prepared: int
    point: Point
    call: int


@dataclass(frozen=True)
class Scenario:
    """
    A scenario, as its seed has it.

    `static`: workers have names that outlive their processes. `gaps`: they write to the log where nothing was
    heard. `midnight_s`: when the day closes on the workers' clock, from the beginning on. `kills` and
    `pauses`: for each place, where the workers there end or stop when they are told to, one after the other.
    """

    seed: int
    server: str
    cluster: bool
    workers: int
    static: bool
    batch_records: int
    state_limit: int
    gaps: bool
    midnight_s: float
    faults: tuple[Fault, ...]
    kills: tuple[tuple[Strike, ...], ...]
    pauses: tuple[tuple[Strike, ...], ...]
    chunks: int


def scenario(seed: int, kinds: Collection[Kind] = frozenset(Kind)) -> Scenario:
    """Draw a scenario with faults of these kinds."""
    rng = Random(f"{seed}/scenario")
    cluster = rng.random() < _IN_A_CLUSTER
    drawn = _kinds(rng, sorted(frozenset(kinds) - (ONE_SERVER if cluster else CLUSTER)))
    return Scenario(
        seed=seed,
        server=("redis", "valkey")[seed % 2],
        cluster=cluster,
        workers=rng.choice((2, 2, 3, 3, 4)),
        static=rng.random() < 0.6,
        batch_records=rng.choice((10, 20, 50)),
        state_limit=rng.choice((8, 200_000)),
        gaps=rng.random() < 0.3,
        midnight_s=rng.uniform(0.5, 4.0),
        faults=tuple(_fault(rng, kind, step) for step, kind in enumerate(drawn)),
        kills=tuple(_strikes(rng, by_number=0.5) for _ in range(PLACES)),
        pauses=tuple(_strikes(rng, by_number=0.0) for _ in range(PLACES)),
        chunks=rng.choice((1, 4, 12)),
    )


def _kinds(rng: Random, kinds: Sequence[Kind]) -> list[Kind]:
    """Draw kinds by their weights, but of what takes long only a few."""
    wanted = rng.randint(*_FAULTS)
    drawn: list[Kind] = []
    while len(drawn) < wanted:
        open_kinds = [
            kind
            for kind in kinds
            if all(kind not in group or sum(one in group for one in drawn) < most for group, most in _MOST)
        ]
        if not open_kinds:
            break
        drawn += rng.choices(open_kinds, [_WEIGHTS.get(kind, 1) for kind in open_kinds])
        lost = [kind for kind in open_kinds if kind in VIEW_LOST]
        if drawn[-1] is Kind.LOG_CUT and lost:
            # Nobody misses the log before.
            drawn.append(rng.choice(lost))
    return drawn


def _fault(rng: Random, kind: Kind, step: int) -> Fault:
    return Fault(
        kind=kind,
        place=rng.randrange(PLACES),
        after_s=rng.uniform(0.0, 0.4),
        lasting_s=rng.uniform(*(_LONG_S if kind in LONG else _SHORT_S)),
        prepared=rng.randint(max(0, step - 2), step),
        point=rng.choice((Point.REQUEST, Point.HALF_WAY, Point.REPLY)),
        call=rng.randrange(1 << 16),
    )


def _strikes(rng: Random, by_number: float) -> tuple[Strike, ...]:
    """Draw strikes at any call, by that share, and else at those that change something."""
    return tuple(
        Strike(
            rng.randrange(_MOST_CALLS) if rng.random() < by_number else rng.choice(_STRUCK),
            rng.choice(tuple(When)),
        )
        for _ in range(_STRIKES)
    )
