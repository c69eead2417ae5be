"""What is said of one EVSE without end is kept within what its topics take: else the worker ends."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import Any

from schemas.vocabulary import MOST_CONNECTORS, Verdict
from service.adapters.topic_rules import LEDGER_BYTES, SNAPSHOT_BYTES
from service.domain.inventory import MOST_EXCLUSIONS, MOST_GAPS, MOST_VERSIONS, SUPERSEDED_KEPT
from service.domain.rules import MOST_KNOWN, Rules
from service.domain.state import EvseState
from tests.builders import MIDNIGHT, Json, event, status_reported
from tests.driver import Driver


def minutes(count: int) -> Iterator[str]:
    """Give so many times of day, a minute apart."""
    return (f"{number // 60:02}:{number % 60:02}" for number in range(count))


def minute(number: int) -> str:
    """Give the time so many minutes after a midnight three days ago."""
    return (MIDNIGHT + timedelta(days=-3, minutes=number)).strftime("%Y-%m-%dT%H:%M:%SZ")


def short(kind: str, at: str, **body: Any) -> Json:
    """Write an event with an id that does not grow with what it says."""
    return {**event(kind, at, **body), "event_id": f"{kind} {at} {body.get('exclusion_id')}"}


def noise(seed: int, length: int) -> str:
    """Give text that nothing makes shorter."""
    return b64encode(Random(seed).randbytes(length))[:length].decode()


def state_of(driver: Driver) -> EvseState:
    """Give what the worker holds of the one EVSE."""
    held = driver.worker._states.peek("e1")
    assert held is not None
    return held.state


def largest(driver: Driver, topic: str) -> int:
    """Give the bytes of the largest record of an output topic."""
    return max(len(record.value or b"") for record in driver.written(topic))


def close_the_day(driver: Driver) -> None:
    """Let the clock go on until the bases are written."""
    driver.pipe(status_reported("AVAILABLE", "23:59", connector="c0"))
    driver.advance(timedelta(days=1))
    driver.advance(timedelta(seconds=10))


def test_connectors_that_inventories_name_without_end_are_so_many_and_no_more() -> None:
    """Those that were taken out count, too: their history is kept, and they stand in the snapshot."""
    driver = Driver()
    for wave, at in enumerate(minutes(5)):
        connectors = [
            {"uid": f"c{wave}-{number}", "status": "AVAILABLE"} for number in range(MOST_CONNECTORS)
        ]
        driver.pipe(short("evse.upserted", at, evse={"uid": "e1", "connectors": connectors}))

    state = state_of(driver)
    assert len(state.tip.tracks) == MOST_KNOWN
    assert len(state.declarations.named_before) <= MOST_KNOWN
    assert largest(driver, "evse.snapshots") < SNAPSHOT_BYTES


def test_connectors_that_were_taken_out_leave_room_for_those_that_report() -> None:
    """An operator that renames them now and then loses no outage of a new one."""
    driver = Driver()
    for wave, at in enumerate(minutes(51)):
        connectors = [{"uid": f"c{wave}-{number}"} for number in range(2)]
        driver.pipe(short("evse.upserted", at, evse={"uid": "e1", "connectors": connectors}))
    driver.pipe(status_reported("OUTOFORDER", "02:00", connector="new"))

    assert state_of(driver).tip.tracks["new"].status == "OUTOFORDER"


def test_inventories_that_come_without_end_are_kept_by_number_and_by_size() -> None:
    """One a minute, or one with a picture in it: the base still fits when the day closes."""
    driver = Driver(max_message_bytes=LEDGER_BYTES)
    for number, at in enumerate(minutes(2 * MOST_VERSIONS)):
        driver.pipe(short("evse.upserted", at, evse={"uid": "e1", "floor_level": str(number)}))
    assert len(state_of(driver).declarations.inventories) == MOST_VERSIONS

    pictures = [{"thumbnail": noise(number, 900_000)} for number in range(20)]
    for picture, at in zip(pictures, minutes(20), strict=True):
        said = {"uid": "e1", "images": [picture]}
        driver.pipe(short("evse.upserted", at.replace("00:", "10:"), evse=said))
    assert len(state_of(driver).declarations.inventories) <= 1 + SUPERSEDED_KEPT
    assert driver.view()["evse"]["images"] == pictures[-1:]

    close_the_day(driver)
    assert 0 < largest(driver, "evse.ledger") < LEDGER_BYTES


def test_exclusions_without_end_are_kept_by_number_and_by_size() -> None:
    """Those go that ended first, as those do that are too old; the view and the ledger hear of it."""
    driver = Driver(max_message_bytes=LEDGER_BYTES)
    uids = [noise(number, 240) for number in range(MOST_CONNECTORS)]
    for number, at in enumerate(minutes(60)):
        driver.pipe(excluding(number, at, connector_uids=uids))
    kept = set(state_of(driver).declarations.exclusions)
    assert 30 < len(kept) < 60
    assert kept == {f"x{number}" for number in range(60 - len(kept), 60)}
    assert set(driver.store.evses["e1"].exclusions) == kept

    close_the_day(driver)
    assert 0 < largest(driver, "evse.ledger") < LEDGER_BYTES
    for number in range(MOST_EXCLUSIONS + 60):
        driver.write(excluding(number, "12:00", exclusion_id=f"y{number}"))
    driver.settle()
    assert len(state_of(driver).declarations.exclusions) <= MOST_EXCLUSIONS


def test_an_exclusion_of_which_a_removal_left_nothing_is_the_first_to_go() -> None:
    """It ended the worker: what applied after the removal is forgotten, and its id stands alone."""
    driver = Driver()
    driver.pipe(excluding(0, "12:00", exclusion_id="after the removal"))
    driver.pipe(event("evse.removed", "11:00"))
    for number in range(MOST_EXCLUSIONS):
        driver.write(excluding(number, "10:00", exclusion_id=f"y{number}"))
    driver.settle()
    assert set(state_of(driver).declarations.exclusions) == {f"y{n}" for n in range(MOST_EXCLUSIONS)}


def excluding(number: int, at: str, **terms: Any) -> Json:
    """Write an exclusion of a minute, so many minutes after another one."""
    span = {"from": minute(number), "until": minute(number + 1)}
    terms = {**span, "exclusion_id": f"x{number}", "reason": "other", **terms}
    return short("exclusion.declared", at, **terms)


def test_gaps_without_end_are_joined_where_the_least_lies_between() -> None:
    """What lay between is not observed any more either: so nothing that was not seen is up."""
    driver = Driver()
    for number in [*range(MOST_GAPS), MOST_GAPS + 5]:
        span: Json = {"from": minute(2 * number), "until": minute(2 * number + 1)}
        driver.write(event("observation.gap", "12:00", **span))
    driver.settle()

    gaps = state_of(driver).declarations.gaps
    assert len(gaps) == MOST_GAPS
    assert sum(each.until - each.from_ for each in gaps) == (MOST_GAPS + 2) * 60_000_000
    assert len(driver.store.evses["e1"].gaps) == MOST_GAPS


def test_ids_of_late_events_are_kept_by_number() -> None:
    """A clock that stands makes every event late, and of none of them a report is kept."""
    driver = Driver(rules=Rules(recent_limit=16))
    long_ago = {"occurred_at": "2012-01-01T00:00:00Z"}
    for number, at in enumerate(minutes(200)):
        driver.write(status_reported("AVAILABLE", at, event_id=str(number), **long_ago))
    driver.settle()

    state = state_of(driver)
    assert len(state.ids) <= 4 * 16
    assert state.last_seen_at == max(state.ids.values())
    driver.pipe(status_reported("AVAILABLE", "03:20", event_id="199", **long_ago))
    assert driver.instruments.verdicts[Verdict.DUPLICATE] == 1
