"""
What was measured of one record and one EVSE, with the benchmark, the commit and the machine of each figure.

The figures are those of the results that are kept with the benchmarks; a test holds the two together. This
module computes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """The run that a figure is from. `result`: its file among the kept results."""

    benchmark: str
    commit: str
    machine: str
    result: str


@dataclass(frozen=True, slots=True)
class Constant:
    """
    One figure, and what each connector of the EVSE adds to it.

    `name` is the figure's in its result.
    """

    name: str
    meaning: str
    unit: str
    source: Source
    value: float
    connector: float = 0.0

    def of(self, connectors: int) -> float:
        """Give it for an EVSE with so many connectors."""
        return self.value + connectors * self.connector


_REFERENCE = Source(
    "make bench COMPILED=1",
    "743f87b00d",
    "2 cores of an Intel Xeon, CPython 3.11.7, Valkey 9.1.2, Kafka 4.1.0",
    "743f87b00d-reference.json",
)
_FLAT = Source(
    ".venv/bin/python -m tests.benchmarks.flat --batch 1000 --records 100000 --runs 1",
    "417b01195c",
    "2 cores of an Intel Xeon, CPython 3.11.7, Valkey 9.1.2, Kafka 4.1.0",
    "417b01195c-flat-1000-a-batch.json",
)
_IDLE = Source(
    ".venv/bin/python -m tests.benchmarks.flat --batch 1000 --records 20000 --fleets 1000 --days 1 "
    "--idle 20000 --runs 1",
    "5a5e447604",
    "2 cores of an Intel Xeon, CPython 3.11.7, Valkey 9.1.2, Kafka 4.1.0",
    "5a5e447604-flat-1000-a-batch.json",
)
_SIZES = Source(
    ".venv/bin/python -m tests.benchmarks.sizes",
    "054ac58e3e",
    "2 cores of an Intel Xeon, CPython 3.11.7, Valkey 9.1.2",
    "054ac58e3e-sizes.json",
)

_STATES = Source(
    ".venv/bin/python -m tests.benchmarks.sizes",
    "4f4174ef8e",
    "2 cores of an Intel Xeon, CPython 3.11.7, Valkey 9.1.2",
    "4f4174ef8e-sizes.json",
)
"""Of before a state was written by what was added to it, as the reference job: since then it takes less."""

CPU = Constant(
    "100,000 EVSEs",
    "CPU of a worker that has so many EVSEs, for a record that makes a save of its own",
    "µs",
    _FLAT,
    442.78,
)
"""
What a record costs where the log is read as it is written, so that hardly two of one EVSE come in a batch.

Of the fleets that were measured the largest: in the busiest hour of an ordinary fleet a worker has about as
many when its core is full. With 10,000 EVSEs it is 284 µs, since their states stay in the caches, and with
more than one record a save less; so for fewer EVSEs that say more this reckons high.
"""
WAITING = Constant("worker", "CPU of a worker for a record of a log that waits", "µs", _REFERENCE, 108.56)
WAITING_COMPILED = Constant(
    "compiled worker", "CPU of a compiled worker for a record of a log that waits", "µs", _REFERENCE, 70.76
)
"""Compared with `WAITING`, what compiling saves; as it is written a log was not read by a compiled worker."""
WORKER = Constant("consume", "memory of a worker before it holds any state", "MB", _REFERENCE, 84.664)

IDLE = Constant(
    "idle_evse_bytes", "memory of a worker for an EVSE whose state is not in it", "B", _IDLE, 2_816.0
)

INPUT_STATUS = Constant("input_status", "a status in the input topic", "B", _SIZES, 263.75)
INPUT_LINK = Constant("input_link", "a word about the link in the input topic", "B", _SIZES, 236.0)
INPUT_HEARTBEAT = Constant("input_heartbeat", "a heartbeat in the input topic", "B", _SIZES, 220.0)
SNAPSHOT = Constant("snapshot", "a snapshot", "B", _SIZES, 1_120.0, 1_111.0)
TRANSITION = Constant("transition", "a transition", "B", _SIZES, 505.31)
BASE = Constant("base", "a base in the ledger", "B", _SIZES, 2_092.2, 260.91)
BASE_STATUS = Constant("base_status", "a recent report in a base", "B", _SIZES, 54.85)
BASE_HEARTBEAT = Constant("base_heartbeat", "a recent heartbeat in a base", "B", _SIZES, 4.6816)
LEDGER_DAY = Constant("ledger_day", "a closed day of an EVSE in the ledger", "B", _SIZES, 135.84, 170.96)
LEDGER_FLAP = Constant("ledger_flap", "a closed offline span in the ledger", "B", _SIZES, 767.63, 384.67)

REDIS_EVSE = Constant("redis_evse", "an EVSE without history in Redis", "B", _SIZES, 3_872.7, 2_492.2)
REDIS_STATUS = Constant("redis_status", "a recent report in Redis", "B", _SIZES, 217.87)
REDIS_HEARTBEAT = Constant("redis_heartbeat", "a recent heartbeat in Redis", "B", _SIZES, 20.099)
REDIS_DAY = Constant("redis_day", "a closed day of an EVSE in Redis", "B", _SIZES, 113.71, 185.22)
REDIS_FLAP = Constant("redis_flap", "a closed offline span in Redis", "B", _SIZES, 757.94, 377.85)
SAVED = Constant("saved", "what a save sends that adds nothing to a state", "B", _SIZES, 1_314.0, 1_733.0)
WHOLE = Constant("whole", "a state in Redis as a whole", "B", _SIZES, 1_234.8, 813.38)
WHOLE_STATUS = Constant("whole_status", "a recent report in a state", "B", _SIZES, 209.19)
WHOLE_HEARTBEAT = Constant("whole_heartbeat", "a recent heartbeat in a state", "B", _SIZES, 17.02)

STATE = Constant("memory_evse", "an EVSE without history in a worker", "B", _STATES, 13_577.0, 6_457.0)
STATE_STATUS = Constant("memory_status", "a recent report in a worker", "B", _STATES, 770.29)
STATE_HEARTBEAT = Constant("memory_heartbeat", "a recent heartbeat in a worker", "B", _STATES, 58.201)
STATE_DAY = Constant("memory_day", "a closed day of an EVSE in a worker", "B", _STATES, 29.709, 45.656)
STATE_FLAP = Constant("memory_flap", "a closed offline span in a worker", "B", _STATES, 211.08, 37.088)
