"""
The words of the field: every enum that crosses a boundary of this project, and how large an EVSE may be.

This module knows neither models nor rules; it imports nothing but `enum` and `typing`.
The values are those of the published EVSE schema (OMNI v0.3, shaped after OCPI 2.2.1), except where a
docstring says that the word is this project's own.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

MOST_CONNECTORS: Final = 100
"""
So many connectors an EVSE gets by being spoken of, or by one inventory, and no more may be named at once.

Whoever counts them up without end would let state and snapshot grow beyond what any topic takes.
"""


class Status(StrEnum):
    """Current status of a connector: OCPI's without BLOCKED, plus PREPARING and FINISHING."""

    AVAILABLE = "AVAILABLE"
    PREPARING = "PREPARING"
    CHARGING = "CHARGING"
    FINISHING = "FINISHING"
    INOPERATIVE = "INOPERATIVE"
    OUTOFORDER = "OUTOFORDER"
    PLANNED = "PLANNED"
    REMOVED = "REMOVED"
    RESERVED = "RESERVED"
    UNKNOWN = "UNKNOWN"


class ConnectorFormat(StrEnum):
    """Whether the connector is a socket or an attached cable."""

    SOCKET = "SOCKET"
    CABLE = "CABLE"


class PowerType(StrEnum):
    """Type of power available at a connector."""

    AC_1_PHASE = "AC_1_PHASE"
    AC_2_PHASE = "AC_2_PHASE"
    AC_2_PHASE_SPLIT = "AC_2_PHASE_SPLIT"
    AC_3_PHASE = "AC_3_PHASE"
    DC = "DC"


class Standard(StrEnum):
    """Plug standards the published schema names; OCPI knows about 41, so others pass through."""

    CHADEMO = "CHADEMO"
    IEC_60309_2_SINGLE_16 = "IEC_60309_2_single_16"
    IEC_60309_2_THREE_16 = "IEC_60309_2_three_16"
    IEC_60309_2_THREE_32 = "IEC_60309_2_three_32"
    IEC_60309_2_THREE_64 = "IEC_60309_2_three_64"
    IEC_62196_T1 = "IEC_62196_T1"
    IEC_62196_T1_COMBO = "IEC_62196_T1_COMBO"
    IEC_62196_T2 = "IEC_62196_T2"
    IEC_62196_T2_COMBO = "IEC_62196_T2_COMBO"
    IEC_62196_T3A = "IEC_62196_T3A"
    IEC_62196_T3C = "IEC_62196_T3C"
    TESLA_R = "TESLA_R"
    TESLA_S = "TESLA_S"


class PrivilegeStatus(StrEnum):
    """Access restrictions of a connector."""

    PUBLIC = "PUBLIC"
    PRIVATE = "PRIVATE"
    RESTRICTED = "RESTRICTED"


class Capability(StrEnum):
    """Functionalities an EVSE is capable of."""

    CHARGING_PROFILE_CAPABLE = "CHARGING_PROFILE_CAPABLE"
    CREDIT_CARD_PAYABLE = "CREDIT_CARD_PAYABLE"
    REMOTE_START_STOP_CAPABLE = "REMOTE_START_STOP_CAPABLE"
    RESERVABLE = "RESERVABLE"
    RFID_READER = "RFID_READER"
    UNLOCK_CAPABLE = "UNLOCK_CAPABLE"
    CHARGING_PREFERENCES_CAPABLE = "CHARGING_PREFERENCES_CAPABLE"
    CHIP_CARD_SUPPORT = "CHIP_CARD_SUPPORT"
    CONTACTLESS_CARD_SUPPORT = "CONTACTLESS_CARD_SUPPORT"
    DEBIT_CARD_PAYABLE = "DEBIT_CARD_PAYABLE"
    PED_TERMINAL = "PED_TERMINAL"
    START_SESSION_CONNECTOR_REQUIRED = "START_SESSION_CONNECTOR_REQUIRED"
    TOKEN_GROUP_CAPABLE = "TOKEN_GROUP_CAPABLE"  # noqa: S105 - a capability's name, no secret


