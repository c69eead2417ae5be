"""The published EVSE schema, and how leniently it is read."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.evse import (
    EVSE,
    MOST_WARNINGS,
    Connector,
    Coordinates,
    DisplayText,
    Image,
    StructureError,
    parse_evse,
)
from schemas.examples import EVSE_EXAMPLE

PUBLISHED = {
    EVSE: {
        "capabilities",
        "connectors",
        "coordinates",
        "evse_id",
        "floor_level",
        "images",
        "last_updated",
        "parking_restrictions",
        "physical_reference",
        "uid",
        "protocol",
        "localised_directions",
        "max_vehicle_wheels_supported",
    },
    Connector: {
        "format",
        "uid",
        "connector_id",
        "last_updated",
        "max_amperage",
        "max_electric_power",
        "max_voltage",
        "power_type",
        "standard",
        "tariff_uids",
        "terms_and_conditions",
        "status",
        "reliability",
        "uptime",
        "qr_identifier",
        "privilege_status",
        "online",
        "physical_reference",
        "is_enabled",
        "is_published",
        "is_transient_web_enabled",
    },
    Coordinates: {"latitude", "longitude"},
    Image: {"category", "height", "thumbnail", "type", "url", "width"},
    DisplayText: {"language", "text"},
}


def with_connector(**fields: object) -> dict[str, Any]:
    """Give an EVSE with one connector that has these fields."""
    return {"uid": "e", "connectors": [{"uid": "c", **fields}]}


@pytest.mark.parametrize(
    ("model", "names"), PUBLISHED.items(), ids=lambda value: getattr(value, "__name__", "")
)
def test_every_published_field_is_there_and_described(model: type[EVSE], names: set[str]) -> None:
    """No more, no less, each with the words of the published schema."""
    assert set(model.model_fields) == names
    assert all(field.description for field in model.model_fields.values())


def test_a_whole_evse_is_kept_as_it_came() -> None:
    """Reading and writing changes nothing."""
    evse, warnings = parse_evse(EVSE_EXAMPLE)

    assert evse.model_dump(mode="json", exclude_none=True) == EVSE_EXAMPLE
    assert warnings == ()


def test_a_list_without_end_is_cut_before_its_elements_are_looked_at() -> None:
    """A megabyte of bad ones took minutes, in which nothing else was done; unknown fields cost nothing."""
    bad: list[object] = [1] * 300_000
    raw = {**with_connector(tariff_uids=["t", *bad]), "capabilities": bad, "images": bad, "whatever": bad}
    evse, warnings = parse_evse(raw)

    assert (evse.capabilities, evse.images) == ((), ())
    assert evse.connectors is not None
    assert evse.connectors[0].tariff_uids == ("t",)
    assert [each.field for each in warnings[:3]] == ["capabilities", "images", "connectors.0.tariff_uids"]
    assert all(each.message.startswith("cut: the first 100 are kept, of 30000") for each in warnings[:3])


def test_of_the_fields_that_are_left_out_a_hundred_are_told() -> None:
    """The last one says how many there are beside."""
    connectors = [{"uid": f"c{number}", "tariff_uids": [1, 2]} for number in range(100)]
    evse, warnings = parse_evse({"uid": "e1", "connectors": connectors})

    assert evse.connectors is not None
    assert all(each.tariff_uids == () for each in evse.connectors)
    assert len(warnings) == MOST_WARNINGS
    assert warnings[-1].message.endswith("is 2 (and 100 more)")


@pytest.mark.parametrize("field", ["format", "power_type", "standard", "privilege_status", "status"])
def test_an_unknown_word_of_a_connector_passes_through(field: str) -> None:
    """OCPI knows about 41 plug standards, the published schema 13: the other 28 exist all the same."""
    evse, warnings = parse_evse(with_connector(**{field: "NACS"}))

    assert evse.connectors is not None
    assert getattr(evse.connectors[0], field) == "NACS"
    assert warnings == ()


def test_an_unknown_capability_and_restriction_pass_through() -> None:
    """What a producer knows and we do not is published as it stands."""
    raw = {"uid": "e", "capabilities": ["TELEPORT"], "parking_restrictions": ["BOATS"]}

    assert parse_evse(raw)[0].model_dump(mode="json", exclude_none=True) == raw


def test_null_equals_absence_and_unknown_fields_are_ignored() -> None:
    """For every optional field."""
    raw = dict.fromkeys(PUBLISHED[EVSE]) | {"uid": "e", "future": {"deep": []}}

    evse, warnings = parse_evse(raw)

    assert evse == EVSE(uid="e")
    assert warnings == ()


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [("50.770774", "-126.104965"), ("-0.00000", "180.0000000"), ("90.00000", "0.12345")],
)
def test_good_coordinates_are_kept(latitude: str, longitude: str) -> None:
    """As the strings they are: decimals say how exact they are."""
    raw = {"uid": "e", "coordinates": {"latitude": latitude, "longitude": longitude}}

    evse, warnings = parse_evse(raw)

    assert evse.coordinates == Coordinates(latitude=latitude, longitude=longitude)
    assert warnings == ()


@pytest.mark.parametrize(
    ("bad", "field", "says"),
    [
        ({"latitude": "50.7707", "longitude": "4.35000"}, "coordinates.latitude", "5 to 7 decimals"),
        ({"latitude": "50.77077400", "longitude": "4.35000"}, "coordinates.latitude", "5 to 7 decimals"),
        ({"latitude": "90.00001", "longitude": "4.35000"}, "coordinates.latitude", "between -90 and 90"),
        (
            {"latitude": "50.77077", "longitude": "-180.00001"},
            "coordinates.longitude",
            "between -180 and 180",
        ),
        ({"latitude": 50.77077, "longitude": "4.35000"}, "coordinates.latitude", "must be a string"),
        ({"latitude": "50.77077"}, "coordinates.longitude", "is missing"),
        ({"latitude": "50.77077", "longitude": None}, "coordinates.longitude", "is missing"),
        ("50.77077,4.35000", "coordinates", "must be an object"),
    ],
)
def test_bad_coordinates_cost_themselves_alone_and_say_so(bad: object, field: str, says: str) -> None:
    """The rest of the EVSE stands."""
    evse, (warning,) = parse_evse({**EVSE_EXAMPLE, "coordinates": bad})

    assert evse == parse_evse({**EVSE_EXAMPLE, "coordinates": None})[0]
    assert warning.field == field
    assert says in warning.message


@pytest.mark.parametrize(
    ("field", "bad", "says"),
    [
        ("max_amperage", "32", "whole number"),
        ("max_amperage", 2**31, "less than or equal to"),
        ("max_voltage", 230.5, "whole number"),
        ("uptime", 97.5, "less than or equal to 1"),
        ("reliability", -0.1, "greater than or equal to 0"),
        ("reliability", True, "must be a number"),
        ("online", "true", "true or false"),
        ("is_enabled", 1, "true or false"),
        ("standard", 5, "must be a string"),
        ("tariff_uids", "t1", "must be a list"),
        ("last_updated", "now", "RFC 3339"),
    ],
)
def test_a_bad_optional_field_costs_itself_alone_and_says_so(field: str, bad: object, says: str) -> None:
    """One wrong number must not hide a charger, nor vanish unsaid."""
    evse, (warning,) = parse_evse(with_connector(**{field: bad}, physical_reference="Gun A"))

    assert evse.model_dump(exclude_none=True) == {
        "uid": "e",
        "connectors": ({"uid": "c", "physical_reference": "Gun A"},),
    }
    assert warning.field == f"connectors.0.{field}"
    assert says in warning.message


def test_bad_elements_of_a_list_go_and_the_others_stay() -> None:
    """Each is named by the place it had."""
    raw = {
        "uid": "e",
        "capabilities": [1, "RESERVABLE", None, "X", {}],
        "images": [5, {"url": "u", "width": "w"}],
    }

    evse, warnings = parse_evse(raw)

    assert evse.capabilities == ("RESERVABLE", "X")
    assert evse.images == (Image(url="u"),)
    assert [warning.field for warning in warnings] == [
        "capabilities.0",
        "capabilities.2",
        "capabilities.4",
        "images.0",
        "images.1.width",
    ]


def test_what_was_read_is_not_changed() -> None:
    """Fields are left out of a copy: the caller keeps what came."""
    raw = {"uid": "e", "coordinates": {}, "images": [5]}

    parse_evse(raw)

    assert raw == {"uid": "e", "coordinates": {}, "images": [5]}


def test_a_whole_number_may_be_written_with_a_point() -> None:
    """JSON has one kind of number."""
    evse, warnings = parse_evse({"uid": "e", "max_vehicle_wheels_supported": 4.0})

    assert evse.max_vehicle_wheels_supported == 4
    assert warnings == ()


@pytest.mark.parametrize(
    ("raw", "field", "missing"),
    [
        ("an EVSE", "", False),
        ([], "", False),
        ({}, "uid", True),
        ({"uid": None}, "uid", True),
        ({"uid": 5}, "uid", False),
        ({"uid": "e", "connectors": {"c": {}}}, "connectors", False),
        ({"uid": "e", "connectors": ["c"]}, "connectors.0", False),
        ({"uid": "e", "connectors": [{"uid": "c"}, {}]}, "connectors.1.uid", True),
        ({"uid": "e", "connectors": [{"uid": "c"}, {"uid": ""}]}, "connectors.1.uid", False),
        ({"uid": "e", "connectors": [{"uid": "c"}, {"uid": "d"}, {"uid": "c"}]}, "connectors.2.uid", False),
        ({"uid": "e", "images": 5, "connectors": [{"uid": "c"}, {"uid": "c"}]}, "connectors.1.uid", False),
    ],
)
def test_what_holds_an_evse_together_cannot_be_left_out(raw: object, field: str, missing: bool) -> None:
    """Without it nobody knows which connector is meant."""
    with pytest.raises(StructureError) as refused:
        parse_evse(raw)

    assert refused.value.field == field
    assert refused.value.missing is missing
