"""Garbage through a real Kafka: each record a dead letter with its reason, and nobody else pays for it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator

import httpx
import orjson
import pytest

from schemas.vocabulary import RejectionReason
from service.processing.values import Record
from tests.acceptance.garbage import FAR_AHEAD, HOME, KINDS, Garbage
from tests.acceptance.processes import command, unshared, until_committed, worker
from tests.builders import Json, status_reported
from tests.services import Kafka
from tests.topics import Sent, ends_of, of_event, read, write

TOPIC_CONFIG = {
    "max.message.bytes": str(6 << 20),
    # As brokers before 3.6 do: a producer may count in any unit.
    "message.timestamp.after.max.ms": str((1 << 63) - 1),
}


@pytest.fixture
def settings(kafka: Kafka, redis7_url: str) -> dict[str, str]:
    """Give settings that no other test shares."""
    return unshared(kafka, redis7_url, INSTANCE_ID="the-only-one")


def good_events() -> Iterator[Json]:
    """Give events of one EVSE, each of which changes its status."""
    for number in range(24 * 60):
        status = "AVAILABLE" if number % 2 else "CHARGING"
        yield status_reported(status, f"{number // 60:02}:{number % 60:02}")


def interleaved() -> list[Sent]:
    """Put a good record before and after each piece of garbage, and end with one that is dated absurdly."""
    good = good_events()
    records = [of_event(next(good), HOME)]
    for kind in KINDS:
        records += [kind.sent, of_event(next(good), HOME)]
    odd = of_event(next(good), HOME)
    return [*records, Sent(odd.key, odd.value, odd.partition, timestamp_ms=FAR_AHEAD)]


@pytest.mark.slow
async def test_garbage_of_every_kind_costs_nobody_else(kafka: Kafka, settings: dict[str, str]) -> None:
    """Each is kept as it came, with a reason of its own; all good records count; nothing is left behind."""
    topic = await kafka.create_topic(settings["TOPIC_PREFIX"] + "events", partitions=2, config=TOPIC_CONFIG)
    first, *others = interleaved()
    sent = [first, *others]
    good = len(sent) - len(KINDS)

    async with worker(settings=settings) as running:
        # Where an EVSE lives is where it was first heard.
        await write(kafka, topic, [first])
        await running.logs("batch_processed")
        await write(kafka, topic, others)
        await until_committed(running, kafka, settings["GROUP_ID"], ends_of(sent))
        async with httpx.AsyncClient() as scrape:
            metrics = (await scrape.get(f"http://127.0.0.1:{settings['HTTP_PORT']}/metrics")).text
            live = await scrape.get(f"http://127.0.0.1:{settings['HTTP_PORT']}/health/live")
        assert await running.stop() == 0

    letters = await read(kafka, settings["TOPIC_PREFIX"] + "dead-letters")
    for kind in KINDS:
        _check_letter(kind, letters, _place(topic, kind, sent))
    assert len(letters) == len(KINDS)
    assert f'evse_status_events_total{{verdict="applied"}} {good}.0' in metrics
    assert f'evse_status_events_total{{verdict="rejected"}} {len(KINDS)}.0' in metrics
    for reason, count in Counter(kind.reason for kind in KINDS).items():
        assert f'evse_status_rejections_total{{reason="{reason}"}} {count}.0' in metrics
    assert live.json() == {"status": "ok", "reasons": []}
    assert json.loads((await command("show", "e1", "--json", settings=settings)).out)["revision"] == good
    await _check_listing(topic, sent, settings)


def _place(topic: str, kind: Garbage, sent: list[Sent]) -> tuple[str, int, int]:
    partition = [one for one in sent if one.partition == kind.sent.partition]
    return topic, kind.sent.partition, next(i for i, one in enumerate(partition) if one is kind.sent)


def _check_letter(kind: Garbage, letters: list[Record], place: tuple[str, int, int]) -> None:
    """Hold the dead letter from that place to what was sent: every byte of it, and the reason."""
    (letter,) = [one for one in letters if _origin(one) == place]
    words = {name: value.decode() for name, value in letter.headers if name.startswith("dl_")}
    own = tuple((name, value) for name, value in letter.headers if not name.startswith("dl_"))

    assert letter.partition == kind.sent.partition
    assert (letter.key, letter.value, own) == (kind.sent.key, kind.sent.value, kind.sent.headers)
    assert words["dl_reason"] == kind.reason
    assert kind.says in words["dl_message"]
    assert "dl_value_length" not in words


def _origin(letter: Record) -> tuple[str, int, int]:
    words = dict(letter.headers)
    return words["dl_topic"].decode(), int(words["dl_partition"]), int(words["dl_offset"])


async def _check_listing(topic: str, sent: list[Sent], settings: dict[str, str]) -> None:
    """Each letter is listed with its origin and reason, whatever bytes it holds."""
    as_json, plain = await asyncio.gather(
        command("dead-letters", "list", "-n", "100", "--json", settings=settings),
        command("dead-letters", "list", "-n", "100", settings=settings),
    )
    listed = {(one["origin"], one["reason"]) for one in map(json.loads, as_json.out.splitlines())}
    expected = {(":".join(map(str, _place(topic, kind, sent))), str(kind.reason)) for kind in KINDS}
    assert listed == expected
    assert len(plain.out.splitlines()) == len(KINDS)


@pytest.mark.slow
async def test_a_dead_letter_whose_cause_is_gone_is_processed_as_it_was_meant(
    kafka: Kafka, settings: dict[str, str]
) -> None:
    """5 MB were too much; with a higher limit, sent again, they apply at the time their record had."""
    topic = await kafka.create_topic(settings["TOPIC_PREFIX"] + "events", config=TOPIC_CONFIG)
    (large,) = [kind.sent for kind in KINDS if kind.reason is RejectionReason.TOO_LARGE]
    sent = [of_event(status_reported("CHARGING", "00:00")), large]
    await write(kafka, topic, sent)
    async with worker(settings=settings) as running:
        await until_committed(running, kafka, settings["GROUP_ID"], ends_of(sent))
        assert await running.stop() == 0

    replayed = await command("dead-letters", "replay", "--reason", "too_large", "--yes", settings=settings)
    assert (replayed.code, replayed.out) == (0, f"sent 1 to {topic}, partition 0\n")
    settings["MAX_RECORD_BYTES"] = str(6 << 20)
    async with worker(settings=settings) as running:
        await until_committed(running, kafka, settings["GROUP_ID"], ends_of([*sent, large]))
        assert await running.stop() == 0

    *_, again = await read(kafka, topic)
    assert (again.key, again.value, again.headers) == (large.key, large.value, large.headers)
    (connector,) = json.loads((await command("show", "e1", "--json", settings=settings)).out)["connectors"]
    assert (connector["status_since"], connector["raw_status"]) == ("2026-01-05T19:00:00Z", None)
    assert orjson.loads(large.value or b"")["status"] == "INOPERATIVE"
