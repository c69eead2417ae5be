"""
What keeps the view from being read: a word for the page, and a line for the log that says what helps.

The page tells visitors no host, user or key: whoever runs it finds them in the log. Knows no Redis.
"""

from __future__ import annotations

from enum import StrEnum

import structlog

_log = structlog.get_logger()


class Trouble(StrEnum):
    """What the page says while it cannot read the view."""

    SILENT = "Redis does not answer"
    UNREADY = "Redis is not ready"
    REFUSED = "Redis refuses to be read"

    @property
    def passes(self) -> bool:
        """Whether waiting helps; else somebody has to change something."""
        return self is not Trouble.REFUSED

    @property
    def outlook(self) -> str:
        """What whoever reads that may hope for."""
        if self.passes:
            return "This page works again as soon as Redis does."
        return "The log of the service says why, and what helps."


class OutOfReach(Exception):
    """The view cannot be read now; the message is for the log, where it names what helps."""

    def __init__(self, message: str, trouble: Trouble = Trouble.SILENT) -> None:
        super().__init__(message)
        self.trouble = trouble


class Reports:
    """Logs what keeps one reader from the view: each trouble once, until it could read again."""

    def __init__(self) -> None:
        self._told: set[Trouble] = set()

    def failed(self, error: OutOfReach) -> None:
        """Tell of a reading that failed, unless that was told already."""
        if error.trouble in self._told:
            return
        self._told.add(error.trouble)
        tell = _log.warning if error.trouble.passes else _log.error
        tell("The view cannot be read; it is tried again.", action="view_out_of_reach", error=str(error))

    def succeeded(self) -> None:
        """Tell that it can be read again, where it could not."""
        if self._told:
            self._told.clear()
            _log.info("The view can be read again.", action="view_within_reach")
