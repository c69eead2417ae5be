"""
The AsyncAPI 3.0 document: the topics, their keys and cleanup, the messages on them, and who sends what.

The topics stand here with their default names; this module knows no broker.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from schemas import examples
from schemas.events import MODELS, EventBase
from schemas.ledger import LEDGER_TYPE, RECORDS
from schemas.snapshot import (
    SNAPSHOT_TYPE,
    TRANSITION_TYPE,
    CloudEventHeaders,
    DeadLetterHeaders,
    Snapshot,
    TransitionRecord,
)
from schemas.view import Exclusion, Gap, Outage
from schemas.vocabulary import EventType

Json = dict[str, Any]

_BINDING_VERSION = "0.5.0"
_TEMPLATE = "#/components/schemas/{model}"
_KEY: Json = {"type": "string", "description": "`uid` of the EVSE, in UTF-8.", "examples": ["charger-1"]}

_LEDGER_KEY: Json = {
    "type": "string",
    "description": "A compact JSON array: the kind, then the EVSE's `uid` and what else names the record.",
    "examples": ['["day","charger-1","c1","2026-01-05"]'],
}
_NO_HEADERS: Json = {"type": "object", "description": "None."}
_LEDGER: dict[str, tuple[str, str, Json]] = {
    "ledgerDay": (
        "day",
        "A closed day of a connector, or of the EVSE as a port.",
        {
            "type": "object",
            "description": "Seconds by state (`AVAILABLE/true`), of a port by class; else a count.",
            "additionalProperties": {"type": "number", "minimum": 0},
        },
    ),
    "ledgerOutage": (
        "outage",
        "A closed span in which a connector was not plainly up.",
        {"$ref": _TEMPLATE.format(model="Outage")},
    ),
    "ledgerExclusion": (
        "exclusion",
        "An exclusion that holds.",
        {"$ref": _TEMPLATE.format(model="Exclusion")},
    ),
    "ledgerGap": (
        "gap",
        "A time in which nothing could be seen of an EVSE.",
        {"$ref": _TEMPLATE.format(model="Gap")},
    ),
    "ledgerRemoval": (
        "removal",
        "An EVSE is gone for good.",
        {"$ref": _TEMPLATE.format(model="LedgerRemoval")},
    ),
    "ledgerBase": ("base", "The whole state of one EVSE.", {"$ref": _TEMPLATE.format(model="LedgerBase")}),
    "ledgerMark": ("mark", "How far the bases reach.", {"$ref": _TEMPLATE.format(model="LedgerMark")}),
    "ledgerSkip": (
        "skip",
        "Records that an operator had skipped.",
        {"$ref": _TEMPLATE.format(model="LedgerSkip")},
    ),
    "ledgerEpoch": (
        "epoch",
        "Which log the offsets are of.",
        {"$ref": _TEMPLATE.format(model="LedgerEpoch")},
    ),
}

INFO: Json = {
    "title": "evse-status",
    "version": "1.0.0",
    "description": (
        "Keeps the true state of every EV charger: reads connector status and online events, and republishes "
        "EVSE snapshots enriched with uptime and reliability. Topics are keyed by the EVSE's uid (the ledger "
        "by more), and an output goes to the partition number its input came from, so all topics have as "
        "many partitions. "
        "The names below are the defaults; the prefix is a setting."
    ),
    "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
}


def tidied(schema: Any) -> Any:
    """Join the lines of descriptions, which stand as they were broken in the source; paragraphs stay."""
    if isinstance(schema, list):
        return [tidied(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: re.sub(r"(?<!\n)\n(?!\n)", " ", part)
        if name == "description" and isinstance(part, str)
        else tidied(part)
        for name, part in schema.items()
    }


class Untitled(GenerateJsonSchema):
    """JSON Schema without a title for each field: the name says it."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the signature is pydantic's
        return False


def document() -> Json:
    """Give the whole document."""
    return {
        "asyncapi": "3.0.0",
        "info": INFO,
        "defaultContentType": "application/json",
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def _channels() -> Json:
    return {
        "events": _channel(
            "evse.events",
            "What is reported of chargers. Kept for at least the allowed lateness and three days.",
            [_message_name(model) for model in MODELS.values()],
            "delete",
        ),
        "snapshots": _channel(
            "evse.snapshots",
            "The last snapshot of every EVSE; after a removal its last one, then a tombstone.",
            ["snapshot", "snapshotTombstone"],
            "compact",
        ),
        "transitions": _channel(
            "evse.transitions",
            "One record for each applied change of a connector's status.",
            ["transition"],
            "delete",
        ),
        "deadLetters": _channel(
            "evse.dead-letters",
            "Records that could not be processed: key, value and headers as they came, and why.",
            ["deadLetter"],
            "delete",
        ),
        "ledger": _channel(
            "evse.ledger",
            "Closed history, exclusions, gaps and removals, and the bases that the view is restored from.",
            [*_LEDGER, "ledgerTombstone"],
            "compact",
        ),
    }


def _channel(address: str, description: str, messages: list[str], cleanup: str) -> Json:
    binding = {
        "topic": address,
        "topicConfiguration": {"cleanup.policy": [cleanup]},
        "bindingVersion": _BINDING_VERSION,
    }
    return {
        "address": address,
        "description": description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"kafka": binding},
    }


