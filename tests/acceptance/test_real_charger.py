"""Three days of one real charger: the numbers worked out for it elsewhere, in any order of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from schemas.vocabulary import Verdict
from service.domain.definitions import OBSERVED, PAIRS, Definition
from service.domain.events import Event
from service.domain.rules import Rules
from service.domain.time import HOUR
from service.processing.rejection import Rejection
from service.replay import Format, LogReader, Replay

REAL_LOG = Path(__file__).parents[3] / "shared" / "data" / "ocpp16_charger_a.csv"

pytestmark = pytest.mark.skipif(
    not REAL_LOG.exists(), reason="the real charger's log is not part of the project"
)


@pytest.fixture(scope="module")
def rows() -> list[bytes]:
    """Give the header and the rows of the log."""
    return REAL_LOG.read_bytes().splitlines(keepends=True)


def events_of(rows: Sequence[bytes]) -> list[Event]:
    """Read rows, none of which is rejected; their positions are their `seq`."""
    lines = LogReader(Format.OCPP16_CSV).read(REAL_LOG.name, rows)
    events = [line.content for line in lines if not isinstance(line.content, Rejection)]
    assert len(events) == len(rows) - 1
    return events


def replayed(events: Sequence[Event], rules: Rules) -> tuple[dict[str, Any], Replay]:
    """Replay events, and give the one snapshot without what follows the order of publishing."""
    replay = Replay(rules)
    replay.take(events)
    [line] = replay.snapshots()
    snapshot = orjson.loads(line)
    del snapshot["revision"], snapshot["evse"]["last_updated"]
    for connector in snapshot["evse"]["connectors"]:
        del connector["last_updated"]
    return snapshot, replay


def test_uptime_and_reliability_are_those_worked_out_for_it(rows: list[bytes]) -> None:
    """Offline is down: 0.98755; ten times A, R and S: 5.55."""
    snapshot, replay = replayed(events_of(rows), Rules())

    [published] = snapshot["evse"]["connectors"]
    [connector] = snapshot["connectors"]
    rating = connector["reliability"]
    assert (published["uid"], published["uptime"], published["reliability"]) == ("cp-A-1", 0.98755, 5.55)
    assert round(connector["windows"][0]["uptime"], 5) == 0.98755
    assert round(rating["value"], 2) == 5.55
    assert [round(rating[term], 4) for term in ("availability", "continuity", "success")] == [
        0.9826,
        0.8593,
        0.6568,
    ]
    assert sum(replay.verdicts.values()) == len(rows) - 1


def test_with_online_ignored_its_uptime_is_another(rows: list[bytes]) -> None:
    """0.98899: a definition travels with its number."""
    classes = tuple(OBSERVED.class_of(status, None) for status, _ in PAIRS)
    ignoring = Definition("online_ignored", classes, OBSERVED.exclusion_reasons)
    snapshot, _ = replayed(events_of(rows), Rules(definitions=(OBSERVED, ignoring)))

    uptimes = {each["definition"]: round(each["uptime"], 5) for each in snapshot["connectors"][0]["windows"]}

    assert uptimes == {"observed": 0.98755, "online_ignored": 0.98899}


def test_the_port_is_its_one_connector(rows: list[bytes]) -> None:
    """To the microsecond."""
    snapshot, _ = replayed(events_of(rows), Rules())

    assert snapshot["windows"] == snapshot["connectors"][0]["windows"]


@pytest.mark.parametrize("seed", range(10))
def test_any_order_of_its_rows_with_duplicates_gives_the_same(rows: list[bytes], seed: int) -> None:
    """Within a lateness of 96 hours nothing is late; the position is the `seq` of the row."""
    dice, lenient = Random(seed), Rules(allowed_lateness=96 * HOUR)
    expected, _ = replayed(events_of(rows), lenient)
    shuffled = rows[1:] + dice.choices(rows[1:], k=60)
    dice.shuffle(shuffled)

    actual, replay = replayed(events_of([rows[0], *shuffled]), lenient)

    assert expected == actual
    assert replay.verdicts[Verdict.DUPLICATE] == 60
    assert replay.verdicts[Verdict.LATE] == 0
