"""
What the page reads of the view in Redis, and nothing else: a few lists, and one EVSE's keys at a time.

Every call is bounded by its arguments. It writes nothing, and it does not look at the private keys.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import RedisClusterException, RedisError, ResponseError

from schemas import view
from schemas.vocabulary import Status
from service.dashboard.reach import OutOfReach, Trouble
from service.dashboard.rows import ROW_FIELDS, Fields
from service.dashboard.totals import Counts

Scored = Sequence[tuple[str, int]]
"""Members of a sorted set with their scores: EVSE uids with their `last_updated` in ms since 1970, say."""

_ERRORS = (RedisError, RedisClusterException, OSError)
"""What the client raises; the exceptions of a cluster's client are a family of their own."""

OUTAGES_LIMIT = 5_000
"""Spans of connectors that are taken of one EVSE, the newest; to take one costs 30 µs (measured)."""

MEMBERS_LIMIT = 3 * OUTAGES_LIMIT
"""
Spans that are read for it. The worker's own, which are left out, lie among them: two in three are, where the
link of an EVSE with one connector flaps.
"""

GAPS_LIMIT = 5_000
"""Gaps that are read of one EVSE, the newest: twelve for each day that is kept."""


@dataclass(frozen=True, slots=True)
class Stored:
    """
    All that the view holds of one EVSE, as JSON text; outages and gaps by their end, the newest first.

    There may be older ones than those, but none of them ended after `complete_from`, in microseconds since
    1970; it is 0 where they are all there. `clipped`: there may be older outages.
    """

    document: Mapping[str, str]
    days: Mapping[str, str] = field(default_factory=dict)
    outages: Sequence[str] = ()
    exclusions: Mapping[str, str] = field(default_factory=dict)
    gaps: Sequence[str] = ()
    clipped: bool = False
    complete_from: int = 0


class View(Protocol):
    """The view as the page needs it. Every call raises `OutOfReach` where it cannot be read."""

    async def counts(self) -> Counts:
        """Give the sizes of the lists."""

    async def newest(self, since_ms: int, limit: int) -> Scored:
        """Give the EVSEs whose `last_updated` is not before a time, the newest first."""

    async def scan(self, cursor: int, count: int) -> tuple[int, Scored]:
        """Give about `count` EVSEs and the cursor to go on from; 0 begins, and 0 comes back at the end."""

    async def summaries(self, uids: Sequence[str]) -> dict[str, Fields]:
        """Give the fields of rows of those that exist, in one round trip."""

    async def stored(self, uid: str) -> Stored | None:
        """Give all of one EVSE, read at one instant; of outages and gaps the newest. None if unknown."""


def _text(value: Any) -> str:
    """Decode what Redis holds; a client may or may not decode by itself."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _texts(mapping: Mapping[Any, Any]) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in mapping.items()}


def _scored(pairs: Sequence[tuple[Any, float]]) -> Scored:
    return [(_text(uid), int(score)) for uid, score in pairs]


def _newest(members: Scored, limit: int) -> tuple[list[str], int]:
    """
    Take so many of the newest of members that are scored by their end, and of which one more was read.

    Also gives the end of the first that is left out, 0 for none: what lasted until later is all taken.
    """
    left_out = members[limit:]
    return [member for member, _ in members[:limit]], left_out[0][1] if left_out else 0


def _newest_outages(members: Scored) -> tuple[list[str], int]:
    """Take the newest spans likewise, the worker's own left out."""
    read, unread = members[:MEMBERS_LIMIT], members[MEMBERS_LIMIT:]
    named = [(member, until) for member, until in read if not view.is_private_outage(member)]
    return _newest([*named, *unread], min(OUTAGES_LIMIT, len(named)))


class RedisView:
    """
    The view in Redis or Valkey. The client belongs to the caller, who sets its timeouts and closes it.

    `explained` stands around each call, and raises as `OutOfReach` what it knows a remedy for.
    """

    def __init__(
        self,
        redis: Redis | RedisCluster,
        prefix: str,
        explained: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._redis = redis
        self._prefix = prefix
        self._all = view.index_all_key(prefix)
        self._explained = explained

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            with self._explained():
                yield
        except ResponseError as error:
            raise OutOfReach(f"Redis cannot be read: {error}", Trouble.REFUSED) from error
        except _ERRORS as error:
            raise OutOfReach(f"Redis does not answer: {error}") from error

    async def counts(self) -> Counts:
        onlines = ("true", "false", "null")
        with self._reading():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.zcard(self._all)
                for status in Status:
                    pipe.scard(view.index_status_key(self._prefix, status))
                for online in onlines:
                    pipe.scard(view.index_online_key(self._prefix, online))
                evses, *sizes = await pipe.execute()
        by_status = dict(zip((str(status) for status in Status), sizes, strict=False))
        return Counts(evses, by_status, dict(zip(onlines, sizes[len(by_status) :], strict=True)))

    async def newest(self, since_ms: int, limit: int) -> Scored:
        with self._reading():
            pairs = await cast(
                "Awaitable[Any]",
                self._redis.zrevrangebyscore(
                    self._all, "+inf", since_ms, start=0, num=limit, withscores=True
                ),
            )
        return _scored(pairs)

    async def scan(self, cursor: int, count: int) -> tuple[int, Scored]:
        with self._reading():
            after, pairs = await cast("Awaitable[Any]", self._redis.zscan(self._all, cursor, count=count))
        return int(after), _scored(pairs)

    async def summaries(self, uids: Sequence[str]) -> dict[str, Fields]:
        with self._reading():
            async with self._redis.pipeline(transaction=False) as pipe:
                for uid in uids:
                    pipe.hmget(view.evse_key(self._prefix, uid), list(ROW_FIELDS))
                answers = await pipe.execute()
        return {
            uid: {
                name: _text(value)
                for name, value in zip(ROW_FIELDS, answer, strict=True)
                if value is not None
            }
            for uid, answer in zip(uids, answers, strict=True)
            if answer[0] is not None
        }

    async def stored(self, uid: str) -> Stored | None:
        # One transaction: the keys of an EVSE share a slot and are written together, so they agree. Not by
        # `hgetall`: redis-py 8.1 cannot read its reply in a transaction of a cluster.
        with self._reading():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.execute_command("HGETALL", view.evse_key(self._prefix, uid))
                pipe.execute_command("HGETALL", view.days_key(self._prefix, uid))
                pipe.zrevrange(view.outages_key(self._prefix, uid), 0, MEMBERS_LIMIT, withscores=True)
                pipe.execute_command("HGETALL", view.exclusions_key(self._prefix, uid))
                pipe.zrevrange(view.gaps_key(self._prefix, uid), 0, GAPS_LIMIT, withscores=True)
                document, days, outages, exclusions, gaps = await pipe.execute()
        if not document:
            return None
        newest_outages, outages_from = _newest_outages(_scored(outages))
        newest_gaps, gaps_from = _newest(_scored(gaps), GAPS_LIMIT)
        return Stored(
            document=_texts(document),
            days=_texts(days),
            outages=newest_outages,
            exclusions=_texts(exclusions),
            gaps=newest_gaps,
            clipped=outages_from > 0,
            complete_from=max(outages_from, gaps_from),
        )
