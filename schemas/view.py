"""
The view in Redis or Valkey: every key and field that a dashboard may read, and nothing else to know.

One EVSE's keys share the hash tag `{U}`, so in a cluster they lie on one node and change together. `U` is the
EVSE's uid with `%`, `{` and `}` written as `%25`, `%7B` and `%7D`; any other character stands as it is. The
prefix is `evse` unless the worker was told another (`EVSE_STATUS_REDIS_PREFIX`). Times are RFC 3339 in UTC
with `Z`; spans of time are seconds, with decimals; scores say their unit. The worker is the one writer.

=====================  ======  ========================================================================
key                    type    what it holds
=====================  ======  ========================================================================
`evse:{U}`             hash    the document: the fields below
`evse:{U}:days`        hash    closed days: `<connector_uid>/<YYYY-MM-DD>` -> day; an empty uid is the port
`evse:{U}:outages`     zset    closed spans in which a connector was not plainly up -> outage,
                               scored by their end in microseconds since 1970
`evse:{U}:exclusions`  hash    exclusion id -> exclusion
`evse:{U}:gaps`        zset    times in which nothing could be seen -> gap, scored by their end likewise
`evse:{U}:verdicts`    zset    `<position> <verdict>` of the events that came late: `corrected` where history
                               was changed, `late` where it was too late for that and only ended an offline
                               span, as a heartbeat; scored by the time the event applies in microseconds
                               since 1970. What is not there was `applied`, or made no difference
=====================  ======  ========================================================================

The document `evse:{U}` has these fields:

================  ==================================================================================
`snapshot`        the published snapshot as JSON (`schemas.snapshot.Snapshot`): the EVSE, statuses and
                  online with the time since when, windows with uptime and coverage, reliability
`status`          the EVSE's status, rolled up from its connectors: `CHARGING`
`online`          `false`: every connector in service is offline; `true`: at least one is online; else `null`
`revision`        counts the visible changes of this EVSE
`as_of`           the newest time this EVSE is known to have reached; its numbers are as of then
`last_seen_at`    the last sign of life, empty if there was none
`last_updated`    when published content last changed
`removed_at`      when the EVSE was removed for good, empty if it was not
`partition`       the number of the input partition that the EVSE lives in, empty while none is known
`former`          where it lived before there were more partitions or other topics, as JSON
                  `[[epoch, partition], …]`: events of epochs up to this one lie there; where the input
                  topics were others, `[epoch, partition, [topic, …]]`, which goes for those before,
                  too; empty if nowhere else
`recent`          history that a late event may still correct, as JSON (`Recent`)
================  ==================================================================================

A **day** holds the seconds spent in each state, `{"AVAILABLE/true": 86000.5, "OUTOFORDER/null": 399.5}`:
status, a slash, online; the status `-` is "nothing heard yet"; a key without a slash counts something and is
no time. The port's day holds `up`, `down` and `out_of_service`, before exclusions and gaps are taken out: it
is up while any of its connectors is, and out of service while none is in service. What is left of a day was
not observed: of a connector nothing was heard yet, of a port no connector in service was up or down. A day
stands whole in `days` or in `recent`, never in both.

An **outage** is any span of a connector that is not plainly up, UNKNOWN, PLANNED and REMOVED included:
`class_of(status, online)` says what it counts as; one from 1970 reaches back to before anything was heard.
The full history of a connector is `outages` and then the `outages` of `recent`; what neither covers, it was
up. Since spans are scored by their end, a range from T on gives all that reach into the time since T. Days
and spans under the connector U+001F are the worker's own: a stand-in for connectors not heard of yet.

A **position** names an event of the EVSE in the log, in one number that `Place.of` takes apart: the epoch of
the log (0 until `rebuild` raised it) times 2^56, the topic's place in the worker's list of input topics times
2^48, and the offset. Partition and topics are those of now, of an older epoch maybe `former` ones.

Lists that span EVSEs may lag a little and are for finding, not for counting to the unit:

=================================  ======  =========================================================
`evse-index:{lists}:all`           zset    uid, scored by `last_updated` in milliseconds since 1970
`evse-index:{lists}:status:WORD`   set     uids of the EVSEs whose `status` is WORD
`evse-index:{lists}:online:WORD`   set     uids of the EVSEs whose `online` is `true`, `false`, `null`
`evse-index:{lists}:place`         geo     uids by their coordinates, those that have some
=================================  ======  =========================================================

An EVSE that was removed for good (`removed_at`) stays in the list of all and in that of its status, and is in
none by online or by place: it has no link, and is nowhere.

An example session in `redis-cli --raw`, for the EVSE with the uid `charger-1` (lists cut short with …):

    > HMGET evse:{charger-1} status online last_seen_at
    CHARGING
    true
    2026-01-05T11:59:30Z
    > HGET evse:{charger-1} snapshot
    {"evse":{"uid":"charger-1","connectors":[{"uid":"c1","status":"CHARGING",…
    > HGET evse:{charger-1}:days c1/2026-01-02
    {"AVAILABLE/true":80400,"CHARGING/true":5400,"OUTOFORDER/true":600}
    > ZRANGEBYSCORE evse:{charger-1}:outages 1767225600000000 +inf
    {"connector_uid":"c1","from":"2026-01-02T08:00:00Z","until":"2026-01-02T08:10:00Z","status":"OUTOFORDER",…
    > SMEMBERS evse-index:{lists}:status:OUTOFORDER
    charger-7
    > ZREVRANGEBYSCORE evse-index:{lists}:all +inf 1767225600000 LIMIT 0 20
    charger-1
    …
    > GEOSEARCH evse-index:{lists}:place FROMLONLAT 4.35 50.85 BYRADIUS 10 km ASC COUNT 20
    charger-1
    …

Fields of JSON may be added; unknown ones are to be ignored. What `Keys` gives under a name marked private is
the worker's own: its form changes without notice, and reading it promises nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from schemas.fields import Time, Uid
from schemas.vocabulary import OPERATIONAL, OUT_OF_SERVICE, ExclusionReason, Status, TimeClass, Verdict

DEFAULT_PREFIX = "evse"
"""Prefix of all keys unless the worker's settings say otherwise."""

