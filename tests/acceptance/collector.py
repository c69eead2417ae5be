"""Somebody who takes spans: a real HTTP server that speaks OTLP, as a collector does."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.adapters.http import HttpServer, Served


class Collector:
    """Keeps the spans it was sent, and who sent them."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.senders: set[str] = set()
        self.endpoint = ""

    async def take(self, request: Request) -> Response:
        """Take what an exporter sends."""
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = {each.key: each.value.string_value for each in sent.resource.attributes}
            self.senders.add(about["service.name"])
            for scope in sent.scope_spans:
                self.spans += scope.spans
        return Response(b"", media_type="application/x-protobuf")


@asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    """Run one on a free port."""
    taking = Collector()
    pages = Starlette(routes=[Route("/v1/traces", taking.take, methods=["POST"])])
    server = HttpServer(pages, "127.0.0.1", 0, Served("spans", "free a port", "take another address"))
    await server.start()
    taking.endpoint = f"http://127.0.0.1:{server.port}"
    try:
        yield taking
    finally:
        await server.stop()
