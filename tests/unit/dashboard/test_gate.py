"""Who comes in to the page, under which prefix, and with how long an address."""

from __future__ import annotations

import re

import pytest

from service.dashboard.gate import LIVE, Gate
from tests.unit.dashboard.memory import MemoryView, opened
from tests.unit.dashboard.seed import network

TOKEN = "0123456789abcdef"  # noqa: S105 - of a page in memory
GATE = Gate(token=TOKEN)


@pytest.mark.parametrize("shown", [f"Bearer {TOKEN}", f"bearer  {TOKEN}"])
async def test_who_shows_the_token_comes_in(shown: str) -> None:
    """The word before it is taken in any case."""
    _, client = await opened(MemoryView(network(3)), gate=GATE)
    async with client:
        assert (await client.get("/", headers={"Authorization": shown})).status_code == 200


@pytest.mark.parametrize(
    "shown",
    ["", TOKEN, "Bearer", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer \xe9\xff"],
)
@pytest.mark.parametrize("path", ["/", "/api/evses", "/events", "/static/app.js", "/nowhere", f"{LIVE}/"])
async def test_nobody_else_does(shown: str, path: str) -> None:
    """They are told what to show, under the policy of every answer, and learn of no address."""
    _, client = await opened(MemoryView(network(3)), gate=GATE)
    async with client:
        answer = await client.get(path, headers={b"Authorization": shown.encode("latin-1")})

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "evse-" not in answer.text


async def test_a_probe_needs_no_token_and_learns_nothing() -> None:
    """It is answered although Redis is away: another page would not reach it either."""
    view = MemoryView(network(3))
    _, client = await opened(view, gate=GATE)
    view.down = True
    async with client:
        answer = await client.get(LIVE)

    assert (answer.status_code, answer.text) == (200, "ok\n")


def test_the_token_is_in_no_text_of_the_gate() -> None:
    """Such as that of an error."""
    assert TOKEN not in repr(GATE)


@pytest.mark.parametrize("before", ["", "/tools/evse"])
async def test_a_proxy_may_leave_the_prefix_or_take_it_away(before: str) -> None:
    """Links and files are found from each page."""
    _, client = await opened(MemoryView(network(3)), gate=Gate("/tools/evse"))
    async with client:
        index = await client.get(f"{before}/")
        [link] = set(re.findall(r'href="(evse/evse-0001)"', index.text))
        page = await client.get(f"{before}/{link}")
        [sheet] = re.findall(r'href="(\.\./static/base\.css[^"]*)"', page.text)

        assert (index.status_code, page.status_code) == (200, 200)
        assert (await client.get(f"{before}/{sheet.removeprefix('../')}")).status_code == 200


async def test_the_prefix_alone_leads_to_the_page() -> None:
    """Links are relative to a folder, and go nowhere that the address did not name."""
    _, client = await opened(MemoryView(), gate=Gate("/evse"))
    async with client:
        answer = await client.get("/evse")

    assert (answer.status_code, answer.headers["location"]) == (308, "/evse/")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/evse/" + "%F0%9F%94%8C" * 255, 404),
        ("/evse/" + "a" * 5000, 414),
        ("/?q=" + "%F0%9F%94%8C" * 200, 200),
        ("/?q=" + "a" * 5000, 414),
        ("/api/evses?page=" + "9" * 3000, 200),
        ("/events?since=" + "9" * 5000, 414),
    ],
)
async def test_an_address_is_as_long_as_it_may_have_to_be(path: str, status: int) -> None:
    """Any uid and any search fits; what is longer is not read."""
    _, client = await opened(MemoryView(network(3)))
    async with client:
        assert (await client.get(path)).status_code == status
