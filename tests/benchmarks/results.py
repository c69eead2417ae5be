"""Figures of many runs as medians, tables for the screen, and files kept by commit. Measures nothing."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]

FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of figures: where each comes from, what stands above it, and how many decimals it has."""

    name: str
    title: str
    decimals: int = 0

    def text(self, row: Mapping[str, Any]) -> str:
        """Write the figure of a row; a dash where there is none."""
        value = row.get(self.name)
        if value is None:
            return "-"
        return value if isinstance(value, str) else f"{value:,.{self.decimals}f}"


THROUGHPUT = (
    Column("what", ""),
    Column("records_per_cpu_s", "records/CPU-s"),
    Column("us_per_record", "CPU µs/record", 2),
    Column("records_per_s", "records/s"),
    Column("cpu_s_with_start", "CPU-s with start", 2),
    Column("records_a_batch", "records/batch"),
    Column("evses_a_batch", "EVSEs/batch"),
    Column("peak_memory_mb", "peak MB"),
)


def throughput(run: Json) -> Json:
    """
    Work out what one run of `parts.Bench.run` says for each record: CPU in microseconds, and rates.

    `us_per_evse` is for each EVSE that a batch touched, however many of its records were in the batch.
    """
    records, cpu, wall = run["records"], run["cpu_s"], run["wall_s"]
    touched = run.get("batches", 0) * run.get("evses_a_batch", 0.0)
    return {
        "what": run["what"],
        "records": records,
        "records_per_cpu_s": records / cpu if cpu else None,
        "us_per_record": cpu / records * 1e6,
        "us_per_evse": cpu / touched * 1e6 if touched else None,
        "records_per_s": records / wall if wall else None,
        "cpu_s_with_start": run["whole_cpu_s"],
        "records_a_batch": run.get("records_a_batch"),
        "evses_a_batch": run.get("evses_a_batch"),
        "memory_mb": run["memory_mb"],
        "peak_memory_mb": run["peak_memory_mb"],
    }


def medians(rows: Sequence[Json]) -> Json:
    """Give the median of each figure; what is no figure is that of the first row."""
    first = rows[0]
    return {
        name: statistics.median(row[name] for row in rows)
        if isinstance(value, (int, float)) and all(row.get(name) is not None for row in rows)
        else value
        for name, value in first.items()
    }


def medians_by(rows: Iterable[Json], key: str) -> list[Json]:
    """Give the medians of each kind of row, kinds in the order in which they come first."""
    kinds: dict[Any, list[Json]] = {}
    for row in rows:
        kinds.setdefault(row[key], []).append(row)
    return [medians(some) for some in kinds.values()]


def table(columns: Sequence[Column], rows: Iterable[Mapping[str, Any]]) -> str:
    """Lay out rows in Markdown, which is read as well on a screen; figures are at the right."""
    cells = [[column.title for column in columns]]
    cells += [[column.text(row) for column in columns] for row in rows]
    widths = [max(len(line[number]) for line in cells) for number in range(len(columns))]
    lines = [
        "| "
        + " | ".join(
            text.ljust(width) if not number else text.rjust(width)
            for number, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in cells
    ]
    rule = (
        "|" + "|".join("-" * (width + 1) + ("-" if not at else ":") for at, width in enumerate(widths)) + "|"
    )
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"


def shares_table(shares: Mapping[str, float], us_per_record: float) -> str:
    """Lay out what each step took of a record's CPU time."""
    rows = [
        {"what": step, "share": share * 100, "us": share * us_per_record} for step, share in shares.items()
    ]
    return table((Column("what", "step"), Column("share", "%", 1), Column("us", "CPU µs/record", 2)), rows)


def keep(result: Json, folder: Path = FOLDER) -> Path:
    """Write a result to `<commit>-<job>.json` and give the file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{result['commit']}-{result['job']}.json"
    file.write_text(json.dumps(_rounded(result), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return file


_DIGITS = 5


def _rounded(value: Any) -> Any:
    """Leave the digits that say something: the others only make the files differ."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return value
