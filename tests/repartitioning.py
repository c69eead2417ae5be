"""`rebuild --repartition` in memory: what `service.maintenance` does with a real broker, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from zlib import crc32

from service.adapters.memory import MemoryBroker, MemoryLedger
from service.adapters.memory_view import MemoryViewStore
from service.layouts import Layouts, Outlook, Partitioner, Producers, Prospect, Side
from service.processing.outputs import Topics
from service.processing.values import Commit, Epochs, Resend, TopicPartition
from service.repartition import Repartition
from tests.driver import GROUP, Driver
from tests.faults import Crash, FaultyPublisher, FaultyStore


class MemoryGroup:
    """A consumer group of a broker in memory, from the outside."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self.present = 0

    async def members(self) -> int:
        return self.present

    async def committed(self) -> dict[TopicPartition, Commit]:
        group = self._broker.group(GROUP)
        found = {place: group.commit_of(place) for place in group.committed}
        return {place: commit for place, commit in found.items() if commit is not None}

    async def partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        return [place for topic in topics for place in self._broker.partitions_of(topic)]

    async def begins(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: self._broker.begin(place) for place in partitions}

    async def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: self._broker.end(place) for place in partitions}

    async def topic_ids(self, topics: Sequence[str]) -> dict[str, str]:
        found = {topic: self._broker.id_of(topic) for topic in topics}
        return {topic: each for topic, each in found.items() if each is not None}

    async def has_records(self, partition: TopicPartition, start: int, end: int) -> bool:
        return max(start, self._broker.begin(partition)) < end


def by_crc32(key: bytes, partitions: int) -> int:
    """Give the partition of a key as the driver does."""
    return crc32(key) % partitions


def by_length(key: bytes, partitions: int) -> int:
    """Give the partition of a key as nobody does."""
    return len(key) % partitions


class Repartitioning:
    """Takes what lies around a driver to its new layout; the driver's worker must be stopped."""

    def __init__(
        self, driver: Driver, chosen: str = "crc32", old: str = "evse.", inputs: tuple[str, ...] = ()
    ) -> None:
        self._driver = driver
        self.group = MemoryGroup(driver.broker)
        self.store = store = FaultyStore(MemoryViewStore(driver.server), driver.faults)
        driver.run(store.start())
        known: Mapping[str, Partitioner] = {"crc32": by_crc32, "length": by_length}
        options = driver.options
        layouts = Layouts(
            self._side(old, inputs or options.topics),
            self._side(options.topic_prefix, options.topics),
            Producers(chosen, known),
        )
        self._old = layouts.old
        self.outlook = Outlook(store, self.group, layouts)
        publisher = FaultyPublisher(driver.publisher, driver.faults)
        silent_after = options.ingest_silent_after
        self.job = Repartition(store, self.group, publisher, driver.clock, layouts, silent_after)

    def _side(self, prefix: str, inputs: tuple[str, ...]) -> Side:
        topics, broker = Topics.with_prefix(prefix, "evse-status"), self._driver.broker
        return Side(
            inputs, topics, MemoryLedger(broker, topics.ledger), MemoryLedger(broker, topics.snapshots)
        )

    def look(self) -> Prospect:
        """Find out what there is to do."""
        return self._driver.run(self.outlook.look())

    def drain(self, prospect: Prospect) -> None:
        """Process what is left of the old layout, and write the bases."""
        driver, partitions = self._driver, prospect.old
        driver.run(self.store.save_epochs(prospect.epochs))
        options = driver.options
        try:
            driver.restart(
                replace(
                    options,
                    topics=self._old.inputs,
                    topic_prefix=self._old.topics.ledger.removesuffix("ledger"),
                    partitions=partitions,
                    tick_interval_s=0.0,
                    bases_at_once=True,
                )
            )
            self._turn_until(lambda: driver.run(self.outlook.drained(partitions)).done)
            driver.stop()
        finally:
            driver.options = options

    def move(self) -> Epochs:
        """Lay out anew, drained as it is."""
        return self._driver.run(self.job.move(self.look()))

    def restore(self) -> None:
        """Start a worker in the new layout, and let it restore and send again what it has to."""
        driver = self._driver
        driver.restart()
        self._turn_until(self._is_restored)

    def _is_restored(self) -> bool:
        epochs, commits = self._driver.server.view.epochs, self._driver.run(self.group.committed())
        places = [
            place
            for topic in self._driver.options.topics
            for place in self._driver.broker.partitions_of(topic)
        ]
        return all(
            (commit := commits.get(place)) is not None
            and commit.generation == epochs.generation
            and commit.resend is Resend.NOTHING
            for place in places
        )

    def _turn_until(self, is_done: Callable[[], bool]) -> None:
        for _ in range(100):
            if is_done():
                return
            self._driver.clock.advance(2.0)
            self._driver.settle()
        raise AssertionError("it comes to no end")

    def all_of_it(self) -> None:
        """Do what the command does."""
        if self.look().is_begun:
            self.move()
        if not (prospect := self.look()).is_done:
            self.drain(prospect)
        self.move()
        self.restore()


def repartition(driver: Driver, partitions: int) -> None:
    """Stop the worker, give all topics so many partitions, and lay all out anew."""
    driver.stop()
    driver.extend(partitions)
    Repartitioning(driver).all_of_it()


def through_crash(driver: Driver, work: Callable[[], None]) -> bool:
    """Do some work; tell whether it died on the way."""
    try:
        work()
    except Crash:
        driver.crash()
        return True
    return False
