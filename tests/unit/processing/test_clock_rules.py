"""Promise P3: what a time is worth, by the time of receipt and the record's own timestamp."""

from __future__ import annotations

import orjson
import pytest

from schemas.vocabulary import RejectionReason
from service.domain.events import Event
from service.domain.time import EARLIEST, HOUR, MINUTE, SECOND, Micros, rfc3339
from service.processing.decoding import Rejection, decode

RECORD = 1_767_614_400 * SECOND
"""2026-01-05T12:00:00Z: the record's own timestamp."""

LIMIT = 5 * MINUTE
NEVER_SET = 0
OLD = RECORD - 30 * HOUR
RECEIVED = RECORD - 2 * SECOND


def times(
    occurred: Micros | None, received: Micros | None, record: Micros | None
) -> tuple[Micros, Micros, bool] | Rejection:
    """Decode a heartbeat with these times: (when it applies, when it was seen, corrected)."""
    body = {"type": "evse.heartbeat", "event_id": "e", "evse_uid": "u"}
    for name, moment in (("occurred_at", occurred), ("received_at", received)):
        if moment is not None:
            body[name] = rfc3339(moment)
    event = decode(orjson.dumps(body), key=b"u", headers=(), position=1, record_time=record)
    return (event.at, event.seen, event.clock_corrected) if isinstance(event, Event) else event


@pytest.mark.parametrize(
    ("occurred", "received", "expected"),
    [
        # Both given, both believed; however old.
        (OLD, RECEIVED, (OLD, RECEIVED, False)),
        # Up to five minutes ahead of receipt is a clock that runs a little fast.
        (RECEIVED + LIMIT, RECEIVED, (RECEIVED + LIMIT, RECEIVED, False)),
        (RECEIVED + LIMIT + 1, RECEIVED, (RECEIVED, RECEIVED, True)),
        # A clock that was never set.
        (NEVER_SET, RECEIVED, (RECEIVED, RECEIVED, True)),
        (EARLIEST - 1, RECEIVED, (RECEIVED, RECEIVED, True)),
        (EARLIEST, RECEIVED, (EARLIEST, RECEIVED, False)),
        # No time of its own.
        (None, RECEIVED, (RECEIVED, RECEIVED, False)),
        # The receiver's clock is wrong: the record's own stands for it.
        (OLD, RECORD + LIMIT, (OLD, RECORD + LIMIT, False)),
        (OLD, RECORD + LIMIT + 1, (OLD, RECORD, False)),
        (OLD, NEVER_SET, (OLD, RECORD, False)),
        (None, NEVER_SET, (RECORD, RECORD, False)),
        (NEVER_SET, NEVER_SET, (RECORD, RECORD, True)),
        # No receipt: the record's own time judges, but what was seen is what applies.
        (OLD, None, (OLD, OLD, False)),
        (RECORD + LIMIT, None, (RECORD + LIMIT, RECORD + LIMIT, False)),
        (RECORD + LIMIT + 1, None, (RECORD, RECORD, True)),
        (NEVER_SET, None, (RECORD, RECORD, True)),
        (None, None, (RECORD, RECORD, False)),
    ],
)
def test_a_record_of_the_log(
    occurred: Micros | None, received: Micros | None, expected: tuple[Micros, Micros, bool]
) -> None:
    """Every case of missing, early, late and ahead."""
    assert times(occurred, received, RECORD) == expected


@pytest.mark.parametrize("record", [None, -1000, 0, EARLIEST - 1])
@pytest.mark.parametrize(
    ("occurred", "received", "expected"),
    [
        (OLD, RECEIVED, (OLD, RECEIVED, False)),
        (RECEIVED + LIMIT + 1, RECEIVED, (RECEIVED, RECEIVED, True)),
        (None, RECEIVED, (RECEIVED, RECEIVED, False)),
        # A receipt before 2010 counts as absent.
        (OLD, NEVER_SET, (OLD, OLD, False)),
        # Nothing to judge by: it may be in the future of whoever reads.
        (RECORD + HOUR, None, (RECORD + HOUR, RECORD + HOUR, False)),
    ],
)
def test_a_line_of_a_file(
    record: Micros | None,
    occurred: Micros | None,
    received: Micros | None,
    expected: tuple[Micros, Micros, bool],
) -> None:
    """There is no record time; one that nobody set is none either."""
    assert times(occurred, received, record) == expected


@pytest.mark.parametrize(
    ("occurred", "received"), [(None, None), (None, NEVER_SET), (NEVER_SET, None), (NEVER_SET, NEVER_SET)]
)
def test_without_any_time_to_believe_there_is_no_event(
    occurred: Micros | None, received: Micros | None
) -> None:
    """In a file; in the log the record's own time stands in."""
    rejection = times(occurred, received, None)

    assert isinstance(rejection, Rejection)
    assert rejection.reason is RejectionReason.NO_VALID_TIME
    assert rejection.field == "occurred_at"
