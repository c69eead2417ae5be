"""From a record to an event, or to the one reason why it is none."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from schemas.evse import FieldWarning
from schemas.examples import EVENTS, EVSE_EXAMPLE
from schemas.vocabulary import MOST_CONNECTORS, EventType, ExclusionReason, RejectionReason, Status
from service.domain import events as domain
from service.domain.time import HOUR, MINUTE, SECOND
from service.processing.decoding import MAX_BYTES, Rejection, decode

NOON = 1_767_614_400 * SECOND
"""2026-01-05T12:00:00Z: the record's own timestamp."""

AT = NOON - 30 * SECOND
SEEN = NOON - 28_750_000

STATUS: dict[str, Any] = {
    "type": "connector.status",
    "event_id": "e1",
    "evse_uid": "u1",
    "connector_uid": "c1",
    "status": "AVAILABLE",
    "occurred_at": "2026-01-05T11:59:00Z",
}


def decoded(event: object, **options: Any) -> domain.Event | Rejection:
    """Decode a value, written as JSON where it is none yet, as the record at position 7 with the key `u1`."""
    value = event if isinstance(event, bytes | None) else orjson.dumps(event)
    return decode(value, **{"key": b"u1", "position": 7, "record_time": NOON, **options})


def good(event: object, **options: Any) -> domain.Event:
    """Decode what must be an event."""
    result = decoded(event, **options)
    assert not isinstance(result, Rejection), result.message
    return result


def rejected(event: object, **options: Any) -> Rejection:
    """Decode what must be rejected."""
    result = decoded(event, **options)
    assert isinstance(result, Rejection)
    return result


def upserted(evse: object) -> dict[str, Any]:
    """Build an `evse.upserted`."""
    return {"type": "evse.upserted", "event_id": "e1", "evse_uid": "u1", "evse": evse}


COMMON = ("charger-1", 7, AT, SEEN, False, "csms-west")
EXPECTED: dict[EventType, domain.Event] = {
    EventType.CONNECTOR_STATUS: domain.StatusReported(
        "evt-1", *COMMON, "c1", Status.OUTOFORDER, "Faulted", "GroundFailure", "E42"
    ),
    EventType.CONNECTOR_ONLINE: domain.OnlineReported("evt-2", *COMMON, "c1", False, "socket closed"),
    EventType.EVSE_STATUS: domain.ChargerNoted("evt-3", *COMMON, Status.INOPERATIVE, "Unavailable"),
    EventType.EVSE_HEARTBEAT: domain.HeartbeatReceived("evt-4", *COMMON, 300),
    EventType.EVSE_REMOVED: domain.EvseRemoved("evt-6", *COMMON),
    EventType.EXCLUSION_DECLARED: domain.ExclusionDeclared(
        "evt-7",
        *COMMON,
        "outage-2026-01",
        NOON - 14 * HOUR,
        NOON - 8 * HOUR,
        ExclusionReason.UTILITY_INTERRUPTION,
        ("c1",),
        "Grid operator's notice 4711",
    ),
    EventType.EXCLUSION_WITHDRAWN: domain.ExclusionWithdrawn("evt-8", *COMMON, "outage-2026-01"),
    EventType.OBSERVATION_GAP: domain.GapObserved(
        "evt-9", *COMMON, NOON - 10 * HOUR, NOON - 10 * HOUR + 20 * MINUTE
    ),
}


@pytest.mark.parametrize(("kind", "expected"), EXPECTED.items())
def test_an_event_says_the_same_to_the_fold(kind: EventType, expected: domain.Event) -> None:
    """Every type but the inventory, which is taken apart below."""
    assert good(EVENTS[kind], key=b"charger-1") == expected


