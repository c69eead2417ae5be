"""From status and online to a class of time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.vocabulary import Status, TimeClass
from service.domain.definitions import (
    BUCKET,
    DEFINITIONS,
    OBSERVED,
    PAIRS,
    PLAINLY_UP,
    UNHEARD,
    Definition,
    UnsupportedDefinition,
    first_of,
)

UP, DOWN, UNOBSERVED, OUT = (
    TimeClass.UP,
    TimeClass.DOWN,
    TimeClass.UNOBSERVED,
    TimeClass.OUT_OF_SERVICE,
)


@pytest.mark.parametrize(
    ("status", "not_offline", "offline"),
    [
        (Status.AVAILABLE, UP, DOWN),
        (Status.PREPARING, UP, DOWN),
        (Status.CHARGING, UP, DOWN),
        (Status.FINISHING, UP, DOWN),
        (Status.RESERVED, UP, DOWN),
        (Status.INOPERATIVE, DOWN, DOWN),
        (Status.OUTOFORDER, DOWN, DOWN),
        (Status.UNKNOWN, UNOBSERVED, DOWN),
        (None, UNOBSERVED, DOWN),
        (Status.PLANNED, OUT, OUT),
        (Status.REMOVED, OUT, OUT),
    ],
)
def test_the_table_of_classes(status: Status | None, not_offline: TimeClass, offline: TimeClass) -> None:
    """Online null is ignored; offline is down, UNKNOWN and unheard included, but not out of service."""
    assert not_offline is OBSERVED.class_of(status, None)
    assert not_offline is OBSERVED.class_of(status, True)
    assert offline is OBSERVED.class_of(status, False)


def test_every_pair_has_its_bucket() -> None:
    """Time is stored by (status, online), each in a bucket of its own."""
    assert len(PAIRS) == len(BUCKET) == len(OBSERVED.classes) == 33
    assert PAIRS[UNHEARD] == (None, None)


def test_the_default_can_be_asked_for_by_name() -> None:
    """It is called `observed`."""
    assert DEFINITIONS["observed"] is OBSERVED


@pytest.mark.parametrize("status", [Status.AVAILABLE, Status.RESERVED])
@pytest.mark.parametrize("online", [None, True])
def test_a_definition_that_does_not_count_operational_as_up_is_refused(
    status: Status, online: bool | None
) -> None:
    """History keeps no spans of it; the message names the pair and the reason."""
    classes = list(OBSERVED.classes)
    classes[BUCKET[status, online]] = DOWN

    with pytest.raises(
        UnsupportedDefinition, match=f"strange: {status} with online {online} must be up"
    ) as refusal:
        Definition("strange", tuple(classes), frozenset())

    assert "history keeps no spans of it" in str(refusal.value)


def test_a_definition_may_differ_in_everything_else() -> None:
    """Offline, unknown and faulty time are its own to class."""
    classes = tuple(UP if plainly_up else UNOBSERVED for plainly_up in PLAINLY_UP)

    assert replace(OBSERVED, name="lenient", classes=classes).class_of(Status.AVAILABLE, False) is UNOBSERVED


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ([], UNOBSERVED),
        ([OUT, UNOBSERVED, TimeClass.EXCLUDED, DOWN, UP], UP),
        ([OUT, UNOBSERVED, TimeClass.EXCLUDED, DOWN], DOWN),
        ([OUT, UNOBSERVED, TimeClass.EXCLUDED], TimeClass.EXCLUDED),
        ([OUT, UNOBSERVED], UNOBSERVED),
        ([OUT, OUT], OUT),
    ],
)
def test_a_port_has_the_first_class_of_its_connectors(classes: list[TimeClass], expected: TimeClass) -> None:
    """Up, down, excluded, unobserved; out of service where all are; unobserved without a connector."""
    assert expected is first_of(classes)
