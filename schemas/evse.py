"""
The published EVSE schema (OMNI v0.3, shaped after OCPI 2.2.1): EVSE, Connector and what they hold.

Every field may be missing except the identifiers, and null equals absence. Unknown fields are ignored; an
enum value that is not known passes through as it stands. `parse_evse` reads an EVSE leniently: a bad optional
field costs that field alone, and says so. This module knows neither events nor uptime rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from schemas.errors import is_missing, path_of, remedy_of
from schemas.fields import Bool, Int32, Int64, Number, Time, Uid, open_enum
from schemas.vocabulary import (
    MOST_CONNECTORS,
    Capability,
    ConnectorFormat,
    ParkingRestriction,
    PowerType,
    PrivilegeStatus,
    Standard,
    Status,
)


class Published(BaseModel):
    """What all models of the published schema share: immutable, unknown fields ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


def _within(limit: int) -> AfterValidator:
    def check(value: str) -> str:
        if abs(float(value)) > limit:
            raise PydanticCustomError(
                "out_of_range", "must lie between -{limit} and {limit}", {"limit": limit}
            )
        return value

    return AfterValidator(check)


class Coordinates(Published):
    """Represents a geographic point using decimal degrees."""

    latitude: Annotated[
        str, Field(pattern=r"^-?[0-9]{1,2}\.[0-9]{5,7}$", examples=["50.770774"]), _within(90)
    ]
    """Latitude of the point in decimal degree. Example: 50.770774. Must have 5-7 decimal places."""
    longitude: Annotated[
        str, Field(pattern=r"^-?[0-9]{1,3}\.[0-9]{5,7}$", examples=["-126.104965"]), _within(180)
    ]
    """Longitude of the point in decimal degree. Example: -126.104965. Must have 5-7 decimal places."""


class Image(Published):
    """A photo or logo related to the EVSE."""

    category: str | None = None
    """What the image shows."""
    height: Int64 | None = None
    """Height of the image, in pixels."""
    thumbnail: str | None = None
    """URL of a small version of the image."""
    type: str | None = None
    """Format of the image, for example jpeg or png."""
    url: str | None = None
    """URL of the image."""
    width: Int64 | None = None
    """Width of the image, in pixels."""


class DisplayText(Published):
    """A text for people, in one language."""

    language: str | None = None
    """Language of the text, as an ISO 639-1 code."""
    text: str | None = None
    """The text itself."""


class Connector(Published):
    """A physical charging port of an EVSE."""

    format: Annotated[str, open_enum(ConnectorFormat)] | None = None
    """The format (socket/cable) of the installed connector."""
    uid: Uid
    """Unique identifier for the connector, which should never be changed or modified. For example, the
    database ID."""
    connector_id: str | None = None
    """CPO's identifier for the connector. Usually meant to be human readable."""
    last_updated: Time | None = None
    """Timestamp when this connector was last updated (or created). Format: RFC3339 in UTC timezone."""
    max_amperage: Int32 | None = None
    """Maximum amperage of the connector, in ampere [A]. Used for calculating charging power and
    compatibility."""
    max_electric_power: Int32 | None = None
    """Maximum electric power that can be delivered by this connector, in Watts (W). Calculated from voltage
    and amperage."""
    max_voltage: Int32 | None = None
    """Maximum voltage of the connector (line to neutral for AC_3_PHASE), in volt [V]. Common values: 230V
    (AC), 400V (DC)."""
    power_type: Annotated[str, open_enum(PowerType)] | None = None
    """Type of power available at this connector."""
    standard: Annotated[str, open_enum(Standard)] | None = None
    """The standard of the installed connector."""
    tariff_uids: tuple[str, ...] | None = None
    """Identifiers of the currently valid charging tariffs. Multiple tariffs are possible, but only one of
    each Tariff.type can be active at the same time. For a "free of charge" tariff, this field should be set
    and point to a defined "free of charge" tariff."""
    terms_and_conditions: str | None = None
    """Terms of use, contractual agreements, and conditions that govern the usage of the connector. May
    include URLs to full terms documents."""
    status: Annotated[str, open_enum(Status)] | None = None
    """Indicates the current status of the connector."""
    reliability: Annotated[Number, Field(ge=0, le=10)] | None = None
    """The consistency and dependability of the connector over time. Range: 0.0 to 10.0, where 10.0 is most
    reliable."""
    uptime: Annotated[Number, Field(ge=0, le=1)] | None = None
    """The amount of time the connector is operational and available for charging sessions. Range: 0.0 to 1.0,
    where 1.0 is 100% uptime."""
    qr_identifier: str | None = None
    """String that is usually printed as a QR code or as a short label. Used to navigate to the charger on the
    UI, either through a QR scanner or by being keyed in."""
    privilege_status: Annotated[str, open_enum(PrivilegeStatus)] | None = None
    """Indicates access restrictions for this connector."""
    online: Bool | None = None
    """Whether the charger is online. Not supported by all CPOs. If it is unsupported, it will be null."""
    physical_reference: str | None = None
    """Human readable string identifying the charger gun. Usually a short name such as "Gun A" or "Connector
    1"."""
    is_enabled: Bool | None = None
    """Determines whether this connector can be used for charging. Disabled connectors cannot start new
    sessions."""
    is_published: Bool | None = None
    """Determines whether this connector should be shown on the UI. Unpublished connectors are hidden from
    public views."""
    is_transient_web_enabled: Bool | None = None
    """Determines whether this connector supports transient web payments. For example: Guest Checkout,
    Pay-as-you-go, etc."""


