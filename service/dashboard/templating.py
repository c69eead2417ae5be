"""The templates: Jinja2 with everything escaped, undefined names an error, the page's words as filters."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from schemas.vocabulary import OPERATIONAL
from service.dashboard import wording
from service.dashboard.rows import Row
from service.dashboard.wording import CLASS_WORDS, DAY, ONLINE_WORDS, REASON_WORDS

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"


def fingerprint() -> str:
    """Name the version of the static files, so that browsers never mix two of them."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def segments(counts: dict[str, int]) -> list[tuple[str, float, float]]:
    """Lay a bar's segments side by side: key, x and width in percent."""
    whole = sum(counts.values()) or 1
    placed = []
    before = 0
    for key, count in counts.items():
        placed.append((key, 100 * before / whole, 100 * count / whole))
        before += count
    return placed


def last_step(uid: str) -> str:
    """
    Write a uid as the end of an address behind `evse/` or `api/evses/`: as its last step, or as a parameter.

    The steps `.` and `..` are none that a browser asks for, however they are encoded: it goes to the folder.
    """
    return f"?uid={uid}" if uid in {".", ".."} else quote(uid, safe="")


class Templates:
    """Renders the page's templates; holds nothing else."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "shell": shlex.quote,
            "path": lambda text: quote(text, safe=""),
            "last_step": last_step,
            "status_word": wording.status_word,
            "status_key": wording.status_key,
            "online_word": lambda online: ONLINE_WORDS[online],
            "online_key": wording.online_key,
            "class_word": lambda kind: CLASS_WORDS[kind],
            "reason_word": lambda reason: REASON_WORDS.get(reason, reason),
            "percent": wording.percent,
            "no_uptime": wording.no_uptime,
            "number": wording.number,
            "kilowatts": wording.kilowatts,
            "duration": wording.duration,
            "seconds": lambda seconds: wording.duration(round(seconds * wording.SECOND)),
            "ago": wording.ago,
            "machine_time": wording.machine_time,
            "date_time": wording.date_time,
            "short_time": wording.short_time,
            "day_name": wording.day_name,
            "parse_time": wording.parse_time,
            "coordinate": lambda value: f"{value:.4f}".rstrip("0").rstrip("."),
        }
        self._environment.globals |= {
            "version": fingerprint(),
            "segments": segments,
            "not_enough": wording.NOT_ENOUGH,
            "DAY": DAY,
            "classes": CLASS_WORDS,
            "operational": OPERATIONAL,
        }

    def render(self, name: str, **context: Any) -> str:
        """Render a template."""
        return self._environment.get_template(name).render(**context)

    def row(self, row: Row, now: int) -> str:
        """Render one line of the table, as the table has it."""
        return self.render("row.html", row=row, now=now, base="").strip()