_EPOCH_SHIFT, _TOPIC_SHIFT = 56, 48

_NAMELESS = "\x1f"
"""Private: under this uid stands what held for every connector, for those that are named later."""

_PRIVATE_TEXT = '"connector_uid":"\\u001f"'
_PRIVATE_BYTES = _PRIVATE_TEXT.encode()

NOT_HEARD = "-"
"""Stands for the status in a day's keys while nothing was heard yet."""

CHECKPOINTS = "checkpoints"
"""Private: the hash tag of what the worker keeps for itself; in a cluster there is one more for each node."""

PORT = ""
"""Stands for the connector in the fields of days: the EVSE as a port, up while any connector is up."""

DOCUMENT_FIELDS = (
    "snapshot",
    "status",
    "online",
    "revision",
    "as_of",
    "last_seen_at",
    "last_updated",
    "removed_at",
    "partition",
    "former",
    "recent",
)
"""The fields of the document hash."""


def escaped(uid: str) -> str:
    """Write a uid as it stands in a key: braces would end the hash tag."""
    return uid.replace("%", "%25").replace("{", "%7B").replace("}", "%7D")


def uid_of(key: str) -> str:
    """Read the uid out of any of an EVSE's keys; raise ValueError for a key that is none."""
    start, end = key.find("{") + 1, key.find("}")
    if start == 0 or end < start:
        raise ValueError(f"{key!r} is no key of an EVSE: it has no uid in braces")
    return key[start:end].replace("%7D", "}").replace("%7B", "{").replace("%25", "%")


_DAYS, _OUTAGES, _EXCLUSIONS, _GAPS = ":days", ":outages", ":exclusions", ":gaps"
_VERDICTS, _PRIVATE = ":verdicts", ":private"
_STAGED_DAYS, _STAGED_OUTAGES = ":staged-days:", ":staged-outages:"