class EVSE(Published):
    """
    Represents an Electric Vehicle Supply Equipment (EVSE) at a location.

    An EVSE is a physical charging station that may have one or more connectors. Status is on the connector;
    the EVSE has none.
    """

    capabilities: tuple[Annotated[str, open_enum(Capability)], ...] | None = None
    """List of functionalities that the EVSE is capable of."""
    connectors: tuple[Connector, ...] | None = None
    """List of available connectors on the EVSE. Each connector represents a physical charging port."""
    coordinates: Coordinates | None = None
    """Where the EVSE stands: a geographic point in decimal degrees."""
    evse_id: str | None = None
    """The EVSE ID or Charge Box ID that comes from the CSMS, or is used for connecting the EVSE to the
    Supervisor. May be reused if a previous charger with the same EVSE ID has been removed."""
    floor_level: str | None = None
    """Level on which the Charge Point is located (in garage buildings). Uses the locally displayed numbering
    scheme."""
    images: tuple[Image, ...] | None = None
    """Images related to the EVSE such as photos or logos. Useful for visual identification of the charging
    station."""
    last_updated: Time | None = None
    """Timestamp when this EVSE or one of its Connectors were last updated (or created). Format: RFC3339 in
    UTC timezone."""
    parking_restrictions: tuple[Annotated[str, open_enum(ParkingRestriction)], ...] | None = None
    """The restrictions that apply to the parking spot. For example: EV_ONLY, PLUGGED, DISABLED, CUSTOMERS,
    MOTORCYCLES."""
    physical_reference: str | None = None
    """The string or identifier printed on the outside of the EVSE. Meant for customers to visually identify
    the charging station."""
    uid: Uid
    """Unique identifier for the EVSE, which should never be changed or modified. For example, the database
    ID."""
    protocol: str | None = Field(default=None, json_schema_extra={"default": "OMNI"})
    """The Protocol used for this EVSE. Default: OMNI."""
    localised_directions: tuple[DisplayText, ...] | None = None
    """Human-readable directions on how to reach the EVSE with i18n support. Helpful navigation instructions
    for users."""
    max_vehicle_wheels_supported: Int32 | None = None
    """Indicates the maximum vehicle size supported by this EVSE. For example: 2 for motorcycles/scooters, 4
    for cars, 6+ for trucks."""

    @model_validator(mode="after")
    def _connectors_are_told_apart(self) -> EVSE:
        seen: set[str] = set()
        for index, connector in enumerate(self.connectors or ()):
            if connector.uid in seen:
                error = InitErrorDetails(
                    type=PydanticCustomError("duplicate_uid", "stands twice in the list"),
                    loc=("connectors", index, "uid"),
                    input=connector.uid,
                )
                raise ValidationError.from_exception_data("EVSE", [error])
            seen.add(connector.uid)
        return self


@dataclass(frozen=True, slots=True)
class FieldWarning:
    """
    A field that was left out because it was bad: its dotted path, and what it must be and is instead.

    Or a status in a word that is not known, which `word` shows; it was taken for UNKNOWN.
    """

    field: str
    message: str
    word: str | None = None


class StructureError(ValueError):
    """An EVSE that cannot be read: `field` is the dotted path of what is wrong, `remedy` what it must be."""

    def __init__(self, field: str, remedy: str, *, missing: bool = False) -> None:
        super().__init__(f"{field or 'the EVSE'} {remedy}")
        self.field = field
        self.remedy = remedy
        self.missing = missing


