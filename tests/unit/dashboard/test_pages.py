"""What the addresses answer: states, numbers, escaping, headers, links."""

from __future__ import annotations

import asyncio
import re
from html import unescape
from html.parser import HTMLParser
from threading import Event
from typing import Any
from urllib.parse import quote, urljoin

import httpx
import orjson
import pytest
import structlog

from schemas.vocabulary import Status
from service.dashboard import pages
from service.dashboard.detail import EvsePage, evse_page
from service.dashboard.feed import STREAMS_LIMIT
from service.dashboard.reach import Trouble
from service.dashboard.templating import Templates
from service.dashboard.wording import DAY, HOUR, MINUTE, STATUS_WORDS
from tests.unit.dashboard.memory import PRIVATE, MemoryView, asked, opened
from tests.unit.dashboard.seed import network
from tests.unit.dashboard.stories import NOW, Known, Seeded, Story, evse, stamp

NARROW = "\u202f"


def charger(uid: str, status: Status | None = Status.AVAILABLE, *, online: bool | None = True) -> Seeded:
    """Make an EVSE of one connector with a month behind it."""
    story = Story("c1", "Gun A")
    if status is not None:
        story.say(NOW - 34 * DAY, Status.AVAILABLE)
        story.say(NOW - HOUR, status, online)
    return evse(uid, [story], Known(name=f"Bay of {uid}"))


def words(html: str) -> str:
    """Give the text of a page without its tags, in single spaces."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split()).replace(NARROW, " ")


def shown(html: str) -> list[str]:
    """Give the uids of the table's rows, in order."""
    return re.findall(r'<tr [^>]*data-uid="([^"]+)"', html)


@pytest.mark.parametrize("status", list(Status))
async def test_every_status_has_its_word_and_its_mark(status: Status) -> None:
    """In the table, among the totals and on the EVSE's page: a dot of its own and the word."""
    view = MemoryView([charger("a", status)])
    for path in ("/", "/evse/a"):
        answer = await asked(view, path)
        assert answer.status_code == 200
        assert re.search(rf'class="dot s-{status.lower()}[^"]*"></i>{STATUS_WORDS[status]}', answer.text)


@pytest.mark.parametrize(("online", "word"), [(True, "Online"), (False, "Offline"), (None, "Not reported")])
async def test_the_link_has_a_word_of_its_own(online: bool | None, word: str) -> None:
    """Offline is said beside the status and does not replace it."""
    view = MemoryView([charger("a", Status.AVAILABLE, online=online)])
    row = (await asked(view, "/api/evses")).json()["evses"][0]
    assert row["online"] is online
    assert row["connectors"][0]["status"] == "AVAILABLE"
    assert f"</i>{word}</span>" in (await asked(view, "/evse/a")).text


async def test_what_a_charger_sends_is_escaped_everywhere() -> None:
    """A name, an error code, a note or a uid that holds markup is text."""
    evil = '"><script>alert(1)</script>'
    story = Story(f"c{evil}", f"Gun{evil}", raw_status=evil)
    story.say(NOW - 34 * DAY, Status.AVAILABLE)
    story.say(NOW - HOUR, Status.OUTOFORDER, True, evil)
    excused = {
        evil: {
            "from": stamp(NOW - DAY),
            "until": None,
            "reason": "other",
            "connector_uids": [story.uid],
            "note": evil,
        }
    }
    note = {"status": evil, "raw_status": evil, "error_code": evil, "at": stamp(NOW)}
    seeded = evse(f"e{evil}", [story], Known(evse_id=evil, name=evil, exclusions=excused, note=note))
    view = MemoryView([seeded])
    uid = httpx.URL("http://page").copy_with(path=f"/evse/{seeded.uid}").raw_path.decode()
    for path in ("/", "/?q=%22%3E%3Cscript%3E&status=%22%3E%3Cscript%3E", uid, "/evse/%22%3E%3Cscript%3E"):
        answer = await asked(view, path)
        assert "<script>alert" not in answer.text
        assert '"><script' not in answer.text
    assert "&lt;script&gt;alert(1)" in (await asked(view, uid)).text


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "'\" onmouseover=alert(1) x='\"",
    "</title></svg></template><script>alert(1)</script>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% include '/etc/passwd' %}",
    "&lt;script&gt;&#x22;",
    "../../events?x=1#y",
    "//elsewhere.example/x",
    "\u202eevse\u2066",
]


