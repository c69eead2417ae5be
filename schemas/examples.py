"""One example of each message, for the documents and for the tests. Invented; no charger is meant."""

from __future__ import annotations

from typing import Any

from schemas.vocabulary import EventType

Json = dict[str, Any]


def _event(kind: EventType, number: int, **body: object) -> Json:
    return {
        "type": kind.value,
        "event_id": f"evt-{number}",
        "evse_uid": "charger-1",
        "occurred_at": "2026-01-05T11:59:30Z",
        "received_at": "2026-01-05T11:59:31.250Z",
        "source": "csms-west",
        **body,
    }


EVSE_EXAMPLE: Json = {
    "uid": "charger-1",
    "evse_id": "BE*ABC*E0001",
    "physical_reference": "12",
    "capabilities": ["REMOTE_START_STOP_CAPABLE", "RFID_READER"],
    "coordinates": {"latitude": "50.846550", "longitude": "4.351697"},
    "floor_level": "-1",
    "parking_restrictions": ["EV_ONLY"],
    "protocol": "OMNI",
    "max_vehicle_wheels_supported": 4,
    "images": [
        {
            "category": "CHARGER",
            "type": "jpeg",
            "url": "https://cpo.example/1.jpg",
            "width": 800,
            "height": 600,
        }
    ],
    "localised_directions": [{"language": "en", "text": "Behind the lift"}],
    "connectors": [
        {
            "uid": "c1",
            "connector_id": "1",
            "format": "CABLE",
            "standard": "IEC_62196_T2_COMBO",
            "power_type": "DC",
            "max_voltage": 920,
            "max_amperage": 500,
            "max_electric_power": 350000,
            "tariff_uids": ["tariff-dc"],
            "terms_and_conditions": "https://cpo.example/terms",
            "qr_identifier": "ABC-0001-1",
            "physical_reference": "Gun A",
            "privilege_status": "PUBLIC",
            "is_enabled": True,
            "is_published": True,
            "is_transient_web_enabled": False,
            "status": "AVAILABLE",
        }
    ],
}

EVENTS: dict[EventType, Json] = {
    EventType.CONNECTOR_STATUS: _event(
        EventType.CONNECTOR_STATUS,
        1,
        connector_uid="c1",
        status="OUTOFORDER",
        raw_status="Faulted",
        error_code="GroundFailure",
        vendor_error_code="E42",
    ),
    EventType.CONNECTOR_ONLINE: _event(
        EventType.CONNECTOR_ONLINE, 2, connector_uid="c1", online=False, reason="socket closed"
    ),
    EventType.EVSE_STATUS: _event(EventType.EVSE_STATUS, 3, status="INOPERATIVE", raw_status="Unavailable"),
    EventType.EVSE_HEARTBEAT: _event(EventType.EVSE_HEARTBEAT, 4, heartbeat_interval_s=300),
    EventType.EVSE_UPSERTED: _event(EventType.EVSE_UPSERTED, 5, evse=EVSE_EXAMPLE),
    EventType.EVSE_REMOVED: _event(EventType.EVSE_REMOVED, 6),
    EventType.EXCLUSION_DECLARED: _event(
        EventType.EXCLUSION_DECLARED,
        7,
        exclusion_id="outage-2026-01",
        **{"from": "2026-01-04T22:00:00Z", "until": "2026-01-05T04:00:00Z"},
        reason="utility_interruption",
        connector_uids=["c1"],
        note="Grid operator's notice 4711",
    ),
    EventType.EXCLUSION_WITHDRAWN: _event(EventType.EXCLUSION_WITHDRAWN, 8, exclusion_id="outage-2026-01"),
    EventType.OBSERVATION_GAP: _event(
        EventType.OBSERVATION_GAP, 9, **{"from": "2026-01-05T02:00:00Z", "until": "2026-01-05T02:20:00Z"}
    ),
}
"""One event of each type, every field given."""

_WINDOW: Json = {
    "definition": "observed",
    "from": "2025-12-06T00:00:00Z",
    "until": "2026-01-05T12:00:00Z",
    "up_seconds": 2595600.0,
    "down_seconds": 32400.0,
    "excluded_seconds": 1800.0,
    "unobserved_seconds": 5400.0,
    "uptime": 0.9876712328767123,
    "coverage": 0.997950819672131,
}

SNAPSHOT_EXAMPLE: Json = {
    "evse": {
        **EVSE_EXAMPLE,
        "last_updated": "2026-01-05T11:59:30Z",
        "connectors": [
            {
                **EVSE_EXAMPLE["connectors"][0],
                "status": "OUTOFORDER",
                "online": False,
                "uptime": 0.98767,
                "reliability": 6.73,
                "last_updated": "2026-01-05T11:59:30Z",
            }
        ],
    },
    "revision": 17,
    "as_of": "2026-01-05T12:00:00Z",
    "status": "UNKNOWN",
    "status_rule": "in_use_first",
    "last_seen_at": "2026-01-05T11:59:31.250Z",
    "note": {
        "status": "INOPERATIVE",
        "raw_status": "Unavailable",
        "error_code": None,
        "at": "2026-01-05T11:59:30Z",
    },
    "windows": [_WINDOW],
    "connectors": [
        {
            "connector_uid": "c1",
            "status_since": "2026-01-05T11:59:30Z",
            "online_since": "2026-01-05T11:59:30Z",
            "raw_status": "Faulted",
            "error_code": "GroundFailure",
            "windows": [_WINDOW],
            "reliability": {
                "value": 6.73,
                "availability": 0.9826,
                "continuity": 0.9593,
                "success": 0.714,
                "observed_seconds": 2629800.0,
                "attempts": {"succeeded": 61, "failed": 7, "abandoned": 3, "unknown": 1},
                "outages": 4,
            },
        }
    ],
}
"""A snapshot, every field given."""

TRANSITION_EXAMPLE: Json = {
    "id": "charger-1:1289:0",
    "evse_uid": "charger-1",
    "connector_uid": "c1",
    "from_status": "AVAILABLE",
    "to_status": "OUTOFORDER",
    "at": "2026-01-05T11:59:30Z",
    "lasted_seconds": 5370.0,
    "verdict": "applied",
    "event_id": "evt-1",
    "position": {"topic": "evse.events", "partition": 3, "offset": 1289},
}
"""A transition."""

DEAD_LETTER_HEADERS_EXAMPLE: Json = {
    "dl_reason": "invalid_field",
    "dl_message": "status must be a string, is 5",
    "dl_field": "status",
    "dl_topic": "evse.events",
    "dl_partition": "3",
    "dl_offset": "1290",
    "dl_timestamp": "2026-01-05T11:59:31.250Z",
    "dl_at": "2026-01-05T11:59:32Z",
}
"""What is added to a record that could not be processed."""
