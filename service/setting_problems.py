"""What can be wrong with settings, in words that name where they stand, the remedy, and nothing secret."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any


class SettingsError(Exception):
    """The settings cannot be used; `problems` holds one line for each, with the name and the remedy."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def read_file(path: Path, known: set[str]) -> tuple[dict[str, Any], list[str]]:
    """Read a TOML file; give what is known of it and a line about each key that is not."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"{path} is not TOML: {error}; correct that line"]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"cannot read the settings file {path}: {error}; check the path"]) from error
    unknown = [
        f"{key} in {path}: no such setting; {_remedy(key, known)}" for key in content if key not in known
    ]
    return {key: value for key, value in content.items() if key in known}, unknown


_SERVICE_LINK = re.compile(
    r"(^|_)(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$"
)
"""What Kubernetes puts into every container for a Service named `evse-status…`: not meant for us."""


_ACKS = re.compile(r"(^|_)acks$")
"""What a producer's acknowledgements are called where they can be set."""


def unknown_variables(environment: Mapping[str, str], prefix: str, known: set[str]) -> list[str]:
    """Give a line about each variable with our prefix that is none of ours."""
    names = {prefix + name.upper() for name in known}
    return [
        f"{name}: no such setting; {_remedy(name.upper(), names)}"
        for name, value in sorted(environment.items())
        if name.upper().startswith(prefix)
        and name.upper() not in names
        and not _is_service_link(name.upper().removeprefix(prefix), value)
    ]


def _is_service_link(name: str, value: str) -> bool:
    if _SERVICE_LINK.search(name) is None:
        return False
    # `…_PORT` alone may be a misspelt setting; that of a Service holds an address.
    return "://" in value or "SERVICE_PORT" in name or not name.endswith("PORT")


def _remedy(name: str, known: set[str]) -> str:
    if _ACKS.search(name.lower()):
        return (
            "nothing is committed before all replicas in sync have acknowledged, which cannot be weakened: "
            "remove it (how many replicas must be in sync is min.insync.replicas of the topics)"
        )
    close = get_close_matches(name, known, n=1) or get_close_matches(name.lower(), known, n=1)
    return f"did you mean {close[0]}?" if close else "remove it (`evse-status check` lists all settings)"


def in_words(detail: Any, prefix: str, given: Mapping[str, str], config: Path | None) -> str:
    """Say what is wrong with one value; `detail` is pydantic's, `given` the environment in upper case."""
    field = str(detail["loc"][0])
    variable = prefix + field.upper()
    where = variable if variable in given or config is None else f"{field} in {config}"
    if detail["type"] == "value_error":
        message = str(detail["ctx"]["error"])
    else:
        message = detail["msg"].replace("Input should be", "must be").replace("String should", "must")
        message = message[0].lower() + message[1:]
    if field == "http_port" and "://" in given.get(variable, ""):
        message += (
            "; Kubernetes sets this for a Service named evse-status-http: set enableServiceLinks to false"
        )
    return f"{where}: {message}"
