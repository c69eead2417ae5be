"""
JSON Schema for every public model and one AsyncAPI 3.0 document for all topics, generated from the models.

`python -m schemas.generate` writes them into `schemas/json`; with `--check` it says which are stale and exits
with 1. `evse-status schemas` does the same. What is generated is committed, so that a change of a contract is
seen in review.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from schemas import asyncapi, events, evse, explanation, ledger, snapshot, view

FOLDER = Path(__file__).parent / "json"
"""Where the committed documents lie."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

PUBLIC: tuple[type[BaseModel], ...] = (
    evse.EVSE,
    evse.Connector,
    evse.Coordinates,
    evse.Image,
    evse.DisplayText,
    *events.MODELS.values(),
    snapshot.Snapshot,
    snapshot.ConnectorState,
    snapshot.Window,
    snapshot.Reliability,
    snapshot.Attempts,
    snapshot.Note,
    snapshot.TransitionRecord,
    snapshot.LogPosition,
    snapshot.CloudEventHeaders,
    snapshot.DeadLetterHeaders,
    view.Recent,
    view.Outage,
    view.Exclusion,
    view.Gap,
    ledger.LedgerRemoval,
    ledger.LedgerBase,
    ledger.LedgerMark,
    ledger.LedgerSkip,
    ledger.LedgerEpoch,
    explanation.Explanation,
)
"""Every model that crosses a boundary: each gets a file of its own. `event.json` is the union of events."""

Json = dict[str, Any]


def schema_of(adapter: TypeAdapter[Any], mode: JsonSchemaMode = "validation") -> Json:
    """Give the JSON Schema of a type, its dialect first."""
    schema = adapter.json_schema(mode=mode, schema_generator=asyncapi.Untitled)
    return {"$schema": _DIALECT, **asyncapi.tidied(schema)}


def documents() -> dict[str, str]:
    """Generate everything: the content of each file by its name."""
    contents: dict[str, Json] = {
        f"{_file_name(model.__name__)}.json": schema_of(TypeAdapter(model)) for model in PUBLIC
    }
    contents["event.json"] = schema_of(events.EVENT)
    contents["asyncapi.json"] = asyncapi.document()
    return {
        name: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for name, content in contents.items()
    }


def _file_name(model: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", model).lower()


def write(folder: Path | None = None) -> list[Path]:
    """Write every document (by default into `FOLDER`), remove what no model gives, and name what changed."""
    folder = folder or FOLDER
    changed = stale(folder)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = documents()
    for path in changed:
        if path.name in wanted:
            path.write_text(wanted[path.name], encoding="utf-8")
        else:
            path.unlink()
    return changed


def stale(folder: Path | None = None) -> list[Path]:
    """Name the files that are not what the models give: changed, missing, or of a model that is gone."""
    folder = folder or FOLDER
    wanted = documents()
    found = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    return [folder / name for name in sorted(wanted | found) if wanted.get(name) != found.get(name)]


def main(arguments: list[str]) -> int:
    """Write or, with `--check`, compare; return the exit code."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m schemas.generate [--check]\n")
        return 2
    if not arguments:
        sys.stdout.writelines(f"written: {path}\n" for path in write())
        return 0
    outdated = stale()
    sys.stderr.writelines(f"stale: {path}; run `python -m schemas.generate`\n" for path in outdated)
    return 1 if outdated else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
