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
from schemas.snapshot import (
    SNAPSHOT_TYPE,
    TRANSITION_TYPE,
    CloudEventHeaders,
    DeadLetterHeaders,
    Snapshot,
    TransitionRecord,
)
from schemas.vocabulary import EventType

Json = dict[str, Any]

_BINDING_VERSION = "0.5.0"
_TEMPLATE = "#/components/schemas/{model}"
_KEY: Json = {"type": "string", "description": "`uid` of the EVSE, in UTF-8.", "examples": ["charger-1"]}

INFO: Json = {
    "title": "evse-status",
    "version": "1.0.0",
    "description": (
        "Keeps the true state of every EV charger: reads connector status and online events, and republishes "
        "EVSE snapshots enriched with uptime and reliability. All topics are keyed by the EVSE's uid, and an "
        "output goes to the partition number its input came from, so all topics have as many partitions. "
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
            "No value: the EVSE was removed for good, and its snapshots go.",
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
) -> Json:
    message: Json = {
        "name": name,
        "summary": summary,
        "contentType": content_type,
        "headers": headers,
        "payload": payload,
        "bindings": {"kafka": {"key": _KEY, "bindingVersion": _BINDING_VERSION}},
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
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template=_TEMPLATE, schema_generator=Untitled
    )
    schemas: Json = tidied(definitions["$defs"])
    return schemas
