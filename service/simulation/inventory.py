"""The fleet's inventory: EVSEs as in the published schema, invented but plausible."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from schemas.vocabulary import (
    Capability,
    ConnectorFormat,
    ParkingRestriction,
    PowerType,
    PrivilegeStatus,
    Standard,
    Status,
)
from service.simulation.sites import HIGHWAY, OFFICE, Site

_PLACES = (
    "Lindenfeld", "Ostermühle", "Kranichsee", "Hohenbrück", "Ahornallee", "Sternberg", "Weidenhof",
    "Falkenried", "Birkenau", "Nordhafen", "Rosental", "Steinbach", "Kieferngrund", "Marktgasse",
    "Seeblick", "Altenwerder", "Buchholz", "Mühlenkamp", "Silberberg", "Tannenhain",
)  # fmt: skip
_INDOORS = 0.6  # share of what does not stand on a highway
_NAMES_OF_KIND = {
    "office": ("Business Park", "Office Campus", "Technology Centre"),
    "highway": ("Service Area North", "Service Area South", "Rest Stop"),
    "residential": ("Residences", "Garage", "Courtyard"),
}


@dataclass(frozen=True, slots=True)
class Plug:
    """A sort of connector: amperes, watts and volts as the published schema has them."""

    standard: Standard
    power_type: PowerType
    format: ConnectorFormat
    max_voltage: int
    max_amperage: int
    max_electric_power: int


_CCS_300 = Plug(Standard.IEC_62196_T2_COMBO, PowerType.DC, ConnectorFormat.CABLE, 920, 500, 300_000)
_CCS_150 = Plug(Standard.IEC_62196_T2_COMBO, PowerType.DC, ConnectorFormat.CABLE, 920, 350, 150_000)
_CCS_50 = Plug(Standard.IEC_62196_T2_COMBO, PowerType.DC, ConnectorFormat.CABLE, 500, 125, 50_000)
_CHADEMO = Plug(Standard.CHADEMO, PowerType.DC, ConnectorFormat.CABLE, 500, 125, 50_000)
_AC_43 = Plug(Standard.IEC_62196_T2, PowerType.AC_3_PHASE, ConnectorFormat.CABLE, 230, 63, 43_000)
_AC_22 = Plug(Standard.IEC_62196_T2, PowerType.AC_3_PHASE, ConnectorFormat.SOCKET, 230, 32, 22_000)
_AC_11 = Plug(Standard.IEC_62196_T2, PowerType.AC_3_PHASE, ConnectorFormat.CABLE, 230, 16, 11_000)
_AC_7 = Plug(Standard.IEC_62196_T2, PowerType.AC_1_PHASE, ConnectorFormat.CABLE, 230, 32, 7_400)

# The first plug of a layout is the one drivers come for.
_LAYOUTS: dict[str, tuple[tuple[Plug, ...], ...]] = {
    "highway": ((_CCS_300, _CCS_300), (_CCS_150, _CHADEMO), (_CCS_50, _CHADEMO, _AC_43), (_CCS_300,)),
    "office": ((_AC_22,), (_AC_22, _AC_22)),
    "residential": ((_AC_11,), (_AC_7,), (_AC_11,)),
}
_COMMON = (Capability.REMOTE_START_STOP_CAPABLE, Capability.RFID_READER)
_CAPABILITIES = {
    "highway": (*_COMMON, Capability.CONTACTLESS_CARD_SUPPORT, Capability.CREDIT_CARD_PAYABLE),
    "office": (*_COMMON, Capability.CHARGING_PROFILE_CAPABLE, Capability.RESERVABLE),
    "residential": (*_COMMON, Capability.CHARGING_PROFILE_CAPABLE, Capability.UNLOCK_CAPABLE),
}


def site_name(kind: str, number: int) -> str:
    """Name a site; names run out only where the combinations do, and then get a number."""
    names = _NAMES_OF_KIND[kind]
    lap, place = divmod(number, len(_PLACES))
    suffix = names[(place + lap) % len(names)]
    numeral = f" {lap // len(names) + 1}" if lap >= len(names) else ""
    return f"{_PLACES[place]} {suffix}{numeral}"


def slug_of(name: str) -> str:
    """Make the part of an identifier from a name."""
    return name.lower().replace("ü", "ue").replace(" ", "-")


def describe_evse(rng: Random, site: Site, number: int, *, planned: bool = False) -> dict[str, Any]:
    """
    Describe the EVSE of that number at a site, as the published schema has it.

    One that is `planned` carries that status, as an inventory does before there is anything to report.
    """
    slug = slug_of(site.name)
    uid = f"{slug}-{number:02d}"
    kind = site.kind
    plugs = rng.choice(_LAYOUTS[kind.name])
    indoors = kind is not HIGHWAY and rng.random() < _INDOORS
    evse: dict[str, Any] = {
        "uid": uid,
        "evse_id": f"CB-{slug.upper()}-{number:02d}",
        "protocol": "OMNI",
        "physical_reference": f"{site.name} {number}",
        "coordinates": {
            "latitude": f"{site.latitude + rng.uniform(-0.0006, 0.0006):.6f}",
            "longitude": f"{site.longitude + rng.uniform(-0.0009, 0.0009):.6f}",
        },
        "capabilities": [capability.value for capability in _CAPABILITIES[kind.name]],
        "parking_restrictions": [ParkingRestriction.EV_ONLY.value],
        "localised_directions": [{"language": "en", "text": f"{site.name}, bay {number}"}],
        "max_vehicle_wheels_supported": 4,
        "connectors": [_describe_connector(site, uid, place, plug) for place, plug in enumerate(plugs, 1)],
    }
    if indoors:
        evse["floor_level"] = rng.choice(("-2", "-1", "0"))
    if kind is OFFICE:
        evse["parking_restrictions"].append(ParkingRestriction.CUSTOMERS.value)
    if planned:
        for connector in evse["connectors"]:
            connector["status"] = Status.PLANNED.value
    return evse


def _describe_connector(site: Site, uid: str, place: int, plug: Plug) -> dict[str, Any]:
    private = site.kind.name == "residential"
    privilege = PrivilegeStatus.RESTRICTED if private else PrivilegeStatus.PUBLIC
    current = "dc" if plug.power_type is PowerType.DC else "ac"
    return {
        "uid": f"{uid}-{place}",
        "connector_id": str(place),
        "physical_reference": f"Connector {'ABC'[place - 1]}",
        "qr_identifier": f"{uid}*{place}".upper(),
        "standard": plug.standard.value,
        "format": plug.format.value,
        "power_type": plug.power_type.value,
        "max_voltage": plug.max_voltage,
        "max_amperage": plug.max_amperage,
        "max_electric_power": plug.max_electric_power,
        "tariff_uids": [f"{site.operator.source}-{current}-2026"],
        "privilege_status": privilege.value,
        "is_enabled": True,
        "is_published": not private,
        "is_transient_web_enabled": not private,
    }
