"""
Why a window has no uptime, in the words that all who show one share.

Computes nothing but which of the reasons it is, from seconds as they are published.
"""

from __future__ import annotations

from dataclasses import dataclass

from schemas.snapshot import Window

MINIMUM_COUNTED = 3_600.0
"""Seconds that must have been up, down or excluded before there is an uptime."""


@dataclass(frozen=True, slots=True)
class NoUptime:
    """Why an uptime is null: for a cell of a table, and as a sentence without its full stop."""

    brief: str
    sentence: str


def why_null(counted: float, unobserved: float, length: float) -> NoUptime:
    """
    Say why a window of so many seconds, whose uptime is null, has none.

    `counted` was up, down or excluded. What is neither that nor unobserved was out of service.
    """
    # Sums of floats: to the microsecond they are exact.
    counted, out_of_service = round(counted, 6), round(length - counted - unobserved, 6)
    if counted >= MINIMUM_COUNTED:
        return NoUptime("all excluded", "all that was observed is excluded: nothing is left to divide by")
    if counted:
        minutes, seconds = divmod(int(counted), 60)
        sentence = f"only {minutes} min {seconds} s of the window were observed; a number takes an hour"
        return NoUptime("not enough seen yet", sentence)
    if out_of_service > 0 and not unobserved:
        return NoUptime("out of service", "it was out of service throughout")
    return NoUptime("nothing seen yet", "nothing of the window was observed; a number takes an hour")


def of_window(window: Window) -> NoUptime | None:
    """Say why a window has no uptime; None where it has one."""
    if window.uptime is not None:
        return None
    counted = window.up_seconds + window.down_seconds + window.excluded_seconds
    length = (window.until - window.from_).total_seconds()
    return why_null(counted, window.unobserved_seconds, length)