class _Shape(HTMLParser):
    """What a page is made of: its elements with the names of their attributes, and where they lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.leads: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.leads += [value or "" for name, value in attrs if name in {"href", "src", "action"}]


def told(word: str) -> Seeded:
    """Make an EVSE all of whose texts are one word."""
    story = Story(word, word, raw_status=word)
    story.say(NOW - 34 * DAY, Status.AVAILABLE)
    story.say(NOW - HOUR, Status.OUTOFORDER, True, word)
    note = {"status": word, "raw_status": word, "error_code": word, "at": stamp(NOW)}
    return evse(word, [story], Known(evse_id=f"{word}.", name=word, note=note))


@pytest.mark.parametrize("word", HOSTILE)
async def test_no_word_of_a_charger_makes_anything_but_text(word: str) -> None:
    """With hostile uids, names and raw statuses a page has the elements that it has with good ones."""
    shapes = []
    for each in (word, "good"):
        app, client = await opened(MemoryView([told(each)]))
        async with client:
            paths = ("/", f"/?q={quote(each)}&status={quote(each)}", f"/evse/{quote(each, safe='')}")
            answers = [await client.get(path) for path in paths]
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        [row] = app.state.poller.fleet.rows
        shapes.append([_Shape(answer.text) for answer in answers] + [_Shape(Templates().row(row, NOW))])

    hostile, good = shapes
    for found, expected in zip(hostile, good, strict=True):
        assert found.elements == expected.elements
        assert not [lead for lead in found.leads if re.match(r"//|[a-z]+:|.*elsewhere\.example/", lead)]


async def test_json_is_never_taken_for_a_page() -> None:
    """Whatever a charger put into it."""
    view = MemoryView([told("<script>alert(1)</script>")])
    for path in ("/api/evses", "/api/evses/%3Cscript%3Ealert(1)%3C%2Fscript%3E", "/api/evses/%3Cb%3E"):
        answer = await asked(view, path)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_every_answer_forbids_what_is_not_the_pages_own() -> None:
    """A strict policy on pages, files, JSON and errors, and nothing inline that would need more."""
    view = MemoryView(network(21))
    for path in ("/", "/evse/evse-0008", "/evse/none", "/static/app.js", "/api/totals", "/nowhere"):
        answer = await asked(view, path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        if answer.headers["content-type"].startswith("text/html"):
            assert answer.headers["cache-control"] == "no-store"
            assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]* src=)", answer.text)
            assert not re.search(r'(?:href|src)="(?:https?:)?//', answer.text)


async def test_the_table_is_searched_sorted_and_paged_by_its_address() -> None:
    """Without any script."""
    view = MemoryView(network(42))
    html = (await asked(view, "/?q=harbour&sort=-uid&size=25")).text
    found = shown(html)
    assert found == sorted(found, reverse=True)
    assert f"1–{len(found)} of {len(found)}" in words(html)  # noqa: RUF001 - as it is shown
    assert re.search(r'<th scope="col"[^>]*aria-sort="descending">\s*<a href="\?q=harbour&amp;sort=uid', html)
    first, second = [(await asked(view, f"/?size=25&page={page}")).text for page in (1, 2)]
    assert len({*shown(first), *shown(second)}) == 42
    assert 'rel="next" href="?page=2&amp;size=25"' in first
    assert 'rel="prev" href="?size=25"' in second


def removed(uid: str) -> Seeded:
    """Make an EVSE that was removed an hour ago."""
    story = Story("c1", "Gun A")
    story.say(NOW - 34 * DAY, Status.AVAILABLE)
    story.say(NOW - HOUR, Status.REMOVED, None)
    return evse(uid, [story], Known(removed_at=NOW - HOUR))


async def test_a_chip_of_the_link_counts_the_rows_that_it_shows() -> None:
    """A removed EVSE has no link: it is neither counted nor listed by one, and its status finds it."""
    view = MemoryView([charger("silent", online=None), removed("gone"), charger("on")])
    for value, listed in (("null", ["silent"]), ("true", ["on"]), ("false", [])):
        html = (await asked(view, f"/?online={value}")).text
        assert shown(html) == listed
        assert f'<b data-total="online-{value}">{len(listed)}</b>' in html
    assert shown((await asked(view, "/?status=REMOVED")).text) == ["gone"]
    assert "Not reported" not in words((await asked(view, "/evse/gone")).text).split("The 30 days")[0]


async def test_a_filter_keeps_the_rest_of_the_query() -> None:
    """And the chip in use takes it away again."""
    html = (await asked(MemoryView(network(42)), "/?q=harbour&status=CHARGING")).text
    assert re.search(r'href="\?q=harbour"[^>]*aria-current="true"><i class="dot s-charging"', html)
    assert 'href="?q=harbour&amp;status=CHARGING&amp;online=false"' in html
    assert '<input type="hidden" name="status" value="CHARGING">' in html


async def test_a_fragment_is_what_lives_of_the_page() -> None:
    """The same pieces under the same ids, without the frame."""
    view = MemoryView(network(21))
    for path in ("/?sort=uptime", "/evse/evse-0007?"):
        whole, piece = [(await asked(view, path + extra)).text for extra in ("", "&fragment=1")]
        names = re.findall(r'(?:<\w+ data-live id="|id=")([^"]+)"[^>]*?(?:data-live|>)', piece)
        assert "<html" not in piece
        assert names
        assert all(f'id="{name}"' in whole for name in names)


async def test_no_view_and_no_match_say_so() -> None:
    """An empty table explains itself."""
    assert "There is no EVSE in the view yet" in (await asked(MemoryView(), "/")).text
    html = (await asked(MemoryView(network(5)), "/?q=no%2Fsuch")).text
    assert '<a href="evse/no%2Fsuch">' in html


async def test_an_unknown_uid_is_not_found() -> None:
    """As a page, with the way back, and as JSON."""
    answer = await asked(MemoryView(network(5)), "/evse/nobody")
    assert answer.status_code == 404
    assert "There is no EVSE with the uid “nobody”" in answer.text
    assert 'href="../"' in answer.text
    assert (await asked(MemoryView(), "/api/evses/nobody")).status_code == 404
    assert (await asked(MemoryView(), "/nowhere")).status_code == 404


async def test_numbers_that_are_null_are_words() -> None:
    """Too little was seen: no zero, no empty cell."""
    story = Story("c1", "Gun A")
    story.say(NOW - 40 * MINUTE, Status.AVAILABLE)
    view = MemoryView([evse("young", [story]), evse("bare", [])])
    html = (await asked(view, "/")).text
    assert html.count(">not enough seen yet</span>") == 3
    assert html.count(">nothing seen yet</span>") == 1
    page = words((await asked(view, "/evse/young")).text)
    assert page.count("No uptime : only 40 min 0 s of the window were observed; a number takes an hour") == 2
    assert "a value is given once 24 hours were observed" in page
    assert "No connector of this EVSE is known yet" in words((await asked(view, "/evse/bare")).text)


@pytest.mark.parametrize(
    ("status", "is_excluded", "brief", "sentence"),
    [
        (Status.OUTOFORDER, True, "all excluded", "all that was observed is excluded: nothing is left"),
        (Status.REMOVED, False, "out of service", "it was out of service throughout"),
    ],
)
async def test_a_missing_uptime_says_what_it_is_missing_for(
    status: Status, brief: str, sentence: str, *, is_excluded: bool
) -> None:
    """In the table and on the EVSE's page: that too little was seen is only one of the reasons."""
    story = Story("c1", "Gun A")
    story.say(NOW - 34 * DAY, status)
    since = {"from": stamp(NOW - 40 * DAY), "until": None}
    excused = {"x": {**since, "reason": "other", "connector_uids": None, "note": None}}
    view = MemoryView([evse("e", [story], Known(exclusions=excused if is_excluded else {}))])
    row = re.search(r'<td [^>]*class="c-uptime".*?</td>', (await asked(view, "/")).text)
    page = words((await asked(view, "/evse/e")).text)

    assert row
    assert brief in words(row[0])
    assert sentence in row[0]
    assert page.count(f"No uptime : {sentence}") == 2
    assert "seen yet" not in page.split("Reliability")[0]


