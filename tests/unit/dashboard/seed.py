"""
A network of invented EVSEs with a month behind them, for tests and for looking at.

`python -m tests.unit.dashboard.seed redis://127.0.0.1:6379/0 --now 2026-01-30T14:00:00Z` fills a Redis.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import redis

from schemas import view
from schemas.vocabulary import Status
from service.dashboard.wording import DAY, HOUR, MINUTE, parse_time
from tests.unit.dashboard.stories import NOW, Json, Known, Seeded, Story, evse, stamp

PROFILES = ("good",) * 13 + (
    "flapping",
    "faulty",
    "broken",
    "dark",
    "inoperative",
    "new",
    "unknown",
    "planned",
)
PLACES = ("Station Square", "Harbour Road", "Town Hall", "East Retail Park", "Mill Lane", "Airport P4")
POWERS = (
    (22_000, "AC_3_PHASE", "IEC_62196_T2"),
    (50_000, "DC", "IEC_62196_T2_COMBO"),
    (350_000, "DC", "IEC_62196_T2_COMBO"),
)


def _month(story: Story, profile: str, now: int, draw: random.Random) -> None:
    """Let a connector live for 34 days, by its profile."""
    start = now - 34 * DAY + draw.randrange(DAY)
    at = {"new": now - 40 * MINUTE, "unknown": now - 5 * DAY, "planned": now - 9 * DAY}.get(profile, start)
    first = {"unknown": Status.UNKNOWN, "planned": Status.PLANNED}.get(profile, Status.AVAILABLE)
    story.say(at, first, None if profile in ("unknown", "planned") else True)
    if profile in ("unknown", "planned"):
        return
    busy = draw.uniform(1, 5)
    while at < now - 2 * HOUR:
        at += round(draw.expovariate(busy / (6 * HOUR)))
        at = _session(story, at, draw)
        if draw.random() < {"faulty": 0.12, "flapping": 0.02}.get(profile, 0.006):
            story.say(
                at, Status.OUTOFORDER, True, draw.choice(["GroundFailure", "OverCurrentFailure", "E-113"])
            )
            at += round(draw.uniform(0.2, 14) * HOUR)
            story.say(at, Status.AVAILABLE)
        if draw.random() < {"flapping": 0.55}.get(profile, 0.02):
            at = _flap(story, at, draw, 25 if profile == "flapping" else 1)
    story.changes = [change for change in story.changes if change[0] < now - MINUTE]
    last = story.changes[-1][1][0]
    if profile == "broken":
        story.say(now - 19 * HOUR, Status.OUTOFORDER, True, "ConnectorLockFailure")
    elif profile == "inoperative":
        story.say(now - 3 * DAY, Status.INOPERATIVE)
    elif profile == "dark":
        story.say(now - 7 * HOUR, last, False)
    elif draw.random() < 0.35:
        story.say(now - draw.randrange(3, 90) * MINUTE, Status.CHARGING)
    elif last not in (Status.AVAILABLE, Status.CHARGING):
        story.say(now - MINUTE, Status.AVAILABLE)


def _session(story: Story, at: int, draw: random.Random) -> int:
    story.say(at, Status.PREPARING)
    story.say(at + MINUTE, Status.CHARGING)
    at += round(draw.uniform(15, 100) * MINUTE)
    story.say(at, Status.FINISHING)
    story.say(at + 3 * MINUTE, Status.AVAILABLE)
    return at + 3 * MINUTE


def _flap(story: Story, at: int, draw: random.Random, times: int) -> int:
    for _ in range(times):
        status = story.changes[-1][1][0]
        story.say(at, status, False)
        at += round(draw.uniform(1, 8) * MINUTE)
        story.say(at, status, True)
        at += round(draw.uniform(2, 20) * MINUTE)
    return at


@cache
def _network(count: int, now: int, seed: int) -> tuple[Seeded, ...]:
    draw = random.Random(seed)
    return tuple(_charger(number, now, draw) for number in range(count))


def network(count: int = 42, *, now: int = NOW, seed: int = 7) -> list[Seeded]:
    """Make a network: mostly good chargers, and at least one of each kind that is not. Not to be changed."""
    return list(_network(count, now, seed))


def _charger(number: int, now: int, draw: random.Random) -> Seeded:
    profile = PROFILES[::-1][number % len(PROFILES)]
    place = PLACES[number // 4 % len(PLACES)]
    stories = [Story(f"c{plug + 1}", name) for plug, name in enumerate(("Gun A", "Gun B")[: 1 + number % 2])]
    for story in stories:
        _month(story, profile, now, draw)
    if profile == "good" and len(stories) > 1 and draw.random() < 0.3:
        stories[1].say(now - 5 * HOUR, Status.OUTOFORDER, True, "ReaderFailure")
    stories[0].raw_status = "SuspendedEV" if stories[0].state[0] is Status.CHARGING else None
    known = Known(
        evse_id=f"BE*EVS*E{4200 + number}",
        name=f"{place} {number % 4 + 1}",
        gaps=[(now - 11 * DAY, now - 11 * DAY + 5 * HOUR)] if number % 3 == 0 else [],
        exclusions=_exclusions(now) if profile in ("faulty", "inoperative") else {},
        seen_at=now - (7 * HOUR if profile == "dark" else draw.randrange(5, 600) * 1_000_000),
        power=POWERS[number % 3],
    )
    if profile == "broken":
        known.note = {
            "status": "OUTOFORDER",
            "raw_status": "Faulted",
            "error_code": "InternalError",
            "at": stamp(now - 19 * HOUR),
        }
    return evse(f"evse-{number + 1:04d}", stories, known, now=now)


def _exclusions(now: int) -> dict[str, Json]:
    return {
        "works-17": {
            "from": stamp(now - 3 * DAY),
            "until": stamp(now - 2 * DAY),
            "reason": "scheduled_maintenance",
            "connector_uids": None,
            "note": "Cable replaced, ticket 4411",
        },
        "grid-3": {
            "from": stamp(now - 21 * DAY),
            "until": stamp(now - 20 * DAY),
            "reason": "utility_interruption",
            "connector_uids": None,
            "note": None,
        },
    }


def write(
    client: redis.Redis | redis.RedisCluster, evses: Iterable[Seeded], prefix: str = view.DEFAULT_PREFIX
) -> None:
    """Write EVSEs as the worker would, lists included; what was there of them is replaced."""
    keys = view.Keys(prefix)
    for seeded in evses:
        status, online = seeded.document["status"], seeded.document["online"]
        pipe = client.pipeline()
        _set(pipe, keys.document(seeded.uid), seeded.document)
        for key in (keys.days, keys.outages, keys.exclusions, keys.gaps):
            pipe.delete(key(seeded.uid))
        _fill(pipe, keys, seeded)
        for word in Status:
            pipe.srem(keys.status(word), seeded.uid)
        for link in ("true", "false", "null"):
            pipe.srem(keys.online(link), seeded.uid)
        pipe.zadd(keys.all, {seeded.uid: seeded.last_updated_ms})
        pipe.sadd(keys.status(status), seeded.uid)
        if not seeded.removed:
            pipe.sadd(keys.online(online), seeded.uid)
        pipe.execute()


def _set(pipe: redis.client.Pipeline, key: str, fields: Mapping[str, str]) -> None:
    for name, value in fields.items():
        pipe.hset(key, name, value)


def _fill(pipe: redis.client.Pipeline, keys: view.Keys, seeded: Seeded) -> None:
    _set(pipe, keys.days(seeded.uid), seeded.days)
    for until, line in seeded.outages:
        pipe.zadd(keys.outages(seeded.uid), {line: until})
    _set(pipe, keys.exclusions(seeded.uid), seeded.exclusions)
    for until, line in seeded.gaps:
        pipe.zadd(keys.gaps(seeded.uid), {line: until})


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill a Redis from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--count", type=int, default=42)
    parser.add_argument("--now", default="2026-01-30T14:00:00Z")
    chosen = parser.parse_args(arguments)
    with redis.Redis.from_url(chosen.url) as client:
        write(client, network(chosen.count, now=parse_time(chosen.now) or NOW))


if __name__ == "__main__":
    main()