def test_an_inventory_is_taken_apart() -> None:
    """Without what the fold decides; the statuses it claims stand beside it."""
    first = {**EVSE_EXAMPLE["connectors"][0], "online": True, "uptime": 1, "reliability": 10.0}
    second = {"uid": "c2", "status": "Blocked", "last_updated": "2026-01-01T00:00:00Z", "max_voltage": None}
    evse = {
        **EVSE_EXAMPLE,
        "last_updated": "2026-01-01T00:00:00Z",
        "x": 1,
        "connectors": [first, second, {"uid": "c3"}],
    }

    event = good({**EVENTS[EventType.EVSE_UPSERTED], "evse": evse}, key=b"charger-1")

    assert isinstance(event, domain.InventoryUpserted)
    assert event.evse == {name: value for name, value in EVSE_EXAMPLE.items() if name != "connectors"}
    assert event.connectors == {
        "c1": {name: value for name, value in EVSE_EXAMPLE["connectors"][0].items() if name != "status"},
        "c2": {"uid": "c2"},
        "c3": {"uid": "c3"},
    }
    assert event.statuses == {"c1": (Status.AVAILABLE, None), "c2": (Status.UNKNOWN, "Blocked")}
    assert orjson.loads(orjson.dumps([event.evse, event.connectors])) == [event.evse, event.connectors]


@pytest.mark.parametrize(
    ("said", "expected"), [({}, None), ({"connectors": None}, None), ({"connectors": []}, {})]
)
def test_no_list_of_connectors_is_not_an_empty_one(said: dict[str, Any], expected: object) -> None:
    """An empty one takes every connector out of the published EVSE; none says nothing of them."""
    event = good(upserted(said))

    assert isinstance(event, domain.InventoryUpserted)
    assert event.connectors == expected
    assert event.evse == {"uid": "u1"}


def test_a_bad_field_of_an_inventory_is_left_out_and_told() -> None:
    """With the uid, the path in the event, and the remedy."""
    told: list[tuple[str, FieldWarning]] = []

    def warn(uid: str, warning: FieldWarning) -> None:
        told.append((uid, warning))

    coordinates = {"latitude": "50.8", "longitude": "4.35000"}
    event = good(upserted({"coordinates": coordinates, "floor_level": "1"}), warn=warn)

    assert isinstance(event, domain.InventoryUpserted)
    assert event.evse == {"uid": "u1", "floor_level": "1"}
    ((uid, warning),) = told
    assert (uid, warning.field) == ("u1", "evse.coordinates.latitude")
    assert "5 to 7 decimals" in warning.message


def test_nobody_is_warned_of_what_is_ignored_anyhow_nor_of_what_is_rejected() -> None:
    """An uptime in percent is no business of ours; a rejection says its own."""
    told: list[FieldWarning] = []

    def warn(_: str, warning: FieldWarning) -> None:
        told.append(warning)

    good(upserted({"connectors": [{"uid": "c1", "uptime": 97.5, "online": "yes"}]}), warn=warn)
    rejected(upserted({"coordinates": {}, "floor_level": "1"}), key=b"other", warn=warn)

    assert told == []


def test_an_unknown_status_never_costs_the_event() -> None:
    """It becomes UNKNOWN, its word is kept."""
    event = good({**STATUS, "status": "Blocked"})

    assert isinstance(event, domain.StatusReported)
    assert (event.status, event.raw_status) == (Status.UNKNOWN, "Blocked")


@pytest.mark.parametrize(
    ("word", "remedy"), [("Available", "did you mean AVAILABLE?"), ("Blocked", "known are AVAILABLE, ")]
)
def test_a_status_in_a_word_that_is_not_known_is_told(word: str, remedy: str) -> None:
    """Else a producer that says OCPP's words would make a whole fleet UNKNOWN, and nobody knew why."""
    told: list[FieldWarning] = []

    def warn(_: str, warning: FieldWarning) -> None:
        told.append(warning)

    connectors = [{"uid": "c1", "status": "AVAILABLE"}, {"uid": "c2", "status": word}]
    good({**STATUS, "status": word}, warn=warn)
    good({**STATUS, "status": "UNKNOWN", "raw_status": word}, warn=warn)
    good(upserted({"connectors": connectors}), warn=warn)

    assert [(each.field, each.word) for each in told] == [
        ("status", repr(word)),
        ("evse.connectors.1.status", repr(word)),
    ]
    message = f"taken for UNKNOWN: {word!r} is no status; {remedy}"
    assert all(each.message.startswith(message) for each in told)