async def test_uptime_never_stands_without_its_coverage() -> None:
    """In words on the EVSE's page, small in the table."""
    story = Story("c1", "Gun A")
    story.say(NOW - 34 * DAY, Status.AVAILABLE)
    story.say(NOW - 3 * DAY, Status.OUTOFORDER)
    story.say(NOW - 2 * DAY, Status.AVAILABLE)
    view = MemoryView([evse("e", [story], Known(gaps=[(NOW - 9 * DAY, NOW - 9 * DAY + 5 * HOUR)]))])
    assert "96.71 % up — seen 99.3 % of the time" in words((await asked(view, "/evse/e")).text)
    assert "96.71 % seen 99.3 %" in words((await asked(view, "/")).text)


async def test_a_connector_that_an_inventory_took_out_is_said_to_be_no_part_of_the_evse() -> None:
    """As `show` says it: no state, for nothing is published of it, and the numbers of its history."""
    stays, gone = Story("c1", "Gun A"), Story("c2", "Gun B", raw_status="SuspendedEV")
    for story in (stays, gone):
        story.say(NOW - 34 * DAY, Status.AVAILABLE)
        story.say(NOW - DAY, Status.OUTOFORDER, True, "E-113")
    seeded = evse("e", [stays, gone])
    snapshot = orjson.loads(seeded.document["snapshot"])
    snapshot["evse"]["connectors"].pop()
    seeded.document["snapshot"] = orjson.dumps(snapshot).decode()
    html = (await asked(MemoryView([seeded]), "/evse/e")).text
    kept, taken_out = (
        words(html.partition(f'id="connector-{uid}"')[2].partition("</section>")[0]) for uid in ("c1", "c2")
    )
    for state in ("Out of order", "Online", "Status since", "E-113"):
        assert state in kept
        assert state not in taken_out
    for claim in ("Nothing heard yet", "Not reported", "SuspendedEV", "since"):
        assert claim not in taken_out
    assert "c2 No longer part of the EVSE" in taken_out
    assert "No longer part of the EVSE" not in kept
    assert re.search(r"Uptime, 30 days 9[67]\.\d\d % up", taken_out)
    assert re.search(r"Reliability [\d.]+ of 10", taken_out)


