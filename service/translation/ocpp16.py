"""
OCPP 1.6: a charge point's words to ours, as tables.

This module knows neither messages, files nor the fold: words come in, words go out.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from schemas.vocabulary import Status

STATUS_OF_WORD: Mapping[str, Status] = MappingProxyType(
    {
        "Available": Status.AVAILABLE,
        "Preparing": Status.PREPARING,
        "Charging": Status.CHARGING,
        # The transaction goes on while either side pauses; the raw word tells them apart.
        "SuspendedEVSE": Status.CHARGING,
        "SuspendedEV": Status.CHARGING,
        "Finishing": Status.FINISHING,
        "Reserved": Status.RESERVED,
        "Unavailable": Status.INOPERATIVE,
        "Faulted": Status.OUTOFORDER,
    }
)
"""
ChargePointStatus of OCPP 1.6 (its section 7.7) in the words of the published schema.

The words that OCPP 2.0.1 shares mean the same there. Its `Occupied` is none of these: it may be PREPARING,
CHARGING or FINISHING, and which one the word alone does not tell.
"""

_WORD_OF_LOWER: Mapping[str, str] = MappingProxyType({word.lower(): word for word in STATUS_OF_WORD})

NO_ERROR = "NoError"
"""The ChargePointErrorCode that says there is none (OCPP 1.6, section 7.6)."""

WHOLE_CHARGE_POINT = 0
"""The `connectorId` that means the charge point itself and says nothing about its connectors."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STEPS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "Available": _words("Preparing Charging SuspendedEV SuspendedEVSE Reserved Unavailable Faulted"),
        "Preparing": _words("Available Charging SuspendedEV SuspendedEVSE Finishing Faulted"),
        "Charging": _words("Available SuspendedEV SuspendedEVSE Finishing Unavailable Faulted"),
        "SuspendedEV": _words("Available Charging SuspendedEVSE Finishing Unavailable Faulted"),
        "SuspendedEVSE": _words("Available Charging SuspendedEV Finishing Unavailable Faulted"),
        "Finishing": _words("Available Preparing Unavailable Faulted"),
        "Reserved": _words("Available Preparing Unavailable Faulted"),
        "Unavailable": _words("Available Preparing Charging SuspendedEV SuspendedEVSE Faulted"),
        "Faulted": _words(
            "Available Preparing Charging SuspendedEV SuspendedEVSE Finishing Reserved Unavailable",
        ),
    }
)
"""
Where a connector (not connector 0) may go from each status: the transitions of OCPP 1.6, section 4.9.

They describe, they are no filter: real charge points leave the table now and then, and such a report
still counts.
"""


def lies_outside(from_word: str | None, to_word: str) -> bool:
    """
    Say whether a step between two raw status words is none of OCPP 1.6's transitions.

    A first status (`from_word` None) and a repeat are no step. A step from or to a word that OCPP 1.6 does
    not know lies outside.
    """
    if from_word is None:
        return False
    before, after = _as_written(from_word), _as_written(to_word)
    return before != after and after not in STEPS.get(before, frozenset())


def _as_written(word: str) -> str:
    """Give a word as OCPP writes it: back ends write it in capitals or in small letters, too."""
    return _WORD_OF_LOWER.get(word.lower(), word)


def is_known(word: str) -> bool:
    """Tell whether a raw status word is one of OCPP 1.6, in whatever case."""
    return word.lower() in _WORD_OF_LOWER


def status_of(word: str) -> Status:
    """Translate a raw status word; one that OCPP 1.6 does not know is UNKNOWN, never an error."""
    return STATUS_OF_WORD.get(_as_written(word), Status.UNKNOWN)


def error_code_of(word: str) -> str | None:
    """
    Give the error code a report carries, None for none.

    Codes outside OCPP's list pass through. A code beside a status other than Faulted is a warning and changes
    no status: charging is still possible (OCPP 1.6, section 4.9).
    """
    return None if word.lower() in ("", NO_ERROR.lower()) else word