def test_an_exclusion_names_no_more_connectors_than_an_evse_has() -> None:
    """It is kept for 400 days, and with all the others has to fit into one record."""
    uids = [f"c{number}" for number in range(MOST_CONNECTORS + 1)]
    refused = rejected({**EVENTS[EventType.EXCLUSION_DECLARED], "connector_uids": uids}, key=b"charger-1")

    remedy = "leave it out where all of the EVSE are meant"
    assert refused.message == f"connector_uids must have at most 100, has 101: {remedy}"
    good({**EVENTS[EventType.EXCLUSION_DECLARED], "connector_uids": uids[1:]}, key=b"charger-1")


def test_an_unknown_reason_for_an_exclusion_is_other() -> None:
    """Its word becomes the note where there is none."""
    event = good(
        {**EVENTS[EventType.EXCLUSION_DECLARED], "reason": "locusts", "note": None}, key=b"charger-1"
    )

    assert isinstance(event, domain.ExclusionDeclared)
    assert (event.reason, event.note) == (ExclusionReason.OTHER, "locusts")


@pytest.mark.parametrize("online", [True, False, None])
def test_online_has_three_values(online: bool | None) -> None:
    """Null is a report of its own; it must be written."""
    event = {"type": "connector.online", "event_id": "e1", "evse_uid": "u1"}

    report = good({**event, "online": online})

    assert isinstance(report, domain.OnlineReported)
    assert (report.online, report.connector_uid) == (online, None)
    assert rejected(event).reason is RejectionReason.MISSING_FIELD


@pytest.mark.parametrize(
    ("changes", "silence"),
    [
        ({}, True),
        ({"online": True}, False),
        ({"reason": "socket closed"}, False),
        ({"last_seen_at": None}, False),
    ],
)
def test_silence_is_offline_with_its_reason_and_the_last_sign(changes: dict[str, Any], silence: bool) -> None:
    """All three; otherwise it is a report like any other."""
    event = {
        "type": "connector.online",
        "event_id": "silence:u1:2026-01-05T11:00:00Z",
        "evse_uid": "u1",
        "online": False,
        "reason": "silence",
        "last_seen_at": "2026-01-05T11:00:00Z",
    }

    report = good({**event, **changes})

    assert isinstance(report, domain.OnlineReported)
    assert (report.silence, report.last_seen_at) == (silence, NOON - HOUR if silence else None)


@pytest.mark.parametrize(("said", "kept"), [(300, 300), (299.6, 300), (0.2, 1), (None, None)])
def test_an_interval_between_heartbeats_is_kept_in_whole_seconds(
    said: float | None, kept: int | None
) -> None:
    """At least one."""
    heartbeat = good(
        {"type": "evse.heartbeat", "event_id": "e", "evse_uid": "u1", "heartbeat_interval_s": said}
    )

    assert isinstance(heartbeat, domain.HeartbeatReceived)
    assert heartbeat.heartbeat_interval_s == kept


