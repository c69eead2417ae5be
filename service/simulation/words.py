"""What a connector of the simulated fleet says about itself, and how it says it in OCPP 1.6."""

from __future__ import annotations

from typing import Any, NamedTuple

from schemas.vocabulary import Status

Event = dict[str, Any]
"""An event of the input log as a JSON object."""


class State(NamedTuple):
    """A status and the raw word behind it."""

    status: str
    raw: str


AVAILABLE = State(Status.AVAILABLE.value, "Available")
PREPARING = State(Status.PREPARING.value, "Preparing")
CHARGING = State(Status.CHARGING.value, "Charging")
SUSPENDED_EV = State(Status.CHARGING.value, "SuspendedEV")
SUSPENDED_EVSE = State(Status.CHARGING.value, "SuspendedEVSE")
FINISHING = State(Status.FINISHING.value, "Finishing")
RESERVED = State(Status.RESERVED.value, "Reserved")
UNAVAILABLE = State(Status.INOPERATIVE.value, "Unavailable")
FAULTED = State(Status.OUTOFORDER.value, "Faulted")

IN_SESSION = frozenset({PREPARING, CHARGING, SUSPENDED_EV, SUSPENDED_EVSE, FINISHING})

Trouble = tuple[str, str | None]
"""An error code and, where the vendor gives one, its own."""

FAULTS: tuple[Trouble, ...] = (
    ("GroundFailure", None),
    ("HighTemperature", "E-0412"),
    ("ConnectorLockFailure", None),
    ("PowerMeterFailure", None),
    ("PowerSwitchFailure", "contactor L2 welded"),
    ("UnderVoltage", None),
    ("OtherError", "EmergencyButtonPressed"),
    ("OtherError", "StopReason:GlobalInterlockFail"),
    # No code of OCPP 1.6: vendors send such things, and the status must survive it.
    ("MID_METER_E7", None),
)

FAILURES: tuple[Trouble, ...] = (
    ("EVCommunicationError", None),
    ("OtherError", "StopReason:VehicleProtocolError"),
    ("OtherError", "StopReason:CableCheckVoltageTooLow"),
    ("ReaderFailure", None),
)

WARNINGS: tuple[Trouble, ...] = (
    ("OtherError", "StopReason:UserRequestedStop"),
    ("OtherError", "StopReason:VehicleStop"),
    ("WeakSignal", None),
)
"""Codes beside a status that is not Faulted: charging goes on."""
