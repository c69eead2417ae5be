"""
The view as the commands read it: by the documented keys of `schemas.view` alone, and never writing.

Every answer is bounded by its arguments. Errors are those of the ports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.view import (
    Day,
    Exclusion,
    Gap,
    Judged,
    Keys,
    Outage,
    parse_day,
    parse_exclusions,
    parse_gaps,
    parse_outages,
    parse_verdicts,
)
from service.adapters.redis_connection import RedisSettings, connect_to_read, translated

_FOREVER_US = 1 << 52


@dataclass(frozen=True, slots=True)
class Page:
    """Some uids of a list, and how many the list has."""

    total: int
    uids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeptEvse:
    """What is kept of one EVSE, read at one instant: all but its days, and the closed spans since a time."""

    document: dict[str, str]
    outages: tuple[Outage, ...]
    exclusions: dict[str, Exclusion]
    gaps: tuple[Gap, ...]
    verdicts: tuple[Judged, ...]


class ViewReader:
    """Reads one view; `close` it when done."""

    def __init__(self, settings: RedisSettings) -> None:
        # redis-py answers bytes or str, as the client was built; here it is bytes.
        self._client: Any = connect_to_read(settings)
        self._keys = Keys(settings.prefix)

    async def close(self) -> None:
        await self._client.aclose()

    async def document(self, uid: str) -> dict[str, str] | None:
        """Give the fields of one EVSE's document, None if there is none."""
        return (await self.documents([uid])).get(uid)

    async def documents(
        self, uids: Sequence[str], fields: Sequence[str] | None = None
    ) -> dict[str, dict[str, str]]:
        """Give the documents of those that exist, in one round trip; only some `fields` if named."""
        pipeline = self._client.pipeline(transaction=False)
        for uid in uids:
            if fields is None:
                pipeline.hgetall(self._keys.document(uid))
            else:
                pipeline.hmget(self._keys.document(uid), list(fields))
        with translated():
            replies = await pipeline.execute()
        if fields is not None:
            replies = [
                {name.encode(): value for name, value in zip(fields, reply, strict=True) if value is not None}
                for reply in replies
            ]
        return {uid: _texts(reply) for uid, reply in zip(uids, replies, strict=True) if reply}

    async def page(
        self, *, status: str | None = None, online: str | None = None, offset: int = 0, limit: int = 100
    ) -> Page:
        """
        Give uids, the latest updated first; all, or those with a status, or with an online of that word.

        The lists may lag a little behind the documents.
        """
        sets = [self._keys.status(status)] if status is not None else []
        sets += [self._keys.online(online)] if online is not None else []
        with translated():
            if not sets:
                total = await self._client.zcard(self._keys.all)
                members = await self._client.zrevrange(self._keys.all, offset, offset + limit - 1)
            else:
                # The sets weigh nothing, so the order is that of `last_updated`.
                weights = {self._keys.all: 1, **dict.fromkeys(sets, 0)}
                found = (await self._client.zinter(weights))[::-1]
                total, members = len(found), found[offset : offset + limit]
        return Page(total, tuple(member.decode() for member in members))

    async def updated_since(self, since_ms: int, limit: int) -> list[tuple[str, int]]:
        """Give uids with their `last_updated` in milliseconds, from `since_ms` on, the earliest first."""
        with translated():
            found = await self._client.zrangebyscore(
                self._keys.all, since_ms, "+inf", start=0, num=limit, withscores=True
            )
        return [(uid.decode(), int(at)) for uid, at in found]

    async def days(self, uid: str) -> dict[str, Day]:
        """Give the closed days of an EVSE by `<connector_uid>/<date>`."""
        with translated():
            found: Mapping[bytes, bytes] = await self._client.hgetall(self._keys.days(uid))
        return {field.decode(): parse_day(day) for field, day in found.items()}

    async def outages(self, uid: str, from_us: int = 0, until_us: int = _FOREVER_US) -> tuple[Outage, ...]:
        """Give the closed spans that ended between two times (microseconds since 1970), in order."""
        with translated():
            found = await self._client.zrangebyscore(self._keys.outages(uid), from_us, until_us)
        return parse_outages(found)

    async def exclusions(self, uid: str) -> dict[str, Exclusion]:
        with translated():
            return parse_exclusions(await self._client.hgetall(self._keys.exclusions(uid)))

    async def gaps(self, uid: str) -> tuple[Gap, ...]:
        with translated():
            return parse_gaps(await self._client.zrange(self._keys.gaps(uid), 0, -1))

    async def verdicts(self, uid: str) -> tuple[Judged, ...]:
        """Give the verdicts on the events that came late, by the time the events apply."""
        with translated():
            found = await self._client.zrange(self._keys.verdicts(uid), 0, -1, withscores=True)
        return parse_verdicts(found)

    async def kept(self, uid: str, since_us: int) -> KeptEvse | None:
        """
        Give what is kept of one EVSE, with the closed spans that ended at `since_us` or later; None: nothing.

        An EVSE's keys are written together and read together, so they agree.
        """
        keys = self._keys
        with translated():
            # Entered before anything is put on it: a cluster's client has to know its nodes by then.
            async with self._client.pipeline(transaction=True) as pipeline:
                # Not `hgetall`: redis-py 8.1 cannot read its reply in a transaction of a cluster.
                pipeline.execute_command("HGETALL", keys.document(uid))
                pipeline.zrangebyscore(keys.outages(uid), since_us, "+inf")
                pipeline.execute_command("HGETALL", keys.exclusions(uid))
                pipeline.zrange(keys.gaps(uid), 0, -1)
                pipeline.zrange(keys.verdicts(uid), 0, -1, withscores=True)
                document, outages, exclusions, gaps, verdicts = await pipeline.execute()
        if not document:
            return None
        return KeptEvse(
            _texts(document),
            parse_outages(outages),
            parse_exclusions(exclusions),
            parse_gaps(gaps),
            parse_verdicts(verdicts),
        )


def _texts(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in fields.items()}