Location = tuple[int | str, ...]

MOST_ELEMENTS = 100
"""So many elements of a list are kept: of images, capabilities, tariffs."""

MOST_WARNINGS = 100
"""So many of the fields that are left out are told."""


def parse_evse(raw: object) -> tuple[EVSE, tuple[FieldWarning, ...]]:
    """
    Read an EVSE, leaving out each optional field that is bad, and say which.

    A number as a text, an image that is none, coordinates with too few decimals: each costs itself alone.
    What holds the EVSE together cannot be left out, and raises StructureError: `raw` no object, a bad `uid`,
    `connectors` no list or of more than 100, a connector that is no object or has no good uid, a uid twice.
    """
    raw, warnings = _shortened(raw)
    while True:
        try:
            return EVSE.model_validate(raw), tuple(warnings)
        except ValidationError as failed:
            errors = failed.errors(include_url=False)
        structural = next((error for error in errors if _is_structural(error["loc"])), None)
        if structural is not None:
            raise StructureError(
                path_of(structural["loc"]), remedy_of(structural), missing=is_missing(structural)
            )
        dropped = _Dropped()
        for error in errors:
            dropped.add(_what_to_drop(error["loc"]))
        raw = _without(raw, dropped)
        told, more = errors[: max(MOST_WARNINGS - len(warnings), 0)], len(errors)
        warnings += [FieldWarning(path_of(error["loc"]), f"left out: {remedy_of(error)}") for error in told]
        if len(told) < more and told:
            last = warnings[-1]
            warnings[-1] = FieldWarning(last.field, f"{last.message} (and {more - len(told)} more)")


def _shortened(raw: Any) -> tuple[Any, list[FieldWarning]]:
    """
    Cut lists that are longer than any EVSE has, before each of their elements is looked at.

    Of connectors none is left out unsaid: raises StructureError.
    """
    if not isinstance(raw, dict):
        return raw, []
    connectors = raw.get("connectors")
    if not isinstance(connectors, list):
        return _cut(raw, "", EVSE)
    if len(connectors) > MOST_CONNECTORS:
        raise StructureError("connectors", f"must have at most {MOST_CONNECTORS}, has {len(connectors)}")
    short, warnings = _cut(raw, "", EVSE)
    short["connectors"] = []
    for number, connector in enumerate(connectors):
        cut, more = _cut(connector, f"connectors.{number}.", Connector)
        short["connectors"].append(cut)
        warnings += more
    return short, warnings


def _cut(holder: Any, place: str, model: type[Published]) -> tuple[Any, list[FieldWarning]]:
    """Cut the long lists among the fields of a model, if that is what this is."""
    if not isinstance(holder, dict):
        return holder, []
    short, warnings = dict(holder), []
    for name, value in holder.items():
        if isinstance(value, list) and len(value) > MOST_ELEMENTS and name in model.model_fields:
            short[name] = value[:MOST_ELEMENTS]
            message = f"cut: the first {MOST_ELEMENTS} are kept, of {len(value)}"
            warnings.append(FieldWarning(f"{place}{name}", message))
    return short, warnings


def _is_structural(location: Location) -> bool:
    match location:
        case () | ("uid", *_) | ("connectors",) | ("connectors", int()) | ("connectors", int(), "uid", *_):
            return True
    return False


def _what_to_drop(location: Location) -> Location:
    """Half a point is none: coordinates go together; everything else goes alone."""
    return location[:1] if location[0] == "coordinates" else location


class _Dropped(dict[int | str, "_Dropped"]):
    """What is left out, by the steps to it: one without steps below it goes as a whole."""

    def add(self, location: Location) -> None:
        """Leave out what lies there."""
        here = self
        for step in location[:-1]:
            below = here.get(step)
            if below is None:
                below = here[step] = _Dropped()
            elif not below:
                return  # it goes as a whole
            here = below
        here[location[-1]] = _Dropped()


def _without(value: Any, dropped: _Dropped) -> Any:
    """Copy `value` without what is left out, and along that alone: the rest may be nested too deeply."""
    steps = value.items() if isinstance(value, dict) else enumerate(value)
    kept = {
        step: _without(each, dropped[step]) if step in dropped else each
        for step, each in steps
        if step not in dropped or dropped[step]
    }
    return kept if isinstance(value, dict) else list(kept.values())