@lru_cache(maxsize=16_384)
def evse_key(prefix: str, uid: str) -> str:
    """Name the document hash of an EVSE."""
    return f"{prefix}:{{{escaped(uid)}}}"


def days_key(prefix: str, uid: str) -> str:
    """Name the hash of an EVSE's closed days."""
    return evse_key(prefix, uid) + _DAYS


def outages_key(prefix: str, uid: str) -> str:
    """Name the sorted set of an EVSE's closed spans."""
    return evse_key(prefix, uid) + _OUTAGES


def exclusions_key(prefix: str, uid: str) -> str:
    """Name the hash of an EVSE's exclusions."""
    return evse_key(prefix, uid) + _EXCLUSIONS


def gaps_key(prefix: str, uid: str) -> str:
    """Name the sorted set of an EVSE's gaps."""
    return evse_key(prefix, uid) + _GAPS


def verdicts_key(prefix: str, uid: str) -> str:
    """Name the sorted set of the verdicts on events that corrected an EVSE's history."""
    return evse_key(prefix, uid) + _VERDICTS


def index_all_key(prefix: str) -> str:
    """Name the sorted set of all EVSEs by `last_updated`."""
    return f"{prefix}-index:{{lists}}:all"


def index_status_key(prefix: str, status: str) -> str:
    """Name the set of the EVSEs with a status."""
    return f"{prefix}-index:{{lists}}:status:{status}"


def index_online_key(prefix: str, online: str) -> str:
    """Name the set of the EVSEs whose online is `true`, `false` or `null`."""
    return f"{prefix}-index:{{lists}}:online:{online}"


def index_place_key(prefix: str) -> str:
    """Name the list of EVSEs by place."""
    return f"{prefix}-index:{{lists}}:place"


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys under one prefix, those of the worker alone included: they are marked private."""

    prefix: str = DEFAULT_PREFIX

    def document(self, uid: str) -> str:
        return evse_key(self.prefix, uid)

    def days(self, uid: str) -> str:
        return days_key(self.prefix, uid)

    def outages(self, uid: str) -> str:
        return outages_key(self.prefix, uid)

    def exclusions(self, uid: str) -> str:
        return exclusions_key(self.prefix, uid)

    def gaps(self, uid: str) -> str:
        return gaps_key(self.prefix, uid)

    def verdicts(self, uid: str) -> str:
        return verdicts_key(self.prefix, uid)

    @property
    def all(self) -> str:
        return index_all_key(self.prefix)

    def status(self, status: str) -> str:
        return index_status_key(self.prefix, status)

    def online(self, online: str) -> str:
        return index_online_key(self.prefix, online)

    @property
    def place(self) -> str:
        return index_place_key(self.prefix)

    def private(self, uid: str) -> str:
        """Private: hash of the packed state, its position in the log, and what is published again with it."""
        return evse_key(self.prefix, uid) + _PRIVATE

    @property
    def states(self) -> str:
        """Private: hash uid -> `STATUS/online`, from which the lists are kept."""
        return f"{self.prefix}-index:{{lists}}:states"

    def staged_days(self, uid: str, token: str) -> str:
        """Private: closed days that a restoration has read back and not yet put in place."""
        return evse_key(self.prefix, uid) + _STAGED_DAYS + token

    def staged_outages(self, uid: str, token: str) -> str:
        """Private: closed spans that a restoration has read back and not yet put in place."""
        return evse_key(self.prefix, uid) + _STAGED_OUTAGES + token

    def of_a_load(self, uid: str) -> tuple[str, ...]:
        """Private: all keys that reading a state looks at, in the order of its script."""
        key = evse_key(self.prefix, uid)
        return key + _PRIVATE, key + _DAYS, key + _OUTAGES, key + _EXCLUSIONS, key + _GAPS

    def of_a_save(self, uid: str, token: str) -> tuple[str, ...]:
        """Private: all keys that a save may touch, in the order of its script."""
        key = evse_key(self.prefix, uid)
        return (
            key,
            key + _DAYS,
            key + _OUTAGES,
            key + _EXCLUSIONS,
            key + _GAPS,
            key + _VERDICTS,
            key + _PRIVATE,
            key + _STAGED_DAYS + token,
            key + _STAGED_OUTAGES + token,
        )

    def members(self, partition: int) -> str:
        """Private: set of the EVSEs that live in a partition of the input; some may have no state yet."""
        return f"{self.prefix}-index:{{lists}}:partition:{partition}"

    def checkpoint(self, topic: str, partition: int, tag: str = CHECKPOINTS) -> str:
        """Private: hash of how far a partition of the input is in the view; in a cluster one for each tag."""
        return f"{self.prefix}-worker:{{{tag}}}:{topic}:{partition}"

    def ping(self, tag: str = CHECKPOINTS) -> str:
        """Private: written to prove that the store takes writes."""
        return f"{self.prefix}-worker:{{{tag}}}:ping"

    @property
    def epochs(self) -> str:
        """Private: hash of which log the offsets are of: topic -> epoch, and under "" the generation."""
        return f"{self.prefix}-worker:{{{CHECKPOINTS}}}:epochs"

    def trail(self, writer: str, tag: str = CHECKPOINTS) -> str:
        """Private: the number of a worker's last write, by which lost writes are noticed."""
        return f"{self.prefix}-worker:{{{tag}}}:trail:{writer}"


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where an event stands in the log, but for the partition, which is that of its EVSE.

    `topic` is the place of its topic in the worker's list of input topics; offsets of another `epoch` are
    those of a log that is no more.
    """

    epoch: int
    topic: int
    offset: int

    @classmethod
    def of(cls, position: int) -> Place | None:
        """Read the position of an event; None for that of a heartbeat, of which no place is kept."""
        if position < 0:
            return None
        return cls(
            position >> _EPOCH_SHIFT,
            position >> _TOPIC_SHIFT & (1 << _EPOCH_SHIFT - _TOPIC_SHIFT) - 1,
            position & (1 << _TOPIC_SHIFT) - 1,
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on an event that came late, and when the event applies, in microseconds since 1970."""

    position: int
    verdict: Verdict
    at_us: int


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class Cause(_Document):
    """The event at one end of a span."""

    event_id: str | None
    """Its id; null where it was a heartbeat, whose ids are not kept."""
    position: int
    """Its place in the log, as `Place.of` reads it; -1 where it was a heartbeat."""


