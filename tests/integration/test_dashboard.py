"""The page over a real Redis and a real Valkey, served over a real socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import orjson
import pytest
import redis
import structlog
import uvicorn
from redis.asyncio import Redis, RedisCluster

from schemas import view
from schemas.vocabulary import Status
from service.dashboard.app import close_streams, create_app
from service.dashboard.gate import LIVE, Gate
from service.dashboard.reading import GAPS_LIMIT, OUTAGES_LIMIT, RedisView
from service.dashboard.wording import DAY, HOUR, MINUTE, date_time, day_name
from service.page import page_server
from tests.unit.dashboard.memory import OPEN
from tests.unit.dashboard.seed import network, write
from tests.unit.dashboard.stories import NOW, Known, Seeded, Story, evse


class Quiet(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@asynccontextmanager
async def served(
    redis_url: str, *, decode: bool = False, prefix: str = "evse", cluster: bool = False, gate: Gate = OPEN
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the page on a free port of the loopback, and stop it as a host would."""
    listener = socket.create_server(("127.0.0.1", 0))
    kind = RedisCluster if cluster else Redis
    async with kind.from_url(redis_url, decode_responses=decode) as client:
        app = create_app(client, prefix, clock=lambda: NOW, gate=gate)
        server = Quiet(uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=10))
        serving = asyncio.create_task(server.serve([listener]))
        await server.listening.wait()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=url, timeout=20) as browser:
            yield browser
            close_streams(app)
            server.should_exit = True
            await serving


async def loaded(browser: httpx.AsyncClient, count: int) -> None:
    """Wait, by listening, until the list was read once."""
    async with browser.stream("GET", "/events") as stream:
        async for line in stream.aiter_lines():
            if line.startswith("event: ") and (await browser.get("/api/totals")).json()["loaded"] == count:
                return


async def test_a_seeded_view_is_shown(redis_url: str) -> None:
    """Totals from the lists, rows from the documents, one EVSE's page from all its keys."""
    with redis.Redis.from_url(redis_url) as client:
        write(client, network(42))
    async with served(redis_url) as browser:
        await loaded(browser, 42)
        totals = (await browser.get("/api/totals")).json()
        assert totals["evses"] == sum(totals["by_status"].values()) == sum(totals["by_online"].values()) == 42
        assert (await browser.get("/?size=25")).text.count('<tr role="row" id=') == 25
        page = await browser.get("/evse/evse-0007")
        assert page.status_code == 200
        assert "Scheduled maintenance" in page.text
        assert page.text.count('<rect class="day"') == 31
        assert (await browser.get("/evse/nobody")).status_code == 404


async def test_a_view_in_a_cluster_is_shown(redis7_cluster_url: str) -> None:
    """The same page over a client of another kind."""
    with redis.RedisCluster.from_url(redis7_cluster_url) as client:
        write(client, network(42))
    async with served(redis7_cluster_url, cluster=True) as browser:
        await loaded(browser, 42)
        totals = (await browser.get("/api/totals")).json()
        assert totals["evses"] == sum(totals["by_status"].values()) == 42
        assert (await browser.get("/?size=25")).text.count('<tr role="row" id=') == 25
        assert (await browser.get("/evse/evse-0007")).status_code == 200
        assert (await browser.get("/evse/nobody")).status_code == 404


async def test_the_gaps_of_the_window_are_read_however_old_it_is(redis_url: str) -> None:
    """An EVSE that got no further 200 days ago, as without a slow tick: its gap is unobserved, and listed."""
    as_of = NOW - 200 * DAY
    story = Story("c1", "Gun A")
    story.say(as_of - 34 * DAY, Status.AVAILABLE)
    gap = (as_of - 20 * DAY, as_of - 20 * DAY + HOUR)
    with redis.Redis.from_url(redis_url) as client:
        write(client, [evse("e", [story], Known(gaps=[gap]), now=as_of)])
    async with served(redis_url) as browser:
        page = (await browser.get("/evse/e")).text.replace("\u202f", " ")
    assert f'<th scope="row">{date_time(gap[0])}</th><td>{date_time(gap[1])}</td>' in page
    assert f"{day_name(gap[0])}: up 23 h, not observed 1 h" in page