class ParkingRestriction(StrEnum):
    """Restrictions that apply to the parking spot; the published schema gives these as examples."""

    EV_ONLY = "EV_ONLY"
    PLUGGED = "PLUGGED"
    DISABLED = "DISABLED"
    CUSTOMERS = "CUSTOMERS"
    MOTORCYCLES = "MOTORCYCLES"


class EventType(StrEnum):
    """The `type` that tells events of the input log apart (this project's own)."""

    CONNECTOR_STATUS = "connector.status"
    CONNECTOR_ONLINE = "connector.online"
    EVSE_STATUS = "evse.status"
    EVSE_HEARTBEAT = "evse.heartbeat"
    EVSE_UPSERTED = "evse.upserted"
    EVSE_REMOVED = "evse.removed"
    EXCLUSION_DECLARED = "exclusion.declared"
    EXCLUSION_WITHDRAWN = "exclusion.withdrawn"
    OBSERVATION_GAP = "observation.gap"


class ExclusionReason(StrEnum):
    """Why an outage may be left out of a number (the reasons of 23 CFR 680.116(b), and `other`)."""

    UTILITY_INTERRUPTION = "utility_interruption"
    VEHICLE_FAULT = "vehicle_fault"
    SCHEDULED_MAINTENANCE = "scheduled_maintenance"
    VANDALISM = "vandalism"
    NATURAL_DISASTER = "natural_disaster"
    OUTSIDE_HOURS = "outside_hours"
    OTHER = "other"


class Verdict(StrEnum):
    """What became of an event (this project's own). Every event gets exactly one, and each is counted."""

    APPLIED = "applied"
    """It changed the state, or what is known beside it (an exclusion, a gap, an inventory, a note)."""
    REFRESHED = "refreshed"
    """It was a sign of life at most: a repeat, a heartbeat, a void silence, or it applies after a removal."""
    CORRECTED = "corrected"
    """It came late, within the allowed lateness, and changed history."""
    DUPLICATE = "duplicate"
    """Its `event_id` was seen before, within the allowed lateness."""
    LATE = "late"
    """It applies before the horizon: it counts as a heartbeat at its receipt at most."""
    REJECTED = "rejected"
    """It could not be processed and went to the dead letters."""


class RejectionReason(StrEnum):
    """Why a record is a dead letter (this project's own); the word stands in the header `dl_reason`."""

    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    TOO_DEEP = "too_deep"
    TOO_LARGE = "too_large"
    EMPTY = "empty"
    NOT_AN_OBJECT = "not_an_object"
    UNKNOWN_TYPE = "unknown_type"
    MISSING_FIELD = "missing_field"
    INVALID_FIELD = "invalid_field"
    ENVELOPE_MISMATCH = "envelope_mismatch"
    KEY_MISMATCH = "key_mismatch"
    WRONG_PARTITION = "wrong_partition"
    NO_VALID_TIME = "no_valid_time"
    SKIPPED = "skipped"


class TimeClass(StrEnum):
    """The class of a moment under a definition (this project's own); `out_of_service` is in no sum."""

    UP = "up"
    DOWN = "down"
    EXCLUDED = "excluded"
    UNOBSERVED = "unobserved"
    OUT_OF_SERVICE = "out_of_service"


IN_USE = frozenset({Status.PREPARING, Status.CHARGING, Status.FINISHING, Status.RESERVED})
"""Statuses of a connector that serves or waits for one driver (domain rule: operational and in use)."""

OPERATIONAL = IN_USE | {Status.AVAILABLE}
"""Statuses in which the connector works."""

OUT_OF_SERVICE = frozenset({Status.PLANNED, Status.REMOVED})
"""Statuses that belong to no class of time."""