class Outage(_Document):
    """A span in which a connector was not plainly up, with the events at its ends."""

    connector_uid: str
    """The connector."""
    from_: Time = Field(alias="from")
    """When it began."""
    until: Time | None
    """When it ended; null: it is still open (only the last one in `recent`)."""
    status: Status | None
    """The connector's status in it; null: nothing heard yet."""
    online: bool | None
    """The connector's online in it; null: not supported, or not heard yet."""
    error_code: str | None = None
    """The error code reported with the status, if any."""
    began_by: Cause | None = None
    """The event it began with."""
    ended_by: Cause | None = None
    """The event it ended with."""

    @property
    def time_class(self) -> TimeClass:
        """What the span counts as under `observed`, before exclusions and gaps."""
        return class_of(self.status, self.online)


class Exclusion(_Document):
    """A time whose outages are not held against the operator."""

    from_: Time = Field(alias="from")
    """When it begins."""
    until: Time | None
    """When it ends; null: it is open."""
    reason: ExclusionReason
    """Why."""
    connector_uids: tuple[Uid, ...] | None
    """The connectors it is about; null: all of the EVSE."""
    note: str | None
    """Anything more, for people."""


class Gap(_Document):
    """A time in which nothing could be seen of the EVSE."""

    from_: Time = Field(alias="from")
    """When the collection stopped."""
    until: Time
    """When it went on."""


Day = dict[str, float]
"""Seconds of one UTC day by state, see above; ISO dates name the days."""


class RecentConnector(_Document):
    """The recent history of one connector."""

    days: dict[date, Day] = {}
    """Seconds by state for each UTC day."""
    outages: tuple[Outage, ...] = ()
    """Spans in which it was not plainly up, by start; the last one may be open."""