def flapping(times: int) -> Seeded:
    """Make an EVSE whose link flapped so often in 25 days, with what the worker keeps of it for itself."""
    story = Story("c1", "Gun A")
    story.say(NOW - 34 * DAY, Status.AVAILABLE)
    for number in range(times):
        at = NOW - 30 * DAY + number * 25 * DAY // times
        story.say(at, Status.AVAILABLE, online=False)
        story.say(at + MINUTE, Status.AVAILABLE)
    seeded = evse("e", [story])
    for until, line in seeded.outages[:]:
        own = orjson.loads(line) | {"connector_uid": "\x1f", "status": None}
        seeded.outages += [
            (until, orjson.dumps(own | {"online": online}).decode()) for online in (True, False)
        ]
    return seeded


async def test_the_workers_own_spans_take_no_place_of_those_that_are_drawn(redis_url: str) -> None:
    """Two in three are its own here: all others are read, and the whole window is drawn."""
    seeded = flapping(OUTAGES_LIMIT - 1)
    with redis.Redis.from_url(redis_url) as client:
        write(client, [seeded])
    async with Redis.from_url(redis_url) as reading:
        stored = await RedisView(reading, "evse").stored("e")
    assert stored is not None
    assert (len(stored.outages), stored.clipped, stored.complete_from) == (OUTAGES_LIMIT - 1, False, 0)
    assert not any(view.is_private_outage(outage) for outage in stored.outages)


