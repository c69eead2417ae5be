"""What the worker keeps for itself among what others read."""

from __future__ import annotations

import orjson
import pytest

from schemas.view import is_private_outage, parse_outages
from service.domain.definitions import UNHEARD
from service.domain.timeline import NAMELESS
from service.domain.track import Span
from service.processing.wording import outage_json

SPAN = (
    '{"connector_uid":"%s","from":"2026-01-05T00:00:00Z","until":"2026-01-05T01:00:00Z",'
    '"status":null,"online":false}'
)


def test_what_held_for_all_connectors_is_no_connector_of_its_own() -> None:
    """The nameless track's spans stand in the view for the worker alone."""
    outages = parse_outages([SPAN % "\\u001f", SPAN % "c1"])

    assert [outage.connector_uid for outage in outages] == ["c1"]


@pytest.mark.parametrize(("uid", "is_private"), [(NAMELESS, True), ("c1", False), ("\\u001f", False)])
def test_the_workers_own_spans_are_known_by_their_text(uid: str, *, is_private: bool) -> None:
    """As it writes them, so that nobody has to read them to leave them out."""
    error = '"connector_uid":"\x1f" or "connector_uid":"\\u001f"'
    member = orjson.dumps(outage_json(uid, Span(0, 1, UNHEARD, error, None, None)))

    assert is_private_outage(member) is is_private
    assert is_private_outage(member.decode()) is is_private
