"""Folds events and writes what comes of them into a real view as the store does, in one save or more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas.view import Keys
from schemas.vocabulary import Verdict
from service.adapters.redis import RedisViewStore
from service.adapters.redis_connection import RedisSettings, connect
from service.domain.events import Event
from service.domain.fold import fold
from service.domain.rules import Rules
from service.domain.state import EvseState
from service.processing.rendering import document
from tests.contract.stores import position, write
from tests.evidence import PARTITION


@dataclass
class KeptView:
    """One EVSE on its way into a real Redis: each `save` folds some more events and writes what changed."""

    url: str
    uid: str = "e1"
    rules: Rules = field(default_factory=Rules)

    def __post_init__(self) -> None:
        self.state = EvseState(self.uid, partition=PARTITION)
        self._saves = 0

    async def save(self, events: Sequence[Event]) -> None:
        """Fold events and save once, with the verdicts on those that came late."""
        judged = [(event, fold(self.state, event, self.rules).verdict) for event in events]
        late = [each for each in judged if each[1] in {Verdict.CORRECTED, Verdict.LATE}]
        rendered = document(self.state, self.state.as_of, self.rules)
        self._saves += 1
        saved = write(
            self.uid,
            position(self._saves, as_of_us=self.state.as_of),
            document=rendered.fields,
            closed_days=rendered.closed_days,
            closed_outages=rendered.closed_outages,
            exclusions=rendered.exclusions,
            gaps=rendered.gaps,
            drop_days=rendered.drop_days,
            drop_outages=rendered.drop_outages,
            drop_gaps=rendered.drop_gaps,
            keep_from_us=rendered.keep_from_us,
            status=rendered.status,
            online=rendered.online,
        )
        store, client = RedisViewStore(RedisSettings(self.url)), connect(RedisSettings(self.url))
        await store.start()
        await store.save([saved])
        await store.stop()
        if late:
            members = {f"{event.position} {verdict}": event.at for event, verdict in late}
            await client.zadd(Keys().verdicts(self.uid), members)
        await client.aclose()
        rendered.mark_saved(self.state)