DEEP = b'{"a":' * 100_000
GARBAGE: list[tuple[str, object, RejectionReason, str | None]] = [
    ("a tombstone", None, RejectionReason.EMPTY, None),
    ("no bytes", b"", RejectionReason.EMPTY, None),
    ("no UTF-8", b'{"type":"\xff"}', RejectionReason.NOT_UTF8, None),
    ("UTF-16", '{"type":1}'.encode("utf-16"), RejectionReason.NOT_UTF8, None),
    ("a surrogate in UTF-8", b'{"type":"\xed\xa0\x80"}', RejectionReason.NOT_UTF8, None),
    ("no JSON", b"status=AVAILABLE", RejectionReason.NOT_JSON, None),
    ("cut off", orjson.dumps(STATUS)[:-1], RejectionReason.NOT_JSON, None),
    ("two values", orjson.dumps(STATUS) * 2, RejectionReason.NOT_JSON, None),
    ("NaN", b'{"a":NaN}', RejectionReason.NOT_JSON, None),
    ("Infinity", b'{"a":-Infinity}', RejectionReason.NOT_JSON, None),
    ("too many numbers beyond all", b'{"a":[' + b"1e999," * 8 + b"1e999]}", RejectionReason.NOT_JSON, None),
    ("no JSON behind a number beyond all", b'{"a":1e999,"b":}', RejectionReason.NOT_JSON, None),
    ("a number beyond all, cut off", b'{"a":-1e99', RejectionReason.NOT_JSON, None),
    ("half a surrogate pair", b'{"a":"\\ud800"}', RejectionReason.NOT_JSON, None),
    ("deep objects", DEEP, RejectionReason.TOO_DEEP, None),
    ("deep lists", b"[" * 100_000 + b"]" * 100_000, RejectionReason.TOO_DEEP, None),
    ("5 MB", b" " * 5_000_000 + orjson.dumps(STATUS), RejectionReason.TOO_LARGE, None),
    ("a list", [STATUS], RejectionReason.NOT_AN_OBJECT, None),
    ("a word", "AVAILABLE", RejectionReason.NOT_AN_OBJECT, None),
    ("null", b"null", RejectionReason.NOT_AN_OBJECT, None),
    ("no type", {**STATUS, "type": None}, RejectionReason.MISSING_FIELD, "type"),
    ("a numeric type", {**STATUS, "type": 5}, RejectionReason.INVALID_FIELD, "type"),
    ("an unknown type", {**STATUS, "type": "evse.exploded"}, RejectionReason.UNKNOWN_TYPE, "type"),
    ("a word before ours", {**STATUS, "type": "noconnector.status"}, RejectionReason.UNKNOWN_TYPE, "type"),
    ("no uid", {**STATUS, "evse_uid": None}, RejectionReason.MISSING_FIELD, "evse_uid"),
    ("no event id", {**STATUS, "event_id": None}, RejectionReason.MISSING_FIELD, "event_id"),
    ("no connector", {**STATUS, "connector_uid": None}, RejectionReason.MISSING_FIELD, "connector_uid"),
    ("no status", {**STATUS, "status": None}, RejectionReason.MISSING_FIELD, "status"),
    ("a numeric status", {**STATUS, "status": 5}, RejectionReason.INVALID_FIELD, "status"),
    ("a nested raw status", {**STATUS, "raw_status": [[]]}, RejectionReason.INVALID_FIELD, "raw_status"),
    ("a numeric uid", {**STATUS, "evse_uid": 5}, RejectionReason.INVALID_FIELD, "evse_uid"),
    ("an empty uid", {**STATUS, "evse_uid": ""}, RejectionReason.INVALID_FIELD, "evse_uid"),
    ("a long uid", {**STATUS, "evse_uid": "u" * 256}, RejectionReason.INVALID_FIELD, "evse_uid"),
    ("a bell in a uid", {**STATUS, "connector_uid": "a\a"}, RejectionReason.INVALID_FIELD, "connector_uid"),
    ("a Unix time", {**STATUS, "occurred_at": 1767614400}, RejectionReason.INVALID_FIELD, "occurred_at"),
    ("a wrong time", {**STATUS, "received_at": "noon"}, RejectionReason.INVALID_FIELD, "received_at"),
    ("another key", {**STATUS, "evse_uid": "u2"}, RejectionReason.KEY_MISMATCH, "key"),
    ("no inventory", upserted(None), RejectionReason.MISSING_FIELD, "evse"),
    ("an inventory in words", upserted("EVSE"), RejectionReason.INVALID_FIELD, "evse"),
    ("another's inventory", upserted({"uid": "u2"}), RejectionReason.INVALID_FIELD, "evse.uid"),
    ("no connectors' list", upserted({"connectors": {}}), RejectionReason.INVALID_FIELD, "evse.connectors"),
    (
        "a nameless connector",
        upserted({"connectors": [{"uid": "c1"}, {"uid": None}]}),
        RejectionReason.MISSING_FIELD,
        "evse.connectors.1.uid",
    ),
    (
        "a connector twice",
        upserted({"connectors": [{"uid": "c1"}, {"uid": "c1"}]}),
        RejectionReason.INVALID_FIELD,
        "evse.connectors.1.uid",
    ),
    (
        "an inventory of a bad uid",
        {**upserted({}), "evse_uid": ""},
        RejectionReason.INVALID_FIELD,
        "evse_uid",
    ),
    (
        "an exclusion that ends before it begins",
        {**EVENTS[EventType.EXCLUSION_DECLARED], "until": "2026-01-01T00:00:00Z"},
        RejectionReason.INVALID_FIELD,
        "until",
    ),
    (
        "a gap without an end",
        {**EVENTS[EventType.OBSERVATION_GAP], "until": None},
        RejectionReason.MISSING_FIELD,
        "until",
    ),
    (
        "an exclusion of a numeric connector",
        {**EVENTS[EventType.EXCLUSION_DECLARED], "connector_uids": ["c1", 2]},
        RejectionReason.INVALID_FIELD,
        "connector_uids.1",
    ),
    (
        "a heart that never beats",
        {**EVENTS[EventType.EVSE_HEARTBEAT], "heartbeat_interval_s": 0},
        RejectionReason.INVALID_FIELD,
        "heartbeat_interval_s",
    ),
]


