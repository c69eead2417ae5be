"""The clock rules (promise P3, design 2.1, reading 3): which of an event's times counts. Reads no clock."""

from __future__ import annotations

from service.domain.time import CLOCK_TOLERANCE, EARLIEST, Micros


def apply_clock_rules(
    occurred: Micros | None, received: Micros | None, record_time: Micros | None
) -> tuple[Micros | None, Micros, bool]:
    """
    Give when an event applies (None: nothing tells), when it was seen, and whether its own time was refused.

    A record's own timestamp before 2010 was not set by anybody and counts as none.
    """
    if occurred is not None and received is not None and record_time is not None:
        latest = received + CLOCK_TOLERANCE
        if EARLIEST <= occurred <= latest and EARLIEST <= received <= record_time + CLOCK_TOLERANCE:
            return occurred, received, False  # what nearly every event comes to below
    if record_time is not None and record_time < EARLIEST:
        record_time = None
    receipt = received
    if received is not None and (
        received < EARLIEST or (record_time is not None and received > record_time + CLOCK_TOLERANCE)
    ):
        receipt = record_time
    witness = record_time if receipt is None else receipt
    corrected = False
    at = witness
    if occurred is not None:
        corrected = occurred < EARLIEST or (witness is not None and occurred > witness + CLOCK_TOLERANCE)
        if not corrected:
            at = occurred
    seen = receipt if receipt is not None else at
    return at, -1 if seen is None else seen, corrected