class RecentPort(_Document):
    """The recent history of the EVSE as a port."""

    days: dict[date, Day] = {}
    """Seconds `up`, `down` and `out_of_service` for each UTC day; what is left of it was not observed."""


class Recent(_Document):
    """History since `from`, up to `as_of` of the document, that late events may still correct."""

    from_: Time = Field(alias="from")
    """Where the closed history ends."""
    connectors: dict[str, RecentConnector] = {}
    """By the connector's uid."""
    port: RecentPort = RecentPort()
    """The EVSE as a port."""


_DAY: TypeAdapter[Day] = TypeAdapter(Day)


def class_of(status: str | None, online: bool | None) -> TimeClass:
    """Say what a moment with this status and online counts as under `observed` (None: nothing heard yet)."""
    if status in OUT_OF_SERVICE:
        return TimeClass.OUT_OF_SERVICE
    if online is False:
        return TimeClass.DOWN
    if status is None or status == Status.UNKNOWN:
        return TimeClass.UNOBSERVED
    return TimeClass.UP if status in OPERATIONAL else TimeClass.DOWN


def is_up(status: str | None, online: bool | None) -> bool:
    """Tell whether a connector with this status and online is up under `observed`."""
    return class_of(status, online) is TimeClass.UP


def state_of(key: str) -> tuple[str | None, bool | None] | None:
    """Read a day's key `STATUS/online`; None for one that counts something else than time."""
    status, slash, online = key.partition("/")
    if not slash:
        return None
    return None if status == NOT_HEARD else status, {"true": True, "false": False}.get(online)


def day_field(connector_uid: str, day: date) -> str:
    """Name the field of a connector's day; `PORT` for the EVSE as a port."""
    return f"{connector_uid}/{day.isoformat()}"


def parse_day_field(field: str) -> tuple[str, date]:
    """Read the field of a day: the connector's uid (which may hold slashes itself) and the day."""
    connector_uid, _, day = field.rpartition("/")
    return connector_uid, date.fromisoformat(day)


def parse_day(value: str | bytes) -> Day:
    """Read the JSON of a day."""
    return _DAY.validate_json(value)


def is_private_outage(member: str | bytes) -> bool:
    """
    Tell by its text whether a member of the outages' sorted set, as the worker writes it, is its own.

    Without reading it: of a link that flaps these are two in three. The name is a control character, which
    JSON escapes, so no other text in the member can be taken for it.
    """
    return (_PRIVATE_BYTES in member) if isinstance(member, bytes) else (_PRIVATE_TEXT in member)


def parse_outages(members: Iterable[str | bytes]) -> tuple[Outage, ...]:
    """Read the members of the outages' sorted set, in their order, less the worker's own."""
    outages = (Outage.model_validate_json(each) for each in members if not is_private_outage(each))
    return tuple(outage for outage in outages if outage.connector_uid != _NAMELESS)


def parse_exclusions(fields: Mapping[Any, str | bytes]) -> dict[str, Exclusion]:
    """Read the hash of exclusions, whether the client decodes names or not."""
    return {
        name.decode() if isinstance(name, bytes) else str(name): Exclusion.model_validate_json(value)
        for name, value in fields.items()
    }


def parse_gaps(members: Iterable[str | bytes]) -> tuple[Gap, ...]:
    """Read the members of the gaps' sorted set, in their order."""
    return tuple(Gap.model_validate_json(member) for member in members)


def parse_verdicts(members: Iterable[tuple[str | bytes, float]]) -> tuple[Judged, ...]:
    """Read the members of the verdicts' sorted set with their scores, in their order."""
    judged = []
    for member, score in members:
        text = member.decode() if isinstance(member, bytes) else member
        position, _, word = text.partition(" ")
        judged.append(Judged(int(position), Verdict(word), int(score)))
    return tuple(judged)


def parse_recent(value: str | bytes) -> Recent:
    """Read the document's field `recent`."""
    return Recent.model_validate_json(value)