async def test_what_lies_before_the_oldest_span_that_is_read_is_never_drawn_up(redis_url: str) -> None:
    """It is not observed, and the page says before when."""
    seeded = flapping(2 * OUTAGES_LIMIT)
    ends = sorted(until for until, line in seeded.outages if not view.is_private_outage(line))
    with redis.Redis.from_url(redis_url) as client:
        write(client, [seeded])
    async with Redis.from_url(redis_url) as reading:
        stored = await RedisView(reading, "evse").stored("e")
    async with served(redis_url) as browser:
        html = (await browser.get("/evse/e")).text.replace("\u202f", " ")
        everything = (await browser.get("/evse/e?outages=all")).text
    assert stored is not None
    assert len(stored.outages) == OUTAGES_LIMIT
    assert stored.complete_from == ends[-OUTAGES_LIMIT - 1]
    assert f"before {date_time(stored.complete_from)} nothing is" in html
    for day in range(NOW // DAY - 29, stored.complete_from // DAY):
        assert f"{day_name(day * DAY)}: not observed 1 d; in use" in html
    assert f"{day_name(stored.complete_from + DAY)}: up " in html
    assert "These are the newest; there may be older ones." in everything


async def test_of_more_gaps_than_are_read_the_newest_are(redis_url: str) -> None:
    """With the time from which on none is missing."""
    with redis.Redis.from_url(redis_url) as client:
        write(client, [evse("e", [], Known(gaps=[(NOW - DAY, NOW - HOUR)]))])
        ends = range(NOW - DAY, NOW - DAY - GAPS_LIMIT, -1)
        client.zadd(view.Keys().gaps("e"), {f"gap until {until}": until for until in ends})
    async with Redis.from_url(redis_url) as reading:
        stored = await RedisView(reading, "evse").stored("e")
    assert stored is not None
    assert len(stored.gaps) == GAPS_LIMIT
    assert stored.gaps[1] == f"gap until {ends[0]}"
    assert stored.complete_from == ends[-1]


async def test_a_client_that_decodes_serves_as_well(redis_url: str) -> None:
    """Whatever the caller's client gives, and under a prefix of its own."""
    with redis.Redis.from_url(redis_url) as client:
        write(client, network(5), prefix="other")
    async with served(redis_url, decode=True, prefix="other") as browser:
        await loaded(browser, 5)
        assert (await browser.get("/evse/evse-0001")).status_code == 200


async def test_a_change_in_redis_reaches_an_open_page(redis_url: str) -> None:
    """Through the stream, with the row and the totals, and without being asked for."""
    story = Story("c1", "Gun A")
    story.say(NOW - 34 * DAY, Status.AVAILABLE)
    with redis.Redis.from_url(redis_url) as client:
        write(client, [evse("{odd}%/uid", [story], Known(name="Bay 1"))])
        async with served(redis_url) as browser:
            await loaded(browser, 1)
            async with browser.stream("GET", "/events") as stream:
                assert stream.headers["content-type"].startswith("text/event-stream")
                lines = stream.aiter_lines()
                await anext(line async for line in lines if line.startswith("event: "))
                story.say(NOW - MINUTE, Status.OUTOFORDER)
                write(client, [evse("{odd}%/uid", [story], Known(name="Bay 1"))])
                message = await anext(
                    orjson.loads(line[6:])
                    async for line in lines
                    if line.startswith('data: {"now') and "rows" in line
                )
    assert "Out of order" in message["rows"]["{odd}%/uid"]
    assert message["totals"]["texts"]["status-OUTOFORDER"] == "1"


async def test_open_streams_do_not_keep_the_server_from_stopping(redis_url: str) -> None:
    """Closing the streams ends them for their browsers, and the server stops by itself."""
    listening = asyncio.Event()

    async def listen(browser: httpx.AsyncClient) -> str:
        async with browser.stream("GET", "/events") as stream:
            async for _ in stream.aiter_lines():
                listening.set()
        return "ended"

    async with served(redis_url) as browser:
        browsing = asyncio.create_task(listen(browser))
        await listening.wait()
    assert await browsing == "ended"


async def test_behind_a_prefix_and_a_token_all_of_it_works(redis7_url: str) -> None:
    """Pages, files, JSON and the stream; without the token nothing but the probe."""
    with redis.Redis.from_url(redis7_url) as client:
        write(client, network(5))
    async with served(redis7_url, gate=Gate("/evse", "x" * 16)) as browser:
        for path in ("/evse/", "/evse/events", "/evse/api/totals", "/evse/static/app.js", "/", "/evse/none"):
            assert (await browser.get(path)).status_code == 401
        assert (await browser.get(LIVE)).text == "ok\n"
        browser.headers["authorization"] = f"Bearer {'x' * 16}"
        browser.base_url = browser.base_url.join("/evse/")
        async with browser.stream("GET", "events") as stream:
            assert stream.status_code == 200
        for path in ("", "evse/evse-0001", "api/totals", "static/app.js"):
            assert (await browser.get(path)).status_code == 200


async def refused(redis_url: str) -> tuple[str, httpx.Response, str]:
    """Give what a page says that may not read its Redis: as it changes, of one EVSE, and in the log."""
    async with Redis.from_url(redis_url) as client:
        server = page_server(client, "evse", "127.0.0.1", 0)
        with structlog.testing.capture_logs() as lines:
            await server.start()
            url = f"http://127.0.0.1:{server.port}"
            async with httpx.AsyncClient(base_url=url, timeout=20) as browser:
                async with browser.stream("GET", "/events") as stream:
                    messages = (line[6:] async for line in stream.aiter_lines() if line.startswith("data: {"))
                    told = [orjson.loads(await anext(messages)) for _ in range(3)]
                page = await browser.get("/evse/evse-0001")
            await server.stop()
    [line] = [line for line in lines if line["action"] == "view_out_of_reach"]
    return told[-1]["trouble"], page, line["error"]


@pytest.mark.parametrize(
    ("rules", "status", "word"),
    [
        (("on", ">right", "allkeys", "+@all"), 503, "invalid username-password pair"),
        (("on", ">wrong", "~elsewhere*", "+@all"), 503, "permissions"),
        (("on", ">wrong", "allkeys", "+@all", "-zcard"), 404, "permissions"),
    ],
)
async def test_a_redis_that_refuses_the_page_is_told_with_what_helps(
    redis7_url: str, rules: tuple[str, ...], status: int, word: str
) -> None:
    """It answers: the page says so without a name, and the log has the remedy, once."""
    with redis.Redis.from_url(redis7_url) as admin:
        admin.execute_command("ACL", "SETUSER", "guest", "reset", *rules)
        try:
            url = redis7_url.replace("://", "://guest:wrong@")
            trouble, page, error = await refused(url)
        finally:
            admin.execute_command("ACL", "DELUSER", "guest")

    assert trouble == "Redis refuses to be read"
    assert (page.status_code, "Redis refuses to be read" in page.text) == (status, True)
    assert "check user, password and ACL" in error
    assert word in error
    assert not {"guest", "wrong", "permission"} & set(page.text.split())


async def test_a_node_of_a_cluster_is_told_with_the_setting_that_helps(redis7_cluster_url: str) -> None:
    """Taken for the one server, it sends the reader on."""
    trouble, _, error = await refused(redis7_cluster_url)

    assert trouble == "Redis refuses to be read"
    assert "EVSE_STATUS_REDIS_CLUSTER=true" in error
