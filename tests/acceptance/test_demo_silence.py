"""A charger of the demonstration that falls silent, and a fleet that is paused: what each of them means."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from schemas.view import DEFAULT_PREFIX, Keys
from service.settings import PREFIX
from tests.acceptance.demonstration import A_MINUTE, Demo, demo
from tests.acceptance.processes import command
from tests.builders import Json

confluent_kafka = pytest.importorskip("confluent_kafka", reason="the extra `demo` is not installed")

WORDS = re.compile(r"resume +it goes on")
SETTING = re.compile(rf"{PREFIX}(REDIS_URL|KAFKA_BOOTSTRAP_SERVERS)=(\S+)")
HEARTBEAT_S = 1
GAP_AFTER_S = 5
PAUSE_S = 7
TICK_S = 10
"""The worker looks at the log's end every five seconds and at the deadlines every second; and some slack."""


class Watched:
    """The view, the log and the explanations of a running demonstration, as its user may look at them."""

    def __init__(self, said: str) -> None:
        self.settings: dict[str, str] = dict(SETTING.findall(said))
        self._redis = Redis.from_url(self.settings["REDIS_URL"], decode_responses=True)
        self._keys = Keys(DEFAULT_PREFIX)

    async def aclose(self) -> None:
        """Disconnect."""
        await self._redis.aclose()

    async def uids(self) -> list[str]:
        """Give the uids of all EVSEs."""
        uids: Any = await self._redis.zrange(self._keys.all, 0, -1)
        return list(uids)

    async def online(self) -> dict[str, str]:
        """Give those that are online, with the partition in which they live."""
        found = {}
        for uid in await self.uids():
            online, partition = await self._fields(uid, "online", "partition")
            if online == "true":
                found[uid] = partition
        return found

    async def is_offline(self, uid: str) -> bool:
        """Tell whether an EVSE is offline."""
        return await self._fields(uid, "online") == ["false"]

    async def _fields(self, uid: str, *names: str) -> list[str]:
        values: Any = await self._redis.hmget(self._keys.document(uid), list(names))
        return list(values)

    async def all_have_a_gap(self) -> bool:
        """Tell whether a time in which nothing could be seen stands in the view of every EVSE."""
        return all([await self._redis.zcard(self._keys.gaps(uid)) for uid in await self.uids()])

    def silenced(self) -> list[str]:
        """Read in the log whom the worker declared offline."""
        return [event["evse_uid"] for event in self.own_events() if event.get("reason") == "silence"]

    def own_events(self) -> list[Json]:
        """Read in the log what the worker said itself."""
        events = map(orjson.loads, self._log())
        return [event for event in events if event["source"] == "evse-status"]

    def _log(self) -> Iterator[bytes]:
        """Read the input topic to its end, in no group."""
        servers = self.settings["KAFKA_BOOTSTRAP_SERVERS"]
        settings = {"bootstrap.servers": servers, "group.id": "nobody", "enable.partition.eof": True}
        consumer = confluent_kafka.Consumer(settings)
        places = [
            confluent_kafka.TopicPartition("evse.events", number, confluent_kafka.OFFSET_BEGINNING)
            for number in range(4)
        ]
        try:
            consumer.assign(places)
            ended = 0
            while ended < len(places):
                message = consumer.poll(10)
                if message.error() is None:
                    yield message.value()
                else:
                    ended += 1
        finally:
            consumer.close()

    async def in_a_gap(self, uid: str) -> Json | None:
        """Give the interval of an EVSE that lies in a gap, as `explain` tells it of the first connector."""
        told = json.loads((await command("explain", uid, "--json", settings=self.settings)).out)
        intervals: list[Json] = told["connectors"][0]["intervals"]
        return next((each for each in intervals if each["in_gap"]), None)


async def until(condition: Callable[[], Awaitable[bool]], within_s: float) -> None:
    """Look until it is so."""
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_nobody_was_silent_in_a_past_that_never_was() -> None:
    """Days written within seconds hold no silence and no gap, however seldom their chargers speak."""
    async with demo("--evses", "40", "--days", "2") as shown:
        await shown.says(WORDS)
        watched = Watched(shown.said)
        try:
            said, there = watched.own_events(), len(await watched.uids())
        finally:
            await watched.aclose()

    assert there == 40
    assert said == []


@pytest.mark.slow
async def test_a_silent_charger_goes_offline_and_a_paused_fleet_does_not() -> None:
    """Silence is a charger's own while its neighbours go on; where nothing comes, nothing was seen."""
    times = ("--heartbeat", str(HEARTBEAT_S), "--gap-after", str(GAP_AFTER_S))
    async with demo("--evses", "20", "--days", "0", *times, within_s=2 * A_MINUTE) as shown:
        await shown.says(WORDS)
        watched = Watched(shown.said)
        try:
            await until(lambda: _are_there(watched), TICK_S)
            silent = await _silence_one(shown, watched)
            await _pause(shown, watched, silent)
        finally:
            await watched.aclose()


async def _are_there(watched: Watched) -> bool:
    return len(await watched.online()) > 10


async def _silence_one(shown: Demo, watched: Watched) -> str:
    """Let one fall silent where others are heard: it goes offline in time, and it alone."""
    online = await watched.online()
    (partition, _), *_ = Counter(online.values()).most_common(1)
    uid, *neighbours = [uid for uid, number in online.items() if number == partition]
    shown.type(f"silence {uid}")
    await shown.says(re.compile(f"{uid} says nothing more"))

    await until(lambda: watched.is_offline(uid), 3 * HEARTBEAT_S + TICK_S)

    assert watched.silenced() == [uid]
    assert neighbours
    assert set(neighbours) <= set(await watched.online())
    return uid


async def _pause(shown: Demo, watched: Watched, silent: str) -> None:
    """Stop everything for longer than that: nobody else goes offline, and later it is a gap for all."""
    online = await watched.online()
    shown.type("pause")
    await shown.says(re.compile("Paused"))
    await asyncio.sleep(PAUSE_S)  # this is what is tried

    assert await watched.online() == online
    assert watched.silenced() == [silent]

    shown.type("resume")
    await shown.says(re.compile("It goes on"))
    await until(watched.all_have_a_gap, TICK_S)
    unseen = await watched.in_a_gap(next(iter(online)))

    assert unseen is not None
    assert unseen["class"] == "unobserved"
    lasted = datetime.fromisoformat(unseen["until"]) - datetime.fromisoformat(unseen["from"])
    assert lasted > timedelta(seconds=PAUSE_S - HEARTBEAT_S)
    assert watched.silenced() == [silent]
