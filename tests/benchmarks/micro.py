"""
The steps that wait for nobody, by themselves: decode, fold, plan and spell out, over a log in memory.

`python -m tests.benchmarks.micro` prints microseconds of CPU a record; `--profile` says where they go.
Under `valgrind --tool=callgrind` or `perf stat` it counts instructions, which noise does not move.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import itertools
import pstats
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from schemas.view import Keys
from service.adapters.view_words import calls, save_arguments
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.domain.time import SECOND
from service.processing.decoding import decode
from service.processing.outputs import Topics
from service.processing.planning import Plan, Planning, grouped, plan
from service.processing.ports import Record
from service.processing.rejection import Rejection
from service.processing.sifting import Item
from service.processing.states import Held, new_position
from tests.benchmarks.jobs import JOBS, Entry, Size, inventory

_TOPIC = "evse.events"
_BEGIN = 1_767_571_200 * SECOND


class Line:
    """One worker's steps without its ports."""

    def __init__(self) -> None:
        self.planning = Planning(Rules(), Topics.with_prefix("evse.", "evse-status"), (_TOPIC,))
        self.held: dict[str, Held] = {}
        self.keys = Keys("evse:")
        self.took: Counter[str] = Counter()
        self.sizes: Counter[str] = Counter()

    def take(self, records: Sequence[Record]) -> None:
        """Take one batch through the steps."""
        clock = time.process_time_ns
        at = clock()
        items = list(self._decoded(records))
        at = self._took("decode", at)
        plans = []
        for uid, group in grouped(items).items():
            held = self.held.get(uid)
            if held is None:
                held = self.held[uid] = Held(EvseState(uid), new_position(0, 1))
            plans.append(plan(uid, group, held, self.planning))
        at = self._took("plan", at)
        for some in calls([each.write for each in plans if each.write is not None]):
            save_arguments(self.keys, some)
        at = self._took("spell out", at)
        for each in plans:
            each.saved()
            each.published()
        self._took("saved", at)
        self._weigh(plans)

    def _took(self, step: str, since: int) -> int:
        now = time.process_time_ns()
        self.took[step] += now - since
        return now

    def _weigh(self, plans: Iterable[Plan]) -> None:
        for each in plans:
            if each.write is not None:
                self.sizes["state"] += len(each.write.state)
                self.sizes["document"] += sum(map(len, each.write.document.values()))
            self.sizes["messages"] += sum(len(message.value or b"") for message in each.messages)

    def _decoded(self, records: Iterable[Record]) -> Iterator[Item]:
        for record in records:
            event = decode(
                record.value,
                key=record.key,
                headers=record.headers,
                position=self.planning.position(record),
                record_time=record.timestamp,
            )
            if isinstance(event, Rejection):
                raise TypeError(f"a job holds no rejections: {event}")
            yield Item(record, event)


def _records(entries: Iterable[Entry], first: int) -> Iterator[Record]:
    for number, entry in enumerate(entries, first):
        yield Record(_TOPIC, entry.partition, number, entry.timestamp, entry.key, entry.value)


def _batches(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    rest = iter(records)
    while batch := list(itertools.islice(rest, size)):
        yield batch


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.micro", description=__doc__)
    parser.add_argument("--job", choices=sorted(JOBS), default="reference")
    parser.add_argument("--records", type=int, default=40_000)
    parser.add_argument("--evses", type=int, default=400)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    size = Size(arguments.records, arguments.evses, _BEGIN)
    line = Line()
    begun = list(_records(inventory(size), 0))
    for batch in _batches(begun, arguments.batch):
        line.take(batch)
    records = list(_records(JOBS[arguments.job](size), len(begun)))
    gc.freeze()
    gc.set_threshold(50_000)
    line.took.clear()
    line.sizes.clear()
    profile = cProfile.Profile()
    if arguments.profile:
        profile.enable()
    for batch in _batches(records, arguments.batch):
        line.take(batch)
    if arguments.profile:
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
    count = len(records)
    for step, took in line.took.items():
        sys.stdout.write(f"{step:12}{took / count / 1000:9.2f} µs a record\n")
    sys.stdout.write(f"{'together':12}{line.took.total() / count / 1000:9.2f} µs a record\n")
    for what, amount in line.sizes.items():
        sys.stdout.write(f"{what:12}{amount / count:9.0f} bytes a record\n")


if __name__ == "__main__":
    main()
