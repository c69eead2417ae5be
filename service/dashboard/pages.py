"""
What each address answers: pages, their live pieces, JSON, and the stream of changes.

Rows and totals come from the poller's memory; one EVSE's page reads its keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from service.dashboard.detail import evse_page
from service.dashboard.feed import Feed
from service.dashboard.poller import ROWS_LIMIT, Change, Poller
from service.dashboard.reach import OutOfReach, Reports, Trouble
from service.dashboard.reading import Stored, View
from service.dashboard.rows import PAGE_SIZES, Query, Row, page_of
from service.dashboard.templating import Templates
from service.dashboard.totals import STATUS_ORDER, Totals
from service.dashboard.wording import NOTHING, machine_time, number, percent

Answer = TypeVar("Answer")

PUSHED_ROWS_LIMIT = 200
"""Rows in one message; browsers load their page anew when more changed at once."""


class Pages:
    """The answers of the page, over one view."""

    def __init__(self, view: View, poller: Poller, feed: Feed, clock: Callable[[], int]) -> None:
        self._view = view
        self._poller = poller
        self._feed = feed
        self._clock = clock
        self._templates = Templates()
        self._reports = Reports()

    async def index(self, request: Request) -> Response:
        """Answer `/`: the totals and a page of the table. With `?fragment=1` only what lives."""
        query = Query.of(request.query_params)
        page = page_of(self._poller.fleet.rows, query)
        name = "live_index.html" if "fragment" in request.query_params else "index.html"
        return self._html(
            request,
            name,
            query=query,
            page=page,
            totals=self._poller.totals,
            evse_counts=in_order(self._poller.totals.counts.by_status),
            connector_counts=in_order(self._poller.totals.connectors_by_status),
            statuses=STATUS_ORDER,
            sizes=PAGE_SIZES,
            rows_limit=ROWS_LIMIT,
            address=lambda **changes: address(query, **changes),
        )

    async def evse(self, request: Request) -> Response:
        """
        Answer `/evse/{uid}`, 404 for one the view does not hold, 503 while it cannot be read.

        Where no step of an address can be the uid, it is `/evse/?uid=…`; so it is with the JSON.
        """
        uid = uid_of(request)
        try:
            stored = await self._reached(self._view.stored(uid)) if uid else None
        except OutOfReach as error:
            return self.unavailable(request, error.trouble)
        # Thousands of outages take a second; others are answered meanwhile.
        return await asyncio.to_thread(self._evse, request, uid, stored)

    def _evse(self, request: Request, uid: str, stored: Stored | None) -> Response:
        own = "" if request.path_params["uid"] else f"{urlencode({'uid': uid})}&"
        everything = request.query_params.get("outages") == "all"
        page = None if stored is None else evse_page(uid, stored, self._clock(), all_outages=everything)
        if page is None:
            return self.not_found(request, f"There is no EVSE with the uid “{uid}” in the view.")
        name = "live_evse.html" if "fragment" in request.query_params else "evse.html"
        return self._html(request, name, evse=page, all_outages=everything, own=own)

    async def _reached(self, answer: Awaitable[Answer]) -> Answer:
        """Await what the view answers of one EVSE; tell once of what keeps it from that."""
        try:
            answered = await answer
        except OutOfReach as error:
            # What keeps the poller from reading, too, it has told; else it is about this EVSE's keys alone.
            if self._poller.trouble is None:
                self._reports.failed(error)
            raise
        self._reports.succeeded()
        return answered

    async def api_totals(self, request: Request) -> Response:  # noqa: ARG002 - the form of an endpoint
        """Answer `/api/totals`."""
        return _json(totals_values(self._poller.totals))

    async def api_evses(self, request: Request) -> Response:
        """Answer `/api/evses`: a page of the table, asked for like the page itself."""
        page = page_of(self._poller.fleet.rows, Query.of(request.query_params))
        rows = [row_values(row) for row in page.rows]
        return _json({"matched": page.matched, "page": page.number, "pages": page.pages, "evses": rows})

    async def api_evse(self, request: Request) -> Response:
        """Answer `/api/evses/{uid}`: the snapshot as published."""
        uid = uid_of(request)
        try:
            fields = (await self._reached(self._view.summaries([uid]))).get(uid, {}) if uid else {}
        except OutOfReach as error:
            return _json({"error": error.trouble}, 503)
        if "snapshot" not in fields:
            return _json({"error": "no such EVSE"}, 404)
        return Response(fields["snapshot"], media_type="application/json")

    async def events(self, request: Request) -> Response:
        """Answer `/events`: server-sent events, from `Last-Event-ID` or `?since=` on."""
        if self._feed.full:
            return Response("too many pages are open\n", 503, {"Retry-After": "30"}, "text/plain")
        since = request.headers.get("last-event-id") or request.query_params.get("since", "")
        headers = {"X-Accel-Buffering": "no"}
        return StreamingResponse(self._feed.stream(since), 200, headers, "text/event-stream")

    def publish(self, change: Change) -> None:
        """Tell all open pages what a turn of the poller found."""
        now = self._clock()
        message: dict[str, Any] = {"now": now // 1_000, "trouble": change.trouble}
        if change.rows:
            rows = change.rows[:PUSHED_ROWS_LIMIT]
            message["rows"] = {row.uid: self._templates.row(row, now) for row in rows}
            message["more"] = len(change.rows) > len(rows)
            # The page of one EVSE wants its uid even where its row was left out.
            message["uids"] = [row.uid for row in change.rows]
        if change.gone:
            message["gone"] = list(change.gone)
        if change.totals:
            message["totals"] = totals_texts(change.totals)
        self._feed.publish("change", orjson.dumps(message))

    def not_found(self, request: Request, message: str = "There is no page at this address.") -> Response:
        """Answer 404 as a page."""
        return self._html(request, "error.html", 404, heading="Not found", message=message)

    def unavailable(self, request: Request, trouble: Trouble) -> Response:
        """Answer 503 as a page."""
        message = f"{trouble} at the moment. {trouble.outlook}"
        return self._html(request, "error.html", 503, heading="The view is out of reach", message=message)

    def failed(self, request: Request) -> Response:
        """Answer 500 as a page; the log has the reason."""
        message = "This page could not be made. The log of the service says why."
        return self._html(request, "error.html", 500, heading="Something went wrong", message=message)

    def _html(self, request: Request, name: str, status: int = 200, **context: Any) -> Response:
        html = self._templates.render(
            name,
            base=base_of(request),
            now=self._clock(),
            poller=self._poller,
            feed=self._feed.position,
            **context,
        )
        return HTMLResponse(html, status)


def base_of(request: Request) -> str:
    """
    Give the way from the address asked for to the root of the page, `` or `../…`.

    So links hold behind any proxy that serves the page under a path of its own. The raw path counts: an
    encoded slash in a uid is no step for a browser.
    """
    scope = request.scope
    raw = scope.get("raw_path") or quote(scope["path"]).encode()
    path = raw.decode("ascii", "replace").removeprefix(scope.get("root_path", ""))
    return "../" * (path.count("/") - 1)


def uid_of(request: Request) -> str:
    """Give the uid that an address names, empty for none: as its last step, or as `?uid=`."""
    uid: str = request.path_params["uid"]
    return uid or request.query_params.get("uid", "")


def address(query: Query, **changes: str | int) -> str:
    """Write the address of the table, changed as told; any change but of the page goes to the first one."""
    parameters = query.parameters(**({"page": 1} | changes))
    return f"?{urlencode(parameters)}" if parameters else "?"


def totals_values(totals: Totals) -> dict[str, Any]:
    """Give the totals as numbers."""
    return {
        "evses": totals.counts.evses,
        "in_service": totals.in_service,
        "by_status": dict(totals.counts.by_status),
        "by_online": dict(totals.counts.by_online),
        "online_share": totals.online_share,
        "connectors": totals.connectors,
        "connectors_by_status": dict(totals.connectors_by_status),
        "uptime": totals.uptime,
        "coverage": totals.coverage,
        "rated": totals.rated,
        "loaded": totals.loaded,
    }


def totals_texts(totals: Totals) -> dict[str, Any]:
    """Give the totals as they stand on the page, by the names of the places where they stand."""
    counts = totals.counts
    texts = {
        "evses": number(counts.evses),
        "connectors": number(totals.connectors),
        "online-share": percent(totals.online_share, 1) or NOTHING,
        "not-working": number(totals.not_working),
        "uptime": percent(totals.uptime) or NOTHING,
        "coverage": percent(totals.coverage, 1) or NOTHING,
        "rated": number(totals.rated),
    }
    texts |= {f"status-{status}": number(counts.by_status.get(status, 0)) for status in STATUS_ORDER}
    texts |= {
        f"online-{value}": number(counts.by_online.get(value, 0)) for value in ("true", "false", "null")
    }
    texts |= {
        f"connectors-{status}": number(totals.connectors_by_status.get(status, 0)) for status in STATUS_ORDER
    }
    bars = {"evses": in_order(counts.by_status), "connectors": in_order(totals.connectors_by_status)}
    return {"texts": texts, "bars": bars}


def in_order(by_status: Mapping[str, int]) -> dict[str, int]:
    """Give the counts of all statuses in the order they stand side by side."""
    return {str(status): by_status.get(status, 0) for status in STATUS_ORDER}


def row_values(row: Row) -> dict[str, Any]:
    """Give a row as JSON would have it."""
    return {
        "uid": row.uid,
        "evse_id": row.evse_id,
        "physical_reference": row.name,
        "status": row.status,
        "online": row.online,
        "uptime": row.uptime,
        "coverage": row.coverage,
        "reliability": row.reliability,
        "last_updated": machine_time(row.changed_at) or None,
        "last_seen_at": machine_time(row.seen_at) or None,
        "connectors": [
            {"uid": part.uid, "physical_reference": part.name, "status": part.status, "online": part.online}
            for part in row.connectors
        ],
    }


def _json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")
