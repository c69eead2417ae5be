"""Who comes in to the page, under which prefix, and with how long an address."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import httpx
import pytest
import structlog

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


@pytest.mark.allow_error_logs
async def test_a_bug_that_ends_the_reading_of_the_list_is_told_and_shown_to_the_probe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The page would show for ever what was: whoever watches it starts it anew."""
    app, client = await opened(MemoryView(network(3)))

    async def fail() -> None:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr(app.state.poller, "turn", fail)
    with structlog.testing.capture_logs() as lines, pytest.raises(ZeroDivisionError):
        await app.state.poller.run()
    async with client:
        answer = await client.get(LIVE)

    assert (answer.status_code, "a bug of this program" in answer.text) == (503, True)
    assert [(line["action"], line["log_level"]) for line in lines] == [("defect", "critical")]


def test_the_token_is_in_no_text_of_the_gate() -> None:
    """Such as that of an error."""
    assert TOKEN not in repr(GATE)


OWN_WORDS = ["/tools/evse", "/evse", "/evse/page", "/events", "/api", "/api/evses", "/static", "/health"]
"""Prefixes; all but the first begin like addresses of the page itself."""


@pytest.mark.parametrize("taken", [False, True])
@pytest.mark.parametrize("root", OWN_WORDS)
async def test_a_proxy_may_leave_the_prefix_or_take_it_away(root: str, *, taken: bool) -> None:
    """Links and files are found from each page, whatever the prefix is called."""
    _, client = await opened(MemoryView(network(3)), gate=Gate(root))

    async def browse(address: str) -> httpx.Response:
        """Ask a proxy, which serves the page under the prefix, for what a browser shows as an address."""
        assert address.startswith(f"{root}/")
        answer = await client.get(address.removeprefix(root) if taken else address)
        assert answer.status_code == 200
        return answer

    async with client:
        index = await browse(f"{root}/")
        [link] = set(re.findall(r'href="(evse/evse-0001)"', index.text))
        await browse(f"{root}/api/totals")
        await browse(f"{root}{LIVE}")
        at = urljoin(f"{root}/", link)
        page = await browse(at)
        for pattern in (r'href="([^"]*static/base\.css)', r'class="brand" href="([^"]*)"'):
            [found] = re.findall(pattern, page.text)
            await browse(urljoin(at, found))
        assert "evse-0001</dd>" in page.text


@pytest.mark.parametrize("path", ["/evse/nobody", "/evse/evse-0001"])
async def test_an_address_that_only_begins_like_the_prefix_leads_back_to_the_page(path: str) -> None:
    """Typed by hand below a prefix that a proxy leaves there, its links are below the prefix, too."""
    _, client = await opened(MemoryView(network(3)), gate=Gate("/evse"))
    async with client:
        answer = await client.get(path)
        [back] = re.findall(r'class="brand" href="([^"]*)"', answer.text)

    assert answer.status_code == (404 if path.endswith("nobody") else 200)
    assert urljoin(path, back) == "/evse/"


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
