"""
Single events of one EVSE, drawn at random: each well-formed, so nothing but its time can have it rejected.

They know nothing of each other; `strategies` makes logs of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

UID = "evse-1"
START = datetime(2026, 1, 5, tzinfo=UTC)
DAY_S = 86_400

STATUSES = (
    "AVAILABLE",
    "PREPARING",
    "CHARGING",
    "FINISHING",
    "OUTOFORDER",
    "INOPERATIVE",
    "UNKNOWN",
    "RESERVED",
    "PLANNED",
    "REMOVED",
    "BLOCKED",  # of OCPI, and none of ours
)
RAW_STATUSES = (None, "Charging", "SuspendedEV", "SuspendedEVSE", "Faulted")
EXCLUSION_REASONS = ("scheduled_maintenance", "utility_interruption", "vandalism", "outside_hours", "other")
BROKEN_CLOCKS = ("1970-01-01T00:00:07Z", "0001-01-01T00:00:00Z", "2009-12-31T23:59:59Z")
KINDS = (
    "status",
    "online",
    "heartbeat",
    "silence",
    "note",
    "exclusion",
    "withdrawal",
    "gap",
    "inventory",
    "removal",
)
# Statuses and disconnects are what numbers are made of; a removal ends a log and must be rare.
USUAL = (
    ("status",) * 8 + ("session",) * 5 + ("online",) * 5 + ("heartbeat",) * 2 + KINDS[:-1] * 2 + KINDS[-1:]
)


@dataclass(frozen=True)
class Nastiness:
    """
    What a generated log may contain.

    Args:
        span_s: all times lie in this many seconds from START (receipts up to `max_delay_s` later).
        max_events: how many things happen at most; a session is one of them and of several events.
        connectors: how many connectors may be named.
        whole_seconds: whether all times are whole seconds; otherwise some have microseconds.
        max_delay_s: how long after it happened an event may be received.
        broken_clocks: whether clocks may be at 1970 or ahead, and times may be missing.
        shuffled: whether events may arrive in another order than that of their receipts.
        duplicates: whether events may arrive again.
        reused_ids: whether two different events may have the same id.
        kinds: what to draw from, each as often as it is named.
    """

    span_s: int = 4 * DAY_S
    max_events: int = 20
    connectors: int = 3
    whole_seconds: bool = True
    max_delay_s: int = 30 * 3_600
    broken_clocks: bool = True
    shuffled: bool = True
    duplicates: bool = True
    reused_ids: bool = False
    kinds: tuple[str, ...] = USUAL


def connector_names(nasty: Nastiness) -> list[str]:
    """The names connectors may have."""
    return [f"c{number}" for number in range(1, nasty.connectors + 1)]


def written(offset_us: int, style: int = 0) -> str:
    """Write the time so many microseconds after START, in one of the spellings of RFC 3339."""
    time = START + timedelta(microseconds=offset_us)
    if style == 1:
        return time.replace(tzinfo=None).isoformat()
    if style == 2:
        local = (time + timedelta(hours=2)).replace(tzinfo=None)
        return local.isoformat() + "+02:00"
    return time.replace(tzinfo=None).isoformat() + "Z"


def offsets(nasty: Nastiness) -> st.SearchStrategy[int]:
    """Microseconds after START: the seconds around minute boundaries, hours, and anything between."""
    seconds = st.one_of(
        st.integers(0, 5),
        st.builds(lambda minute, by: max(0, 60 * minute + by), st.integers(0, 12), st.integers(-1, 1)),
        st.builds(lambda hour: min(nasty.span_s, 3_600 * hour), st.integers(0, nasty.span_s // 3_600)),
        st.integers(0, nasty.span_s),
    )
    if nasty.whole_seconds:
        return seconds.map(lambda second: second * 1_000_000)
    return st.builds(
        lambda second, micro: second * 1_000_000 + micro,
        seconds,
        st.sampled_from((0, 0, 1, 400_000, 999_999)),
    )


@st.composite
def stamps(draw: st.DrawFn, nasty: Nastiness, *, backdated: bool = False) -> dict[str, str | None]:
    """`occurred_at` and `received_at`: in order, re-sent late, missing, null, of a clock at 1970 or ahead."""
    offset = draw(offsets(nasty))
    style = draw(st.integers(0, 2))
    delay = draw(st.one_of(st.just(0), st.integers(0, 90), st.integers(0, nasty.max_delay_s))) * 1_000_000
    occurred, received = written(offset, style), written(offset + delay, style)
    if backdated:
        return {"occurred_at": occurred, "received_at": received}
    shape = draw(st.integers(0, 13)) if nasty.broken_clocks else draw(st.integers(0, 6))
    if shape <= 4:
        return {"occurred_at": occurred, "received_at": received}
    if shape == 5:
        return {"received_at": received}
    if shape == 6:
        return {"occurred_at": occurred}
    broken = draw(st.sampled_from(BROKEN_CLOCKS))
    ahead = draw(st.sampled_from((1, 300, 301, 7_200))) * 1_000_000
    shapes: list[dict[str, str | None]] = [
        {"occurred_at": None, "received_at": received},
        {"occurred_at": occurred, "received_at": None},
        {"occurred_at": broken, "received_at": received},
        {"occurred_at": occurred, "received_at": broken},
        {"occurred_at": written(offset + delay + ahead, style), "received_at": received},
        {"occurred_at": written(offset + ahead, style), "received_at": written(offset, style)},
        {"occurred_at": broken, "received_at": draw(st.sampled_from((None, broken)))},
    ]
    return shapes[shape - 7]


@st.composite
def statuses(draw: st.DrawFn, nasty: Nastiness, connector: str) -> dict[str, Any]:
    """A status of one connector, for some with a raw status and an error code."""
    event = {
        "type": "connector.status",
        "connector_uid": connector,
        "status": draw(st.sampled_from(STATUSES[:5] * 3 + STATUSES)),
        **draw(stamps(nasty)),
    }
    if draw(st.booleans()):
        event["raw_status"] = draw(st.sampled_from(RAW_STATUSES))
    if draw(st.booleans()):
        event["error_code"] = draw(st.sampled_from((None, "NoError", "OtherError")))
    return event


@st.composite
def sessions(draw: st.DrawFn, nasty: Nastiness, connector: str) -> list[dict[str, Any]]:
    """An attempt to charge, each status received when it happened, around the limits of the rules."""
    offset = draw(offsets(nasty))
    events: list[dict[str, Any]] = []
    end = draw(st.sampled_from(("FINISHING", "AVAILABLE", "OUTOFORDER", "PREPARING", "RESERVED", "UNKNOWN")))
    words = ["AVAILABLE", "PREPARING", "CHARGING", end] if draw(st.booleans()) else ["CHARGING", end]
    if draw(st.integers(0, 3)) == 3:
        words.insert(-1, "CHARGING")
    for word in words:
        event = {
            "type": "connector.status",
            "connector_uid": connector,
            "status": word,
            "occurred_at": written(offset),
            "received_at": written(offset),
        }
        if word == "CHARGING":
            event["raw_status"] = draw(st.sampled_from(RAW_STATUSES[1:4]))
        events.append(event)
        lengths = (60, 0, 1, 299, 300, 1_800, DAY_S, DAY_S + 1)
        offset += min(draw(st.sampled_from(lengths)), nasty.span_s) * 1_000_000
    return events


@st.composite
def onlines(draw: st.DrawFn, nasty: Nastiness, connector: str) -> dict[str, Any]:
    """A word about reachability, of one connector or of all."""
    event = {
        "type": "connector.online",
        "online": draw(st.sampled_from((False, True, False, None))),
        **draw(stamps(nasty)),
    }
    scope = draw(st.integers(0, 3))
    if scope == 1:
        event["connector_uid"] = connector
    elif scope == 2:
        event["connector_uid"] = None
    return event


@st.composite
def silences(draw: st.DrawFn, nasty: Nastiness, _: str) -> dict[str, Any]:
    """An `online: false` for silence, as the worker writes it: void if anything was heard in between."""
    last_seen = draw(offsets(nasty))
    after = draw(st.sampled_from((60, 120, 900, 3_600))) * 1_000_000
    delay = draw(st.sampled_from((0, 1, 60))) * 1_000_000
    return {
        "type": "connector.online",
        "online": False,
        "reason": "silence",
        "last_seen_at": written(last_seen),
        "occurred_at": written(last_seen + after),
        "received_at": written(last_seen + after + delay),
        "source": "evse-status",
    }


@st.composite
def heartbeats(draw: st.DrawFn, nasty: Nastiness, _: str) -> dict[str, Any]:
    """A heartbeat, its id worth nothing."""
    event: dict[str, Any] = {"type": "evse.heartbeat", "event_id": "heartbeat", **draw(stamps(nasty))}
    if draw(st.booleans()):
        event["heartbeat_interval_s"] = 300
    return event


@st.composite
def notes(draw: st.DrawFn, nasty: Nastiness, _: str) -> dict[str, Any]:
    """A word about the whole charger."""
    status = draw(st.sampled_from(STATUSES))
    return {"type": "evse.status", "status": status, "error_code": "NoError", **draw(stamps(nasty))}


@st.composite
def spans(draw: st.DrawFn, nasty: Nastiness) -> tuple[str, str]:
    """A start and a later end."""
    start = draw(offsets(nasty))
    length = draw(st.one_of(st.sampled_from((1, 60, 3_600)), st.integers(1, nasty.span_s))) * 1_000_000
    return written(start), written(start + length)


@st.composite
def exclusions(draw: st.DrawFn, nasty: Nastiness, connector: str) -> dict[str, Any]:
    """An exclusion, open or ended, of all connectors or of one; an id used again replaces it."""
    start, until = draw(spans(nasty))
    event: dict[str, Any] = {
        "type": "exclusion.declared",
        "exclusion_id": draw(st.sampled_from(("x", "y"))),
        "from": start,
        "reason": draw(st.sampled_from(EXCLUSION_REASONS)),
        **draw(stamps(nasty)),
    }
    if draw(st.integers(0, 3)):
        event["until"] = until
    if draw(st.booleans()):
        event["connector_uids"] = draw(st.sampled_from((None, [connector])))
    return event


@st.composite
def withdrawals(draw: st.DrawFn, nasty: Nastiness, _: str) -> dict[str, Any]:
    """The withdrawal of an exclusion, declared or not."""
    exclusion_id = draw(st.sampled_from(("x", "y")))
    return {"type": "exclusion.withdrawn", "exclusion_id": exclusion_id, **draw(stamps(nasty))}


@st.composite
def gaps(draw: st.DrawFn, nasty: Nastiness, _: str) -> dict[str, Any]:
    """A time in which nothing could be seen."""
    start, until = draw(spans(nasty))
    return {"type": "observation.gap", "from": start, "until": until, **draw(stamps(nasty))}


@st.composite
def inventories(draw: st.DrawFn, nasty: Nastiness, _: str) -> dict[str, Any]:
    """An inventory, with or without connectors and statuses."""
    evse: dict[str, Any] = {"uid": UID, "evse_id": "DE*ABC*E1"}
    if draw(st.integers(0, 3)):
        evse["connectors"] = []
        for name in connector_names(nasty):
            if draw(st.booleans()):
                connector: dict[str, Any] = {"uid": name}
                if draw(st.booleans()):
                    connector["status"] = draw(st.sampled_from((*STATUSES, None)))
                evse["connectors"].append(connector)
    return {"type": "evse.upserted", "evse": evse, **draw(stamps(nasty))}


@st.composite
def removals(draw: st.DrawFn, nasty: Nastiness, _: str) -> dict[str, Any]:
    """A removal."""
    return {"type": "evse.removed", **draw(stamps(nasty))}


DRAWN_BY = {
    "status": statuses,
    "online": onlines,
    "heartbeat": heartbeats,
    "silence": silences,
    "note": notes,
    "exclusion": exclusions,
    "withdrawal": withdrawals,
    "gap": gaps,
    "inventory": inventories,
    "removal": removals,
}