@pytest.mark.parametrize(
    ("value", "reason", "field"), [row[1:] for row in GARBAGE], ids=[row[0] for row in GARBAGE]
)
def test_garbage_is_rejected_for_what_it_is(
    value: object, reason: RejectionReason, field: str | None
) -> None:
    """Each kind with a reason of its own, on one line that names the field."""
    rejection = rejected(value)

    assert (rejection.reason, rejection.field) == (reason, field)
    assert rejection.message.isprintable()
    assert field is None or field in rejection.message


def test_a_rejection_says_whose_event_it_was_as_far_as_it_is_known() -> None:
    """For logs; what is no identifier is not repeated as one."""
    rejection = rejected({**STATUS, "status": 5})
    nameless = rejected({**STATUS, "status": 5, "evse_uid": "u\n1", "event_id": 7})

    assert (rejection.uid, rejection.event_id) == ("u1", "e1")
    assert (nameless.uid, nameless.event_id) == (None, None)


def test_a_rejection_names_the_first_of_several_fields_and_counts_the_others() -> None:
    """Correcting one at a time would be tedious."""
    rejection = rejected({**STATUS, "event_id": 1, "status": 5, "error_code": 7})

    assert rejection.field == "event_id"
    assert "(and 2 more)" in rejection.message


def test_the_largest_value_that_is_read_is_a_setting() -> None:
    """By default a mebibyte, the last byte included."""
    value = orjson.dumps(STATUS)

    assert isinstance(decoded(value + b" " * (MAX_BYTES - len(value))), domain.StatusReported)
    assert rejected(value + b" " * (MAX_BYTES - len(value) + 1)).reason is RejectionReason.TOO_LARGE
    assert rejected(value, max_bytes=len(value) - 1).reason is RejectionReason.TOO_LARGE


@pytest.mark.parametrize("name", ["source", "raw_status", "error_code", "vendor_error_code"])
def test_of_a_text_the_beginning_is_kept(name: str) -> None:
    """A charger that tells a novel costs nobody memory, nor itself its event."""
    whole, longer = (good({**STATUS, name: "é" * length}) for length in (255, 256))

    assert getattr(whole, name) == "é" * 255
    assert longer == whole


def test_a_status_that_nobody_knows_is_kept_by_its_beginning() -> None:
    """Told by the charger or by its inventory."""
    told = good({**STATUS, "status": "x" * 300})
    listed = good(upserted({"connectors": [{"uid": "c1", "status": "x" * 300}]}))

    assert isinstance(told, domain.StatusReported)
    assert isinstance(listed, domain.InventoryUpserted)
    assert told.raw_status == "x" * 255
    assert listed.statuses == {"c1": (Status.UNKNOWN, "x" * 255)}


