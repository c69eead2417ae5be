"""How the loop is set, as one frozen value; this module reads no environment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from service.domain.time import MINUTE, Micros
from service.processing.dead_letters import OffsetRange, Skips
from service.processing.health import HealthLimits
from service.processing.ports import Clock, LedgerReader, Log, Publisher, ViewStore
from service.processing.retry import Backoff
from service.processing.silence import SilenceRules
from service.processing.tracing import NoTracing, Tracing


async def unchecked() -> None:
    """Take the topics for what they have to be: of a broker in memory, and of one without administration."""


@dataclass(frozen=True, slots=True)
class Ports:
    """
    The parts outside that the loop talks to; snapshots are read back where the ledger is not enough.

    `check_topics` raises `Unusable` where the topics are not as they have to be.
    """

    log: Log
    publisher: Publisher
    store: ViewStore
    clock: Clock
    ledger: LedgerReader
    snapshots: LedgerReader
    tracing: Tracing = field(default_factory=NoTracing)
    check_topics: Callable[[], Awaitable[None]] = unchecked


@dataclass(frozen=True, slots=True)
class Options:
    """
    What can be chosen; sizes in bytes, spans in seconds as their names say.

    `topics`: the input topics; the place in this order decides ties, so a new topic is appended.
    `partitions`: so many has each of them, as was found at the start; 0 where nobody has counted.
    `source`: what stands in `ce_source` of everything written.
    `commit_every_s`: what is done is committed so often, and as soon as nothing more comes.
    `drain_budget_s`: how long a revocation waits for the batch in hand; below the session timeout.
    `last_check_s`: how long a worker looks after late sends at its end, at most.
    `max_rejections_in_a_row`: the one that reaches it stops the worker; 0 for no limit.
    `accepted`: dead letters that do not count towards it; `skipped`: records that become dead letters unread.
    `late_after_s`: when a send took longer than this from its save to its acks, the view is asked whether
    another worker has gone on meanwhile; a third of the session timeout (promise P7).
    `survey_interval_s`: how often the view is looked at, and `watch_interval_s` the log and the deadlines.
    `silence` and `ingest_silent_after`: when silence is noticed, of an EVSE and of a partition (promise P5).
    `states_limit`: states kept in memory; the least recently heard go first and are loaded again when needed.
    `states_idle_after_s`: states of EVSEs that were not heard for so long go, too; infinite for never.
    `tick_interval_s`: how often every snapshot is published anew; 0 for never.
    `standings_interval_s`, `windows_interval_s`: how often the fleet is counted by status and by uptime, for
    metrics alone, and with the former silences that are not declared; 0 for never. `windows_first_after_s`:
    so long after the start by uptime for the first time.
    `tick_share`: EVSEs that one turn of the loop refreshes at most, and whose bases it writes at most.
    `bases_at_once`: write bases whenever something was processed since the last, and not when a day closes.
    """

    topics: tuple[str, ...] = ("evse.events",)
    partitions: int = 0
    topic_prefix: str = "evse."
    source: str = "evse-status"
    max_batch_records: int = 50_000
    max_record_bytes: int = 1_048_576
    max_dead_letter_bytes: int = 1_048_576 + 65_536
    fetch_timeout_s: float = 0.5
    commit_every_s: float = 0.1
    drain_budget_s: float = 15.0
    last_check_s: float = 5.0
    survey_interval_s: float = 5.0
    max_rejections_in_a_row: int = 100
    accepted: frozenset[OffsetRange] = frozenset()
    skipped: Skips = field(default_factory=Skips)
    late_after_s: float = 10.0
    silence: SilenceRules = field(default_factory=SilenceRules)
    ingest_silent_after: Micros = 5 * MINUTE
    watch_interval_s: float = 1.0
    states_limit: int = 200_000
    states_idle_after_s: float = 1800.0
    tick_interval_s: float = 3600.0
    tick_share: int = 200
    bases_at_once: bool = False
    standings_interval_s: float = 30.0
    windows_interval_s: float = 3600.0
    windows_first_after_s: float = 120.0
    backoff: Backoff = field(default_factory=Backoff)
    health: HealthLimits = field(default_factory=HealthLimits)
