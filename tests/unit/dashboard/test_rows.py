"""The table of EVSEs: summaries, search, filters, order and pages."""

from __future__ import annotations

import orjson
import pytest

from schemas.vocabulary import Status
from service.dashboard.rows import Query, Row, page_of, row_of
from service.dashboard.wording import DAY, HOUR
from tests.unit.dashboard.seed import network
from tests.unit.dashboard.stories import NOW, Known, Seeded, Story, evse


def row(seeded: Seeded) -> Row:
    """Summarise an EVSE that is whole."""
    summary = row_of(seeded.uid, seeded.document)
    assert summary is not None
    return summary


ROWS = [row(seeded) for seeded in network(42)]


def uids(query: Query) -> list[str]:
    """Give the uids of a page."""
    return [found.uid for found in page_of(ROWS, query).rows]


def test_a_row_has_the_ports_uptime_and_the_least_reliable_connector() -> None:
    """Two connectors, one down for a day: the port was up throughout."""
    good, bad = Story("c1"), Story("c2")
    for story in (good, bad):
        story.say(NOW - 34 * DAY, Status.AVAILABLE)
    bad.say(NOW - 2 * DAY, Status.OUTOFORDER)
    bad.say(NOW - DAY, Status.AVAILABLE)
    seeded = evse("e", [good, bad], Known(evse_id="BE*1", name="Bay 1"))
    summary = row(seeded)
    ratings = [
        part["reliability"]["value"] for part in orjson.loads(seeded.document["snapshot"])["connectors"]
    ]
    assert summary.uptime == 1.0
    assert summary.coverage == 1.0
    assert summary.reliability == min(ratings)
    assert (summary.evse_id, summary.name, summary.status, summary.online) == (
        "BE*1",
        "Bay 1",
        "AVAILABLE",
        True,
    )


@pytest.mark.parametrize(
    "fields",
    [{}, {"snapshot": "not json"}, {"snapshot": "[]"}, {"snapshot": "{}"}, {"snapshot": '{"evse": null}'}],
)
def test_a_document_that_cannot_be_read_is_no_row(fields: dict[str, str]) -> None:
    """It costs its own row and nobody else's."""
    assert row_of("e", fields) is None


def test_every_word_of_a_search_must_be_found() -> None:
    """In uid, EVSE id, reference or a connector's name, whatever the case."""
    assert uids(Query(search="EVSE-0007")) == ["evse-0007"]
    assert uids(Query(search="be*evs*e4206")) == ["evse-0007"]
    assert all("Harbour" in found.name for found in page_of(ROWS, Query(search="harbour gun")).rows)
    assert uids(Query(search="harbour nowhere")) == []


def test_filters_are_taken_together() -> None:
    """Status and link at once."""
    found = page_of(ROWS, Query(status="UNKNOWN", online="false", size=200)).rows
    assert found
    assert all(each.status == "UNKNOWN" and each.online is False for each in found)


@pytest.mark.parametrize("sort", ["uptime", "-uptime", "reliability", "-reliability"])
def test_what_has_no_number_comes_last_either_way(sort: str) -> None:
    """Null is neither the best nor the worst."""
    query = Query(sort=sort, size=200)
    values = [getattr(found, query.column) for found in page_of(ROWS, query).rows]
    known = [value for value in values if value is not None]
    assert values[len(known) :] == [None] * (len(values) - len(known))
    assert len(known) < len(values)
    assert known == sorted(known, reverse=query.descending)


@pytest.mark.parametrize(
    ("sort", "field"), [("-changed", "changed_at"), ("seen", "seen_at"), ("-uid", "uid")]
)
def test_rows_are_sorted_by_any_column(sort: str, field: str) -> None:
    """A leading minus turns the order."""
    values = [getattr(found, field) for found in page_of(ROWS, Query(sort=sort, size=200)).rows]
    assert values == sorted(values, reverse=sort.startswith("-"))


def test_sorting_by_status_puts_first_what_needs_attention() -> None:
    """Out of order, unknown, inoperative, then what works."""
    statuses = [found.status for found in page_of(ROWS, Query(size=200)).rows]
    order = list(dict.fromkeys(statuses))
    assert order == ["OUTOFORDER", "UNKNOWN", "INOPERATIVE", "CHARGING", "AVAILABLE", "PLANNED"]


def test_pages_cover_the_table_once() -> None:
    """No row twice, none missing, and a page beyond the last is the last."""
    pages = [page_of(ROWS, Query(size=25, page=number)) for number in (1, 2)]
    assert [len(page.rows) for page in pages] == [25, 17]
    assert {found.uid for page in pages for found in page.rows} == {each.uid for each in ROWS}
    assert [page.first for page in pages] == [1, 26]
    assert page_of(ROWS, Query(size=25, page=99)).number == 2
    assert page_of([], Query()).first == 0


def test_an_address_typed_by_hand_is_never_an_error() -> None:
    """What makes no sense is the default."""
    query = Query.of({"sort": "-color", "page": "minus one", "size": "7", "online": "maybe", "q": "  x  "})
    assert query == Query(search="x")
    assert Query.of({"page": "-3"}).page == 1
    assert Query.of({"sort": "-uptime", "status": "AVAILABLE", "online": "null", "size": "100"}) == Query(
        status="AVAILABLE", online="null", sort="-uptime", size=100
    )


def test_a_query_is_written_without_its_defaults() -> None:
    """So that addresses stay short."""
    assert Query().parameters() == {}
    assert Query(search="a b", page=2).parameters(page=3) == {"q": "a b", "page": "3"}


def test_a_sign_of_life_alone_is_not_worth_a_push() -> None:
    """Numbers that drift and the time last seen wait for the next page."""
    story = Story("c1")
    story.say(NOW - 34 * DAY, Status.AVAILABLE)
    before, after = (row(evse("e", [story], Known(seen_at=seen))) for seen in (NOW - HOUR, NOW))
    assert before.looks_like(after)
    story.say(NOW - HOUR, Status.CHARGING)
    assert not before.looks_like(row(evse("e", [story])))