async def test_reliability_is_explained_by_its_terms() -> None:
    """Each with its share and a sentence."""
    page = words((await asked(MemoryView([charger("e")]), "/evse/e")).text)
    for term, sentence in (
        ("Availability", "finds the connector working"),
        ("Continuity", "no outage begins"),
        ("Success", "an attempt to charge succeeds"),
    ):
        assert re.search(rf"{term} [\d.]+ % [^.]*{sentence}", page)
    assert re.search(r"[\d.]+ of 10 — ten times the product", page)
    assert "attempts: 88 succeeded" in page


async def test_an_outage_has_all_that_explains_it() -> None:
    """When, how long, what it counts as, why, and the events at its ends."""
    page = words((await asked(MemoryView([charger("e", Status.OUTOFORDER)]), "/evse/e")).text)
    started = (NOW - HOUR) // 1_000_000
    line = rf"30 Jan, 13:00:00 ongoing 1 h Gun A Down Out of order – c1:{started} at {started % 100_000}"  # noqa: RUF001
    assert re.search(line, page)


async def test_a_silence_reads_as_one_and_a_heartbeat_as_one() -> None:
    """Not as an id, and not with a place that nobody kept."""
    seeded = charger("e", online=False)
    recent = orjson.loads(seeded.document["recent"])
    (line,) = recent["connectors"]["c1"]["outages"]
    line["began_by"] = {"event_id": "silence:e:2026-01-30T12:45:00Z", "position": 4711}
    before = line | {"from": stamp(NOW - 3 * HOUR), "until": stamp(NOW - 2 * HOUR)}
    before["ended_by"] = {"event_id": None, "position": -1}
    recent["connectors"]["c1"]["outages"] = [before, line]
    seeded.document["recent"] = orjson.dumps(recent).decode()
    page = words((await asked(MemoryView([seeded]), "/evse/e")).text)
    assert "nothing heard since 30 Jan, 12:45:00 at 4711" in page
    assert "a heartbeat" in page
    assert "-1" not in page


