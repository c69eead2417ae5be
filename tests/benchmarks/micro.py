"""
The steps that wait for nobody, by themselves: decode, fold, plan and spell out, over a log in memory.

Prints microseconds of CPU a record; `--profile` says where they go, `--instructions` counts instructions,
which what else the machine does hardly moves.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import itertools
import json
import pstats
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from schemas.view import Keys
from service.adapters.view_words import calls, save_arguments
from service.domain.fold import fold
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.domain.time import SECOND
from service.processing.decoding import decode
from service.processing.garbage import calm_collector
from service.processing.outputs import Topics
from service.processing.planning import Plan, Planning, grouped, plan
from service.processing.rejection import Rejection
from service.processing.sifting import Item
from service.processing.states import Held, new_position
from service.processing.values import Record
from tests.benchmarks.instructions import Counter as InstructionCounter
from tests.benchmarks.instructions import find_counter
from tests.benchmarks.jobs import JOBS, Entry, Size, inventory, size_for
from tests.benchmarks.results import Column, table

Json = dict[str, Any]

_TOPIC = "evse.events"
_BEGIN = 1_767_571_200 * SECOND

NOTHING, DECODE, FOLD, PLAN, SPELL_OUT = "nothing", "decode", "fold", "render and plan", "spell out"
STEPS = (DECODE, FOLD, PLAN, SPELL_OUT)
"""Each is what it takes beyond those before it: planning folds, and the rest of it renders and packs."""

TOGETHER = "together"


class Line:
    """One worker's steps without its ports, as far as `until`; `took` holds nanoseconds of CPU by step."""

    def __init__(self) -> None:
        self.planning = Planning(Rules(), Topics.with_prefix("evse.", "evse-status"), (_TOPIC,))
        self.held: dict[str, Held] = {}
        self.keys = Keys("evse:")
        self.took: Counter[str] = Counter()
        self.sizes: Counter[str] = Counter()

    def take(self, records: Sequence[Record], until: str = SPELL_OUT) -> None:
        """Take one batch through the steps."""
        if until == NOTHING:
            return
        at = time.process_time_ns()
        items = list(self._decoded(records))
        at = self._took(DECODE, at)
        if until == DECODE:
            return
        groups = {uid: (group, self._held(uid)) for uid, group in grouped(items).items()}
        if until == FOLD:
            for group, held in groups.values():
                for item in group:
                    fold(held.state, item.event, self.planning.rules)
                held.state.unsaved.clear()
            self._took(FOLD, at)
            return
        plans = [plan(uid, group, held, self.planning) for uid, (group, held) in groups.items()]
        at = self._took(PLAN, at)
        if until == PLAN:
            for each in plans:
                each.saved()
            return
        for some in calls([each.write for each in plans if each.write is not None]):
            save_arguments(self.keys, some)
        self._took(SPELL_OUT, at)
        self._weigh(plans)
        for each in plans:
            each.saved()
            each.published()

    def _held(self, uid: str) -> Held:
        held = self.held.get(uid)
        if held is None:
            held = self.held[uid] = Held(EvseState(uid), new_position(0, 1))
        return held

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


