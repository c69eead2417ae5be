"""
What happened at invented connectors, and the keys of the view that the worker would write of it.

The numbers are computed in the simplest way that agrees with the spans; reliability is only plausible.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from schemas import view
from schemas.vocabulary import OUT_OF_SERVICE, Status, TimeClass
from service.dashboard.timeline import History, Span, connector_segments, port_segments, tally
from service.dashboard.wording import DAY, HOUR, SECOND, moment_of, parse_time

NOW = 1_769_781_600_000_000
"""2026-01-30T14:00:00Z."""

LATENESS = 48 * HOUR

Json = dict[str, Any]
State = tuple[Status | None, bool | None, str | None]


def stamp(micros: int) -> str:
    """Write a time as the worker does."""
    return moment_of(micros).strftime("%Y-%m-%dT%H:%M:%S") + "Z"


@dataclass
class Story:
    """What happened at one connector: since when which status, online and error code, in order."""

    uid: str
    name: str = ""
    changes: list[tuple[int, State]] = field(default_factory=list)
    raw_status: str | None = None

    @property
    def state(self) -> State:
        """The state it is in now."""
        return self.changes[-1][1] if self.changes else (None, None, None)

    @property
    def since(self) -> int:
        """When that began."""
        return self.changes[-1][0] if self.changes else 0

    def say(
        self, at: int, status: Status | None, online: bool | None = True, error: str | None = None
    ) -> None:
        """Add a change; times before the last one are moved to it."""
        at = max(at, self.changes[-1][0]) if self.changes else at
        self.changes.append((at // SECOND * SECOND, (status, online, error)))

    def spans(self, now: int) -> list[tuple[int, int, State]]:
        """Cut the story into spans of one state, up to now."""
        ends = [*(at for at, _ in self.changes[1:]), now][: len(self.changes)]
        return [(at, end, state) for (at, state), end in zip(self.changes, ends, strict=True) if end > at]


@dataclass
class Seeded:
    """One EVSE's keys, as JSON text; outages and gaps with their ends, by which the view scores them."""

    uid: str
    document: dict[str, str]
    days: dict[str, str] = field(default_factory=dict)
    outages: list[tuple[int, str]] = field(default_factory=list)
    exclusions: dict[str, str] = field(default_factory=dict)
    gaps: list[tuple[int, str]] = field(default_factory=list)

    @property
    def removed(self) -> bool:
        """Whether it was removed for good, so that no list by online has it."""
        return bool(self.document["removed_at"])

    @property
    def last_updated_ms(self) -> int:
        """The score in the list of all."""
        return (parse_time(self.document["last_updated"]) or 0) // 1_000


