"""The options of `size`: what they take, and what each is."""

from __future__ import annotations

from typing import Annotated

import typer

from service.domain.rules import KEPT_DAYS

_MOST_EVSES = 1_000_000_000

Evses = Annotated[int, typer.Option(min=1, max=_MOST_EVSES, help="EVSEs of the network.")]
EventsPerDay = Annotated[
    float,
    typer.Option(
        min=0, max=1_000_000, help="Records of one EVSE a day, heartbeats aside: some ten sessions are 40."
    ),
]
OfflineFlaps = Annotated[
    float,
    typer.Option(
        min=0,
        help="Times a day that one EVSE goes offline and comes back; each is two of its events, and a "
        "span that is kept. 0.2: once in five days.",
    ),
]
Heartbeat = Annotated[
    str, typer.Option(metavar="DURATION", help="Time between two heartbeats of one EVSE; 0: none.")
]
Connectors = Annotated[int, typer.Option(min=1, max=100, help="Connectors of one EVSE.")]
HistoryDays = Annotated[
    int,
    typer.Option(
        min=0,
        max=KEPT_DAYS,
        help=f"Days of history that are kept by then: {KEPT_DAYS} in the long run, 30 for a month after "
        "the start.",
    ),
]
RetentionDays = Annotated[
    float,
    typer.Option(
        min=1, max=36_500, help="Days that the input topic keeps: the allowed lateness and 3 at least."
    ),
]
Replication = Annotated[int, typer.Option(min=1, max=10, help="Replicas of each topic.")]
Peak = Annotated[
    float,
    typer.Option(min=1, max=1_000, help="Busiest hour by the mean; 4 holds a morning of a large network."),
]
Headroom = Annotated[
    float,
    typer.Option(
        min=0,
        max=0.9,
        help="Share of cores and of Redis's memory left free: for restarts, and a worker that is lost.",
    ),
]
ShardGb = Annotated[float, typer.Option(min=0.1, max=100_000, help="Memory of one Redis shard in GB.")]
Compiled = Annotated[bool, typer.Option("--compiled", help="With workers compiled to C.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object; amounts in the unit named.")]