@dataclass(frozen=True, slots=True)
class Micro:
    """What goes through the steps: a job, its records and EVSEs, and how many records a batch has."""

    job: str
    records: int
    evses: int
    batch: int = 1000

    def pass_through(self, until: str = SPELL_OUT, profile: cProfile.Profile | None = None) -> Line:
        """Take the inventory through all steps and the job as far as `until`; only the job is measured."""
        size = size_for(self.job, Size(self.records, self.evses, _BEGIN))
        line = Line()
        begun = list(_records(inventory(size), 0))
        for batch in _batches(begun, self.batch):
            line.take(batch)
        records = list(_records(JOBS[self.job](size), len(begun)))
        line.took.clear()
        line.sizes.clear()
        with _calm_collector():
            if profile is not None:
                profile.enable()
            for batch in _batches(records, self.batch):
                line.take(batch, until)
            if profile is not None:
                profile.disable()
        return line

    def times(self) -> tuple[dict[str, float], dict[str, float]]:
        """Give microseconds of CPU a record by step, and bytes a record by what they are."""
        folded, whole = self.pass_through(FOLD), self.pass_through()
        nanoseconds = {
            DECODE: whole.took[DECODE],
            FOLD: folded.took[FOLD],
            PLAN: whole.took[PLAN] - folded.took[FOLD],
            SPELL_OUT: whole.took[SPELL_OUT],
        }
        times = {step: took / self.records / 1000 for step, took in nanoseconds.items()}
        times[TOGETHER] = whole.took.total() / self.records / 1000
        return times, {what: amount / self.records for what, amount in whole.sizes.items()}

    def instructions(self, counter: InstructionCounter, tree: Path) -> dict[str, float]:
        """
        Count instructions a record by step, with the code in `tree`.

        Each step is what a process takes that goes as far as it, less what one takes that stops before it.
        What is common to them, the start of Python first of all, falls out.
        """
        counts = {until: counter.count(self._command(until), tree) for until in (NOTHING, *STEPS)}
        counted = {
            step: (counts[step] - counts[before]) / self.records
            for before, step in pairwise((NOTHING, *STEPS))
        }
        counted[TOGETHER] = (counts[SPELL_OUT] - counts[NOTHING]) / self.records
        return counted

    def _command(self, until: str) -> list[str]:
        sizes = ["--records", str(self.records), "--evses", str(self.evses), "--batch", str(self.batch)]
        return [
            sys.executable,
            "-m",
            "tests.benchmarks.micro",
            "--job",
            self.job,
            *sizes,
            "--until",
            until,
        ]


@contextmanager
def _calm_collector() -> Iterator[None]:
    """Collect garbage as seldom as the worker does, and leave the collector as it was."""
    before = gc.get_threshold()
    gc.collect()
    calm_collector()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _records(entries: Iterable[Entry], first: int) -> Iterator[Record]:
    for number, entry in enumerate(entries, first):
        yield Record(_TOPIC, entry.partition, number, entry.timestamp, entry.key, entry.value)


def _batches(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    rest = iter(records)
    while batch := list(itertools.islice(rest, size)):
        yield batch


_TABLE = (
    Column("step", "step"),
    Column("us", "CPU µs/record", 2),
    Column("instructions", "instructions/record"),
)

_COUNTED_RECORDS, _COUNTED_EVSES = 2_000, 100
"""Of a job whose instructions are counted, which is some fifty times slower."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.micro", description=__doc__)
    parser.add_argument("--job", choices=sorted(JOBS), default="reference")
    parser.add_argument("--records", type=int)
    parser.add_argument("--evses", type=int)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--profile", action="store_true", help="say where the time goes")
    parser.add_argument("--instructions", action="store_true", help="count instructions, too; takes minutes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--until", choices=(NOTHING, *STEPS), help="only go so far, and print nothing")
    arguments = parser.parse_args()
    counted = arguments.instructions
    micro = Micro(
        arguments.job,
        arguments.records or (_COUNTED_RECORDS if counted else 40_000),
        arguments.evses or (_COUNTED_EVSES if counted else 400),
        arguments.batch,
    )
    if arguments.until:
        micro.pass_through(arguments.until)
    elif arguments.profile:
        profile = cProfile.Profile()
        micro.pass_through(profile=profile)
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
    else:
        sys.stdout.write(_told(micro, counted=counted, as_json=arguments.json))


def _told(micro: Micro, *, counted: bool, as_json: bool) -> str:
    times, sizes = micro.times()
    counter = find_counter() if counted else "not asked for"
    counts = {} if isinstance(counter, str) else micro.instructions(counter, Path.cwd())
    if as_json:
        return json.dumps({"times": times, "sizes": sizes, "instructions": counts}) + "\n"
    rows: list[Json] = [
        {"step": step, "us": took, "instructions": counts.get(step)} for step, took in times.items()
    ]
    text = table(_TABLE[: 3 if counts else 2], rows)
    if counted:
        text += f"\n{counter if isinstance(counter, str) else f'instructions by {counter.name}'}\n"
    return text + "\n" + "".join(f"{what:12}{size:9.0f} bytes a record\n" for what, size in sizes.items())


if __name__ == "__main__":
    main()
