"""
One line of the table of EVSEs, and how the table is searched, filtered, sorted and paged.

A row is a small summary of a document, so that many thousand of them fit in memory. Knows no Redis, no HTML.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from schemas.no_uptime import NoUptime
from service.dashboard.wording import no_uptime, parse_time

Fields = Mapping[str, str]
"""The fields of an EVSE's document hash that a row is made of."""

ROW_FIELDS = ("snapshot", "status", "online", "last_updated", "last_seen_at", "removed_at")

PAGE_SIZES = (25, 50, 100, 200)
DEFAULT_PAGE_SIZE = 50
QUERY_LIMIT = 200
"""Characters of a search that are looked at."""

ATTENTION = (
    "OUTOFORDER",
    "UNKNOWN",
    "INOPERATIVE",
    "CHARGING",
    "PREPARING",
    "FINISHING",
    "RESERVED",
    "AVAILABLE",
    "PLANNED",
    "REMOVED",
)
"""Sorting by status puts first what somebody should look at."""

_RANK = {status: rank for rank, status in enumerate(ATTENTION)}
_ONLINE_RANK = {False: 0, None: 1, True: 2}
ONLINE_VALUES: dict[str, bool | None] = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class ConnectorRow:
    """A connector's part of a row."""

    uid: str
    name: str
    status: str
    online: bool | None


@dataclass(frozen=True, slots=True)
class Row:
    """
    The summary of one EVSE. Times are microseconds since 1970, shares lie between 0 and 1.

    `uptime` and the seconds are those of the EVSE's own window (up while any connector is up); `reliability`
    is that of its least reliable connector. One that was `removed` for good has no link any more, and its
    `online` is None.
    """

    uid: str
    evse_id: str
    name: str
    status: str
    online: bool | None
    connectors: tuple[ConnectorRow, ...]
    uptime: float | None
    no_uptime: NoUptime | None
    observed_seconds: float
    window_seconds: float
    reliability: float | None
    changed_at: int | None
    seen_at: int | None
    haystack: str
    removed: bool = False

    @property
    def coverage(self) -> float | None:
        """The share of the window in which something was seen; None where the window is empty."""
        return self.observed_seconds / self.window_seconds if self.window_seconds else None

    def looks_like(self, other: Row) -> bool:
        """Tell whether two states of an EVSE differ in nothing that is worth telling a browser at once."""
        return self._face() == other._face()

    def _face(self) -> Row:
        # What drifts with time alone is told with the next page, not pushed.
        return replace(
            self,
            seen_at=None,
            uptime=None,
            no_uptime=None,
            reliability=None,
            observed_seconds=0,
            window_seconds=0,
        )


@dataclass(frozen=True, slots=True)
class Query:
    """What of the table is asked for. `sort` is a column; a leading minus sorts from the other end."""

    search: str = ""
    status: str = ""
    online: str = ""
    sort: str = "status"
    page: int = 1
    size: int = DEFAULT_PAGE_SIZE

    @property
    def column(self) -> str:
        return self.sort.removeprefix("-")

    @property
    def descending(self) -> bool:
        return self.sort.startswith("-")

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Query:
        """Read a query; what makes no sense is replaced by the default, since addresses are typed by hand."""
        sort = parameters.get("sort", "")
        size = _int(parameters.get("size"), DEFAULT_PAGE_SIZE)
        return cls(
            search=parameters.get("q", "").strip()[:QUERY_LIMIT],
            status=parameters.get("status", "")[:QUERY_LIMIT],
            online=parameters.get("online", "") if parameters.get("online") in ONLINE_VALUES else "",
            sort=sort if sort.removeprefix("-") in SORTS else "status",
            page=max(1, _int(parameters.get("page"), 1)),
            size=size if size in PAGE_SIZES else DEFAULT_PAGE_SIZE,
        )

    def parameters(self, **changes: str | int) -> dict[str, str]:
        """Write the query as parameters, changed as told, without what is the default."""
        wanted = {
            "q": self.search,
            "status": self.status,
            "online": self.online,
            "sort": self.sort,
            "page": self.page,
            "size": self.size,
        } | changes
        default = {"sort": "status", "page": 1, "size": DEFAULT_PAGE_SIZE}
        return {name: str(value) for name, value in wanted.items() if value not in ("", default.get(name))}


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the table: `rows`, the first one's number (from 1, 0 without any), and how many matched."""

    rows: tuple[Row, ...]
    first: int
    matched: int
    number: int
    pages: int