def _day_sums(spans: Iterable[tuple[int, int, State]], start: int, until: int) -> dict[str, dict[str, float]]:
    days: dict[str, dict[str, float]] = {}
    for begun, ended, (status, online, _) in spans:
        at, end = max(begun, start), min(ended, until)
        key = f"{status or view.NOT_HEARD}/{orjson.dumps(online).decode()}"
        while at < end:
            midnight = min((at // DAY + 1) * DAY, end)
            day = days.setdefault(moment_of(at).date().isoformat(), {})
            day[key] = day.get(key, 0) + (midnight - at) / SECOND
            at = midnight
    return days


def _outages(uid: str, spans: Sequence[tuple[int, int, State]], now: int) -> list[Json]:
    return [
        {
            "connector_uid": uid,
            "from": stamp(begun),
            "until": None if ended == now else stamp(ended),
            "status": status,
            "online": online,
            "error_code": error,
            "began_by": {"event_id": f"{uid}:{begun // SECOND}", "position": begun // SECOND % 100_000},
            "ended_by": None
            if ended == now
            else {"event_id": f"{uid}:{ended // SECOND}", "position": ended // SECOND % 100_000},
        }
        for begun, ended, (status, online, error) in spans
        if not view.is_up(status, online)
    ]


def _window(segments: Sequence[Span[TimeClass]], start: int, now: int) -> Json:
    times = tally(segments, start, now)
    seconds = {kind: times.get(kind, 0) / SECOND for kind in TimeClass}
    up, down, excluded = (seconds[kind] for kind in (TimeClass.UP, TimeClass.DOWN, TimeClass.EXCLUDED))
    whole = up + down + excluded + seconds[TimeClass.UNOBSERVED]
    return {
        "definition": "observed",
        "from": stamp(start),
        "until": stamp(now),
        "up_seconds": up,
        "down_seconds": down,
        "excluded_seconds": excluded,
        "unobserved_seconds": seconds[TimeClass.UNOBSERVED],
        "uptime": up / (up + down) if up + down and up + down + excluded >= 3_600 else None,
        "coverage": (up + down + excluded) / whole if whole else None,
    }


def _reliability(window: Json, outages: int) -> Json:
    observed = window["up_seconds"] + window["down_seconds"]
    good = int(observed // 30_000)
    bad = good * (outages % 7) // 40
    terms = {
        "availability": (window["up_seconds"] + 0.97 * 86_400) / (observed + 86_400),
        "continuity": max(0.02, 0.9998 - outages * 0.002),
        "success": (good + 9) / (good + bad + 10),
    }
    value = 10 * terms["availability"] * terms["continuity"] * terms["success"]
    return {
        "value": value if observed >= 86_400 else None,
        **terms,
        "observed_seconds": observed,
        "attempts": {"succeeded": good, "failed": bad, "abandoned": bad // 2, "unknown": 1},
        "outages": outages,
    }


def roll_up(states: Sequence[State]) -> str:
    """Give the EVSE's status of its connectors' states."""
    words = [status or Status.UNKNOWN for status, _, _ in states if status not in OUT_OF_SERVICE]
    if not words:
        return states[0][0] or Status.UNKNOWN if states else Status.UNKNOWN
    if all(online is False for _, online, _ in states):
        return Status.UNKNOWN
    using = {Status.PREPARING, Status.CHARGING, Status.FINISHING}
    if using & set(words):
        return Status.CHARGING
    order = (Status.RESERVED, Status.AVAILABLE, Status.INOPERATIVE, Status.OUTOFORDER)
    return next((status for status in order if status in words), Status.UNKNOWN)


@dataclass
class Known:
    """What an EVSE is, and what is known of it beside its connectors."""

    evse_id: str = ""
    name: str | None = None
    exclusions: Mapping[str, Json] = field(default_factory=dict)
    gaps: Sequence[tuple[int, int]] = ()
    note: Json | None = None
    seen_at: int | None = None
    removed_at: int | None = None
    power: tuple[int, str, str] = (22_000, "AC_3_PHASE", "IEC_62196_T2")


def evse(uid: str, stories: Sequence[Story], known: Known | None = None, *, now: int = NOW) -> Seeded:
    """Write an EVSE's keys from what happened at its connectors."""
    known = known or Known()
    window = ((now // DAY - 30) * DAY, now)
    seeded = Seeded(uid, {})
    lanes = [connector_segments(_history(story, known, now), window) for story in stories]
    recent: Json = {"from": stamp(now - LATENESS), "connectors": {}, "port": {"days": {}}}
    for story in stories:
        recent["connectors"][story.uid] = _keep(seeded, story, now)
    states = [story.state for story in stories]
    parts = [_state(story, _window(lane, *window), now) for story, lane in zip(stories, lanes, strict=True)]
    changed = stamp(max((story.since for story in stories if story.changes), default=now))
    status = str(roll_up(states))
    snapshot = {
        "evse": {
            "uid": uid,
            "evse_id": known.evse_id or uid.upper(),
            "physical_reference": known.name,
            "coordinates": {"latitude": "50.84655", "longitude": "4.35170"},
            "last_updated": changed,
            "connectors": [
                _published(story, known, changed, part) for story, part in zip(stories, parts, strict=True)
            ],
        },
        "revision": 3 + sum(len(story.changes) for story in stories),
        "as_of": stamp(now),
        "status": status,
        "status_rule": "in_use_first",
        "last_seen_at": stamp(known.seen_at or now),
        "note": known.note,
        "windows": [_window(port_segments(lanes, window), *window)],
        "connectors": parts,
    }
    links = [online for status, online, _ in states if status not in OUT_OF_SERVICE]
    online = "true" if True in links else "false" if links and set(links) == {False} else "null"
    seeded.document = {
        "snapshot": orjson.dumps(snapshot).decode(),
        "status": status,
        "online": online,
        "revision": str(snapshot["revision"]),
        "as_of": stamp(now),
        "last_seen_at": stamp(known.seen_at or now),
        "last_updated": changed,
        "removed_at": "" if known.removed_at is None else stamp(known.removed_at),
        "recent": orjson.dumps(recent).decode(),
    }
    seeded.exclusions = {key: orjson.dumps(item).decode() for key, item in known.exclusions.items()}
    seeded.gaps = [(b, orjson.dumps({"from": stamp(a), "until": stamp(b)}).decode()) for a, b in known.gaps]
    return seeded


def _history(story: Story, known: Known, now: int) -> History:
    spans = story.spans(now)
    return History(
        spans[0][0] if spans else None,
        [
            Span(begun, ended, view.class_of(status, online))
            for begun, ended, (status, online, _) in spans
            if not view.is_up(status, online)
        ],
        known.gaps,
        [
            (parse_time(item["from"]) or 0, parse_time(item["until"]) or now)
            for item in known.exclusions.values()
            if not item["connector_uids"] or story.uid in item["connector_uids"]
        ],
    )


def _keep(seeded: Seeded, story: Story, now: int) -> Json:
    """Put what is older than the lateness into the closed keys; give what is not."""
    horizon = now - LATENESS
    spans = story.spans(now)
    lines = _outages(story.uid, spans, now)
    closed = [line for line in lines if line["until"] and (parse_time(line["until"]) or 0) < horizon]
    seeded.outages += [(parse_time(line["until"]) or 0, orjson.dumps(line).decode()) for line in closed]
    for day, sums in _day_sums(spans, 0, horizon).items():
        seeded.days[f"{story.uid}/{day}"] = orjson.dumps(sums).decode()
    return {"days": _day_sums(spans, horizon, now), "outages": [line for line in lines if line not in closed]}


def _state(story: Story, window: Json, now: int) -> Json:
    status, online, error = story.state
    return {
        "connector_uid": story.uid,
        "status_since": stamp(story.since) if status else None,
        "online_since": None if online is None else stamp(story.since),
        "raw_status": story.raw_status,
        "error_code": error,
        "windows": [window],
        "reliability": _reliability(window, len(_outages(story.uid, story.spans(now), now))),
    }


def _published(story: Story, known: Known, changed: str, part: Json) -> Json:
    status, online, _ = story.state
    watts, power_type, standard = known.power
    return {
        "uid": story.uid,
        "connector_id": story.uid,
        "physical_reference": story.name or None,
        "format": "CABLE" if power_type == "DC" else "SOCKET",
        "standard": standard,
        "power_type": power_type,
        "max_electric_power": watts,
        "status": status or "UNKNOWN",
        "online": online,
        "uptime": part["windows"][0]["uptime"],
        "reliability": part["reliability"]["value"],
        "last_updated": changed,
    }