def test_an_inventory_names_a_hundred_connectors_at_most() -> None:
    """Each has a state of its own, and its place in every snapshot."""
    connectors = [{"uid": f"c{number}"} for number in range(101)]

    refused = rejected(upserted({"connectors": connectors}))

    assert isinstance(good(upserted({"connectors": connectors[:100]})), domain.InventoryUpserted)
    assert refused.reason is RejectionReason.INVALID_FIELD
    assert refused.message == "evse.connectors must have at most 100, has 101"


def test_unknown_fields_are_ignored_however_deep() -> None:
    """Producers may know more than we do."""
    value = orjson.dumps(STATUS)[:-1] + b',"future":' + b"[" * 1000 + b"]" * 1000 + b"}"

    assert good(value) == good(STATUS)


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"1.5E+400", b"9" * 400, b"-" + b"9" * 400])
def test_a_number_beyond_all_in_an_unknown_field_is_ignored_with_it(number: bytes) -> None:
    """It is legal JSON, some languages write it, and nobody here reads it."""
    value = orjson.dumps({**STATUS, "note": "ä 1e999"})[:-1]
    several = b",".join([number] * 7)

    assert good(value + b',"odometer":' + number + b"}") == good(STATUS)
    assert good(value + b',"future":{"a":[' + several + b"]}}") == good(STATUS)


def test_a_number_beyond_all_is_rejected_where_it_is_read() -> None:
    """And shown with few digits."""
    value = orjson.dumps(STATUS).replace(b'"c1"', b"9" * 400)
    told: list[FieldWarning] = []
    inventory = orjson.dumps(upserted({"max_vehicle_wheels_supported": 0})).replace(b":0", b":-1e999")

    good(inventory, warn=lambda _, warning: told.append(warning))

    assert rejected(value).message == "connector_uid must be a string, is 1e+308"
    assert [each.message for each in told] == [
        "left out: must be greater than or equal to -2147483648, is -1e+308"
    ]


def test_what_is_wrong_behind_a_number_beyond_all_is_named_by_its_place() -> None:
    """In the value as it came."""
    assert "(char 411)" in rejected(b'{"a":' + b"9" * 400 + b', "b":x').message


def test_a_deep_value_where_a_word_belongs_is_rejected_and_not_walked() -> None:
    """The message says what it is, without its content."""
    value = orjson.dumps({**STATUS, "raw_status": 0}).replace(
        b'"raw_status":0', b'"raw_status":' + b"[" * 1000 + b"]" * 1000
    )

    assert rejected(value).message == "raw_status must be a string, is a list"


def test_a_byte_order_mark_is_tolerated() -> None:
    """Files that were edited by hand have one."""
    assert good(b"\xef\xbb\xbf" + orjson.dumps(STATUS)) == good(STATUS)


def test_a_type_may_have_a_prefix() -> None:
    """As CloudEvents recommends: a reversed domain name."""
    assert good({**STATUS, "type": "com.example.connector.status"}) == good(STATUS)


def test_the_key_must_be_the_uid_in_utf_8() -> None:
    """A missing key is a mismatch too: such a record may lie in any partition."""
    event = {**STATUS, "evse_uid": "Ladesäule"}

    assert good(event, key="Ladesäule".encode()).evse_uid == "Ladesäule"
    for key in (None, b"", "Ladesäule".encode("latin-1"), b"Ladesaule"):
        assert rejected(event, key=key).reason is RejectionReason.KEY_MISMATCH


def test_files_have_no_keys() -> None:
    """There the key is not compared, and only there."""
    assert good(STATUS, key=None, compare_key=False) == good(STATUS)