def row_of(uid: str, fields: Fields) -> Row | None:
    """Summarise a document; None for one that is not there or cannot be read."""
    try:
        snapshot = orjson.loads(fields["snapshot"])
        evse, window = snapshot["evse"], (snapshot.get("windows") or [{}])[0]
        connectors = tuple(_connector(connector) for connector in evse.get("connectors") or ())
        ratings = [connector.get("reliability") for connector in evse.get("connectors") or ()]
        names = [evse.get("physical_reference") or "", evse.get("evse_id") or ""]
        observed = sum(window.get(f"{kind}_seconds", 0) for kind in ("up", "down", "excluded"))
        unrated = no_uptime(window)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return None
    return Row(
        uid=uid,
        evse_id=names[1],
        name=names[0],
        status=fields.get("status") or snapshot.get("status") or "UNKNOWN",
        online=ONLINE_VALUES.get(fields.get("online", "null")),
        connectors=connectors,
        uptime=window.get("uptime"),
        no_uptime=unrated,
        observed_seconds=observed,
        window_seconds=observed + window.get("unobserved_seconds", 0),
        reliability=min((rating for rating in ratings if rating is not None), default=None),
        changed_at=parse_time(fields.get("last_updated") or evse.get("last_updated")),
        seen_at=parse_time(fields.get("last_seen_at") or snapshot.get("last_seen_at")),
        haystack="\n".join([uid, *names, *(connector.name for connector in connectors)]).casefold(),
        removed=bool(fields.get("removed_at")),
    )


def _connector(connector: Mapping[str, Any]) -> ConnectorRow:
    uid = connector["uid"]
    return ConnectorRow(
        uid=uid,
        name=connector.get("physical_reference") or connector.get("connector_id") or uid,
        status=connector.get("status") or "UNKNOWN",
        online=connector.get("online"),
    )


def _int(text: str | None, default: int) -> int:
    try:
        return int(text or default)
    except ValueError:
        return default


_KEYS: dict[str, Callable[[Row], Any]] = {
    "uid": lambda row: row.uid,
    "status": lambda row: _RANK.get(row.status, 1),
    "online": lambda row: _ONLINE_RANK[row.online],
    "uptime": lambda row: row.uptime,
    "reliability": lambda row: row.reliability,
    "changed": lambda row: row.changed_at,
    "seen": lambda row: row.seen_at,
}

SORTS = tuple(_KEYS)
"""The columns the table can be sorted by."""


def matching(rows: Iterable[Row], query: Query) -> list[Row]:
    """
    Keep the rows that have every word of the search, the status and the link's state asked for.

    Of removed EVSEs no link's state is asked for: they are in none of the lists by which it is counted.
    """
    words = query.search.casefold().split()
    online = ONLINE_VALUES.get(query.online)
    return [
        row
        for row in rows
        if (not query.status or row.status == query.status)
        and (not query.online or (row.online is online and not row.removed))
        and all(word in row.haystack for word in words)
    ]


def page_of(rows: Iterable[Row], query: Query) -> Page:
    """Search, filter, sort and cut. What has no value in the sorted column comes last either way round."""
    found = matching(rows, query)
    key = _KEYS[query.column]
    found.sort(key=lambda row: row.uid)
    known = [row for row in found if key(row) is not None]
    known.sort(key=key, reverse=query.descending)
    ordered = known + [row for row in found if key(row) is None]
    pages = max(1, -(-len(ordered) // query.size))
    number = min(query.page, pages)
    start = (number - 1) * query.size
    shown = tuple(ordered[start : start + query.size])
    return Page(shown, start + 1 if shown else 0, len(ordered), number, pages)