async def test_the_page_names_the_command_that_explains_its_numbers() -> None:
    """As a shell takes it, whatever the uid."""
    page = (await asked(MemoryView([charger("a b")]), "/evse/a%20b")).text
    assert "<code>evse-status explain &#39;a b&#39;</code>" in page


async def test_the_timeline_has_a_title_a_description_and_a_table() -> None:
    """What the drawing tells is told without it too."""
    html = (await asked(MemoryView(network(21)), "/evse/evse-0004")).text
    drawings = re.findall(r'<svg[^>]*role="img" aria-labelledby="(\S+) (\S+)"', html)
    assert len(drawings) == 3
    assert all(f'id="{name}"' in html for pair in drawings for name in pair)
    assert html.count('<rect class="day"') == 31 * 3
    assert html.count('<table class="days">') == 3
    assert 'class="t-down"' in html
    assert 'class="t-excluded"' in html
    assert 'class="t-unobserved"' in html


async def test_the_history_says_until_when_its_thirty_days_are() -> None:
    """Until now, or until when the EVSE got where nothing was heard since or it was removed."""
    view = MemoryView([charger("now"), removed("gone")])
    assert "The last 30 days" in (await asked(view, "/evse/now")).text
    page = (await asked(view, "/evse/now", NOW + 2 * DAY)).text
    assert "The last 30 days" not in page
    assert '<h2 id="history-heading">The 30 days until 30 Jan 2026, 14:00:00</h2>' in page
    assert "The 30 days until 30 Jan 2026, 14:00:00" in (await asked(view, "/evse/gone")).text


async def test_links_are_relative_to_any_path() -> None:
    """Behind a proxy or a mount, and with a uid that holds a slash."""
    view = MemoryView([charger("site/1?x=#2")])
    _, client = await opened(view, root_path="/tools/dash")
    async with client:
        html = (await client.get("/tools/dash/")).text
        link = re.search(r'<a href="(evse/[^"]+)"', html)
        assert link
        assert link[1] == "evse/site%2F1%3Fx%3D%232"
        answer = await client.get(f"/tools/dash/{link[1]}")
    assert answer.status_code == 200
    assert 'href="../static/base.css' in answer.text
    assert 'data-uid="site/1?x=#2"' in answer.text


@pytest.mark.parametrize("uid", [".", ".."])
async def test_a_uid_that_is_a_step_of_addresses_has_a_page_that_browsers_reach(uid: str) -> None:
    """They take `.` and `..` away before they ask, so the uid is a parameter there, in each link."""
    story = Story("c1", "Gun A")
    for day in range(60):
        story.say(NOW - (70 - day) * DAY, Status.OUTOFORDER if day % 2 else Status.AVAILABLE)
    _, client = await opened(MemoryView([evse(uid, [story], Known())]))
    async with client:
        index = await client.get("/")
        [at] = re.findall(r'<a href="(evse/[^"]*)"', index.text)
        page = await client.get(urljoin("/", at))
        [more] = re.findall(r'href="(\?[^"]*outages=all)#outages"', page.text)
        every = await client.get(urljoin(f"/{at}", unescape(more)))
        [less] = re.findall(r'href="(\?[^"]*)#outages"', every.text)
        back = await client.get(urljoin(f"/{at}", unescape(less)))
        [as_json] = re.findall(r'href="\.\./(api/evses/[^"]*)"', page.text)
        snapshot = (await client.get(urljoin("/", as_json))).json()

    assert not {".", ".."} & set(at.split("?")[0].split("/"))
    assert all(f'data-uid="{uid}"' in each.text for each in (page, every, back))
    assert snapshot["evse"]["uid"] == uid


