"""What a record that cannot be processed becomes; knows neither formats nor topics."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.vocabulary import RejectionReason


@dataclass(frozen=True, slots=True)
class Rejection:
    """
    Why a record is a dead letter (promise P8).

    `message` is one line that names the field and the remedy. `field` is a dotted path, list indices counted
    from 0 (`evse.connectors.0.uid`), or the name of a header. `uid` and `event_id` are given as far as the
    record says them properly.
    """

    reason: RejectionReason
    message: str
    field: str | None = None
    uid: str | None = None
    event_id: str | None = None


def skipped() -> Rejection:
    """Say that an operator stepped over a record, unread (`run --skip`)."""
    return Rejection(RejectionReason.SKIPPED, "an operator had this record skipped, unread (run --skip)")


class Rejected(Exception):
    """Ends the decoding of one record, inside the decoder alone; outside a rejection is a value."""

    def __init__(self, reason: RejectionReason, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field