def _operations() -> Json:
    return {
        "receiveEvents": _operation("receive", "events", "Apply what is reported to the view of its EVSE."),
        "sendEvents": _operation(
            "send",
            "events",
            "Write to the log what the worker alone can notice: silence (`connector.online`) and gaps.",
            [_message_name(MODELS[kind]) for kind in (EventType.CONNECTOR_ONLINE, EventType.OBSERVATION_GAP)],
        ),
        "sendSnapshots": _operation(
            "send", "snapshots", "Publish an EVSE when it changed, and every one on the slow tick."
        ),
        "sendTransitions": _operation("send", "transitions", "Publish each applied change of a status."),
        "sendDeadLetters": _operation("send", "deadLetters", "Keep what could not be processed."),
        "sendLedger": _operation(
            "send", "ledger", "Keep what is closed, when it closes, and each day the whole state."
        ),
        "receiveLedger": _operation("receive", "ledger", "Restore a view that has lost what it held."),
    }


def _operation(action: str, channel: str, summary: str, messages: list[str] | None = None) -> Json:
    operation: Json = {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}
    if messages:
        operation["messages"] = [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages]
    return operation


def _messages() -> Json:
    messages = {_message_name(model): _event_message(kind, model) for kind, model in MODELS.items()}
    return messages | {
        "snapshot": _message(
            SNAPSHOT_TYPE,
            "Everything known of one EVSE.",
            payload=_ref("Snapshot"),
            headers=_ref("CloudEventHeaders"),
            example=examples.SNAPSHOT_EXAMPLE,
        ),
        "snapshotTombstone": _message(
            f"{SNAPSHOT_TYPE}.tombstone",
            "No value: the EVSE was removed for good, and its snapshots go; with `ce_movedto` it lives on in "
            "another partition, where its snapshots follow (`rebuild --repartition`).",
            payload={"type": "null"},
            headers=_ref("CloudEventHeaders"),
        ),
        "transition": _message(
            TRANSITION_TYPE,
            "One applied change of a connector's status.",
            payload=_ref("TransitionRecord"),
            headers=_ref("CloudEventHeaders"),
            example=examples.TRANSITION_EXAMPLE,
        ),
        "deadLetter": _message(
            "dead.letter",
            "A record that could not be processed, as it came.",
            payload={"description": "The bytes that came: no schema binds them."},
            headers=_ref("DeadLetterHeaders"),
            content_type="application/octet-stream",
        ),
        **_ledger_messages(),
    }


def _ledger_messages() -> Json:
    messages = {
        name: _message(
            f"{LEDGER_TYPE}.{kind}", summary, payload=payload, headers=_NO_HEADERS, key=_LEDGER_KEY
        )
        for name, (kind, summary, payload) in _LEDGER.items()
    }
    return messages | {
        "ledgerTombstone": _message(
            f"{LEDGER_TYPE}.tombstone",
            "No value: too old, withdrawn, or it turned out not to be.",
            payload={"type": "null"},
            headers=_NO_HEADERS,
            key=_LEDGER_KEY,
        )
    }


def _event_message(kind: EventType, model: type[EventBase]) -> Json:
    optional: Json = {
        "type": "object",
        "description": "None, or those of CloudEvents in binary mode; structured mode is taken too.",
        "anyOf": [{"not": {"required": ["ce_specversion"]}}, _ref("CloudEventHeaders")],
    }
    summary = (model.__doc__ or "").strip().splitlines()[0]
    return _message(
        kind.value, summary, payload=_ref(model.__name__), headers=optional, example=examples.EVENTS[kind]
    )


def _message(
    name: str,
    summary: str,
    *,
    payload: Json,
    headers: Json,
    example: Json | None = None,
    content_type: str = "application/json",
    key: Json | None = None,
) -> Json:
    message: Json = {
        "name": name,
        "summary": summary,
        "contentType": content_type,
        "headers": headers,
        "payload": payload,
        "bindings": {"kafka": {"key": key or _KEY, "bindingVersion": _BINDING_VERSION}},
    }
    if example is not None:
        message["examples"] = [{"name": "example", "payload": example}]
    return message


def _message_name(model: type[EventBase]) -> str:
    return re.sub(r"^[A-Z]", lambda first: first.group().lower(), model.__name__)


def _ref(model: str) -> Json:
    return {"$ref": _TEMPLATE.format(model=model)}


def _schemas() -> Json:
    models: list[type[BaseModel]] = [*MODELS.values()]
    models += [Snapshot, TransitionRecord, CloudEventHeaders, DeadLetterHeaders]
    models += [Outage, Exclusion, Gap, *RECORDS]
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template=_TEMPLATE, schema_generator=Untitled
    )
    schemas: Json = tidied(definitions["$defs"])
    return schemas
