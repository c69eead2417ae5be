"""
The ledger: closed history, what was declared, removals, and the bases from which the view is restored.

Topic `evse.ledger`, compacted, in the partition that the input came from. Keys are compact JSON arrays whose
first word says what the value is:

================================================  ======================================================
key                                               value
================================================  ======================================================
`["day", uid, connector_uid, "2026-01-05"]`       a closed day, as in the view: seconds by state; an empty
                                                  connector is the EVSE as a port
`["outage", uid, connector_uid, from, until]`     a closed span that was not plainly up (`view.Outage`)
`["exclusion", uid, exclusion_id]`                the exclusion that holds (`view.Exclusion`)
`["gap", uid, from, until]`                       a time in which nothing could be seen (`view.Gap`)
`["removal", uid]`                                when the EVSE was removed for good (`LedgerRemoval`)
`["base", uid]`                                   the whole state (`LedgerBase`)
`["mark", topic]`                                 how far the bases of the partition reach (`LedgerMark`)
`["skip", topic, first, last]`                    records that an operator skipped (`LedgerSkip`)
`["epoch"]`                                       which log the offsets are of (`LedgerEpoch`)
================================================  ======================================================

Days, spans, gaps and ended exclusions older than 400 days get a tombstone, and so does what turned out not to
be. Days and spans under the connector U+001F are the worker's own. This module writes no topic.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from schemas.fields import Time

LEDGER_TYPE = "evse.ledger"
"""What the names of the ledger's messages begin with."""

Count = Annotated[int, Field(ge=0)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class LedgerRemoval(_Record):
    """The EVSE is gone for good."""

    removed_at: Time
    """When it was removed."""


class BasePosition(_Record):
    """How far an EVSE had come in the log."""

    epoch: Count
    """The generation of the view, raised by each `rebuild`."""
    offsets: tuple[int, ...]
    """The last offset that is in the state, for each input topic; -1: none."""
    as_of: Time
    """The time the EVSE is known to have reached."""
    as_of_us: int
    """The same in microseconds since 1970."""


class LedgerBase(_Record):
    """The whole state of one EVSE, written when a UTC day closes if it changed since the last one."""

    position: BasePosition
    """The log is read on behind it."""
    state: str
    """Private: packed and compressed; its form changes without notice."""
    shown: str = ""
    """Private likewise: what the view shows of it, so that a restored view need not be rendered anew."""
    holds_from: Count = 0
    """In older generations than this one the EVSE lives in another partition, and its base stands there."""


class LedgerMark(_Record):
    """Everything before `next_offset` of this partition is in its bases."""

    day: date
    """The UTC day that had begun when they were written."""
    next_offset: Count
    """Where the log is read on."""
    epoch: Count
    """Which log the offset is of."""
    ingest: str
    """Private: what is known of the partition's ingest at that offset."""
    bases: Count = 0
    """So many EVSEs have a base in this partition at least; with fewer the mark is of another ledger."""


class LedgerEpoch(_Record):
    """Which log the offsets are of; raised by `evse-status rebuild` alone."""

    generation: Count
    """The number of rebuilds so far."""
    since: dict[str, Count]
    """For each input topic whose log was begun anew, the generation at which it was."""
    ids: dict[str, str] = Field(default_factory=dict)
    """For each input topic the id that the brokers gave it; none where they tell none."""
    partitions: Count = 0
    """How many partitions each input topic has, and all is laid out for; 0 where nobody has said."""
    begins: dict[str, tuple[Count, ...]] = Field(default_factory=dict)
    """For each input topic that was given more partitions, the offset of each from which on they are used."""
    moved_from: Count = 0
    """So many partitions it was laid out for before, while `rebuild --repartition` is not done; else 0."""
    ingest: str | None = None
    """Private: what was known of the ingest of the partition of this number before."""


class LedgerSkip(_Record):
    """Records that an operator had skipped, unread (`run --skip`): read again, they are skipped again."""

    first: Count
    """The offset of the first of them, in the partition of the input that this partition is of."""
    last: Count
    """The offset of the last of them."""
    epoch: Count
    """Which log the offsets are of."""


RECORDS: tuple[type[_Record], ...] = (LedgerRemoval, LedgerBase, LedgerMark, LedgerSkip, LedgerEpoch)
"""The models of the ledger that are of no other place."""
