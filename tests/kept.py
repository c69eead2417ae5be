"""Folds events and writes what comes of them into a real view, as the worker does, in one save or more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from service.adapters.redis import RedisViewStore
from service.adapters.redis_connection import RedisSettings
from service.domain.events import Event
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.processing.outputs import Topics
from service.processing.planning import Planning, plan
from service.processing.sifting import Item
from service.processing.states import Held, new_position
from service.processing.values import Record, SaveOutcome
from tests.evidence import PARTITION

TOPIC = "evse.events"


@dataclass
class KeptView:
    """One EVSE on its way into a real Redis: each `save` folds some more events and writes what changed."""

    url: str
    uid: str = "e1"
    rules: Rules = field(default_factory=Rules)

    def __post_init__(self) -> None:
        self._held = Held(EvseState(self.uid), new_position(0, 1))
        self._planning = Planning(self.rules, Topics.with_prefix("evse.", "test"), (TOPIC,))

    async def save(self, events: Sequence[Event]) -> None:
        """Fold events and save once."""
        items = [Item(_record(event), event) for event in events]
        made = plan(self.uid, items, self._held, self._planning)
        assert made.write is not None
        store = RedisViewStore(RedisSettings(self.url))
        await store.start()
        assert await store.save([made.write]) == [SaveOutcome.SAVED]
        await store.stop()
        made.saved()


def _record(event: Event) -> Record:
    """Give the record of an event: in this view an offset is the event's position."""
    return Record(TOPIC, PARTITION, event.position, event.at, event.evse_uid.encode(), b"", ())
