"""
The tables of README.md and DESIGN.md that are made from the code: settings, metrics, a size.

`python -m tests.readme` writes them; a test fails when they are stale.
"""

from __future__ import annotations

from pathlib import Path

from service.adapters.prometheus import TABLE
from service.adapters.prometheus_table import markdown_table
from service.adapters.prometheus_workers import OF_PARENT
from service.commands.size import in_units
from service.domain.rules import KEPT_DAYS
from service.settings import PREFIX, Settings
from service.sizing.needs import Fleet, size

README = Path(__file__).parents[1] / "README.md"
DESIGN = Path(__file__).parents[1] / "service" / "DESIGN.md"


def settings_table() -> str:
    """Give a row for each setting: variable, default, meaning."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    defaults = dict(Settings.model_construct().effective())
    for name, field in Settings.model_fields.items():
        variable = PREFIX + name.upper()
        default = f"`{defaults[variable]}`" if defaults[variable] else ""
        rows.append(f"| `{variable}` | {default} | {field.description} |")
    return "\n".join(rows)


def sizing_table() -> str:
    """Give what ten million connectors need, a week after the start and when all history is kept."""
    week, year = (
        size(Fleet(evses=5_000_000, connectors=2, history_days=days)).needs for days in (7, KEPT_DAYS)
    )
    rows = [f"| part | what | after a week | after {KEPT_DAYS} days | then from |", "|---|---|--:|--:|---|"]
    for early, late in zip(week, year, strict=True):
        amounts = (in_units(need.amount, need.unit) for need in (early, late))
        rows.append(f"| {late.part} | {late.what} | {' | '.join(amounts)} | {late.how} |")
    return "\n".join(rows)


def with_sizing(text: str) -> str:
    """Put what ten million connectors need between its marks."""
    return _between_marks(text, "sizing", sizing_table())


def with_tables(text: str) -> str:
    """Put the tables between their marks."""
    tables = {
        "settings": settings_table(),
        "metrics": markdown_table(TABLE).strip(),
        "metrics of the parent": markdown_table(OF_PARENT).strip(),
    }
    for name, table in tables.items():
        text = _between_marks(text, name, table)
    return text


def _between_marks(text: str, name: str, table: str) -> str:
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}"


def explained_in_readme(text: str) -> str:
    """Give what README.md shows as the output of `explain`."""
    _, _, rest = text.partition("$ evse-status explain charger-1 --connector c1\n")
    return rest.partition("\n```")[0]


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
    DESIGN.write_text(with_sizing(DESIGN.read_text(encoding="utf-8")), encoding="utf-8")