BINARY = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"e1"),
    ("ce_type", b"com.example.connector.status"),
    ("ce_source", b"urn:csms"),
    ("ce_time", b"2026-01-05T12:59:00+01:00"),
    ("ce_subject", b"u1"),
    ("content-type", b"application/json"),
)
STRUCTURED: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e1",
    "type": "com.example.connector.status",
    "source": "urn:csms",
    "time": "2026-01-05T11:59:00Z",
    "subject": "u1",
}
BODY = {"connector_uid": "c1", "status": "AVAILABLE"}
FROM_CSMS = {**STATUS, "source": "urn:csms"}


class TestCloudEvents:
    """Binary and structured mode say what the data lacks, and must not contradict it."""

    def test_binary_mode_stands_for_what_the_data_lacks(self) -> None:
        """All five attributes."""
        assert good(BODY, headers=BINARY) == good(FROM_CSMS)

    def test_binary_mode_may_repeat_what_the_data_says(self) -> None:
        """Times are compared as instants, types without their prefix."""
        assert good(FROM_CSMS, headers=BINARY) == good(FROM_CSMS)

    @pytest.mark.parametrize(
        "body", [{"data": BODY}, {"data_base64": base64.b64encode(orjson.dumps(BODY)).decode()}]
    )
    def test_structured_mode_carries_the_data(self, body: dict[str, Any]) -> None:
        """As JSON or as Base64."""
        assert good({**STRUCTURED, **body}) == good(FROM_CSMS)

    def test_a_structured_event_without_data_says_all_in_its_attributes(self) -> None:
        """A removal has nothing more to say."""
        event = good({**STRUCTURED, "type": "evse.removed", "data": None})

        assert event == domain.EvseRemoved("e1", "u1", 7, NOON - MINUTE, NOON - MINUTE, source="urn:csms")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("event_id", "e2"),
            ("type", "evse.status"),
            ("source", "urn:other"),
            ("occurred_at", "2026-01-05T11:59:00.001Z"),
            ("evse_uid", "u2"),
        ],
    )
    def test_an_envelope_that_says_something_else_is_a_mismatch(self, field: str, value: str) -> None:
        """In both modes: nobody can tell which of the two is meant."""
        for rejection in (
            rejected({**BODY, field: value}, headers=BINARY),
            rejected({**STRUCTURED, "data": {**BODY, field: value}}),
        ):
            assert (rejection.reason, rejection.field) == (RejectionReason.ENVELOPE_MISMATCH, field)

    def test_two_headers_of_one_name_that_differ_are_a_mismatch(self) -> None:
        """Kafka lets a name stand twice."""
        rejection = rejected(BODY, headers=(*BINARY, ("ce_id", b"e2")))

        assert rejection.reason is RejectionReason.ENVELOPE_MISMATCH

    def test_a_mismatch_says_which_word_is_the_envelopes_and_which_is_the_datas(self) -> None:
        """Some attributes have the same name in both, and a header may stand twice."""
        in_data = {**BODY, "source": "other"}

        assert rejected({**STRUCTURED, "data": in_data}).message == (
            "source of the envelope is 'urn:csms' but source of the data is 'other': "
            "send one source, or both alike"
        )
        assert rejected(in_data, headers=BINARY).message == (
            "the header ce_source is 'urn:csms' but source of the data is 'other': "
            "send one source, or both alike"
        )
        assert rejected({**STRUCTURED, "data": BODY}, headers=(("ce_id", b"e2"),)).message == (
            "id of the envelope is 'e1' but the header ce_id is 'e2': send one event_id, or both alike"
        )

    @pytest.mark.parametrize(
        "record",
        [
            ({"status": 5}, BINARY),
            ({**BODY, "source": "other"}, BINARY),
            (b"{", BINARY),
            ({**STRUCTURED, "data": {"status": 5}}, ()),
            ({**STRUCTURED, "data": {**BODY, "source": "other"}}, ()),
            ({**STRUCTURED, "data": "text"}, ()),
            ({**STRUCTURED, "specversion": "0.3", "data": BODY}, ()),
        ],
    )
    def test_a_rejection_says_whose_event_it_was_by_its_envelope(self, record: tuple[object, Any]) -> None:
        """Where the data does not say it, or could not be read."""
        value, headers = record

        rejection = rejected(value, headers=headers)

        assert (rejection.uid, rejection.event_id) == ("u1", "e1")

    def test_of_a_mismatch_the_datas_word_counts_for_whose_event_it_was(self) -> None:
        """What is no identifier is none in an envelope either."""
        other = rejected({**BODY, "evse_uid": "u2"}, headers=BINARY)
        nobody = rejected({"status": 5}, headers=(*BINARY[:1], ("ce_id", b"e\n1"), *BINARY[2:]))

        assert (other.uid, other.event_id) == ("u2", "e1")
        assert (nobody.uid, nobody.event_id) == ("u1", None)

    def test_a_bad_time_beside_a_good_one_is_no_mismatch(self) -> None:
        """It is rejected under its own name."""
        in_header = rejected(STATUS, headers=(("ce_time", b"noon"),))
        in_data = rejected({**BODY, "occurred_at": "noon"}, headers=BINARY)

        assert (in_header.reason, in_header.field) == (RejectionReason.INVALID_FIELD, "ce_time")
        assert (in_data.reason, in_data.field) == (RejectionReason.INVALID_FIELD, "occurred_at")

    @pytest.mark.parametrize(
        ("event", "field"),
        [
            ({**STRUCTURED, "specversion": "0.3", "data": BODY}, "specversion"),
            ({**STRUCTURED, "specversion": 1.0, "data": BODY}, "specversion"),
            ({**STRUCTURED, "id": 5, "data": BODY}, "id"),
            ({**STRUCTURED, "data_base64": "!"}, "data_base64"),
            ({**STRUCTURED, "data_base64": 5}, "data_base64"),
        ],
    )
    def test_a_bad_envelope_is_an_invalid_field(self, event: dict[str, Any], field: str) -> None:
        """Under the name it has in the envelope."""
        rejection = rejected(event)

        assert (rejection.reason, rejection.field) == (RejectionReason.INVALID_FIELD, field)

    def test_data_that_is_no_event_is_named(self) -> None:
        """As a value without an envelope would be."""
        assert rejected({**STRUCTURED, "data": "text"}).reason is RejectionReason.NOT_AN_OBJECT
        assert rejected({**STRUCTURED, "data_base64": ""}).reason is RejectionReason.EMPTY
        encoded = base64.b64encode(b"\xff").decode()
        assert rejected({**STRUCTURED, "data_base64": encoded}).reason is RejectionReason.NOT_UTF8

    def test_another_version_in_the_headers_is_refused(self) -> None:
        """1.0 is what we know."""
        assert rejected(BODY, headers=(("ce_specversion", b"0.3"),)).field == "ce_specversion"

    def test_a_header_that_is_no_utf_8_is_named(self) -> None:
        """Only those that we read."""
        rejection = rejected(BODY, headers=(("trace", b"\xff"), ("ce_id", b"\xff")))

        assert (rejection.reason, rejection.field) == (RejectionReason.NOT_UTF8, "ce_id")

    @pytest.mark.parametrize("value", [None, b""])
    def test_binary_mode_may_say_all_in_its_attributes(self, value: bytes | None) -> None:
        """As structured mode may; a record without value and type is a tombstone, which says nothing."""
        headers = (*BINARY[:2], ("ce_type", b"evse.removed"), *BINARY[3:])

        assert isinstance(good(value, headers=headers), domain.EvseRemoved)
        assert rejected(value, headers=BINARY).reason is RejectionReason.MISSING_FIELD
        assert rejected(value, headers=(*BINARY[:2], *BINARY[3:])).reason is RejectionReason.EMPTY

    def test_empty_headers_say_nothing(self) -> None:
        """Some bridges write every attribute they know."""
        assert good(STATUS, headers=(("ce_id", b""), ("ce_subject", b""), ("other", b"x"))) == good(STATUS)

    def test_without_an_envelope_its_names_mean_nothing(self) -> None:
        """A plain event may have a field `id` of its own."""
        assert good({**STATUS, "id": "x", "time": "noon", "subject": 5}) == good(STATUS)