async def test_an_address_without_a_uid_names_no_evse() -> None:
    """Redis is not asked: a cluster cannot read the keys of an empty uid together."""
    view = MemoryView([charger("a")])
    _, client = await opened(view)
    view.down = True
    async with client:
        assert [(await client.get(path)).status_code for path in ("/evse/", "/api/evses/")] == [404, 404]


@pytest.mark.parametrize("trouble", list(Trouble))
async def test_without_redis_the_table_stays_and_says_as_of_when(trouble: Trouble) -> None:
    """What needs Redis is unavailable, as a page, with what is wrong and nothing that is for the log."""
    view = MemoryView(network(5))
    app, client = await opened(view)
    async with client:
        view.down, view.trouble = True, trouble
        app.state.poller.trouble = trouble
        index = await client.get("/")
        assert len(shown(index.text)) == 5
        assert f"{trouble}; as of" in index.text
        for path in ("/evse/evse-0001", "/api/evses/evse-0001"):
            answer = await client.get(path)
            assert answer.status_code == 503
            assert trouble in answer.text
            assert PRIVATE not in answer.text


async def test_an_evse_whose_keys_alone_are_refused_is_logged_once() -> None:
    """Such as by rules for a user that name the lists; the poller reads on and tells nothing."""
    view = MemoryView(network(5))
    _, client = await opened(view)
    view.down, view.trouble = True, Trouble.REFUSED
    with structlog.testing.capture_logs() as lines:
        async with client:
            answers = [await client.get("/evse/evse-0001") for _ in range(3)]

    assert ["The log of the service says why" in answer.text for answer in answers] == [True] * 3
    assert [(line["action"], PRIVATE in line["error"]) for line in lines] == [("view_out_of_reach", True)]


async def test_the_api_gives_totals_and_the_snapshot_as_published() -> None:
    """Small JSON for programs."""
    seeded = charger("a", Status.CHARGING)
    view = MemoryView([seeded])
    totals = (await asked(view, "/api/totals")).json()
    assert (totals["evses"], totals["by_status"], totals["connectors"]) == (1, {"CHARGING": 1}, 1)
    assert (await asked(view, "/api/evses/a")).json() == orjson.loads(seeded.document["snapshot"])
    assert (await asked(view, "/api/evses?q=zzz")).json()["matched"] == 0


async def test_a_change_carries_the_row_as_the_table_has_it() -> None:
    """A browser puts it in place of the old one; the totals come as they stand on the page."""
    view = MemoryView([charger("a"), charger("b")])
    app, client = await opened(view)
    async with client:
        position = app.state.feed.position
        view.put(charger("b", Status.OUTOFORDER))
        await app.state.poller.turn()
        stream = app.state.feed.stream(position)
        await anext(stream)
        message = orjson.loads(re.findall(rb"data: (.*)\n", await anext(stream))[0])
        table = (await client.get("/")).text
    assert list(message["rows"]) == message["uids"] == ["b"]
    assert " ".join(message["rows"]["b"].split()) in " ".join(table.split())
    assert message["totals"]["texts"]["not-working"] == "1"
    assert message["totals"]["bars"]["evses"]["OUTOFORDER"] == 1


async def test_while_the_page_of_an_evse_is_made_others_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One with thousands of outages takes a second, and whoever asks for health waits for less."""
    may_go_on = Event()

    def make(*arguments: Any, **options: Any) -> EvsePage | None:
        assert may_go_on.wait(timeout=30), "nobody else was answered"
        return evse_page(*arguments, **options)

    monkeypatch.setattr(pages, "evse_page", make)
    _, client = await opened(MemoryView([charger("a")]))
    async with client:
        slow = asyncio.ensure_future(client.get("/evse/a"))
        assert (await client.get("/")).status_code == 200
        may_go_on.set()
        assert (await slow).status_code == 200


async def test_too_many_open_pages_are_told_to_wait() -> None:
    """The page itself still works."""
    app, client = await opened(MemoryView())
    async with client:
        app.state.feed.streams = STREAMS_LIMIT
        answer = await client.get("/events")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "30"
