"""
What the worker itself says in the input log (promise P5): silences, and gaps in the observation.

It says nothing anywhere else: what time does alone enters the view as an event of the log (promise P1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import structlog

from service.domain.time import rfc3339
from service.processing.cutting import pieces
from service.processing.ingest import gap_event, loss_event
from service.processing.instruments import Instruments, Part
from service.processing.options import Options, Ports
from service.processing.outbox import Outbox
from service.processing.outputs import Topics
from service.processing.retry import Retrying
from service.processing.silence import Overdue, silence_event
from service.processing.watching import Watching

_log = structlog.get_logger()

_EVENTS_AT_ONCE = 1_000


class Voice:
    """Writes to the first input topic; the same thing said twice has the same id and counts once."""

    def __init__(
        self,
        ports: Ports,
        options: Options,
        watching: Watching,
        outbox: Outbox,
        retrying: Retrying,
        instruments: Instruments,
    ) -> None:
        self._members = ports.store.members
        self._topic = options.topics[0]
        self._topics = Topics.with_prefix(options.topic_prefix, options.source)
        self._watching = watching
        self._outbox = outbox
        self._retrying = retrying
        self._instruments = instruments

    async def tell_gaps(self) -> None:
        """Write the gaps that were found, for every EVSE of their partitions or for single ones."""
        for number, gaps in self._watching.unwritten_gaps().items():
            uids = await self._retrying(Part.STORE, partial(self._members, number))
            for gap in gaps:
                await self._say(number, (gap_event(uid, gap) for uid in uids))
                self._instruments.gaps(len(uids))
                _log.warning(
                    "Nothing was seen of a partition for a while: that time is unobserved.",
                    action="gap_written",
                    partition=number,
                    evses=len(uids),
                    **{"from": rfc3339(gap.from_), "until": rfc3339(gap.until)},
                )
            self._watching.gaps_written(number)
        for number, losses in self._watching.unwritten_losses().items():
            await self._say(number, (loss_event(uid, gap) for uid, gap in losses))
            self._instruments.gaps(len(losses))
            _log.warning(
                "Records of EVSEs are gone: that time is unobserved.",
                action="gap_written",
                partition=number,
                evses=len(losses),
                **{
                    "from": rfc3339(min(gap.from_ for _, gap in losses)),
                    "until": rfc3339(max(gap.until for _, gap in losses)),
                },
            )
            self._watching.losses_written(number)

    async def tell_silences(self, number: int, overdue: Sequence[Overdue]) -> None:
        """Write that nothing was heard of these EVSEs for too long."""
        await self._say(number, map(silence_event, overdue))
        self._instruments.silences(len(overdue))
        _log.info(
            "Nothing was heard of EVSEs for too long; they are declared offline.",
            action="silence_written",
            partition=number,
            evses=len(overdue),
            evse_uid=overdue[0].uid,
        )

    async def _say(self, number: int, events: Iterable[dict[str, Any]]) -> None:
        for some in pieces(events, _EVENTS_AT_ONCE):
            await self._outbox.publish([self._topics.event(self._topic, number, event) for event in some], ())
