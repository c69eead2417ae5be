"""What the worker keeps for itself among what others read."""

from __future__ import annotations

from schemas.view import parse_outages

SPAN = (
    '{"connector_uid":"%s","from":"2026-01-05T00:00:00Z","until":"2026-01-05T01:00:00Z",'
    '"status":null,"online":false}'
)


def test_what_held_for_all_connectors_is_no_connector_of_its_own() -> None:
    """The nameless track's spans stand in the view for the worker alone."""
    outages = parse_outages([SPAN % "\\u001f", SPAN % "c1"])

    assert [outage.connector_uid for outage in outages] == ["c1"]
